"""Pruners at the init at three rates, beside the ticket: does sparsity explain it?"""

from configs.sweep import Sweep
from configs.ticket import MLPTicketConfig

PRUNERS, RATES = ("random", "snip", "grasp", "synflow"), (0.4, 0.6, 0.8)
at_init = [{"pruner": pruner, "prune_at": "init", "pruning_rate": rate} for pruner in PRUNERS for rate in RATES]
sweep = Sweep(base=MLPTicketConfig(retrain_stop_after_gen=True), settings=[{}, *at_init])
