"""Pruners at the init, as sparse as the ticket and sparser or denser: does sparsity explain it? Beside the ticket (magnitude, late)."""

from configs.sweep import Sweep
from configs.ticket import MLPTicketConfig

PRUNERS = ["random", "snip", "grasp", "synflow"]
sweep = Sweep(
    base=MLPTicketConfig(retrain_stop_after_gen=True),
    settings=[
        {},
        *({"pruner": p, "prune_at": "init", "pruning_rate": rate} for p in PRUNERS for rate in (0.4, 0.6, 0.8)),
    ],
)
