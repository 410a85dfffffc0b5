"""The MLP's ticket for every operation that is symmetric, as it cannot tell (a, b) from (b, a)."""

from configs.sweep import Sweep
from configs.ticket import MLPTicketConfig

sweep = Sweep(
    base=MLPTicketConfig(retrain_stop_after_gen=True),
    axes={"fn_name": ["add", "multiply", "x2y2", "x2xyy2", "only_add"]},
    seeds=(0, 1, 2),
)
