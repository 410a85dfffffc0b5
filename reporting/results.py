"""Run folders -> one table of results, a pandas.DataFrame: a row a run, its settings and what was measured as columns.

from reporting.results import read_results
results = read_results("runs")
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from common.errors import UserError
from common.files import load_json
from common.ranges import is_setting
from configs.base import Dense
from configs.ticket import MASK_FIELDS, Ticket
from data import TASKS
from experiments.folder import ASIDE
from experiments.reader import budget_of, read_config, read_metrics, read_summary
from models import MODELS
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
# Fields that say where and how a run was computed, and are no column.
PLACES = {
    field.name
    for cls in (Dense, Ticket, *TASKS.values(), *MODELS.values())
    for field in fields(cls)
    if not is_setting(cls, field.name)
}
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
        return budget_of(self.path)

    def generalized(self, threshold: float) -> Generalization:
        """What is known of t_gen at this test accuracy; what only long runs show is left out where the run was cut short."""
        status = self.summary["status"]
        diverged_of = self.budget if status == "diverged" else None
        found = generalization(self.metrics["epoch"], self.metrics["test_acc"], threshold, diverged_of)
        return replace(found, below_after=None) if status == CUT else found


def read_result(folder: Path | str) -> Result:
    """Read a finished run. Raises UserError where a file is missing or damaged."""
    folder = Path(folder)
    settings = read_config(folder)
    summary = load_json(folder / "summary.json", NEEDED) | read_summary(folder)
    for counts in summary["kept_per_matrix"].values():
        is_pair = isinstance(counts, list) and [type(one) for one in counts] == [int, int]
        if not is_pair or not 0 <= counts[0] <= counts[1] > 0:
            raise UserError(
                f"{folder / 'summary.json'} is damaged: kept_per_matrix is not {{name: [kept, all]}}; train the run again with --rerun"
            )
    if summary["status"] != "diverged" and not (folder / "final.pth").exists():
        raise UserError(f"{folder} is damaged: it is finished, and final.pth is not there; train it again with --rerun")
    return Result(folder, settings, summary, read_metrics(folder))


@contextmanager
def left_out_if_damaged(folder: Path) -> Iterator[None]:
    """Say on stderr that a run is left out, and why, where a file of it is missing or damaged."""
    try:
        yield
    except (UserError, OSError) as error:
        print(f"left out: {folder.name}: {error}", file=sys.stderr)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        print(f"left out: {folder.name}: a file is damaged ({type(error).__name__}: {error})", file=sys.stderr)


def read_results(root: Path | str = "runs", gen: tuple[float, ...] = Levels().gen, mem: float = Levels().mem):
    """The finished runs below ``root`` as a pandas.DataFrame, a row a run, by setting and seed.

    ``setting`` is the same for runs that differ in the seed alone. A ticket has its dense run's measures as well, in ``dense ...``.
    ``gen`` and ``mem`` are the thresholds at which t_gen and t_mem are read. Says on stderr who is left out, and why: a damaged run, a
    ticket without its dense run, a copy of a run. Raises UserError where no run is left.
    """
    levels, runs, rows, settings = Levels(gen, mem), [], {}, {}
    for path in sorted(Path(root).glob("*/summary.json")):
        if ASIDE not in path.parent.name:
            with left_out_if_damaged(path.parent):
                runs.append(read_result(path.parent))
    for run in runs:
        with left_out_if_damaged(run.path):
            row = row_of(run, levels) | (dense_columns(dense_of(run, runs), levels) if run.is_ticket else {})
            key = group_of(run.settings), int(row["seed"]), run.settings["id"]
            if key in rows:
                raise UserError(f"it is a copy of {rows[key]['run']}")
            name = run.path.name.replace(f"_seed{row['seed']}", "", 1)
            if name in settings.values():  # a folder may have any name
                name = f"{name} ({len(settings)})"
            rows[key] = {"run": row.pop("run"), "setting": settings.setdefault(key[0], name)} | row
    if not rows:
        raise UserError(f"below {root} is no finished run; python main.py makes two")
    return frame([rows[key] for key in sorted(rows)])


def settings_columns(config: dict, kind: str) -> dict:
    """What a run is, from the ``config`` in its config.json: the kind, and every field that decides what it is.

    Settings of the mask are empty for a control without one.
    """
    row = {"kind": kind} | {name: tuple(value) if isinstance(value, list) else value for name, value in config.items()}
    row |= dict.fromkeys((*MASK_FIELDS, "prune_at")) if config.get("use_mask") is False else {}
    return {name: value for name, value in row.items() if name not in PLACES}


def group_of(stored: dict) -> str:
    """A run's settings without its seed; and without the epoch of its mask, where that is found anew for each seed."""
    settings, config = stored["asked_for"][0], stored["config"]
    dense = {name: value for name, value in settings.get("dense", settings).items() if name != "seed"}
    mask = settings.get("mask")
    stage = config.get("prune_at", "")
    if mask and (stage.startswith("t_gen") or config.get(f"{stage}_epoch") == "auto"):
        mask = {"epoch": f"auto {stage}"}
    own = [dense, mask, settings.get("retrain"), settings.get("ticket")]
    return json.dumps(own, sort_keys=True)


