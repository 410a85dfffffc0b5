"""The ticket on polynomial regression beside its controls, and a mask from before it generalizes."""

from configs.base import paper
from configs.sweep import Sweep
from configs.ticket import ticket_of

sweep = Sweep(
    base=ticket_of(paper("regression", "image_mlp")),
    settings=[{}, {"prune_at": "memorization"}, {"pruner": "random"}, {"control": "shuffled"}],
    seeds=(0, 1, 2),
)
