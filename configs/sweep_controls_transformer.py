"""Every control beside the Transformer's ticket."""

from configs.sweep import Sweep
from configs.ticket import TransformerTicketConfig
from pruning.controls import CONTROLS

base = TransformerTicketConfig(retrain_num_epochs=15_000, retrain_stop_after_gen=True)
sweep = Sweep(base=base, settings=[{}, *({"control": control} for control in CONTROLS)], seeds=(0, 1, 2))
