"""Can a memorizing network generalize if only the choice of its weights is learned?

Edge-popup leaves every weight of epoch 2,000 as it is and learns which 40 % of them act. The paper's Table 1 compares this with
weight decay on the weights. The script learn.py learns the masks; they are no runs of a sweep.
"""

import csv
from pathlib import Path
from statistics import mean, stdev

from common.files import load_json
from configs.base import MLPConfig
from configs.sweep import Sweep
from configs.ticket import MLPTicketConfig
from experiments.reader import read_metrics
from experiments.trainer import train_one
from figures.dots import Dot, Dots
from reporting.columns import median_of
from reporting.results import frame
from reporting.tables import groups_of, settings_table, table, with_dense
from reporting.verdicts import Verdict, against, claim, judged, runs_of
from studies.edge_popup.learn import Learning, learn

SEEDS, EPOCHS = (0, 1, 2, 3, 4), (600, 1_000, 1_400, 2_000)
SCORES, DECAY, NO_DECAY = "scores, weight decay 10", "weights, weight decay 2", "scores, no weight decay"
LEARNED = {
    SCORES: Learning(),
    "scores and weights, weight decay 2": Learning(weight_decay=2.0, learn_weights=True),
    NO_DECAY: Learning(weight_decay=0.0),
    "scores, weight decay 1": Learning(weight_decay=1.0),
    "scores, weight decay 10, ranked by s": Learning(by_value=True),
    "scores, by SGD": Learning(optimizer="sgd", lr=10.0, weight_decay=0.0),
    "scores, weight decay 10, for the init": Learning(epoch=0),
}
OF_DENSE = ("fn_name", "lr", "weight_decay", "num_epochs", "gen_threshold", "mem_threshold")
SCORES_LEARNED, AT_END = "scores learned", f"test_acc at {EPOCHS[-1]}"
KEPT_AT_END = f"mask kept at {EPOCHS[-1]}"
RETRAINED = "the learned mask, retrained from the init"
TABLE_1 = {  # of arXiv 2310.19470, version 3; mean and standard deviation over three seeds
    "weight decay": ["0.53 ± 0.31", "0.95 ± 0.03", "1.00 ± 0.00", "1.00 ± 0.00"],
    "edge-popup without weight update": ["0.68 ± 0.19", "0.80 ± 0.17", "0.84 ± 0.16", "0.92 ± 0.06"],
    "edge-popup + WD": ["0.82 ± 0.04", "0.96 ± 0.01", "0.99 ± 0.00", "1.00 ± 0.00"],
}


def folder_of(setting: str, seed: int) -> Path:
    """What learn.py writes for a setting of LEARNED and a seed."""
    return Path("runs/edge_popup") / f"{setting.replace(',', '').replace(' ', '_')}_seed{seed}"


TRAINED = {"retrain_lr": 1e-2, "retrain_weight_decay": 2.0, "retrain_num_epochs": 2_000}
runs = {
    "weights trained": Sweep(
        MLPTicketConfig(use_mask=False, rewind_to=2_000, **TRAINED), {DECAY: {}}, seeds=SEEDS, reads=("test_acc at",)
    ),
    "mask retrained": Sweep(
        MLPTicketConfig(retrain_stop_after_gen=True),
        {RETRAINED: {"mask": lambda ticket: str(folder_of(SCORES, ticket.seed) / "mask.pth")}},
        seeds=SEEDS,
        reads=(0.5, "test_acc at"),
    ),
}


def learn_all() -> None:
    """Train the dense runs and learn all masks; what is there already stays."""
    for seed in SEEDS:
        dense = train_one(MLPConfig(seed=seed))
        for setting, how in LEARNED.items():
            learn(dense.path, folder_of(setting, seed), how)


def completed(results) -> dict:
    """What a sweep collects, with the test accuracies of Table 1, and the rows of what learn.py has made."""
    for part, rows in results.items():
        metrics = [read_metrics(Path(runs[part].base.root) / run) for run in rows["run"]]
        for epoch in EPOCHS:
            found = [dict(zip(one["epoch"], one["test_acc"], strict=True)).get(epoch) for one in metrics]
            results[part] = results[part].assign(**{f"test_acc at {epoch}": found})
    return results | {SCORES_LEARNED: frame([learned_row(name, seed) for seed in SEEDS for name in LEARNED])}


