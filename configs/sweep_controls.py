"""Every control beside the MLP's ticket, and the dense network (same_* are dense)."""

from configs.sweep import Sweep
from configs.ticket import MLPTicketConfig
from pruning.controls import CONTROLS

sweep = Sweep(
    base=MLPTicketConfig(retrain_stop_after_gen=True), settings=[{}, *({"control": control} for control in CONTROLS)]
)
