"""Run folders -> tables: Markdown that also reads well on a terminal."""

import statistics
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analysis.statistics import censored_median
from common.errors import UserError
from common.files import load_json
from experiments.reading import diverged_of, read_metrics
from training.generalization import Generalization, generalization
from training.metrics import first_epoch

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

    def memorized(self, threshold: float) -> int | None:
        """t_mem, the first recorded epoch with at least this train accuracy; None: censored."""
        return first_epoch(self.metrics, "train_acc", threshold)

    def generalized(self, threshold: float) -> Generalization:
        """What is known of t_gen at this test accuracy."""
        return generalization(self.metrics["epoch"], self.metrics["test_acc"], threshold, diverged_of(self.path))


def read_result(folder: Path) -> Result:
    """Read a finished run. Raises UserError where a file is missing or damaged."""
    folder = Path(folder)
    settings, summary = (
        load_json(folder / "config.json", {"kind": str, "config": dict, "identity": dict}),
        load_json(folder / "summary.json", NEEDED),
    )
    if summary["status"] != "diverged" and not (folder / "final.pth").exists():
        raise UserError(f"{folder} is damaged: it is finished, and final.pth is not there; train it again with --rerun")
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


def median_and_range(found: list[Generalization]) -> tuple[str, str]:
    """The median t_gen over seeds, as the Kaplan-Meier curve has it, and ``least to most``; no range where all are censored."""
    times, epochs = [one.known_until for one in found], [one.t_gen for one in found if one.t_gen is not None]
    median = censored_median(times, [one.t_gen is not None for one in found])
    middle = epoch_text(None if median is None else round(median), max(times))
    if not epochs:
        return middle, ""
    censored = max((one.known_until for one in found if one.t_gen is None), default=-1)
    most = f"> {censored:,}" if censored >= max(epochs) else f"{max(epochs):,}"
    return middle, f"{min(epochs):,} to {most}"


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
        t_mem, found = result.memorized(mem_threshold), result.generalized(gen_threshold)
        delay = f"{found.t_gen - t_mem:,}" if found.t_gen is not None and t_mem is not None else "censored"
        notes = [summary["status"]] * (summary["status"] != "completed") + ["unstable"] * found.is_unstable
        label = f"{label} ({', '.join(notes)})" if notes else label
        kept, total = summary["weights_kept"], summary["weights"]
        accuracies = [summary[name] for name in ("final_train_acc", "final_test_acc", "best_test_acc")]
        rows.append(
            [
                label,
                epoch_text(t_mem, result.last_epoch),
                str(found),
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


def speedup(dense: Generalization, ticket: Generalization) -> str:
    """``t_gen(dense) / t_gen(ticket)`` to two digits, a bound where the dense run's is censored."""
    if not ticket.t_gen:
        return "none"
    ratio = float(f"{dense.known_until / ticket.t_gen:.2g}")
    return f"{'' if dense.t_gen is not None else '> '}{ratio:g}"


def speedup_text(dense: Result, ticket: Result, gen_threshold: float) -> str:
    """The speedup of a ticket in a sentence."""
    slow, fast = (run.generalized(gen_threshold) for run in (dense, ticket))
    if fast.t_gen is None:
        return f"no speedup: the ticket's t_gen at test acc {gen_threshold:g} is {fast}"
    return f"speedup t_gen(dense) / t_gen(ticket): {speedup(slow, fast)}"


UNSTABLE = "unstable: over 5 % of the epochs after t_gen (or after the first crossing) lie below the threshold"


def with_legend(text: str) -> str:
    """A table, and what its marks mean where it has some."""
    return text + (f"\n{UNSTABLE}" if "unstable" in text else "")


def print_results(results: dict[str, Result], mem_threshold: float, gen_threshold: float) -> None:
    """``results_table``, and what its marks mean."""
    print(with_legend(results_table(results, mem_threshold, gen_threshold)))


def columns_of(found: Generalization, threshold: float, prefix: str = "") -> dict:
    """What is known of t_gen as columns of a CSV, each with its threshold in its name; empty where there is none."""
    return {f"{prefix}{name} (test acc >= {threshold:.10g})": value for name, value in found.as_dict().items()}


def provenance_of(result: Result, prefix: str = "") -> dict:
    """The columns of a CSV that say which code made a row."""
    return {f"{prefix}code": result.settings.get("code"), f"{prefix}git_commit": result.settings.get("git_commit")}