def learned_row(setting: str, seed: int) -> dict:
    """The row of one learning of scores. Raises UserError where learn.py has not made it."""
    folder, dense = folder_of(setting, seed), MLPConfig(seed=seed).as_dict()
    about = load_json(folder / "summary.json")
    how = about.pop("how")
    row = {"setting": setting, "seed": seed, "mask_epoch": how.pop("epoch"), "pruner": "edge-popup"}
    row |= {"pruning_rate": how.pop("pruning_rate"), "population": 1}
    row |= {f"score_{name}": value for name, value in how.items() if name != "dense_run"}
    with (folder / "accuracies.csv").open() as file:
        lines = {int(line["epoch"]): line for line in csv.DictReader(file)}
    row |= {f"test_acc at {epoch}": float(lines[epoch]["test_acc"]) for epoch in EPOCHS}
    row[KEPT_AT_END] = float(lines[EPOCHS[-1]]["mask_kept"])
    row["final_train_acc"] = float(lines[EPOCHS[-1]]["train_acc"])
    return row | about | {name: dense[name] for name in OF_DENSE}


@claim(
    "Edge-popup alone turns a memorizing network into a generalizing one; weight decay on the scores helps.", paper=9
)
def generalizes(rows) -> Verdict:
    """Three questions: is the mean test accuracy after 2,000 epochs above 0.1, where chance is 0.015; is it at least 0.9, as in the
    paper; is it higher than without weight decay on the scores? The claim holds if the answer is yes to all, and in part if to
    some."""
    own, without = (mean(row[AT_END] for row in runs_of(rows[SCORES_LEARNED], name)) for name in (SCORES, NO_DECAY))
    told = f"Test accuracy rises to {own:.2f}, and without weight decay on the scores to {without:.2f}; the paper reports 0.92."
    return judged([own > 0.1, own >= 0.9, own > without]), told


@claim("The mask that edge-popup learns is a ticket.", rank=90)
def is_a_ticket(rows) -> Verdict:
    """The claim is right if the learned mask, retrained from the init, takes at most half of the dense network's median t_gen."""
    times, told = against({"MLP": rows["mask retrained"]}, [RETRAINED])
    return judged(number <= 0.5 for number in times), f"The mask against the dense network: {told}."


def all_runs(rows) -> list[tuple[str, list[dict]]]:
    """Every setting and its runs, the highest mean test accuracy at the end first."""
    own = [one for part in rows.values() for one in groups_of(part)]
    return sorted(own, key=lambda one: -mean(row[AT_END] for row in one[1]))


def tables(rows) -> dict[str, str]:
    ((head, left),) = median_of(KEPT_AT_END, 2, "share of the first mask that is left").items()
    lines = []
    for name, own in all_runs(rows):
        found = [[row[f"test_acc at {epoch}"] for row in own] for epoch in EPOCHS]
        spreads = [stdev(values) if len(values) > 1 else 0 for values in found]
        told = [f"{mean(values):.2f} ± {spread:.2f}" for values, spread in zip(found, spreads, strict=True)]
        lines.append([name, *told, left(own)])
    lines += [[f"*the paper: {name}*", *numbers, ""] for name, numbers in TABLE_1.items()]
    retrained = settings_table(with_dense(rows["mask retrained"]), early=0.5)
    epochs = [f"{epoch:,} epochs" for epoch in EPOCHS]
    return {"edge_popup": table(["what is trained", *epochs, head], lines), "retrained": retrained}


def pictures(rows) -> dict[str, Dots]:
    panels = {}
    for epoch in (EPOCHS[0], EPOCHS[-1]):
        dots = [Dot(name, max(row[f"test_acc at {epoch}"], 1e-3)) for name, own in all_runs(rows) for row in own]
        paper = {name: float(texts[EPOCHS.index(epoch)].split()[0]) for name, texts in TABLE_1.items()}
        panels[f"after {epoch:,} epochs"] = dots + [Dot(f"the paper: {name}", value) for name, value in paper.items()]
    title = "After 2,000 epochs edge-popup (fourth line) is at 0.23 to 0.75. The paper's mean, a single dot, is 0.92."
    return {"edge_popup.png": Dots(title, panels, "test accuracy (0.001 or less at the left edge)")}
