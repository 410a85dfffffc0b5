"""When does a ticket pay? The Transformer."""

from configs.sweep_pays import sweep_before_t_gen
from configs.ticket import TransformerTicketConfig

sweep = sweep_before_t_gen(
    TransformerTicketConfig(save_every=500, stop_after_gen=True),
    distances=(8_000, 6_000, 4_000, 3_000, 2_000, 1_500, 1_000, 500),
    seeds=(0, 1, 2),
)
