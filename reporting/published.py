"""The tables in README.md and RESULTS.md that are made from the CSVs below assets/results, written between their markers.

python -m reporting.published        # or: make results
"""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from common.errors import UserError
from reporting import published_csvs as csvs
from reporting.analysis import learned_table
from reporting.at_epochs import edge_popup_table
from reporting.cells import (
    Columns,
    accuracy,
    both,
    kept,
    median_of,
    outcome,
    pair_columns,
    share,
    speedup,
    t_gen,
)
from reporting.choices import MODELS, of_model
from reporting.findings import (
    ALIGNMENT,
    PAYS,
    alignment_table,
    choices_table,
    costs_table,
    draw_alignment,
    draw_costs,
    masks_table,
    predictors_table,
)
from reporting.published_csvs import collected, read
from reporting.results import ACCURACIES, BESIDE, NORM, SPREAD, dense_of_rows, frame, records
from reporting.tables import legend, pairs_table, seeds_table, table, winner

PAGES = ("README.md", "RESULTS.md")
TUNED = 0.95  # the threshold of the tuned comparison
PLACE = ["lr", "weight_decay"]  # its axes


# ---- tables


def by_setting(sweep: str, by: list[str], *thresholds: float, more: Columns | None = None) -> str:
    """A sweep over seeds: t_gen at each threshold, at the last one all else that is known.

    ``by``: the axes; lines are sorted by all but the last of them, the largest value first. ``more``: further columns; None: what
    is kept of each matrix.
    """
    results = read(f"{sweep}/results.csv", *thresholds)
    results = results.sort_values(by[:-1], ascending=False, kind="stable") if by[:-1] else results
    columns: Columns = {}
    for threshold in thresholds[:-1]:
        columns |= t_gen(threshold)
    columns |= outcome(thresholds[-1]) | (kept(results) if more is None else more)
    return seeds_table(results, by, columns)


def beside_dense(sweep: str, by: list[str], threshold: float) -> str:
    """A sweep of tickets beside the dense runs that gave their masks, over seeds."""
    return seeds_table(
        read(f"{sweep}/results.csv", threshold), by, both(t_gen(threshold) | share(threshold)) | speedup(threshold)
    )


def pairs(results, *thresholds: float) -> str:
    """Tickets beside their dense runs, seed by seed."""
    return pairs_table(results, pair_columns(thresholds, accuracy(ACCURACIES[1])), thresholds[-1])


def seeds(kind: str) -> str:
    """The headline's runs of a model."""
    threshold = MODELS[kind][1]
    return pairs(of_model(read("seeds.csv", threshold), kind), threshold)


def beside(dense, tickets, on: list[str]):
    """Tickets with other dense runs, those that are equal in the columns ``on``, in their columns ``dense ...``."""
    measures = [name for name in dense if f"{BESIDE}{name}" in tickets]
    own = tickets.drop(columns=[name for name in tickets if name.startswith(BESIDE)])
    return own.merge(dense[[*on, *measures]].rename(columns={name: BESIDE + name for name in measures}), "outer", on)


def both_tuned(ending: str = ""):
    """The runs of the tuned comparison, dense and tickets; the ticket's own learning rate and weight decay are in PLACE."""
    dense, tickets = (read(f"sweep_tuned_{side}{ending}/results.csv", TUNED) for side in ("dense", "ticket"))
    return dense, tickets.drop(columns=PLACE).rename(columns={f"retrain_{name}": name for name in PLACE})


def tuned() -> str:
    """Dense network and ticket over learning rate and weight decay."""
    columns = both(outcome(TUNED)) | speedup(TUNED)
    return seeds_table(beside(*both_tuned(), [*PLACE, "seed"]), PLACE, columns)


def place(results) -> list[tuple[float, float]]:
    return list(results[PLACE].itertuples(index=False, name=None))


def winners() -> tuple[str, list[dict]]:
    """The best dense network beside the best ticket, on seeds that did not choose them where these have been trained."""
    chosen = [frame(winner(side, PLACE, TUNED)) for side in both_tuned()]
    found, ending = chosen, ", which chose"
    if all((csvs.RESULTS / f"sweep_tuned_{side}_check" / "results.csv").exists() for side in ("dense", "ticket")):
        fresh = both_tuned("_check")
        if all({*place(new)} == {*place(old)} for new, old in zip(fresh, chosen, strict=True)):
            found, ending = fresh, ""
    rows = records(beside(*found, ["seed"]))
    own = [row["seed"] for row in rows]
    return f"seeds {min(own)} to {max(own)}{ending}", rows


def headline() -> str:
    """Both models at the paper's settings, and the MLP with both sides tuned."""
    seeds_of, both_winners = winners()
    runs = {
        f"{name}, test acc >= {threshold:.2f}": (threshold, records(of_model(read("seeds.csv", threshold), kind)))
        for kind, (name, threshold) in MODELS.items()
    }
    runs[f"MLP, lr and weight decay tuned for each ({seeds_of})"] = TUNED, both_winners
    lines = [
        [name, *(cell(rows) for cell in pair_columns([threshold], {}).values())]
        for name, (threshold, rows) in runs.items()
    ]
    return table(["", "dense", "ticket", "speedup, seed by seed"], lines)


def sweep_mnist() -> str:
    """What makes the MNIST ticket strong, below the dense runs that gave the masks."""
    results = read("sweep_mnist/results.csv", 0.5, 0.8)
    rows = records(results)
    dense = {row["run"]: row | {"setting": "the dense run"} for row in dense_of_rows(rows)}
    columns = t_gen(0.5) | outcome(0.8) | accuracy(ACCURACIES[2]) | NORMS | kept(results)
    return seeds_table(frame([*dense.values(), *rows]), ["setting"], columns)


