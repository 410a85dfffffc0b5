"""The paper's ticket with learning rate and weight decay tuned over the grid of sweep_tuned_dense.py."""

from configs.sweep import Sweep
from configs.ticket import MLPTicketConfig

sweep = Sweep(
    base=MLPTicketConfig(retrain_num_epochs=10_000),
    axes={"retrain_lr": [1e-3, 3e-3, 1e-2, 3e-2, 1e-1], "retrain_weight_decay": [1.0, 3.0, 8.0, 16.0]},
)
