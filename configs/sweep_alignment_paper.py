"""The masks and starts of sweep_alignment.py, retrained at the paper's learning rate and weight decay."""

from configs.sweep import Sweep
from configs.sweep_alignment import masks, rewound
from configs.ticket import MLPTicketConfig

base = MLPTicketConfig(retrain_lr=1e-3, retrain_weight_decay=1.0, retrain_num_epochs=5_000, retrain_stop_after_gen=True)
sweep = Sweep(base=base, settings=[*masks, *rewound])
