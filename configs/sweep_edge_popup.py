"""The paper's Table 1: from the weights at memorization on, weight decay alone, edge-popup alone, and both; then edge-popup otherwise.

Weight decay alone is the dense network trained on, at the setting found to come nearest to the paper's row.
"""

from configs.sweep import Sweep
from configs.ticket import MLPTicketConfig

decay = {"use_mask": False, "rewind_to": 2_000, "retrain_num_epochs": 2_000}
decay |= {"retrain_lr": 0.01, "retrain_weight_decay": 2.0}
popup = {
    "pruner": "edge_popup",
    "learn": "scores",
    "score_num_epochs": 2_000,
    "score_lr": 0.01,
    "score_weight_decay": 10.0,
}
others = [
    {"learn": "both", "score_weight_decay": 2.0},
    {"score_weight_decay": 0.0},
    {"score_weight_decay": 1.0},
    {"score_by_value": True},
    {"score_optimizer": "sgd", "score_lr": 10.0, "score_weight_decay": 0.0},
    {"prune_at": "init"},
    {"learn": None, "retrain_stop_after_gen": True},  # its mask as a ticket
]
sweep = Sweep(
    base=MLPTicketConfig(prune_at="memorization"),
    settings=[decay, popup, *(popup | one for one in others)],
    at=(600, 1_000, 1_400, 2_000),
)
