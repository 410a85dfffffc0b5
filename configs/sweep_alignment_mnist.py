"""When is a mask a ticket? A small grid for MNIST, retrained at ten times the paper's weight decay, at which a ticket is fast."""

from configs.sweep import Sweep
from configs.ticket import MnistTicketConfig

MASKS = {(0.1, 100_000): (16_000, 30_000, 60_000, 100_000), (1.0, 8_000): (2_000, 4_000, 8_000)}
settings = [
    {"weight_decay": weight_decay, "num_epochs": num_epochs, "prune_at": str(epoch)}
    for (weight_decay, num_epochs), epochs in MASKS.items()
    for epoch in epochs
]
base = MnistTicketConfig(retrain_weight_decay=1.0, retrain_num_epochs=4_000, retrain_stop_after_gen=True)
sweep = Sweep(base=base, settings=settings, seeds=(0, 1, 2))
