"""When does a ticket pay? The MLP pruned before it generalizes, rewound or trained on, against waiting for the dense run."""

from configs.sweep import Sweep
from configs.ticket import MLPTicketConfig, Ticket


def sweep_before_t_gen(base: Ticket, distances: tuple[int, ...], seeds: tuple[int, ...], **rewound) -> Sweep:
    """Masks so many epochs before each seed's own t_gen, and one after it; ``rewound``: what else differs where weights are rewound.

    A retraining ends where it cannot be there before the dense run any more, its window of t_gen seen.
    """
    settings = []
    for distance in distances:
        left = distance + base.save_every  # the mask is of the last checkpoint before
        at = {"prune_at": f"t_gen-{distance}", "retrain_num_epochs": left + max(left // 4, 1_000)}
        settings += [at | rewound, at | {"rewind_to": "prune_at"}]
    after = {"prune_at": f"t_gen+{base.save_every}", "retrain_num_epochs": 5_000}
    return Sweep(base=base, settings=[*settings, after | rewound], seeds=seeds)


sweep = sweep_before_t_gen(
    MLPTicketConfig(save_every=500, stop_after_gen=True),
    distances=(8_000, 6_000, 4_000, 3_000, 2_000, 1_500, 1_000, 500),
    seeds=(0, 1, 2, 3, 4),
)
