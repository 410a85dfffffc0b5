"""Which masks are tickets?

Dense runs at several settings give masks, from before they generalize to long after it. Each mask is trained alike, from the init or
from later weights. What tells beforehand how soon it will generalize?
"""

from itertools import pairwise
from math import inf

from analysis.statistics import concordance
from configs.sweep import Sweep
from configs.ticket import MLPTicketConfig, MnistTicketConfig, TransformerTicketConfig
from figures.dots import Dot, Dots
from reporting.columns import censored, generalizing_seeds, median_and_range, median_of, median_t_gen, t_gen, with_range
from reporting.results import NORM, found_in, records
from reporting.tables import groups_of, seeds_table, table, threshold_of
from reporting.verdicts import Claim, Verdict, epochs_of, judged, median_of_setting, runs_of

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
    """The tickets whose masks are of weights that generalize. Raises TooFewRuns where a setting has too few."""
    tickets = tickets_of(results)
    rows = [row for name in tickets["setting"].unique() for row in runs_of(tickets, name)]
    return [row for row in rows if row["mask_test_acc"] >= threshold_of(results)]


def shares(groups: list[list[dict]], level: float) -> dict[str, float]:
    """In which share of the pairs within the groups the better value of each predictor is the earlier run."""
    known = [censored([found_in(row, level) for row in rows]) for rows in groups]
    found = {}
    for name, (column, sign) in PREDICTORS.items():
        values = [[sign * row[column] for row in rows] for rows in groups]
        right, pairs = map(
            sum, zip(*(concordance(one, *times) for one, times in zip(values, known, strict=True)), strict=True)
        )
        found[name] = right / pairs
    return found


def agreement_makes_a_ticket(rows) -> Verdict:
    """In a model: of the masks of weights that generalize, those at a cosine of 0.2 or more all generalize, and their median t_gen is
    at most half of that of the masks below 0.15. It holds if that is right in all four parts, and in part if in some."""
    answers, told = [], []
    for part, own in rows.items():
        level, every = threshold_of(own), generalized(own)
        high, low = [one for one in every if one["cosine"] >= 0.2], [one for one in every if one["cosine"] < 0.15]
        all_there = all(found_in(row, level).t_gen is not None for row in high)
        answers.append(all_there and median_t_gen(high, level) <= median_t_gen(low, level) / 2)
        middle = [median_and_range([found_in(row, level) for row in group])[0] for group in (high, low)]
        told.append(f"{' against '.join(middle)} ({part})")
    return judged(answers), f"The median t_gen at 0.2 or more, against that below 0.15: {', '.join(told)}."


def cosine_tells(rows) -> Verdict:
    """In a model: of the pairs of masks of weights that generalize, the one with the larger cosine is the earlier in three quarters or
    more, and neither test accuracy nor a smaller norm tells as many. It holds if that is right in all four parts, and in part if in
    some."""
    found = {part: [*shares([generalized(own)], threshold_of(own)).values()] for part, own in rows.items()}
    answers = [own[0] >= 0.75 and own[0] > max(own[3:]) for own in found.values()]
    told = [f"{own[0]:.2f} against {max(own[3:]):.2f} ({part})" for part, own in found.items()]
    return judged(answers), f"The share that the cosine tells, against the best of the others: {', '.join(told)}."


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


claims = [
    Claim("A mask is a ticket if the weights that gave it generalize and agree with the start.", agreement_makes_a_ticket, rank=10),
    Claim("Of two masks, the cosine tells which generalizes sooner.", cosine_tells, rank=11),
    Claim("The same mask generalizes sooner from later weights.", later_weights_help, rank=12),
]  # fmt: skip


def alignment_table(rows) -> str:
    """t_gen of masks of weights that generalize, by their cosine; then of the other masks. A cell: median and range, how many runs."""
    names = [f"{low:g} to {high:g}" for low, high in pairwise(BINS)]
    lines = [[name] for name in [f"below {BINS[1]:g}", *names[1:-1], f"{BINS[-2]:g} or more", "not generalized yet"]]
    for own in rows.values():
        level, tickets = threshold_of(own), records(tickets_of(own))
        general = [row for row in tickets if row["mask_test_acc"] >= level]
        groups = [[row for row in general if low <= row["cosine"] < high] for low, high in pairwise(BINS)]
        for line, group in zip(lines, [*groups, [row for row in tickets if row not in general]], strict=True):
            found = [found_in(row, level) for row in group]
            there = sum(one.t_gen is not None for one in found)
            line.append(f"{with_range(*median_and_range(found))}, {there} of {len(group)}" if group else "")
    return table(["cosine", *rows], lines)


def predictors_table(rows) -> str:
    """How often each predictor tells the earlier of two masks."""
    lines = []
    for part, own in rows.items():
        level, tickets = threshold_of(own), tickets_of(own)
        pairs = {"all pairs": [records(tickets)]}
        pairs["both generalized"] = [records(tickets[tickets["mask_test_acc"] >= level])]
        pairs["one dense run"] = [group for _, group in groups_of(tickets, ["lr", "weight_decay", "seed"])]
        lines += [
            [f"{part}: {name}", *(f"{one:.2f}" for one in shares(groups, level).values())]
            for name, groups in pairs.items()
        ]
    return table(["pairs of masks", *PREDICTORS], lines)


def tables(rows) -> dict[str, str]:
    own = rows["MLP, faster setting"]
    level = threshold_of(own)
    halves = [name_of(*PAPERS), name_of(*QUICK, 300), *(name for name in CONTROLS if not name.endswith("100"))]
    names = ["test acc of the dense run", *[*PREDICTORS][:3]]
    of_mask = {name: cell for name in names for cell in median_of(PREDICTORS[name][0], 2).values()}
    found = t_gen(level) | generalizing_seeds(level)
    return {
        "alignment": alignment_table(rows),
        "halves": seeds_table(own[own["setting"].isin(halves)], ["setting"], median_of("cosine", 2) | found),
        "predictors": predictors_table(rows),
        "masks": seeds_table(own, ["setting"], of_mask | found),
    }


def pictures(rows) -> dict[str, Dots]:
    panels = {}
    for part, own in rows.items():
        level, panels[part] = threshold_of(own), []
        for row in records(tickets_of(own)):
            found, dense = found_in(row, level), f"lr {row['lr']:g}, weight decay {row['weight_decay']:g}"
            is_known, is_pale = found.t_gen is not None, row["mask_test_acc"] < level
            panels[part].append(Dot(row["cosine"], max(found.known_until, 1), is_known, dense, is_pale))
    title = "For a + b, the larger the cosine, the earlier t_gen. Pale: the dense run did not generalize yet."
    return {"alignment.png": Dots(title, panels, "t_gen, epochs", "cosine of start and trained weights")}
