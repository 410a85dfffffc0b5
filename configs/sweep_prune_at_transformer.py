"""When to prune: the Transformer's tickets from six checkpoints."""

from configs.sweep import Sweep
from configs.ticket import TransformerTicketConfig

sweep = Sweep(
    base=TransformerTicketConfig(retrain_num_epochs=10_000, retrain_stop_after_gen=True),
    axes={"prune_at": ["init", "memorization", "6000", "10000", "18000", "generalization"]},
    seeds=(0, 1, 2),
)
