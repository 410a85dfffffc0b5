"""How much to prune: the Transformer's tickets at five rates, with the paper's weight decay in retraining and without."""

from configs.sweep import Sweep
from configs.ticket import TransformerTicketConfig

sweep = Sweep(
    base=TransformerTicketConfig(retrain_num_epochs=10_000, retrain_stop_after_gen=True),
    axes={"pruning_rate": [0.2, 0.4, 0.6, 0.8, 0.9], "retrain_weight_decay": [1.0, 0.0]},
    seeds=(0, 1, 2),
)
