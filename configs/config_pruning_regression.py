"""The ticket on polynomial regression."""

from configs.base import paper
from configs.ticket import ticket_of

config = ticket_of(paper("regression", "image_mlp"))
