"""Which masks are tickets?

Dense runs at several settings give masks, from before they generalize to long after it. Each mask is trained alike, from the init or
from later weights. What tells beforehand how soon it will generalize?
"""

from itertools import pairwise
from math import inf

from analysis.statistics import concordance
from configs.sweep import Sweep
from configs.ticket import MLPTicketConfig, MnistTicketConfig, TransformerTicketConfig
from figures.dots import Dots
from reporting.columns import (
    brief_columns,
    censored,
    generalizing,
    median_and_range,
    median_of,
    median_t_gen,
    with_range,
)
from reporting.results import NORM, found_in, records
from reporting.tables import dot_of, groups_of, seeds_table, table, threshold_of
from reporting.verdicts import Verdict, claim, enough, epochs_of, judged, median_of_setting, median_text

# {(learning rate, weight decay, epochs) of the dense run: the epochs of its masks}
MLP = {
    (1e-3, 1.0, 60_000): (20_000, 24_000, 28_000, 40_000, 60_000),
    (1e-3, 3.0, 12_000): (6_000, 8_000, 12_000),
    (1e-3, 8.0, 8_000): (4_000, 8_000),
    (3e-3, 1.0, 12_000): (6_000, 8_000, 12_000),
    (3e-3, 8.0, 4_000): (1_000, 2_000, 4_000),
    (1e-2, 1.0, 8_000): (2_000, 4_000, 8_000),
    (1e-2, 3.0, 4_000): (600, 1_000, 2_000, 4_000),
    (1e-2, 8.0, 2_000): (400, 600, 1_000, 2_000),
}
LARGE = {
    (1e-3, 1.0, 30_000): (14_000, 20_000, 28_000),
    (1e-3, 3.0, 10_000): (6_000, 10_000),
    (3e-3, 1.0, 10_000): (6_000, 10_000),
}
IMAGES = {(1e-3, 0.1, 100_000): (16_000, 30_000, 60_000, 100_000), (1e-3, 1.0, 8_000): (2_000, 4_000, 8_000)}
# {(the dense run, and the epoch of the mask): the epochs of the weights that it is trained from}
PAPERS, QUICK = (1e-3, 1.0, 60_000, 28_000), (1e-2, 3.0, 4_000, 600)
MLP_STARTS = {
    PAPERS: (200, 1_000, 2_000, 6_000),
    (1e-2, 1.0, 8_000, 4_000): (100, 200, 500, 1_000),
    QUICK: (20, 50, 100, 200, 300),
}
LARGE_STARTS = {(1e-3, 1.0, 30_000, 28_000): (200, 1_000, 4_000)}
MASK, SHUFFLED, NO_MASK = "mask of epoch {:,}", "shuffled mask of epoch {:,}", "no mask"


def name_of(lr: float, weight_decay: float, num_epochs: int, epoch: int, start: int = 0, called: str = MASK) -> str:
    own = f"learning rate {lr:g}, weight decay {weight_decay:g}: {called.format(epoch)}"
    return f"{own}, weights of epoch {start:,}" if start else own


def setting(lr: float, weight_decay: float, num_epochs: int, epoch: int, start: int = 0) -> dict:
    changes = {"lr": lr, "weight_decay": weight_decay, "num_epochs": num_epochs, "prune_at": str(epoch)}
    return changes | ({"rewind_to": start} if start else {})


def settings(masks: dict, starts: dict) -> dict:
    places = [(*dense, epoch) for dense, epochs in (masks | starts).items() for epoch in epochs]
    return {name_of(*place): setting(*place) for place in places}


CONTROLS = {
    name_of(*PAPERS, called="mask of epoch {:,} on another init"): setting(*PAPERS) | {"control": "reinit"},
    name_of(*PAPERS, called=SHUFFLED): setting(*PAPERS) | {"control": "shuffled"},
}
for late in (100, 300):
    CONTROLS[name_of(*QUICK, late, SHUFFLED)] = setting(*QUICK, late) | {"control": "shuffled"}
    CONTROLS[name_of(*QUICK, late, NO_MASK)] = setting(*QUICK, late) | {"use_mask": False}
