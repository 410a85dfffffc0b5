"""The best setting that sweep_tuned_ticket.py finds, on seeds that did not choose it."""

from configs.sweep import Sweep
from configs.ticket import MLPTicketConfig

sweep = Sweep(
    base=MLPTicketConfig(retrain_num_epochs=10_000),
    axes={"retrain_lr": [3e-2], "retrain_weight_decay": [8.0]},
    seeds=(5, 6, 7, 8, 9),
)
