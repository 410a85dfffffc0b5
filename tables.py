"""Run folders -> tables: Markdown that also reads well on a terminal."""

import statistics
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.checkpoints import load_json
from training.metrics import first_epoch, median_epoch, read_metrics

# What tables take from a summary.json.
NEEDED = {
    "status": str,
    "epochs": int,
    "weights": int,
    "weights_kept": int,
    "kept_per_matrix": dict,
    "seconds": float | int,
}
NEEDED |= dict.fromkeys(("final_train_acc", "final_test_acc", "best_test_acc"), float | int | None)


@dataclass(frozen=True)
class Result:
    """A finished run as tables show it: its folder, config.json, summary.json and the columns of metrics.csv."""

    path: Path
    settings: dict
    summary: dict
    metrics: dict[str, np.ndarray]

    @property
    def last_epoch(self) -> int:
        return int(self.metrics["epoch"][-1]) if len(self.metrics["epoch"]) else 0

    def reached(self, column: str, threshold: float) -> int | None:
        """The first recorded epoch at which the column is at least the threshold, or None: censored."""
        return first_epoch(self.metrics, column, threshold)


def read_result(folder: Path) -> Result:
    """Read a finished run. Raises UserError where a file is missing or damaged."""
    folder = Path(folder)
    settings, summary = (
        load_json(folder / "config.json", {"kind": str, "config": dict}),
        load_json(folder / "summary.json", NEEDED),
    )
    return Result(folder, settings, summary, read_metrics(folder))


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table whose columns line up; all but the first are right-aligned."""
    widths = [max(len(cell) for cell in column) for column in zip(head, *rows, strict=True)]

    def line(cells: list[str]) -> str:
        padded = [
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return "| " + " | ".join(padded) + " |"

    rule = ["-" * width if i == 0 else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    return "\n".join([line(head), line(rule), *map(line, rows)])


def epoch_text(epoch: int | None, last_epoch: int) -> str:
    """An epoch, or ``> last epoch`` for a run that never gets there."""
    return f"{epoch:,}" if epoch is not None else f"> {last_epoch:,}"


def median_and_range(epochs: list[int | None], last_epochs: list[int]) -> tuple[str, str]:
    """The median over seeds and ``least to most``, the censored above all others; ``last_epochs``: where each run ended.

    What is censored is known to exceed the end of the shortest of those runs.
    """
    bound = min((last for last, epoch in zip(last_epochs, epochs, strict=True) if epoch is None), default=0)
    least = min((epoch for epoch in epochs if epoch is not None), default=None)
    most = None if None in epochs else max(epochs)
    middle, least, most = (epoch_text(epoch, bound) for epoch in (median_epoch(epochs), least, most))
    return middle, f"{least} to {most}"


def median_text(values: list[float | None], digits: int = 3) -> str:
    """The median over seeds; a run that diverged before it was measured has no value."""
    known = [value for value in values if value is not None]
    return f"{statistics.median(known):.{digits}f}" if known else "none"


def results_table(results: dict[str, Result], mem_threshold: float, gen_threshold: float) -> str:
    """One row for each run: when it memorizes and generalizes, its accuracies, weights and seconds."""
    head = [
        "run",
        f"t_mem (train acc >= {mem_threshold:g})",
        f"t_gen (test acc >= {gen_threshold:g})",
        "delay",
        "final train acc",
        "final test acc",
        "best test acc",
        "kept",
        "removed",
        "seconds",
    ]
    rows = []
    for label, result in results.items():
        summary = result.summary
        t_mem, t_gen = result.reached("train_acc", mem_threshold), result.reached("test_acc", gen_threshold)
        delay = f"{t_gen - t_mem:,}" if t_gen is not None and t_mem is not None else "censored"
        label = label if summary["status"] == "completed" else f"{label} ({summary['status']})"
        kept, total = summary["weights_kept"], summary["weights"]
        accuracies = [summary[name] for name in ("final_train_acc", "final_test_acc", "best_test_acc")]
        rows.append(
            [
                label,
                epoch_text(t_mem, result.last_epoch),
                epoch_text(t_gen, result.last_epoch),
                delay,
                *("none" if value is None else f"{value:.3f}" for value in accuracies),
                f"{kept:,}",
                f"{total - kept:,}",
                f"{summary['seconds']:.0f}",
            ]
        )
    return table(head, rows)


def matrices_table(counts: dict[str, tuple[int, int]]) -> str:
    """What a mask keeps and removes in each matrix."""
    rows = [
        [name, f"{total:,}", f"{kept:,}", f"{total - kept:,}", f"{kept / total:.3f}"]
        for name, (kept, total) in counts.items()
    ]
    return table(["matrix", "weights", "kept", "removed", "fraction kept"], rows)


def speedup(slow: int | None, fast: int | None, last_epoch: int) -> str:
    """``t_gen(dense) / t_gen(ticket)`` to two digits, a bound where the dense run is censored at ``last_epoch``."""
    if not fast:
        return "none"
    return f"{'' if slow is not None else '> '}{float(f'{(last_epoch if slow is None else slow) / fast:.2g}'):g}"


def speedup_text(dense: Result, ticket: Result, gen_threshold: float) -> str:
    """The speedup of a ticket in a sentence."""
    slow, fast = (run.reached("test_acc", gen_threshold) for run in (dense, ticket))
    if fast is None:
        return f"no speedup: the ticket does not get to test acc {gen_threshold:g} within {ticket.last_epoch:,} epochs"
    return f"speedup t_gen(dense) / t_gen(ticket): {speedup(slow, fast, dense.last_epoch)}"
