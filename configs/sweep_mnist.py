"""What makes the MNIST ticket strong or weak: one setting of the mask or of the retraining changed at a time."""

from configs.base import MnistTicketConfig
from configs.sweep import Sweep

sweep = Sweep(
    base=MnistTicketConfig(retrain_num_epochs=15_000),
    settings=[
        {},
        {"use_mask": False},
        {"pruner": "random"},
        {"pruning_rate": 0.4},
        {"pruning_rate": 0.8},
        {"pruning_rate": 0.9},
        {"pruning_rate": 0.95},
        {"prune_at": "init"},
        {"prune_at": "memorization"},
        {"prune_at": "10000"},
        {"prune_at": "20000"},
        {"scope": "local"},
        {"retrain_weight_decay": 0.0},
        {"retrain_weight_decay": 0.3},
        {"retrain_weight_decay": 1.0},
        {"use_mask": False, "retrain_weight_decay": 1.0},
        {"pruning_rate": 0.8, "retrain_weight_decay": 1.0},
        {"pruning_rate": 0.9, "retrain_weight_decay": 1.0},
    ],
    seeds=(0,),
)
