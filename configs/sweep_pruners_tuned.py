"""Pruners at the init at three rates, beside the ticket and the dense network, retrained at the setting of sweep_controls_tuned.py."""

from configs.sweep import Sweep
from configs.ticket import MLPTicketConfig

PRUNERS, RATES = ("random", "snip", "grasp", "grasp_200", "synflow"), (0.4, 0.6, 0.8)
base = MLPTicketConfig(retrain_lr=1e-2, retrain_weight_decay=3.0, retrain_num_epochs=5_000, retrain_stop_after_gen=True)
at_init = [{"pruner": pruner, "prune_at": "init", "pruning_rate": rate} for pruner in PRUNERS for rate in RATES]
sweep = Sweep(base=base, settings=[{}, {"use_mask": False}, *at_init])
