"""Does the norm explain the ticket, or its logit scale? Dense networks that start at either or both, at the paper's setting."""

from configs.sweep import Sweep
from configs.ticket import MLPTicketConfig

CONTROLS = ("same_l1", "same_l2", "same_logits", "same_l2_logits")
per_matrix = [{"control": control, "control_per_matrix": True} for control in ("same_l2", "same_l2_logits")]
sweep = Sweep(
    base=MLPTicketConfig(retrain_stop_after_gen=True),
    settings=[{}, *({"control": control} for control in CONTROLS), *per_matrix],
)