STOPS = {"retrain_num_epochs": 5_000, "retrain_stop_after_gen": True}
FAST, SLOW = {"retrain_lr": 1e-2, "retrain_weight_decay": 3.0}, {"retrain_lr": 1e-3, "retrain_weight_decay": 1.0}
MLP_BASE = MLPTicketConfig(save_at=(20, 50, 300, 400, 600), **STOPS)
MNIST_BASE = MnistTicketConfig(retrain_weight_decay=1.0, retrain_num_epochs=4_000, retrain_stop_after_gen=True)
READS = {"reads": ("cosine", "same_signs_kept", "mask_test_acc", "mask_l2norm", NORM)}
THREE = {"seeds": (0, 1, 2)} | READS

runs = {
    "MLP, faster setting": Sweep(MLP_BASE.but(**FAST), settings(MLP, MLP_STARTS) | CONTROLS, **READS),
    "MLP": Sweep(MLP_BASE.but(**SLOW), settings(MLP, MLP_STARTS), **READS),
    "Transformer": Sweep(TransformerTicketConfig(**SLOW, **STOPS), settings(LARGE, LARGE_STARTS), **THREE),
    "MNIST": Sweep(MNIST_BASE, settings(IMAGES, {}), **THREE),
}
# What may tell how soon a mask generalizes: its name on the page, its column, and 1 where the larger value should be the sooner.
PREDICTORS = {
    "cosine": ("cosine", 1),
    "cosine, kept weights": ("cosine_kept", 1),
    "same signs, kept weights": ("same_signs_kept", 1),
    "test acc of the dense run": ("mask_test_acc", 1),
    "L2 norm of the dense run": ("mask_l2norm", -1),
    "L2 norm at the start": (NORM, -1),
}
BINS = (-inf, 0.05, 0.1, 0.15, 0.2, 0.3, inf)  # of the cosine


def tickets_of(results):
    """The rows that are no controls."""
    return results[results["control"].isna() & results["use_mask"]]


def generalized(results) -> list[dict]:
    """The tickets whose masks are of weights that generalize."""
    return [row for row in records(tickets_of(results)) if row["mask_test_acc"] >= row["gen_threshold"]]


def shares(groups: list[list[dict]]) -> dict[str, float]:
    """In which share of the pairs within the groups the better value of each predictor is the earlier run."""
    found = {}
    for name, (column, sign) in PREDICTORS.items():
        right = pairs = 0
        for rows in groups:
            times = censored([found_in(row) for row in rows])
            own_right, own_pairs = concordance([sign * row[column] for row in rows], *times)
            right, pairs = right + own_right, pairs + own_pairs
        found[name] = right / pairs
    return found


@claim("A mask is a ticket if the weights that gave it generalize and agree with the start.", rank=10)
def agreement_makes_a_ticket(rows) -> Verdict:
    """In a model: of the masks of weights that generalize, those at a cosine of 0.2 or more all generalize, and their median t_gen is
    at most half of that of the masks below 0.15. It holds if that is right in all four parts, and in part if in some."""
    answers, told = [], []
    for part, own in rows.items():
        every = generalized(enough(own))
        high, low = [one for one in every if one["cosine"] >= 0.2], [one for one in every if one["cosine"] < 0.15]
        answers.append(generalizing(high) == len(high) and median_t_gen(high) <= median_t_gen(low) / 2)
        told.append(f"{median_text(high)} against {median_text(low)} ({part})")
    return judged(answers), f"The median t_gen at 0.2 or more, against that below 0.15: {', '.join(told)}."


@claim("Of two masks, the cosine tells which generalizes sooner.", rank=11)
def cosine_tells(rows) -> Verdict:
    """In a model: of the pairs of masks of weights that generalize, the one with the larger cosine is the earlier in three quarters or
    more, and neither test accuracy nor a smaller norm tells as many. It holds if that is right in all four parts, and in part if in
    some."""
    answers, told = [], []
    for part, own in rows.items():
        cosine, _, _, *others = shares([generalized(enough(own))]).values()
        answers.append(cosine >= 0.75 and cosine > max(others))
        told.append(f"{cosine:.2f} against {max(others):.2f} ({part})")
    return judged(answers), f"The share that the cosine tells, against the best of the others: {', '.join(told)}."


