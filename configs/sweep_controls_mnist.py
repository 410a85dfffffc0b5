"""Every control beside the MNIST ticket, where the loss is a squared error."""

from configs.sweep import Sweep
from configs.ticket import MnistTicketConfig
from pruning.controls import CONTROLS

base = MnistTicketConfig(retrain_num_epochs=20_000, retrain_stop_after_gen=True)
sweep = Sweep(base=base, settings=[{}, *({"control": control} for control in CONTROLS)], seeds=(0, 1, 2))
