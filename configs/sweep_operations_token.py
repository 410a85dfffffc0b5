"""The ticket on several operations at once beside its controls, and a mask from before it generalizes."""

from configs.base import paper
from configs.sweep import Sweep
from configs.ticket import ticket_of

sweep = Sweep(
    base=ticket_of(paper("operations", "mlp")),
    settings=[{}, {"prune_at": "memorization"}, {"pruner": "random"}, {"control": "shuffled"}],
    seeds=(0,),
)
