"""Run folders -> one table of results, a pandas.DataFrame: a row a run, its settings and what was measured as columns.

from reporting.results import read_results
results = read_results("runs")
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from common.errors import UserError
from common.files import load_json
from configs.identity import completed, same_run
from experiments.code_state import worst
from experiments.folder import ASIDE
from experiments.reading import budget_of, read_metrics
from reporting.choices import STORED, Code, group_of, settings_columns, standing_of
from training.generalization import Generalization, generalization
from training.metrics import first_epoch

ACCURACIES = ("final_train_acc", "final_test_acc", "best_test_acc")
# What tables take from a summary.json.
NEEDED = {"status": str, "epochs": int, "weights": int, "weights_kept": int, "kept_per_matrix": dict}
NEEDED |= {"seconds": float | int} | dict.fromkeys(ACCURACIES, float | int | None)

CUT = "generalized"  # the status of a run that was stopped once its t_gen was certain
BESIDE = "dense "  # before the columns that say of a ticket's row what was measured of its dense run
NORM = "l2norm at epoch 0"
SPREAD = "train_logit_std at epoch 0"
KEPT = "kept of "  # and the matrix: the fraction of its weights that the mask keeps
# Of the weights that gave the mask: their test accuracy, and how the start and they agree (analysis/structure.py).
MASKED = ("mask_epoch", "mask_test_acc", "mask_l2norm", "cosine", "cosine_kept", "same_signs_kept")
T_GEN = tuple(Generalization(None, None, "never", 0, None).as_dict())  # the columns for each threshold


class Levels(NamedTuple):
    """The thresholds at which t_gen and t_mem are read."""

    gen: tuple[float, ...] = (0.5, 0.8, 0.85, 0.9, 0.95, 0.99)
    mem: float = 0.99


@dataclass(frozen=True)
class Result:
    """A finished run: its folder, config.json, summary.json and the columns of metrics.csv."""

    path: Path
    settings: dict
    summary: dict
    metrics: dict[str, np.ndarray]

    @property
    def is_ticket(self) -> bool:
        return "dense_run" in self.settings

    @property
    def budget(self) -> int:
        """The epochs that it was to be trained for."""
        return budget_of(self.settings, self.path)

    def generalized(self, threshold: float) -> Generalization:
        """What is known of t_gen at this test accuracy; what only long runs show is left out where the run was cut short."""
        status = self.summary["status"]
        diverged_of = self.budget if status == "diverged" else None
        found = generalization(self.metrics["epoch"], self.metrics["test_acc"], threshold, diverged_of)
        return replace(found, below_after=None) if status == CUT else found


def read_result(folder: Path) -> Result:
    """Read a finished run. Raises UserError where a file is missing or damaged."""
    folder = Path(folder)
    settings = load_json(folder / "config.json", STORED)
    summary = load_json(folder / "summary.json", NEEDED)
    if summary["status"] != "diverged" and not (folder / "final.pth").exists():
        raise UserError(f"{folder} is damaged: it is finished, and final.pth is not there; train it again with --rerun")
    return Result(folder, settings, summary, read_metrics(folder))


def read_results(root: Path | str = "runs", gen: tuple[float, ...] = Levels().gen, mem: float = Levels().mem):
    """Every finished run below ``root`` as a row of a pandas.DataFrame; damaged ones are named on stderr and left out.

    ``setting`` is the same for runs that differ in the seed alone. A ticket has its dense run's measures as well, in ``dense ...``.
    ``gen`` and ``mem`` are the thresholds at which t_gen and t_mem are read.
    """
    rows, _ = read_rows(Path(root), Levels(gen, mem))
    if not rows:
        raise UserError(f"below {root} is no finished run; python main.py makes two")
    return frame(rows)


def read_rows(
    root: Path, levels: Levels, asks_for: Callable[[Result], bool] = lambda run: True
) -> tuple[list[dict], dict[Path, Code]]:
    """The rows of the finished runs that are asked for, by setting and seed, and by which code each was trained.

    Says on stderr who is left out, and why: a damaged run, a ticket without its dense run, a copy of a run.
    """

    def attempt(folder: Path, action: Callable) -> object:
        try:
            return action()
        except (UserError, OSError) as error:
            reason = str(error)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            reason = f"a file of it is damaged ({type(error).__name__}: {error})"
        print(f"left out: {folder.name}: {reason}", file=sys.stderr)
        return None

    def add(run: Result) -> None:
        if not asks_for(run):
            return
        dense = dense_of(run, dense_runs) if run.is_ticket else None
        row = row_of(run, levels) | dense_columns(dense, run, levels)
        states, groups, trained = zip(
            *(standing_of(one.settings, one.path) for one in (dense, run) if one), strict=True
        )
        group, identity = group_of(run.settings), completed(run.settings["identity"])
        key = group, int(row["seed"]), json.dumps(identity, sort_keys=True)
        if key in rows:
            raise UserError(f"it is the same run as {rows[key]['run']}")
        name = run.path.name.replace(f"_seed{row['seed']}", "", 1)
        name = f"{name} ({len(settings)})" if name in settings.values() else name  # a folder may have any name
        rows[key] = {"run": row.pop("run"), "setting": settings.setdefault(group, name)} | row
        codes[run.path] = worst(states), groups, trained

    folders = [path.parent for path in sorted(root.glob("*/summary.json")) if ASIDE not in path.parent.name]
    runs = [run for folder in folders if (run := attempt(folder, lambda folder=folder: read_result(folder)))]
    dense_runs = [run for run in runs if not run.is_ticket]
    rows, codes, settings = {}, {}, {}
    for run in runs:
        attempt(run.path, lambda run=run: add(run))
    return [rows[key] for key in sorted(rows)], codes


def row_of(run: Result, levels: Levels) -> dict:
    """A run as a row: what it is, and ``measures_of`` it."""
    source = run.settings.get("mask_source") or {}
    at_mask = {"mask_epoch": source.get("epoch"), "mask_test_acc": source.get("test_acc")}
    at_mask |= run.settings.get("alignment") or {}
    row = {"run": run.path.name} | settings_columns(run.settings) | {name: at_mask.get(name) for name in MASKED}
    return row | measures_of(run, levels)


def measures_of(run: Result, levels: Levels) -> dict:
    """How a run ended, when it memorizes and generalizes, accuracies, counts, cost, code; empty where there is none.

    At each threshold the columns T_GEN (training/generalization.py). ``population`` says how many trained together, which
    share their ``seconds``.
    """
    summary, epochs, norms = run.summary, run.metrics["epoch"], run.metrics["l2norm"]
    row = {"status": summary["status"], "last_epoch": int(epochs[-1]) if len(epochs) else 0, "budget": run.budget}
    row[t_mem_column(levels.mem)] = first_epoch(run.metrics, "train_acc", levels.mem)
    for threshold in sorted(set(levels.gen)):
        row |= t_gen_columns(run.generalized(threshold), threshold)
    row |= {name: None if summary["status"] == CUT else summary[name] for name in ACCURACIES}
    row |= {name: summary[name] for name in ("weights", "weights_kept", "seconds")}
    spreads = run.metrics.get("train_logit_std", norms[:0])
    row |= {"population": summary.get("population", 1), NORM: round(float(norms[0]), 3) if len(norms) else None}
    row[SPREAD] = float(f"{spreads[0]:.4g}") if len(spreads) and np.isfinite(spreads[0]) else None
    row |= {name: run.settings.get(name) for name in ("hardware", "threads", "code", "git_commit")}
    return row | {KEPT + name: round(kept / total, 4) for name, (kept, total) in summary["kept_per_matrix"].items()}


def dense_of(ticket: Result, dense_runs: list[Result]) -> Result:
    """The dense run of a ticket, by the identity that it stored: below the same root, else at the path that it stored."""
    stored, wanted = Path(ticket.settings["dense_run"]), completed(ticket.settings["identity"]["dense"])
    found = [run for run in dense_runs if same_run(run.settings.get("identity"), wanted)]
    if not found and (stored / "summary.json").exists():
        found = [run for run in [read_result(stored)] if same_run(run.settings.get("identity"), wanted)]
    if not found:
        is_there = (stored / "config.json").exists()
        reason = "holds another run, or is not finished" if is_there else "is not there"
        raise UserError(f"its dense run {stored} {reason}")
    return next((run for run in found if run.path.name == stored.name), found[0])


def dense_columns(dense: Result | None, ticket: Result | None, levels: Levels) -> dict:
    """A dense run's measures, as they stand beside its ticket's; empty where other code has trained it again since."""
    if dense is None:
        return {}
    row = {BESIDE + name: value for name, value in ({"run": dense.path.name} | measures_of(dense, levels)).items()}
    source = (ticket.settings.get("mask_source") or {}) if ticket else {}
    is_own = (
        source.get("dense_run") == Path(ticket.settings["dense_run"]).name if source else False
    )  # else of another run
    took = ticket.settings.get("dense_executed") if is_own else None
    if not isinstance(took, dict) or took.get("code") in (None, dense.settings.get("code")):
        return row
    print(f"{dense.path.name} has been trained again by other code since {ticket.path.name} took its mask; left empty")
    return dict.fromkeys(row)


def t_mem_column(threshold: float) -> str:
    return f"t_mem (train acc >= {threshold:.10g})"


def t_gen_column(threshold: float, name: str = "t_gen") -> str:
    return f"{name} (test acc >= {threshold:.10g})"


def t_gen_columns(found: Generalization, threshold: float) -> dict:
    return {t_gen_column(threshold, name): value for name, value in found.as_dict().items()}


def found_in(row: dict, threshold: float) -> Generalization:
    """What a row says of t_gen."""
    t_gen, first, status, known_until, below_after = (row[t_gen_column(threshold, name)] for name in T_GEN)
    t_gen, first = (None if epoch is None else int(epoch) for epoch in (t_gen, first))
    return Generalization(t_gen, first, status, int(known_until), below_after)


def dense_of_rows(rows: list[dict]) -> list[dict]:
    """The dense runs beside tickets as rows of their own; those of which nothing is known are not there."""
    own = ({name.removeprefix(BESIDE): row[name] for name in row if name.startswith(BESIDE)} for row in rows)
    return [row for row in own if row.get("status") is not None]


def frame(rows: list[dict]):
    """Rows as a pandas.DataFrame in which counts and epochs stay whole numbers where some are missing."""
    import pandas

    results = pandas.DataFrame(rows)
    whole = [name for name in results if {type(row.get(name)) for row in rows} - {type(None)} == {int}]
    return results.astype(dict.fromkeys(whole, "Int64"))


def records(results) -> list[dict]:
    """The rows of a pandas.DataFrame as dicts, with None where there is nothing."""
    return results.astype(object).where(results.notna(), None).to_dict("records")


def write_csv(results, path: Path) -> None:
    """Numbers and statuses, empty where there is none, and never text for display."""
    path.parent.mkdir(parents=True, exist_ok=True)
    results.to_csv(path, index=False, lineterminator="\n")
