"""Finished runs of a sweep -> one tidy CSV, a printed table and a picture."""

import csv
import statistics
from pathlib import Path

from configs.base import RunConfig
from configs.sweep import Sweep
from errors import UserError
from figures import plot_settings, plot_sweep
from tables import Result, accuracy_text, epoch_text, read_result, table
from training.metrics import median_epoch

EARLY = 0.5  # the threshold that the printed table shows beside gen_threshold
GEN_THRESHOLDS = (EARLY, 0.8, 0.85, 0.9, 0.95, 0.99)


def t_gen_column(threshold: float) -> str:
    return f"t_gen (test acc >= {threshold:g})"


def row_of(sweep: Sweep, config: RunConfig, result: Result, thresholds: list[float]) -> dict:
    """A run as one row: seed, what varies, when it memorizes and generalizes (empty: censored), accuracies, counts, cost.

    ``kept of <matrix>`` is the fraction of the matrix's weights that the mask keeps.
    """
    summary = result.summary
    source = result.settings.get("mask_source") or {}
    row = {"run": result.path.name, "kind": result.settings["kind"], "seed": config.seed}
    row |= {name: getattr(config, name) for name in sweep.varying}
    row |= {"mask_epoch": source.get("epoch"), "status": summary["status"], "last_epoch": result.last_epoch}
    row["t_mem (train acc >= 0.99)"] = result.reached("train_acc", 0.99)
    row |= {t_gen_column(threshold): result.reached("test_acc", threshold) for threshold in thresholds}
    names = ("final_train_acc", "final_test_acc", "best_test_acc", "weights", "weights_kept")
    row |= {name: summary[name] for name in names}
    row |= {f"kept of {name}": round(kept / total, 4) for name, (kept, total) in summary["kept_per_matrix"].items()}
    return row | {
        "seconds": summary["seconds"],
        "hardware": result.settings["hardware"],
        "threads": result.settings["threads"],
    }


def line_of(label: str, members: list[dict], column: str) -> list[str]:
    """The rows of one setting over its seeds as a line of the printed table."""
    last = max(row["last_epoch"] for row in members)
    early, epochs = ([row[name] for row in members] for name in (t_gen_column(EARLY), column))
    least = min((epoch for epoch in epochs if epoch is not None), default=None)
    most = None if None in epochs else max(epochs)
    matrices = [name for name in members[0] if name.startswith("kept of ")]
    return [
        label,
        str(len(members)),
        epoch_text(median_epoch(early), last),
        epoch_text(median_epoch(epochs), last),
        f"{epoch_text(least, last)} to {epoch_text(most, last)}",
        str(sum(epoch is None for epoch in epochs)),
        accuracy_text([row["best_test_acc"] for row in members]),
        " / ".join(f"{statistics.median(row[name] for row in members):.2f}" for name in matrices),
    ]


def collect(sweep: Sweep, finished: list[tuple[RunConfig, Path]], output: Path) -> None:
    """Write ``results.csv`` and ``t_gen.png`` into ``output`` and print the median and range over seeds.

    ``finished``: the sweep's configs, which say what a row stands for (its folder may have been made by another command), and
    the folders of their runs.
    """
    if not finished:
        raise UserError("no run of this sweep is finished; run it first, without --collect")
    thresholds = sorted({*GEN_THRESHOLDS, sweep.base.gen_threshold})
    rows = [row_of(sweep, config, read_result(folder), thresholds) for config, folder in finished]
    output.mkdir(parents=True, exist_ok=True)
    with (output / "results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    column = t_gen_column(sweep.base.gen_threshold)
    groups: dict[str, list[dict]] = {}
    for (config, _), row in zip(finished, rows, strict=True):
        groups.setdefault(sweep.label(config), []).append(row)
    matrices = " / ".join(name.removeprefix("kept of ") for name in rows[0] if name.startswith("kept of "))
    early = f"median {t_gen_column(EARLY)}"
    head = [
        sweep.heading,
        "seeds",
        early,
        f"median {column}",
        "range",
        "censored",
        "median best test acc",
        f"kept of {matrices}",
    ]
    print(table(head, [line_of(label, members, column) for label, members in groups.items()]))
    print(f"written: {output / 'results.csv'}")
    picture = output / "t_gen.png"
    if sweep.settings:
        plot_settings(groups, column, picture)
    elif sweep.varying:
        plot_sweep(rows, sweep.varying, column, picture)
    else:
        return
    print(f"written: {picture}")
