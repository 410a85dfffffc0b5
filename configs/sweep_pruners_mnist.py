"""Pruners at the init beside the MNIST ticket."""

from configs.sweep import Sweep
from configs.sweep_pruners import PRUNERS
from configs.ticket import MnistTicketConfig

base = MnistTicketConfig(retrain_num_epochs=20_000, retrain_stop_after_gen=True)
at_init = [{"pruner": pruner, "prune_at": "init"} for pruner in PRUNERS]
sweep = Sweep(base=base, settings=[{}, {"use_mask": False}, *at_init], seeds=(0, 1, 2))
