"""Finished runs of a sweep -> one tidy CSV, a printed table and a picture."""

import csv
import statistics
from collections import Counter
from pathlib import Path

from common.errors import UserError
from configs.base import Dense
from configs.sweep import Sweep
from experiments.code_state import comparable, same_code, standing
from experiments.jobs import parent_folder
from figures.sweeps import plot_settings, plot_sweep
from reporting.tables import (
    Result,
    columns_of,
    median_and_range,
    median_text,
    provenance_of,
    read_result,
    table,
    with_legend,
)
from training.generalization import Generalization

EARLY = 0.5  # the threshold that the printed table shows beside gen_threshold
GEN_THRESHOLDS = (EARLY, 0.8, 0.85, 0.9, 0.95, 0.99)
NORM = "l2norm at epoch 0"
MASK = ("pruner", "pruning_rate", "prune_at", "scope")  # settings that mean nothing for a control without a mask
KEPT = "kept of "  # and the matrix: a column of results.csv


def t_gen_column(threshold: float) -> str:
    return f"t_gen (test acc >= {threshold:.10g})"


def row_of(sweep: Sweep, config: Dense, result: Result) -> dict:
    """A run as one row: seed, what varies, when it memorizes and generalizes, accuracies, counts, cost, code.

    At each threshold ``t_gen`` (empty: censored), ``t_gen_first``, ``t_gen_status``, ``t_gen_known_until`` and
    ``below_after`` (training/generalization.py). ``kept of <matrix>`` is the fraction of the matrix's weights that the mask
    keeps. ``population`` says how many trained together, which share their ``seconds``.
    """
    summary = result.summary
    source = result.settings.get("mask_source") or {}
    has_mask = getattr(config, "use_mask", False)
    row = {"run": result.path.name, "kind": result.settings["kind"], "seed": config.seed}
    row |= {name: getattr(config, name) if has_mask or name not in MASK else None for name in sweep.varying}
    row |= {"mask_epoch": source.get("epoch"), "status": summary["status"], "last_epoch": result.last_epoch}
    mem_threshold = sweep.base.mem_threshold
    row[f"t_mem (train acc >= {mem_threshold:.10g})"] = result.memorized(mem_threshold)
    for threshold in sorted({*GEN_THRESHOLDS, sweep.base.gen_threshold}):
        row |= columns_of(result.generalized(threshold), threshold)
    if sweep.has_tickets:
        dense = read_result(parent_folder(config.dense(), config).path)
        of_dense = columns_of(dense.generalized(sweep.base.gen_threshold), sweep.base.gen_threshold, "dense ")
        if has_mask and dense.settings.get("code") != result.settings.get("dense_executed", {}).get("code"):
            print(
                f"{dense.path.name} has been trained again by other code since {result.path.name} took its mask; left empty"
            )
            of_dense = dict.fromkeys(of_dense)
        row |= of_dense
    names = ("final_train_acc", "final_test_acc", "best_test_acc", "weights", "weights_kept", "seconds")
    row |= {name: summary[name] for name in names} | {"population": summary.get("population", 1)}
    norms = result.metrics["l2norm"]
    row[NORM] = round(float(norms[0]), 3) if len(norms) else None
    row |= {name: result.settings.get(name) for name in ("hardware", "threads")} | provenance_of(result)
    return row | {KEPT + name: round(kept / total, 4) for name, (kept, total) in summary["kept_per_matrix"].items()}


def found_of(row: dict, column: str) -> Generalization:
    """What a row says of t_gen in ``column``."""
    names = ("t_gen", "t_gen_first", "t_gen_status", "t_gen_known_until", "below_after")
    return Generalization(*(row[column.replace("t_gen", name, 1)] for name in names))


def marks(rows: list[dict], column: str) -> str:
    """`` (1 diverged, 2 unstable)`` after a label of whose runs that is true."""
    counts = Counter(row["status"] for row in rows if row["status"] != "completed")
    counts["unstable"] = sum(found_of(row, column).is_unstable for row in rows)
    counts = +counts  # without those that are 0
    return f" ({', '.join(f'{count} {status}' for status, count in counts.items())})" if counts else ""


def line_of(label: str, rows: list[dict], columns: list[str], matrices: list[str]) -> list[str]:
    """The runs of one setting over their seeds as a line of the printed table; the last of ``columns`` with its range."""
    reached = [median_and_range([found_of(row, column) for row in rows]) for column in columns]
    kept = [[row[name] for row in rows if name in row] for name in matrices]
    return [
        label + marks(rows, columns[-1]),
        str(len(rows)),
        *(median for median, _ in reached),
        reached[-1][1],
        str(sum(row[columns[-1]] is None for row in rows)),
        median_text([row["best_test_acc"] for row in rows]),
        median_text([row[NORM] for row in rows], digits=1),
        " / ".join(f"{statistics.median(fractions):.2f}" if fractions else "-" for fractions in kept),
    ]


def collect(sweep: Sweep, finished: list[tuple[Dense, Path]], output: Path) -> None:
    """Write ``results.csv`` and ``t_gen.png`` into ``output`` and print the median and range over seeds.

    ``finished``: the sweep's configs, which say what a row stands for (its folder may have been made by another command), and
    the folders of their runs. Settings that mean one run are one row, and runs of different code are not mixed.
    """
    if not finished:
        raise UserError("no run of this sweep is finished; run it first, without --collect")
    for path, count in Counter(path for _, path in finished).items():
        if count > 1:
            print(f"note: {count} settings mean one and the same run, {path.name}; the first of them stands for it")
    results: dict[Path, tuple[Dense, Result]] = {}
    for config, path in finished:
        results.setdefault(path, (config, read_result(path)))
    states = {
        path: (standing(r.settings, c), comparable(r.settings, c), r.settings.get("code"))
        for path, (c, r) in results.items()
    }
    kept = [results[path] for path in same_code(states)]
    rows = [row_of(sweep, config, result) for config, result in kept]
    fields = list(dict.fromkeys(name for row in rows for name in row))
    output.mkdir(parents=True, exist_ok=True)
    with (output / "results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fields, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    groups: dict[str, list[dict]] = {}
    for (config, _), row in zip(kept, rows, strict=True):
        groups.setdefault(sweep.label(config), []).append(row)
    columns = list(dict.fromkeys(map(t_gen_column, (EARLY, sweep.base.gen_threshold))))
    matrices = [name for name in fields if name.startswith(KEPT)]
    names = " / ".join(name.removeprefix(KEPT) for name in matrices)
    head = [sweep.heading, "seeds", *(f"median {column}" for column in columns)]
    head += ["range", "censored", "median best test acc", f"median {NORM}", f"{KEPT}{names}"]
    text = table(head, [line_of(label, members, columns, matrices) for label, members in groups.items()])
    print(with_legend(text))
    print(
        f"{len(finished)} of {len(sweep.configs())} runs are finished; written: {output / 'results.csv'}, {len(rows)} rows"
    )
    if sweep.varying:
        draw = plot_sweep if sweep.axes else plot_settings
        draw(groups, columns[-1], output / "t_gen.png", *([sweep.varying] if sweep.axes else []))
        print(f"written: {output / 't_gen.png'}")
