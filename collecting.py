"""Finished runs of a sweep -> one tidy CSV, a printed table and a picture."""

import csv
import statistics
from collections import Counter
from pathlib import Path

from configs.base import RunConfig
from configs.sweep import Sweep
from errors import UserError
from experiment import dense_folder
from sweep_figures import plot_settings, plot_sweep
from tables import Result, median_and_range, median_text, read_result, table

EARLY = 0.5  # the threshold that the printed table shows beside gen_threshold
GEN_THRESHOLDS = (EARLY, 0.8, 0.85, 0.9, 0.95, 0.99)
NORM = "l2norm at epoch 0"
MASK = ("pruner", "pruning_rate", "prune_at", "scope")  # settings that mean nothing for a control without a mask
KEPT = "kept of "  # and the matrix: a column of results.csv


def t_gen_column(threshold: float) -> str:
    return f"t_gen (test acc >= {threshold:.10g})"


def row_of(sweep: Sweep, config: RunConfig, result: Result) -> dict:
    """A run as one row: seed, what varies, when it memorizes and generalizes (empty: censored), accuracies, counts, cost.

    ``kept of <matrix>`` is the fraction of the matrix's weights that the mask keeps. ``population`` says how many
    trained together, which share their ``seconds``.
    """
    summary = result.summary
    source = result.settings.get("mask_source") or {}
    has_mask = getattr(config, "use_mask", False)
    row = {"run": result.path.name, "kind": result.settings["kind"], "seed": config.seed}
    row |= {name: getattr(config, name) if has_mask or name not in MASK else None for name in sweep.varying}
    row |= {"mask_epoch": source.get("epoch"), "status": summary["status"], "last_epoch": result.last_epoch}
    mem_threshold = sweep.base.mem_threshold
    row[f"t_mem (train acc >= {mem_threshold:.10g})"] = result.reached("train_acc", mem_threshold)
    thresholds = sorted({*GEN_THRESHOLDS, sweep.base.gen_threshold})
    row |= {t_gen_column(threshold): result.reached("test_acc", threshold) for threshold in thresholds}
    if sweep.has_tickets:
        dense = read_result(dense_folder(config).path)
        row["dense " + t_gen_column(sweep.base.gen_threshold)] = dense.reached("test_acc", sweep.base.gen_threshold)
    names = ("final_train_acc", "final_test_acc", "best_test_acc", "weights", "weights_kept", "seconds")
    row |= {name: summary[name] for name in names} | {"population": summary.get("population", 1)}
    norms = result.metrics["l2norm"]
    row[NORM] = round(float(norms[0]), 3) if len(norms) else None
    row |= {name: result.settings[name] for name in ("hardware", "threads")}
    return row | {KEPT + name: round(kept / total, 4) for name, (kept, total) in summary["kept_per_matrix"].items()}


def ended_early(rows: list[dict]) -> str:
    """`` (1 diverged)`` after a label whose runs did not all come to their end."""
    counts = Counter(row["status"] for row in rows if row["status"] != "completed")
    return f" ({', '.join(f'{count} {status}' for status, count in counts.items())})" if counts else ""


def line_of(label: str, rows: list[dict], columns: list[str], matrices: list[str]) -> list[str]:
    """The runs of one setting over their seeds as a line of the printed table; the last of ``columns`` with its range."""
    last_epochs = [row["last_epoch"] for row in rows]
    reached = [median_and_range([row[column] for row in rows], last_epochs) for column in columns]
    kept = [[row[name] for row in rows if name in row] for name in matrices]
    return [
        label + ended_early(rows),
        str(len(rows)),
        *(median for median, _ in reached),
        reached[-1][1],
        str(sum(row[columns[-1]] is None for row in rows)),
        median_text([row["best_test_acc"] for row in rows]),
        median_text([row[NORM] for row in rows], digits=1),
        " / ".join(f"{statistics.median(fractions):.2f}" if fractions else "-" for fractions in kept),
    ]


def collect(sweep: Sweep, finished: list[tuple[RunConfig, Path]], output: Path) -> None:
    """Write ``results.csv`` and ``t_gen.png`` into ``output`` and print the median and range over seeds.

    ``finished``: the sweep's configs, which say what a row stands for (its folder may have been made by another command), and
    the folders of their runs.
    """
    if not finished:
        raise UserError("no run of this sweep is finished; run it first, without --collect")
    rows = [row_of(sweep, config, read_result(folder)) for config, folder in finished]
    fields = list(dict.fromkeys(name for row in rows for name in row))
    output.mkdir(parents=True, exist_ok=True)
    with (output / "results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fields, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    groups: dict[str, list[dict]] = {}
    for (config, _), row in zip(finished, rows, strict=True):
        groups.setdefault(sweep.label(config), []).append(row)
    columns = list(dict.fromkeys(map(t_gen_column, (EARLY, sweep.base.gen_threshold))))
    matrices = [name for name in fields if name.startswith(KEPT)]
    names = " / ".join(name.removeprefix(KEPT) for name in matrices)
    head = [sweep.heading, "seeds", *(f"median {column}" for column in columns)]
    head += ["range", "censored", "median best test acc", f"median {NORM}", f"{KEPT}{names}"]
    print(table(head, [line_of(label, members, columns, matrices) for label, members in groups.items()]))
    for name, count in Counter(row["run"] for row in rows).items():
        if count > 1:
            print(f"note: {count} settings mean one and the same run, {name}")
    print(f"{len(finished)} of {len(sweep.configs())} runs are finished; written: {output / 'results.csv'}")
    if sweep.varying:
        draw = plot_sweep if sweep.axes else plot_settings
        draw(groups, columns[-1], output / "t_gen.png", *([sweep.varying] if sweep.axes else []))
        print(f"written: {output / 't_gen.png'}")
