"""When to prune: the MLP's tickets from the init, memorization and checkpoints up to the end."""

from configs.sweep import Sweep
from configs.ticket import MLPTicketConfig

sweep = Sweep(
    base=MLPTicketConfig(retrain_num_epochs=10_000, retrain_stop_after_gen=True),
    axes={
        "prune_at": [
            "init",
            "500",
            "memorization",
            "6000",
            "10000",
            "14000",
            "18000",
            "22000",
            "generalization",
            "30000",
        ]
    },
)
