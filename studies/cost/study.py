"""Does it pay to find a ticket?

A ticket needs a dense run first. So we prune each dense run at many epochs before its own t_gen, which nobody knows beforehand. We
count all epochs, those before the mask and those after it. Is that less than waiting for the dense run?
"""

from math import inf

from configs.sweep import Sweep
from configs.ticket import MLPTicketConfig, MnistTicketConfig, Ticket, TransformerTicketConfig
from figures.dots import Dot, Dots
from reporting.columns import Bounds, median_of, ratios_text, t_gen
from reporting.results import BESIDE, found_in, records
from reporting.tables import groups_of, in_order, seeds_table, table, threshold_of
from reporting.verdicts import Verdict, claim, enough, judged

REWOUND, KEPT = "rewound to the init", "trained on"
FAR = (8_000, 6_000, 4_000, 3_000, 2_000, 1_500, 1_000, 500)
CLOSE = {"save_every": 500, "stop_after_gen": True}


def sweep(base: Ticket, distances: tuple[int, ...], seeds: tuple[int, ...], **rewound) -> Sweep:
    """Masks so many epochs before each seed's own t_gen, and one after it; ``rewound``: what else differs where weights are rewound.

    A retraining ends where it cannot be there before the dense run any more.
    """
    settings = {}
    for weights, own in ((REWOUND, rewound), (KEPT, {"rewind_to": "prune_at"})):
        for distance in distances:
            left = distance + base.save_every  # the mask is of the last checkpoint before
            at = {"prune_at": f"t_gen-{distance}", "retrain_num_epochs": left + max(left // 4, 1_000)}
            settings[f"{weights}, {distance:,} epochs before generalization"] = at | own
        if weights == REWOUND:
            after = {"prune_at": f"t_gen+{base.save_every}", "retrain_num_epochs": 5_000}
            settings[f"{weights}, {base.save_every:,} epochs after generalization"] = after | own
    return Sweep(base, settings, seeds=seeds, reads=("mask_test_acc",))


TUNED = MLPTicketConfig(lr=1e-2, weight_decay=8.0, num_epochs=10_000, save_every=20, stop_after_gen=True)
BEST_LR = 3e-2  # of a ticket
runs = {
    "MLP": sweep(MLPTicketConfig(**CLOSE), FAR, seeds=(0, 1, 2, 3, 4)),
    "Transformer": sweep(TransformerTicketConfig(**CLOSE), FAR, seeds=(0, 1, 2)),
    "MNIST": sweep(MnistTicketConfig(**CLOSE), (8_000, 4_000, 2_000, 1_000), seeds=(0, 1, 2)),
    "MLP, tuned": sweep(TUNED, (200, 160, 120, 100, 80, 60, 40, 20), seeds=(0, 1, 2, 3, 4), retrain_lr=BEST_LR),
}


def cost(row: dict) -> Bounds:
    """(epoch of the mask + t_gen from there) / t_gen(dense), between bounds where one of the two is censored."""
    found, dense = found_in(row), found_in(row, side=BESIDE)
    ratio = (row["mask_epoch"] + found.known_until) / dense.known_until
    return 0.0 if dense.t_gen is None else ratio, inf if found.t_gen is None else ratio


def cheapest(rows: list[dict]) -> Bounds:
    """In hindsight."""
    return min(map(cost, rows), key=lambda bounds: bounds[::-1])


def at_half(rows: list[dict]) -> Bounds | None:
    """The cost at the first mask whose dense run has a test accuracy of 0.5."""
    there = [row for row in rows if row["mask_test_acc"] >= 0.5]
    return cost(min(there, key=lambda row: row["mask_epoch"])) if there else None


def once_known(rows: list[dict]) -> Bounds | None:
    """The cost at the mask after t_gen. t_gen is certain only when the dense run ends, so that epoch counts in place of the mask's."""
    after = [row for row in rows if "t_gen+" in row["prune_at"]]
    return cost(after[0] | {"mask_epoch": after[0][BESIDE + "last_epoch"]}) if after else None


RULES = {"cheapest, in hindsight": cheapest, "test acc >= 0.5": at_half, "t_gen is certain": once_known}


def costs_by_seed(results, weights: str, choose) -> list[Bounds]:
    """What the rule's choice costs, of each seed."""
    own = results[results["setting"].str.startswith(weights)]
    found = [choose(rows) for _, rows in groups_of(own, "seed")]
    return [bounds for bounds in found if bounds is not None]


def costs_at_half(rows, weights: str) -> tuple[dict[str, list[Bounds]], str]:
    """``{part: the cost of each seed}`` at the first mask whose dense run has a test accuracy of 0.5; and that in words."""
    costs = {part: costs_by_seed(enough(own), weights, at_half) for part, own in rows.items()}
    told = [f"{ratios_text(own, digits=3)} ({part})" for part, own in costs.items()]
    return costs, f"The cost, waiting being 1: {', '.join(told)}."


@claim("A ticket does not pay for the epochs that it takes to find it.", rank=30)
def rewound_does_not_pay(rows) -> Verdict:
    """The mask is taken at the first checkpoint at which the dense run's test accuracy is 0.5, and the weights are rewound. In a model
    the claim is right if this costs at least as many epochs as waiting, for every seed. It holds if it is right in all four parts,
    and in part if in some."""
    costs, told = costs_at_half(rows, REWOUND)
    return judged(min(own)[0] >= 1 for own in costs.values()), told


@claim("Pruning without rewinding pays on MNIST, and not for a + b.", rank=31)
def training_on_pays_on_mnist(rows) -> Verdict:
    """As above, but the weights are kept and trained on. The claim is right of MNIST if this costs fewer epochs than waiting for every
    seed, and of each other part if it costs at least as many for every seed. It holds if it is right in all four, and in part if in
    some."""
    costs, told = costs_at_half(rows, KEPT)
    return judged(max(own)[1] < 1 if part == "MNIST" else min(own)[0] >= 1 for part, own in costs.items()), told


def paying(costs: list[Bounds], seeds: int) -> str:
    return f"{sum(most < 1 for _, most in costs)} of {seeds}"


def choices_table(rows) -> str:
    """What it costs to choose the checkpoint by each rule, seed by seed, against waiting."""
    lines = []
    for part, own in rows.items():
        for weights in (REWOUND, KEPT):
            lines.append([f"{part}, {weights}"])
            for choose in RULES.values():
                costs = costs_by_seed(own, weights, choose)
                lines[-1] += [ratios_text(costs, digits=3), paying(costs, own["seed"].nunique())] if costs else ["", ""]
    return table(["the mask is taken:", *(head for rule in RULES for head in (rule, "seeds that pay"))], lines)


def costs_table(results) -> str:
    """Masks by their distance from t_gen: where they are, what they find, and what it costs against waiting."""
    columns = median_of("mask_epoch", 0, "epoch of the mask") | median_of("mask_test_acc", 2, "test acc then")
    columns |= t_gen(threshold_of(results))
    columns["total cost / t_gen(dense)"] = lambda rows: ratios_text([*map(cost, rows)], digits=3)
    columns["seeds that pay"] = lambda rows: paying([*map(cost, rows)], len(rows))
    names = dict.fromkeys(name for one in runs.values() for name in one.named)
    return seeds_table(in_order(results, names), columns)


def tables(rows) -> dict[str, str]:
    whole = {"mlp": "MLP", "transformer": "Transformer", "mnist": "MNIST", "tuned": "MLP, tuned"}
    return {"choices": choices_table(rows)} | {name: costs_table(rows[part]) for name, part in whole.items()}


def pictures(rows) -> dict[str, Dots]:
    panels = {part: [] for part in rows}
    for part, own in rows.items():
        for row in records(own):
            least, most = cost(row)
            place = row["mask_epoch"] / found_in(row, side=BESIDE).known_until
            panels[part].append(Dot(place, least, least == most, row["setting"].split(",")[0]))
    title = "Below the line a mask pays: on MNIST those whose weights are kept do, for a + b hardly any."
    return {"cost.png": Dots(title, panels, "total cost / t_gen(dense)", "epoch of the mask / t_gen(dense)", wait=1)}
