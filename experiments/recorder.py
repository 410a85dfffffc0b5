"""A run on its way to disk and to wandb: rows, checkpoints, the state for resuming, the summary."""

import hashlib
import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from common.files import cannot_write, load_tensors, save_json, save_tensors, save_text
from experiments.reader import check_belongs
from training.generalization import generalization, is_certain
from training.metrics import MUST_BE_FINITE, columns, first_epoch


def load_state(path: Path) -> dict:
    """A state.pth. Raises UserError where it is damaged, or that of another run."""
    state = load_tensors(path, ("model", "optimizer", "epoch", "rows", "columns", "seconds"))
    check_belongs(path, state.get("run"))
    return state


@dataclass(eq=False)
class Recorder:
    """Writes what happens in one run into its folder, where config.json is there already; summary.json comes last.

    ``run``: the run's id, which stands in every file. ``thresholds``: train accuracy for t_mem, test accuracy for t_gen. ``facts``:
    what the summary shall hold besides (counts of weights). ``make_logger(rows)`` gives a wandb logger that knows the rows recorded
    before; it is called when the run starts, or at its end where ``log_live`` is False. ``draw(metrics)`` draws the curves.
    """

    folder: Path
    run: str
    thresholds: tuple[float, float]
    facts: dict
    make_logger: Callable
    draw: Callable[[dict[str, np.ndarray]], None]
    log_live: bool = True

    columns: tuple[str, ...] = field(default_factory=columns)
    rows: list[list[float]] = field(default_factory=list)  # nan where an older part of the run lacks a measure
    status: str = "running"
    note: str = ""
    num_epochs: int = 0
    last_saved: int | None = None
    is_finished: bool = False
    error: Exception | None = None
    seconds_before: float = 0.0
    since: float = field(default_factory=time.perf_counter)
    until: float | None = None
    file = logger = None

    def resume(self) -> dict | None:
        """The saved state of an interrupted run, its rows taken over; None for a run that begins at its start.

        Raises UserError for the state of another run.
        """
        path = self.folder / "state.pth"
        if not path.exists():
            return None
        state = load_state(path)
        rows = torch.as_tensor(state["rows"]).reshape(-1, len(state["columns"])).tolist()
        by_name = (dict(zip(state["columns"], row, strict=True)) for row in rows)
        self.rows = [[row.get(name, math.nan) for name in self.columns] for row in by_name]
        self.seconds_before = state["seconds"]
        self.last_saved = state["epoch"]
        return state

    def start(self) -> None:
        """Open metrics.csv, rewritten from the rows that are known, and the logger."""
        save_text(self._csv(), self.folder / "metrics.csv")
        self.file = (self.folder / "metrics.csv").open("a", newline="", buffering=1)
        if self.log_live:
            self.logger = self.make_logger([self._row(row) for row in self.rows])
        self.since = time.perf_counter()  # a logger may have waited for its server

    @property
    def is_running(self) -> bool:
        return self.status == "running"

    @property
    def seconds(self) -> float:
        """From the start of training to its end or to now, together with what was trained before an interruption."""
        return self.seconds_before + (self.until or time.perf_counter()) - self.since

    def fail(self, error: Exception) -> None:
        """Give up a member of a population that cannot be written, so that the others go on."""
        self.status, self.error = "failed", error

    def observe(self, epoch: int, values: list[float], get_state: Callable[[], dict], schedule) -> None:
        """Record epoch ``epoch``; save if it is a checkpoint or the end; decide whether the run goes on."""
        if not self.is_running:
            return
        self.num_epochs = schedule.num_epochs
        is_new = not self.rows or self.rows[-1][0] < epoch
        measured = dict(zip(self.columns[1:], values, strict=True))
        if is_new and not all(math.isfinite(measured[name]) for name in MUST_BE_FINITE):
            self._diverge(epoch, "a loss or a norm")
            return
        if is_new:
            self.rows.append([float(epoch), *values])
            try:
                self.file.write(_line(self.rows[-1]))
            except OSError as error:
                raise cannot_write(self.folder / "metrics.csv", error) from error
            if self.logger is not None:
                self.logger.log(self._row(self.rows[-1]))
        test_loss = values[self.columns.index("test_loss") - 1]
        self.status = schedule.outcome(epoch, test_loss) or "running"
        if schedule.stop_after_gen is not None and self.is_running and self._has_generalized(schedule.stop_after_gen):
            self.status = "generalized"
        if schedule.saves(epoch) or not self.is_running:
            state = get_state()
            if not all(bool(weight.isfinite().all()) for weight in state["model"].values()):
                self._diverge(epoch, "a weight")
                return
            checkpoint = {"model": state["model"], "epoch": epoch, "run": self.run}
            if not self.is_running:
                save_tensors(checkpoint, self.folder / "final.pth")
            if (epoch == 0 or self.is_running) and epoch != self.last_saved:
                save_tensors(checkpoint, self.folder / ("init.pth" if epoch == 0 else f"{epoch}.pth"))
            self.save_state(epoch, state)
        if not self.is_running:
            self.until = time.perf_counter()

    def _has_generalized(self, threshold: float) -> bool:
        place = self.columns.index("test_acc")
        return is_certain([row[0] for row in self.rows], [row[place] for row in self.rows], threshold)

    def save_state(self, epoch: int, state: dict) -> None:
        """What resuming needs, as of ``epoch``."""
        if epoch == self.last_saved and self.is_running:
            return
        rows = torch.tensor(self.rows, dtype=torch.float64).reshape(-1, len(self.columns))
        records = {"rows": rows, "columns": list(self.columns), "run": self.run, "seconds": self.seconds}
        save_tensors({**state, "epoch": epoch, **records}, self.folder / "state.pth")
        self.last_saved = epoch

    def _diverge(self, epoch: int, what: str) -> None:
        self.status, self.until = "diverged", time.perf_counter()
        self.note = f"{what} is not finite at epoch {epoch}; the last good state is epoch {self.last_saved}"
        print(f"{self.folder.name} diverged: {self.note}. Lower --lr or --weight_scale.", flush=True)

    def finish(self) -> dict:
        """Close everything and write summary.json, which says that the run is finished; gives its content."""
        seconds = self.seconds
        self.file.close()
        if self.status == "diverged" and self.last_saved is not None:
            good = load_tensors(self.folder / "state.pth", ("model", "epoch"))
            save_tensors({name: good[name] for name in ("model", "epoch", "run")}, self.folder / "final.pth")
        text = self._csv()
        save_text(text, self.folder / "metrics.csv")
        summary = {"run": self.run, **self._results(), **self.facts, "seconds": round(seconds, 2)}
        summary["metrics_sha256"] = hashlib.sha256(text.encode()).hexdigest()
        self.draw(self.metrics())
        if self.logger is None:
            self.logger = self.make_logger([])
            for row in self.rows:
                self.logger.log(self._row(row))
        self.logger.finish(summary)
        self.is_finished = True
        save_json(summary, self.folder / "summary.json")
        return summary

    def close(self) -> None:
        """Close the file and the logger of a run that ends before its time; nothing after ``finish``."""
        if self.file is not None:
            with suppress(OSError):  # what a full disk did not take, and was said before
                self.file.close()
        if self.logger is not None and not self.is_finished:
            self.logger.finish({"status": "interrupted"})

    def metrics(self) -> dict[str, np.ndarray]:
        """The columns of metrics.csv by name, ``{name: (records,)}``."""
        table = np.array(self.rows, dtype=np.float64).reshape(-1, len(self.columns))
        return dict(zip(self.columns, table.T, strict=True))

    def _results(self) -> dict:
        results = {"status": self.status, "note": self.note, "epochs": int(self.rows[-1][0]) if self.rows else 0}
        metrics = self.metrics()
        mem_threshold, gen_threshold = self.thresholds
        results |= {"t_mem": first_epoch(metrics, "train_acc", mem_threshold), "t_mem_threshold": mem_threshold}
        diverged_of = self.num_epochs if self.status == "diverged" else None
        found = generalization(metrics["epoch"], metrics["test_acc"], gen_threshold, diverged_of)
        results |= found.as_dict() | {"t_gen_threshold": gen_threshold}
        for column, best in (("train_acc", max), ("test_acc", max), ("test_loss", min)):
            values = metrics[column].tolist()
            results[f"final_{column}"] = values[-1] if values else None
            results[f"best_{column}"] = best(values, default=None)
        return results

    def _row(self, row: list[float]) -> dict:
        values = {name: value for name, value in zip(self.columns, row, strict=True) if not math.isnan(value)}
        return values | {"epoch": int(row[0])}

    def _csv(self) -> str:
        return ",".join(self.columns) + "\n" + "".join(map(_line, self.rows))


def _line(row: list[float]) -> str:
    """A row of metrics.csv."""
    return ",".join(map(_cell, row)) + "\n"


def _cell(value: float) -> str:
    if math.isnan(value):
        return ""
    return str(int(value)) if value == int(value) and abs(value) < 2**53 else repr(value)
