"""The ticket on several operations of modular arithmetic at once."""

from configs.base import paper
from configs.ticket import ticket_of

config = ticket_of(paper("operations", "mlp"))