def row_of(run: Result, levels: Levels) -> dict:
    """A run as a row: what it is, and ``measures_of`` it."""
    source = run.settings.get("mask_source") or {}
    at_mask = {"mask_epoch": source.get("epoch"), "mask_test_acc": source.get("test_acc")}
    at_mask |= run.settings.get("alignment") or {}
    of_run = settings_columns(run.settings["config"], run.settings["kind"])
    row = {"run": run.path.name} | of_run | {name: at_mask.get(name) for name in MASKED}
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
    row |= {name: run.settings.get(name) for name in ("hardware", "threads", "git_commit")}
    row |= run.settings.get("waves") or {}
    row["code"] = json.dumps(run.settings["code"])
    return row | {KEPT + name: round(kept / total, 4) for name, (kept, total) in summary["kept_per_matrix"].items()}


def dense_of(ticket: Result, runs: list[Result]) -> Result:
    """The dense run of a ticket, by its settings and data: below the same root, else at the path that config.json names."""
    stored, wanted = Path(ticket.settings["dense_run"]), ticket.settings["asked_for"][0]["dense"]
    data = ticket.settings["content"]["data"]

    def is_it(run: Result) -> bool:
        return wanted in run.settings["asked_for"] and run.settings["content"]["data"] == data

    if found := [run for run in runs if not run.is_ticket and is_it(run)]:
        return found[0]
    if (stored / "summary.json").exists() and is_it(run := read_result(stored)):
        return run
    reason = "holds another run, or is not finished" if (stored / "config.json").exists() else "is not there"
    raise UserError(f"its dense run {stored} {reason}")


def dense_columns(dense: Result, levels: Levels) -> dict:
    """A dense run's measures, as they stand beside its ticket's."""
    return {BESIDE + name: value for name, value in ({"run": dense.path.name} | measures_of(dense, levels)).items()}


def t_mem_column(threshold: float) -> str:
    return f"t_mem (train acc >= {threshold:.10g})"


def t_gen_column(threshold: float, name: str = "t_gen") -> str:
    return f"{name} (test acc >= {threshold:.10g})"


def t_gen_columns(found: Generalization, threshold: float) -> dict:
    return {t_gen_column(threshold, name): value for name, value in found.as_dict().items()}


def found_in(row: dict, threshold: float | None = None, side: str = "") -> Generalization:
    """What a row says of t_gen; None: at the threshold of its study's part. ``side``: BESIDE for that of the dense run."""
    threshold = row["gen_threshold"] if threshold is None else threshold
    t_gen, first, status, known_until, below_after = (row[side + t_gen_column(threshold, name)] for name in T_GEN)
    t_gen, first = (None if epoch is None else int(epoch) for epoch in (t_gen, first))
    return Generalization(t_gen, first, status, int(known_until), below_after)


def dense_of_rows(rows: list[dict]) -> list[dict]:
    """The dense runs beside tickets as rows of their own; those of which nothing is known are not there."""
    dense = []
    for row in rows:
        if row.get(BESIDE + "status") is not None:
            own = {name.removeprefix(BESIDE): value for name, value in row.items() if name.startswith(BESIDE)}
            dense.append(own | {"gen_threshold": row.get("gen_threshold")})
    return dense


def frame(rows: list[dict]):
    """Rows as a pandas.DataFrame in which counts and epochs stay whole numbers where some are missing."""
    import pandas

    results = pandas.DataFrame(rows)
    whole = [name for name in results if {type(row.get(name)) for row in rows} - {type(None)} == {int}]
    return results.astype(dict.fromkeys(whole, "Int64"))


def records(results) -> list[dict]:
    """The rows of a pandas.DataFrame as dicts, with None where there is nothing."""
    values = results.to_numpy(dtype=object)  # much faster than DataFrame.to_dict
    values[results.isna().to_numpy()] = None
    return [dict(zip(results, row, strict=True)) for row in values.tolist()]


def write_csv(results, path: Path) -> None:
    """Numbers and statuses, empty where there is none, and never text for display."""
    path.parent.mkdir(parents=True, exist_ok=True)
    results.to_csv(path, index=False, lineterminator="\n")
