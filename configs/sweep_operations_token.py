"""The ticket on several operations at once beside its controls, and a mask from before it generalizes."""

from configs.base import paper
from configs.sweep import Sweep
from configs.ticket import ticket_of

sweep = Sweep(
    base=ticket_of(paper("operations", "mlp")),
    settings=[
        {},
        {"pruning_rate": 0.4},
        {"prune_at": "3000"},
        {"prune_at": "memorization"},
        {"pruner": "random"},
        {"control": "shuffled"},
    ],
    seeds=(0,),
)
