"""Does a ticket learn the same algorithm as its dense run, only sooner?

A network that has learned a + b computes with a few frequencies k, by waves cos(2 pi k (a + b - c) / p) in its logits. So two networks
have learned the same if these frequencies are the same, at the same strengths. ``analyze.py`` compares pairs of runs; its
comparisons.csv files are in the folders beside this file, and measures.csv has what it measures of the runs over training.
"""

from functools import cache
from pathlib import Path
from statistics import median

from configs.sweep import Sweep
from configs.ticket import MLPTicketConfig, TransformerTicketConfig
from figures.dots import Dots
from reporting.results import records
from reporting.tables import table
from reporting.verdicts import DOES_NOT, LEAST_RUNS, TooFewRuns, Verdict, claim, judged

HERE = Path(__file__).parent
TICKET, SIGNS, NO_MASK, AGAIN = "the ticket", "mask, only the signs of the init", "dense, same start", "trained again"
CONTROLS = {  # {a control: what the tables call it}
    "signs": SIGNS,
    "reinit": "mask on another init",
    "random_signs": "mask, random signs",
    "shuffled": "mask at shuffled positions",
    "shuffled_degrees": "mask shuffled, same degrees",
    "inverted": "the weights that the mask drops",
    "same_l1": "dense, same L1 norm",
    "same_l2": "dense, same L2 norm",
    "same_logits": "dense, same logit scale",
    "same_l2_logits": "dense, same L2 norm and logit scale",
    "pruned_neurons": "dense, without the units that the mask cuts off",
}
FAST = {"retrain_lr": 1e-2, "retrain_weight_decay": 3.0, "retrain_num_epochs": 5_000, "retrain_stop_after_gen": True}
COSINE, FREQUENCIES = "cosine_of_logit_shares", "same_key_frequencies"
ITS_OWN, OTHER, DENSE = "its dense run", "another seed's", "the dense run"

SETTINGS = {TICKET: {}, NO_MASK: {"use_mask": False}}
SETTINGS |= {name: {"control": control} for control, name in CONTROLS.items()}
runs = {
    "MLP": Sweep(MLPTicketConfig(), {TICKET: {}}),
    "MLP, faster setting": Sweep(MLPTicketConfig(**FAST), SETTINGS),
    "Transformer": Sweep(TransformerTicketConfig(), {TICKET: {}}, seeds=(0, 1, 2)),
}


@cache
def comparisons() -> dict[tuple[str, str, str], list[dict]]:
    """``{(part, what is compared, with what): rows}`` of all comparisons.csv, each pair of runs once.

    Of runs that both have a test accuracy of one half at least; the others have learned nothing that could be alike. A control is
    compared with its own dense run only.
    """
    import pandas

    groups: dict[tuple, dict] = {}
    for path in sorted(HERE.glob("**/comparisons.csv")):
        for row in records(pandas.read_csv(path)):
            first, other = row["compared"].split(" with ")
            part = "Transformer" if row["kind"] == "transformer" else "MLP"
            if first == "dense run":
                name = (part, DENSE, other)
            else:
                part += "" if row["retrain_lr"] is None else ", faster setting"
                unlike = {None: AGAIN, False: NO_MASK, True: TICKET}[row["use_mask"]]
                name = (part, CONTROLS.get(row["control"], unlike), other)
            if row["test_acc"] >= 0.5 and not (row["control"] and other == OTHER):
                groups.setdefault(name, {})[row["run"], row["other_run"]] = row
    return {name: [*own.values()] for name, own in groups.items()}


def cosines(rows, part: str, what: str, other: str = ITS_OWN) -> list[float]:
    """The cosines of these pairs, of the seeds that the study has. Raises TooFewRuns."""
    own = [row[COSINE] for row in comparisons()[part, what, other] if row["seed"] in set(rows[part]["seed"])]
    if len(own) < LEAST_RUNS:
        raise TooFewRuns(f"There are {len(own)} pairs of {what!r} and {other}, and a verdict needs {LEAST_RUNS}")
    return own


def measured(rows, measure: str, run: str = "dense"):
    """The rows of measures.csv of this measure, of the dense runs or of the tickets. Raises TooFewRuns."""
    import pandas

    table = pandas.read_csv(HERE / "measures.csv")
    table = table[table["seed"].isin(rows["MLP"]["seed"]) & table["measure"].eq(measure) & table["run"].eq(run)]
    if table["seed"].nunique() < LEAST_RUNS:
        raise TooFewRuns(f"{measure} was measured of {table['seed'].nunique()} runs, and a verdict needs {LEAST_RUNS}")
    return table