@claim("The same mask generalizes sooner from later weights.", rank=12)
def later_weights_help(rows) -> Verdict:
    """Four masks are trained from several starts, the three of the MLP at two settings. A mask is right if its median t_gen from the
    latest of them is at most three quarters of that from the init. It holds if that is so for all, and in part if for some."""
    answers, told = [], []
    for part, starts in (("MLP, faster setting", MLP_STARTS), ("MLP", MLP_STARTS), ("Transformer", LARGE_STARTS)):
        for mask, epochs in starts.items():
            own, names = rows[part], (name_of(*mask), name_of(*mask, max(epochs)))
            before, after = (median_of_setting(own, name) for name in names)
            answers.append(after <= 0.75 * before)
            told.append(" to ".join(epochs_of(own, name) for name in names))
    return judged(answers), f"From the init to the latest start: {', '.join(told)}."


def alignment_table(rows) -> str:
    """t_gen of masks of weights that generalize, by their cosine; then of the other masks. A cell: median and range, how many runs."""
    names = [f"{low:g} to {high:g}" for low, high in pairwise(BINS)]
    lines = [[name] for name in [f"below {BINS[1]:g}", *names[1:-1], f"{BINS[-2]:g} or more", "not generalized yet"]]
    for own in rows.values():
        tickets, general = records(tickets_of(own)), generalized(own)
        groups = [[row for row in general if low <= row["cosine"] < high] for low, high in pairwise(BINS)]
        for line, group in zip(lines, [*groups, [row for row in tickets if row not in general]], strict=True):
            when = median_and_range([found_in(row) for row in group]) if group else ()
            line.append(f"{with_range(*when)}, {generalizing(group)} of {len(group)}" if group else "")
    return table(["cosine", *rows], lines)


def predictors_table(rows) -> str:
    """How often each predictor tells the earlier of two masks."""
    lines = []
    for part, own in rows.items():
        tickets = tickets_of(own)
        alike = [group for _, group in groups_of(tickets, ["lr", "weight_decay", "seed"])]
        pairs = {"all pairs": [records(tickets)], "both generalized": [generalized(own)], "one dense run": alike}
        for name, groups in pairs.items():
            lines.append([f"{part}: {name}", *(f"{share:.2f}" for share in shares(groups).values())])
    return table(["pairs of masks", *PREDICTORS], lines)


def tables(rows) -> dict[str, str]:
    own = rows["MLP, faster setting"]
    halves = [name_of(*PAPERS), name_of(*QUICK, 300), *(name for name in CONTROLS if not name.endswith("100"))]
    of_mask = median_of("mask_test_acc", 2, "test acc of the dense run")
    for name in [*PREDICTORS][:3]:
        of_mask |= median_of(PREDICTORS[name][0], 2, name)
    found = brief_columns(threshold_of(own))
    return {
        "alignment": alignment_table(rows),
        "halves": seeds_table(own[own["setting"].isin(halves)], median_of("cosine", 2) | found),
        "predictors": predictors_table(rows),
        "masks": seeds_table(own, of_mask | found),
    }


def pictures(rows) -> dict[str, Dots]:
    panels = {}
    for part, own in rows.items():
        panels[part] = []
        for row in records(tickets_of(own)):
            dense = f"lr {row['lr']:g}, weight decay {row['weight_decay']:g}"
            is_pale = row["mask_test_acc"] < row["gen_threshold"]
            panels[part].append(dot_of(found_in(row), row["cosine"], dense, is_pale))
    title = "For a + b, the larger the cosine, the earlier t_gen. Pale: the dense run did not generalize yet."
    return {"alignment.png": Dots(title, panels, "t_gen, epochs", "cosine of start and trained weights")}
