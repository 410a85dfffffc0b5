"""When is a mask a ticket? Masks of dense runs at several settings, from several epochs and with several starts, retrained alike."""

from configs.sweep import Sweep
from configs.ticket import MLPTicketConfig

# {(lr, weight decay, epochs) of the dense run: the epochs of its masks}
MASKS = {
    (1e-3, 1.0, 60_000): (20_000, 24_000, 28_000, 40_000, 60_000),
    (1e-3, 3.0, 12_000): (6_000, 8_000, 12_000),
    (1e-3, 8.0, 8_000): (4_000, 8_000),
    (3e-3, 1.0, 12_000): (6_000, 8_000, 12_000),
    (3e-3, 8.0, 4_000): (1_000, 2_000, 4_000),
    (1e-2, 1.0, 8_000): (2_000, 4_000, 8_000),
    (1e-2, 3.0, 4_000): (600, 1_000, 2_000, 4_000),
    (1e-2, 8.0, 2_000): (400, 600, 1_000, 2_000),
}
# {(lr, weight decay, epochs, epoch of the mask): the epochs to which the weights are rewound}
REWINDS = {
    (1e-3, 1.0, 60_000, 28_000): (200, 1_000, 2_000, 6_000),
    (1e-2, 1.0, 8_000, 4_000): (100, 200, 500, 1_000),
    (1e-2, 3.0, 4_000, 600): (20, 50, 100, 200, 300),
}
SAVED = (20, 50, 300, 400, 600)


def dense(lr: float, weight_decay: float, num_epochs: int) -> dict:
    return {"lr": lr, "weight_decay": weight_decay, "num_epochs": num_epochs}


def setting(place: tuple, epoch: int, **more) -> dict:
    return dense(*place) | {"prune_at": str(epoch)} | more


masks = [setting(place, epoch) for place, epochs in MASKS.items() for epoch in epochs]
rewound = [setting(place, epoch, rewind_to=start) for (*place, epoch), starts in REWINDS.items() for start in starts]
# The mask without the alignment: another init. The alignment without the mask: shuffled positions, or no mask, of the same start.
controls = [{"control": "reinit"}, {"control": "shuffled"}]
controls = [setting((1e-3, 1.0, 60_000), 28_000, **one) for one in controls]
controls += [
    setting((1e-2, 3.0, 4_000), 600, rewind_to=start, **one)
    for start in (100, 300)
    for one in ({"control": "shuffled"}, {"use_mask": False})
]
retrained = {"retrain_num_epochs": 5_000, "retrain_stop_after_gen": True}
base = MLPTicketConfig(save_at=SAVED, retrain_lr=1e-2, retrain_weight_decay=3.0, **retrained)
sweep = Sweep(base=base, settings=[*masks, *rewound, *controls])