@claim("The weights become periodic, in the ticket much sooner than in the dense network.", paper=6)
def periodic_sooner(rows) -> Verdict:
    """For each run we look for the first saved epoch at which waves of a + b - c are half of the variance of its logits. It holds if
    every run has such an epoch, and if the tickets' median is at most a tenth of the dense runs' median."""
    medians = {}
    for run in ("dense", "ticket"):
        own = measured(rows, "logit_share", run)
        seeds, own = own["seed"].nunique(), own[own["value"] >= 0.5].groupby("seed")["epoch"].min()
        if len(own) < seeds:
            return DOES_NOT, f"Of {seeds} runs ({run}) {len(own)} get there."
        medians[run] = own.median()
    told = f"In the median at epoch {medians['dense']:,.0f} (dense) and {medians['ticket']:,.0f} (ticket), of the MLP."
    return judged([medians["ticket"] <= medians["dense"] / 10]), told


@claim("The mask changes most while test accuracy rises.", paper=7)
def masks_change_with_test_accuracy(rows) -> Verdict:
    """We compare the masks of the dense run that lie 2,000 epochs apart, after epoch 2,000, by their Jaccard distance. A seed is right
    if the mask changes most while test accuracy rises most, or in the 2,000 epochs beside. It holds if all seeds are right, and in
    part if some are."""
    change = measured(rows, "jaccard_distance").pivot(index="epoch", columns="seed", values="value").loc[4_000:]
    accuracy = measured(rows, "test_acc").pivot(index="epoch", columns="seed", values="value").diff().loc[4_000:]
    right = [abs(change[seed].idxmax() - accuracy[seed].idxmax()) <= 2_000 for seed in change]
    return judged(right), f"Right for {sum(right)} of {len(right)} MLPs."


@claim("As graphs, good masks have longer paths and less clustering.", paper=8)
def longer_paths_less_clustering(rows) -> Verdict:
    """We compare the graphs of the dense run's masks at epoch 2,000 and 28,000. A matrix is right if in the median over seeds its mean
    path length is larger at 28,000 and its clustering smaller. It holds if all matrices are right, and in part if some are."""
    found = {}
    for measure in ("path_length", "clustering"):
        own = measured(rows, measure).groupby(["part", "epoch"])["value"].median().unstack()
        found[measure] = own[28_000] - own[2_000]
    right = (found["path_length"] > 0) & (found["clustering"] < 0)
    told = [f"{name} {paths:+.3f} and {found['clustering'][name]:+.3f}" for name, paths in found["path_length"].items()]
    return judged(right), f"Change of path length and clustering: {', '.join(told)}."


@claim("A ticket learns its dense run's frequencies, at the same strengths.", rank=20)
def same_algorithm(rows) -> Verdict:
    """In a model the claim is right if every ticket has a larger cosine with its dense run than any has with the ticket of another
    seed, and the median is at least 0.9. It holds if it is right in all three parts, and in part if in some."""
    own = {part: cosines(rows, part, TICKET) for part in runs}
    others = {part: max(cosines(rows, part, TICKET, OTHER)) for part in runs}
    told = [f"{median(own[part]):.2f}, at most {others[part]:.2f} with another seed's ({part})" for part in runs]
    return judged(min(own[part]) > others[part] and median(own[part]) >= 0.9 for part in runs), f"{'; '.join(told)}."


@claim("A ticket is closer to its dense run than that run is to itself, trained again.", rank=21)
def closer_than_trained_again(rows) -> Verdict:
    """It holds if every ticket of the MLP has a larger cosine with its dense run than any dense run has with itself, trained again."""
    own, again = cosines(rows, "MLP", TICKET), cosines(rows, "MLP", AGAIN)
    return judged([min(own) > max(again)]), f"At least {min(own):.2f}, against at most {max(again):.2f}."


@claim("The mask and the signs of the init decide which frequencies are learned.", rank=22)
def mask_and_signs_decide(rows) -> Verdict:
    """Of the controls at the faster setting: it holds if the mask with the signs of the init has a median cosine of at least 0.9, and
    no other control has. It holds in part if only the first is right."""
    medians = {name: median(cosines(rows, "MLP, faster setting", name)) for name in (*CONTROLS.values(), NO_MASK)}
    signs, best = medians.pop(SIGNS), max(medians, key=medians.get)
    told = f"{signs:.2f}, and at most {medians[best]:.2f} for the others ({best})."
    return judged([signs >= 0.9, medians[best] < 0.9]) if signs >= 0.9 else DOES_NOT, told


def tables(rows) -> dict[str, str]:
    head, short, whole = ["compared", "pairs of runs", "cosine of logit shares", "same key frequencies"], [], []
    for (part, what, other), own in comparisons().items():
        whole.append([f"{part}: {what} and {other}", str(len(own))])
        for measure in (COSINE, FREQUENCIES):
            found = [row[measure] for row in own]
            whole[-1].append(f"{median(found):.2f} ({min(found):.2f} to {max(found):.2f})")
        if what in (TICKET, DENSE, AGAIN, SIGNS) or (what, other) == (NO_MASK, ITS_OWN):
            short.append(whole[-1])
    return {"algorithms": table(head, short), "whole": table(head, whole)}


def pictures(rows) -> dict[str, Dots]:
    """None: analyze.py draws those of this study."""
    return {}
