"""When is a mask a ticket? A small grid for the Transformer: masks of three dense settings, and three starts of one of them."""

from configs.sweep import Sweep
from configs.ticket import TransformerTicketConfig

MASKS = {
    (1e-3, 1.0, 30_000): (14_000, 20_000, 28_000),
    (1e-3, 3.0, 10_000): (6_000, 10_000),
    (3e-3, 1.0, 10_000): (6_000, 10_000),
}
settings = [
    {"lr": lr, "weight_decay": weight_decay, "num_epochs": num_epochs, "prune_at": str(epoch)}
    for (lr, weight_decay, num_epochs), epochs in MASKS.items()
    for epoch in epochs
]
settings += [settings[2] | {"rewind_to": epoch} for epoch in (200, 1_000, 4_000)]
base = TransformerTicketConfig(
    retrain_lr=1e-3, retrain_weight_decay=1.0, retrain_num_epochs=5_000, retrain_stop_after_gen=True
)
sweep = Sweep(base=base, settings=settings, seeds=(0, 1, 2))
