"""Tables that ask more of a sweep than its settings side by side: what tells a ticket beforehand, and when a ticket pays."""

from itertools import pairwise
from math import inf
from pathlib import Path

from analysis.statistics import concordance
from figures.findings import Dot, plot_dots
from reporting.cells import Bounds, censored, median_and_range, median_of, ratios_text, share, t_gen, with_range
from reporting.choices import MODELS
from reporting.published_csvs import collected
from reporting.results import BESIDE, NORM, dense_of_rows, found_in, records
from reporting.tables import groups_of, seeds_table, table

# What may tell how soon a mask's retraining generalizes: a column, and whether the larger or the smaller is taken for the better one.
PREDICTORS = {"cosine": 1, "cosine_kept": 1, "same_signs_kept": 1, "mask_test_acc": 1, "mask_l2norm": -1, NORM: -1}
BINS = (-inf, 0.05, 0.1, 0.15, 0.2, 0.3, inf)  # of the cosine
TRANSFORMER = MODELS["transformer"][1]
MNIST = 0.8
ALIGNMENT = {  # {what is retrained and how: the sweep, and at which test accuracy it is read}
    "MLP, lr 0.01, weight decay 3": ("sweep_alignment", 0.95),
    "MLP, paper's setting": ("sweep_alignment_paper", 0.95),
    "Transformer, paper's setting": ("sweep_alignment_transformer", TRANSFORMER),
    "MNIST, weight decay 1": ("sweep_alignment_mnist", MNIST),
}
PAYS = {
    "MLP": ("sweep_pays", 0.95),
    "Transformer": ("sweep_pays_transformer", TRANSFORMER),
    "MNIST": ("sweep_pays_mnist", MNIST),
    "MLP, tuned": ("sweep_pays_tuned", 0.95),
}
MASK = ["lr", "weight_decay", "mask_epoch", "rewind_to"]  # of the dense run, and where the start is
DENSE = ["lr", "weight_decay", "seed"]


def is_ticket(results):
    """The rows that are tickets, not controls, and of which it was recorded how start and mask agree."""
    is_control = results["control"].notna() | ~results["use_mask"] | (results["pruner"] != "magnitude")
    return results[~is_control & results["cosine"].notna()]


def masks_table(results, threshold: float) -> str:
    """Every mask and start: how they agree, and how soon its retraining generalizes."""
    results = results.assign(control=results["control"].astype(object).where(results["use_mask"], "no mask").fillna(""))
    columns = median_of("mask_test_acc", 2) | median_of("cosine", 2) | median_of("cosine_kept", 2)
    columns |= median_of("same_signs_kept", 2) | t_gen(threshold) | share(threshold)
    return seeds_table(results, [*MASK, "control"], columns)


def alignment_table(results: dict[str, tuple[object, float]]) -> str:
    """t_gen of masks of weights that generalize, by the cosine of these and of the start; then of those that do not, whatever it is.

    ``results``: ``{heading: (a sweep's rows, the threshold at which they are read)}``. A cell: median and range, how many of the runs.
    """
    names = [f"{low:g} to {high:g}" for low, high in pairwise(BINS)]
    names = [f"below {BINS[1]:g}", *names[1:-1], f"{BINS[-2]:g} or more"]
    lines = [[name] for name in [*names, "the weights do not generalize yet"]]
    for sweep, level in results.values():
        rows = records(is_ticket(sweep))
        general = [row for row in rows if row["mask_test_acc"] >= level]
        groups = [[row for row in general if low <= row["cosine"] < high] for low, high in pairwise(BINS)]
        for line, group in zip(lines, [*groups, [row for row in rows if row not in general]], strict=True):
            found = [found_in(row, level) for row in group]
            there = sum(one.t_gen is not None for one in found)
            line.append(f"{with_range(*median_and_range(found))}, {there} of {len(group)}" if group else "")
    return table(["cosine of the start and the weights that gave the mask", *results], lines)


def predictors_table(results: dict[str, tuple[object, float]]) -> str:
    """How well each predictor tells which of two tickets is the earlier: of all pairs, of those whose masks both come from weights
    that generalize, and of those with one dense run. ``results`` as for alignment_table."""
    lines = []
    for heading, (sweep, level) in results.items():
        tickets = is_ticket(sweep)
        general = tickets[tickets["mask_test_acc"] >= level]
        pairs = {"all pairs": [records(tickets)], "of weights that generalize": [records(general)]}
        pairs["of one dense run"] = [rows for _, rows in groups_of(tickets, DENSE)]
        for which, groups in pairs.items():
            lines.append([f"{heading}: {which}", *(_share(groups, *one, level) for one in PREDICTORS.items())])
    return table(["pairs of masks", *PREDICTORS], lines)


def _share(groups: list[list[dict]], name: str, sign: int, threshold: float) -> str:
    """In which share of the pairs within the groups the better value is the earlier run."""
    counts = []
    for rows in groups:
        found = censored([found_in(row, threshold) for row in rows])
        counts.append(concordance([sign * row[name] for row in rows], *found))
    right, pairs = map(sum, zip(*counts, strict=True)) if counts else (0, 0)
    return f"{right / pairs:.2f}" if pairs else "none"


