"""Finished runs of a sweep -> one tidy CSV, a printed table and a picture."""

import csv
from pathlib import Path

from configs.base import RunConfig
from configs.sweep import Sweep
from errors import UserError
from figures import plot_sweep
from tables import Result, accuracy_text, epoch_text, read_result, table
from training.metrics import median_epoch

GEN_THRESHOLDS = (0.5, 0.9, 0.95, 0.99)


def row_of(sweep: Sweep, config: RunConfig, result: Result, thresholds: list[float]) -> dict:
    """A run as one row: seed, what varies, when it memorizes and generalizes (empty: censored), accuracies, counts, cost."""
    summary = result.summary
    source = result.settings.get("mask_source") or {}
    row = {"run": result.path.name, "kind": result.settings["kind"], "seed": config.seed}
    row |= {name: getattr(config, name) for name in sweep.varying}
    row |= {"mask_epoch": source.get("epoch"), "status": summary["status"], "last_epoch": result.last_epoch}
    row["t_mem (train acc >= 0.99)"] = result.reached("train_acc", 0.99)
    row |= {f"t_gen (test acc >= {t:g})": result.reached("test_acc", t) for t in thresholds}
    row |= {
        name: summary[name]
        for name in ("final_train_acc", "final_test_acc", "best_test_acc", "weights", "weights_kept")
    }
    return row | {
        "seconds": summary["seconds"],
        "hardware": result.settings["hardware"],
        "threads": result.settings["threads"],
    }


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
    column = f"t_gen (test acc >= {sweep.base.gen_threshold:g})"
    groups: dict[tuple, list[dict]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in sweep.varying), []).append(row)
    lines = []
    for values, members in groups.items():
        last = max(row["last_epoch"] for row in members)
        epochs = [row[column] for row in members]
        bounds = [None if None in epochs else max(epochs), min((e for e in epochs if e is not None), default=None)]
        lines.append([
            ", ".join(map(str, values)),
            str(len(members)),
            epoch_text(median_epoch(epochs), last),
            f"{epoch_text(bounds[1], last)} to {epoch_text(bounds[0], last)}",
            str(sum(epoch is None for epoch in epochs)),
            accuracy_text([row["best_test_acc"] for row in members]),
        ])  # fmt: skip
    head = [", ".join(sweep.varying), "seeds", f"median {column}", "range", "censored", "median best test acc"]
    print(table(head, lines))
    print(f"written: {output / 'results.csv'}")
    if sweep.varying:
        plot_sweep(rows, sweep.varying, column, output / "t_gen.png")
        print(f"written: {output / 't_gen.png'}")
