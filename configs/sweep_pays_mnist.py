"""When does a ticket pay? MNIST."""

from configs.sweep_pays import sweep_before_t_gen
from configs.ticket import MnistTicketConfig

sweep = sweep_before_t_gen(
    MnistTicketConfig(save_every=500, stop_after_gen=True), distances=(8_000, 4_000, 2_000, 1_000), seeds=(0, 1, 2)
)
