"""The masks and starts of sweep_alignment.py, retrained at the paper's learning rate and weight decay."""

from configs.sweep import Sweep
from configs.sweep_alignment import SAVED, masks, retrained, rewound
from configs.ticket import MLPTicketConfig

base = MLPTicketConfig(save_at=SAVED, retrain_lr=1e-3, retrain_weight_decay=1.0, **retrained)
sweep = Sweep(base=base, settings=[*masks, *rewound])
