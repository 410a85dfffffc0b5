"""When does a ticket pay? The MLP at its best dense setting; where weights are rewound, the best setting of a ticket."""

from configs.sweep_pays import sweep_before_t_gen
from configs.ticket import MLPTicketConfig

sweep = sweep_before_t_gen(
    MLPTicketConfig(lr=1e-2, weight_decay=8.0, num_epochs=10_000, save_every=20, stop_after_gen=True),
    distances=(200, 160, 120, 100, 80, 60, 40, 20),
    seeds=(0, 1, 2, 3, 4),
    retrain_lr=3e-2,
)
