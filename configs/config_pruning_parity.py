"""The ticket on sparse parity."""

from configs.base import paper
from configs.ticket import ticket_of

config = ticket_of(paper("parity", "image_mlp"))
