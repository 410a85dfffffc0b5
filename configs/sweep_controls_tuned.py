"""Every control beside the MLP's ticket and the dense network, retrained at a tuned setting at which both are stable and fast."""

from configs.sweep import Sweep
from configs.ticket import MLPTicketConfig
from pruning.controls import CONTROLS

base = MLPTicketConfig(retrain_lr=1e-2, retrain_weight_decay=3.0, retrain_num_epochs=5_000, retrain_stop_after_gen=True)
others = [{"pruner": "random"}, {"use_mask": False}]
sweep = Sweep(base=base, settings=[{}, *({"control": control} for control in CONTROLS), *others])
