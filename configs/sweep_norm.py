"""Does the norm explain the ticket, or its logit scale? Dense networks that start at either or both, at the paper's setting."""

from configs.sweep import Sweep
from configs.ticket import MLPTicketConfig

sweep = Sweep(
    base=MLPTicketConfig(retrain_stop_after_gen=True),
    axes={"control": [None, "same_l1", "same_l2", "same_logits", "same_l2_logits"]},
)