# ---- when a ticket pays


def cost(row: dict, threshold: float) -> Bounds:
    """(epoch of the mask + t_gen from there) / t_gen(dense), between bounds where one of the two is censored."""
    found, (dense,) = found_in(row, threshold), (found_in(one, threshold) for one in dense_of_rows([row]))
    ratio = (row["mask_epoch"] + found.known_until) / dense.known_until
    return 0.0 if dense.t_gen is None else ratio, inf if found.t_gen is None else ratio


def costs_table(results, threshold: float) -> str:
    """Masks by their distance from t_gen: where they are, what they find, and what it costs against waiting."""

    def costs(rows: list[dict]) -> str:
        return ratios_text([cost(row, threshold) for row in rows], digits=3)

    def paying(rows: list[dict]) -> str:
        return f"{sum(cost(row, threshold)[1] < 1 for row in rows)} of {len(rows)}"

    columns = median_of("mask_epoch", 0) | median_of("mask_test_acc", 2) | t_gen(threshold)
    columns |= {"total cost / t_gen(dense)": costs, "seeds that pay": paying}
    return seeds_table(named_starts(results), ["weights", "prune_at"], columns)


def named_starts(results):
    """The rows, those that rewind first, with a column that says in words which do."""
    trained_on = results["rewind_to"].astype(str) == "prune_at"
    weights = trained_on.map({False: "rewound to the init", True: "kept, trained on"})
    return results.assign(weights=weights).sort_values("weights", ascending=False, kind="stable")


def choices_table(results: dict[str, tuple[object, float]]) -> str:
    """What it costs to choose the checkpoint by a rule, seed by seed, against waiting; ``{name: (rows, threshold)}``."""
    rules = {
        "the cheapest of all, in hindsight": lambda rows, level: min(
            (cost(row, level) for row in rows), key=lambda bounds: bounds[::-1]
        ),
        "the first with test acc >= 0.5": lambda rows, level: _first(rows, 0.5, level),
        "auto: once t_gen is known": _known,
    }
    lines = []
    for name, (sweep, level) in results.items():
        for (weights,), rows in groups_of(named_starts(sweep), ["weights"]):
            seeds = [
                [row for row in rows if row["seed"] == seed] for seed in dict.fromkeys(row["seed"] for row in rows)
            ]
            for rule, choose in rules.items():
                costs = [found for own in seeds if (found := choose(own, level)) is not None]
                if costs:
                    lines.append(
                        [
                            name,
                            weights,
                            rule,
                            ratios_text(costs, digits=3),
                            f"{sum(most < 1 for _, most in costs)} of {len(seeds)}",
                        ]
                    )
    return table(["runs", "weights", "the checkpoint is", "total cost / t_gen(dense)", "seeds that pay"], lines)


def _first(rows: list[dict], accuracy: float, level: float) -> Bounds | None:
    """The cost at the first mask whose run's test accuracy was as high."""
    there = [row for row in rows if row["mask_test_acc"] >= accuracy]
    return cost(min(there, key=lambda row: row["mask_epoch"]), level) if there else None


def _known(rows: list[dict], level: float) -> Bounds | None:
    """The cost at the mask after t_gen, with the dense run's own end, at which its t_gen was certain, in place of the mask's epoch."""
    after = [row for row in rows if "t_gen+" in row["prune_at"]]
    return cost(after[0] | {"mask_epoch": after[0][BESIDE + "last_epoch"]}, level) if after else None


# ---- pictures


def draw_alignment(path: Path) -> None:
    """Every ticket of the sweeps about alignment, by the cosine of its start and of the weights that gave the mask."""
    panels = {}
    for name, (results, level) in collected(ALIGNMENT).items():
        rows = records(is_ticket(results))
        panels[name] = []
        for row in rows:
            found = found_in(row, level)
            group = f"dense lr {row['lr']:g}, wd {row['weight_decay']:g}"
            pale = row["mask_test_acc"] < level
            panels[name].append(Dot(row["cosine"], max(found.known_until, 1), found.t_gen is not None, group, pale))
    x_name, y_name = "cosine of the start and the trained weights", "t_gen of the retrained mask"
    plot_dots(panels, x_name, y_name, path, "Pale: those weights did not generalize yet.")


def draw_costs(path: Path) -> None:
    """What each ticket of the sweeps about cost takes against waiting."""
    panels = {}
    for name, (results, level) in collected(PAYS).items():
        panels[name] = []
        for row in records(named_starts(results)):
            least, most = cost(row, level)
            x = row["mask_epoch"] / found_in(dense_of_rows([row])[0], level).known_until
            panels[name].append(Dot(x, least, least == most, row["weights"]))
    plot_dots(panels, "epoch of the mask / t_gen(dense)", "total cost / t_gen(dense)", path, wait=1)
