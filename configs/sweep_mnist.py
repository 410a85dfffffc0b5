"""What makes the MNIST ticket strong or weak: the mask and the retraining, changed one by one and two at once."""

from configs.sweep import Sweep
from configs.ticket import MnistTicketConfig

sweep = Sweep(
    base=MnistTicketConfig(retrain_num_epochs=12_000, retrain_stop_after_gen=True),
    settings=[
        {},
        {"retrain_weight_decay": 1.0},
        {"use_mask": False, "retrain_weight_decay": 1.0},
        {"pruner": "random"},
        {"pruning_rate": 0.8},
        {"scope": "local"},
        {"pruning_rate": 0.8, "scope": "local"},
        {"pruning_rate": 0.8, "retrain_weight_decay": 1.0},
        {"pruning_rate": 0.8, "scope": "local", "retrain_weight_decay": 1.0},
        {"prune_at": "init"},
        {"prune_at": "memorization"},
        {"retrain_weight_decay": 0.0},
        {"pruning_rate": 0.9},
    ],
    seeds=(0, 1, 2),
)
