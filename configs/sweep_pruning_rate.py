"""How much to prune: the MLP's tickets at rates from 0.2 to 0.95, retrained with and without weight decay."""

from configs.sweep import Sweep
from configs.ticket import MLPTicketConfig

sweep = Sweep(
    base=MLPTicketConfig(retrain_num_epochs=10_000, retrain_stop_after_gen=True),
    axes={"pruning_rate": [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95], "retrain_weight_decay": [1.0, 0.0]},
)