PICTURES: dict[str, Callable[[Path], None]] = {"alignment.png": draw_alignment, "costs.png": draw_costs}
TRANSFORMER = MODELS["transformer"][1]
RATE = ["retrain_weight_decay", "pruning_rate"]
BEST = accuracy(ACCURACIES[2])
NORMS = median_of(NORM, 1)
AT = median_of("mask_epoch", 0) | BEST
STARTS = NORMS | median_of(SPREAD, 3)
SETTING = ["setting"]


def algorithms() -> str:
    """What two runs have learned, compared, of all analyses that are there."""
    import pandas

    found = [pandas.read_csv(path) for path in sorted(csvs.RESULTS.glob("analysis_*/comparisons.csv"))]
    if not found:
        raise UserError("no analysis_*/comparisons.csv is there")
    own = pandas.concat(found)
    return learned_table(own[~own["compared"].str.contains("another seed") | own["control"].isna()])


def costs(name: str) -> str:
    sweep, level = PAYS[name]
    return costs_table(read(f"{sweep}/results.csv", level), level)


TABLES: dict[str, Callable[[], str]] = {
    "headline": headline,
    "seeds_mlp": partial(seeds, "mlp"),
    "seeds_transformer": partial(seeds, "transformer"),
    "tuned": tuned,
    "prune_at": partial(by_setting, "sweep_prune_at", ["prune_at"], 0.95, more=AT),
    "prune_at_transformer": partial(by_setting, "sweep_prune_at_transformer", ["prune_at"], TRANSFORMER, more=AT),
    "pruning_rate": partial(by_setting, "sweep_pruning_rate", RATE, 0.95, more=BEST),
    "pruning_rate_transformer": partial(by_setting, "sweep_pruning_rate_transformer", RATE, TRANSFORMER),
    "mnist": lambda: pairs(read("mnist.csv", 0.5, 0.8, 0.85), 0.5, 0.8, 0.85),
    "sweep_mnist": sweep_mnist,
    "norm": partial(by_setting, "sweep_norm", SETTING, 0.5, 0.95, more=STARTS),
    "controls": partial(by_setting, "sweep_controls", SETTING, 0.5, 0.95, more=STARTS),
    "controls_tuned": partial(by_setting, "sweep_controls_tuned", SETTING, 0.5, 0.95, more=STARTS),
    "controls_transformer": partial(by_setting, "sweep_controls_transformer", SETTING, 0.5, TRANSFORMER, more=STARTS),
    "controls_mnist": partial(by_setting, "sweep_controls_mnist", SETTING, 0.5, 0.8, more=STARTS),
    "pruners": partial(by_setting, "sweep_pruners", SETTING, 0.5, 0.95),
    "pruners_tuned": partial(by_setting, "sweep_pruners_tuned", SETTING, 0.5, 0.95),
    "pruners_transformer": partial(by_setting, "sweep_pruners_transformer", SETTING, 0.5, TRANSFORMER, more=BEST),
    "pruners_mnist": partial(by_setting, "sweep_pruners_mnist", SETTING, 0.5, 0.8),
    "operations": partial(beside_dense, "sweep_operations", ["fn_name"], 0.95),
    "operations_transformer": partial(
        beside_dense, "sweep_operations_transformer", ["fn_name", "frac_train", "lr"], TRANSFORMER
    ),
    "parity": partial(beside_dense, "sweep_parity", SETTING, 0.95),
    "regression": partial(beside_dense, "sweep_regression", SETTING, 0.95),
    "operations_token": partial(beside_dense, "sweep_operations_token", SETTING, 0.95),
    "mask_from": partial(beside_dense, "sweep_mask_from", ["fn_name", "setting"], 0.95),
    "mask_from_transformer": partial(beside_dense, "sweep_mask_from_transformer", SETTING, TRANSFORMER),
    "edge_popup": lambda: edge_popup_table(read("sweep_edge_popup/results.csv")),
    "predictors": lambda: predictors_table(collected(ALIGNMENT)),
    "alignment": lambda: alignment_table(collected(ALIGNMENT)),
    "masks": lambda: masks_table(read("sweep_alignment/results.csv", 0.95), 0.95),
    "algorithms": algorithms,
    "choices": lambda: choices_table(collected(PAYS)),
    "costs_mlp": partial(costs, "MLP"),
    "costs_transformer": partial(costs, "Transformer"),
    "costs_mnist": partial(costs, "MNIST"),
    "costs_tuned": partial(costs, "MLP, tuned"),
    "sweep_mnist_scale": partial(by_setting, "sweep_mnist_scale", ["weight_scale"], 0.5, 0.8, 0.85, more=NORMS),
}


# ---- pages


def filled(page: str) -> str:
    """A page with its tables made anew, ``<!-- table NAME -->`` ... ``<!-- end -->``; what cannot be made is left, and named."""

    def make(match: re.Match) -> str:
        try:
            text = TABLES[match[1]]()
        except UserError as error:
            print(f"left as it is: the table {match[1]}: {error}")
            return match[0]
        meanings = "".join(f"\n\n*{line}*" for line in legend(text))
        return f"<!-- table {match[1]} -->\n{text}{meanings}\n<!-- end -->"

    return re.sub(r"<!-- table (\w+) -->\n.*?<!-- end -->", make, page, flags=re.DOTALL)


def main() -> None:
    for name, draw in PICTURES.items():
        try:
            draw(csvs.RESULTS / name)
        except UserError as error:
            print(f"left as it is: the picture {name}: {error}")
        else:
            print(f"written: {csvs.RESULTS / name}")
    for name in PAGES:
        path = csvs.REPOSITORY / name
        path.write_text(filled(path.read_text()))
        print(f"written: the tables of {name}")


if __name__ == "__main__":
    main()
