"""What a cell of a table says: some rows of results in a few characters, censoring accounted for.

A table's columns are functions of rows, by their heads. A row is a dict, as ``records`` gives them, or ``measures_of`` of one run.
"""

import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from math import inf

from analysis.statistics import bounded_median, censored_median, restricted_mean, wilson_interval
from reporting.results import ACCURACIES, BESIDE, CUT, KEPT, NORM, SPREAD, dense_of_rows, found_in, t_gen_column
from training.generalization import Generalization

Cell = Callable[[list[dict]], str]
Columns = dict[str, Cell]
Bounds = tuple[float, float]  # what is known of a number: the same twice, or what it lies between

NOT_LOOKED_AT = "not looked at"
SEEDS = "seeds that generalize (95 % interval)"


def epoch_text(epoch: float | None, known_until: float) -> str:
    """An epoch, or ``> epoch`` for a run that has not got there until then."""
    return f"{epoch:,.0f}" if epoch is not None else f"> {known_until:,.0f}"


def censored(found: Sequence[Generalization]) -> tuple[list[int], list[bool]]:
    """t_gen over seeds as statistics with censoring take it: until when each is known, and whether that is its t_gen."""
    return [one.known_until for one in found], [one.t_gen is not None for one in found]


def median_and_range(found: Sequence[Generalization]) -> tuple[str, str]:
    """The median t_gen over seeds, as the Kaplan-Meier curve has it, and ``least to most``; no range where all are censored.

    Where the curve never gets to one half, the median is later than what half of the seeds are known for.
    """
    times, is_event = censored(found)
    middle = epoch_text(censored_median(times, is_event), sorted(times)[(len(times) - 1) // 2])
    epochs = [one.t_gen for one in found if one.t_gen is not None]
    if not epochs:
        return middle, ""
    unknown, most = [one.known_until for one in found if one.t_gen is None], f"{max(epochs):,}"
    if unknown:
        most = f"> {max(unknown):,}" if max(unknown) >= max(epochs) else f"{most} or later"
    return middle, f"{min(epochs):,} to {most}"


def with_range(middle: str, extent: str) -> str:
    return f"{middle} ({extent})" if extent else middle


def ratio_bounds(dense: Generalization, ticket: Generalization) -> Bounds:
    """``t_gen(dense) / t_gen(ticket)`` of one seed; a censored t_gen is later than it is known for."""
    if dense.t_gen is None and ticket.t_gen is None:
        return 0.0, inf
    if ticket.known_until == 0:
        return (inf if ticket.t_gen == 0 and dense.known_until > 0 else 0.0), inf
    ratio = dense.known_until / ticket.known_until
    return 0.0 if ticket.t_gen is None else ratio, inf if dense.t_gen is None else ratio


def ratio_text(bounds: Bounds, digits: int = 2) -> str:
    """To so many digits, a bound where one side is censored; none where nothing is known."""
    low, high = (value if value in (0, inf) else float(f"{value:.{digits}g}") for value in bounds)
    if low == high:
        return f"{low:g}"
    if low > 0:
        return f"> {low:g}" if high == inf else f"{low:g} to {high:g}"
    return "none" if high == inf else f"< {high:g}"


def ratios_text(ratios: Sequence[Bounds], digits: int = 2) -> str:
    """The median of the ratios of several seeds, and the least and the most of them, each as it is known."""
    low, high = zip(*ratios, strict=True)
    least, most = (min(low), min(high)), (max(low), max(high))
    if least == (0, inf):
        return "none"
    start = least if least[0] in (0, least[1]) else (least[0], inf)
    end = most if most[0] == most[1] else (most[0], inf) if most[1] == inf else (0.0, most[1])
    middle = ratio_text(bounded_median(low, high), digits)
    return with_range(middle, f"{ratio_text(start, digits)} to {ratio_text(end, digits)}")


# ---- columns


def t_gen(threshold: float) -> Columns:
    """Of one run what is known of its t_gen, of several the median and the range."""

    def cell(rows: list[dict]) -> str:
        found = [found_in(row, threshold) for row in rows]
        return with_range(*median_and_range(found)) if len(found) > 1 else str(found[0])

    return {t_gen_column(threshold): cell}


def mean_t_gen(rows: list[dict], threshold: float | None = None) -> float:
    """The restricted mean of t_gen over seeds, at the budget that all of them have."""
    budget = min(row["budget"] for row in rows)
    return restricted_mean(*censored([found_in(row, threshold) for row in rows]), budget)


def median_t_gen(rows: list[dict], threshold: float | None = None) -> float:
    """The median t_gen over seeds; infinite where half of them have none."""
    middle = censored_median(*censored([found_in(row, threshold) for row in rows]))
    return inf if middle is None else middle


def how_soon(rows: list[dict]) -> tuple[float, float]:
    """What settings are ordered by: the median t_gen over seeds, and of equal ones the restricted mean."""
    return median_t_gen(rows), mean_t_gen(rows)


def generalizing(rows: list[dict], threshold: float | None = None) -> int:
    """How many runs have a t_gen."""
    return sum(found_in(row, threshold).t_gen is not None for row in rows)


def generalization_columns(threshold: float) -> Columns:
    """t_gen, its restricted mean, how many seeds have one, and the final accuracy."""

    def mean(rows: list[dict]) -> str:
        return NOT_LOOKED_AT if stopped_early(rows, threshold) else f"{mean_t_gen(rows, threshold):,.0f}"

    columns = t_gen(threshold) | {"restricted mean": mean} | generalizing_seeds(threshold)
    return columns | median_of("final_test_acc")


def stopped_early(rows: list[dict], threshold: float) -> int:
    """How many runs were stopped at another threshold than this one, before it was known whether they get to this."""
    return sum(row["status"] == CUT and found_in(row, threshold).t_gen is None for row in rows)


def generalizing_seeds(threshold: float) -> Columns:
    """How many seeds have a t_gen, with the interval of that share (Wilson), and how else runs ended."""

    def cell(rows: list[dict]) -> str:
        count = generalizing(rows, threshold)
        low, high = (100 * bound for bound in wilson_interval(count, len(rows)))
        ends = notes(rows, threshold) | {NOT_LOOKED_AT: stopped_early(rows, threshold)}
        ends = [f"{number} {note}" for note, number in ends.items() if number]
        return ", ".join([f"{count} of {len(rows)} ({low:.0f} to {high:.0f} %)", *ends])

    return {SEEDS: cell}


def brief_columns(threshold: float) -> Columns:
    """t_gen, and how many seeds have one."""
    return t_gen(threshold) | generalizing_seeds(threshold)


def notes(rows: list[dict], threshold: float) -> dict[str, int]:
    """``{"diverged": 1, "unstable": 2}``: of how many runs what is to be known about how they ended."""
    counts = Counter(row["status"] for row in rows if row["status"] not in ("completed", CUT))
    counts["unstable"] = sum(found_in(row, threshold).is_unstable for row in rows)
    return dict(+counts)  # without those that are 0


def median_of(column: str, digits: int = 3, head: str = "") -> Columns:
    """The median of a column over seeds; a run that diverged before it was measured has no value.

    Where runs were cut short, no accuracy is told: the others alone are no answer, as they do not generalize.
    """

    def cell(rows: list[dict]) -> str:
        if column in ACCURACIES and any(row["status"] == CUT for row in rows):
            return NOT_LOOKED_AT
        known = [row[column] for row in rows if row.get(column) is not None]
        return f"{statistics.median(known):,.{digits}f}" if known else "none"

    return {head or column.replace("_", " "): cell}


def kept(names: Sequence[str]) -> Columns:
    """The fraction of each matrix that the mask keeps; ``names``: the columns of the rows."""
    columns = [name for name in names if name.startswith(KEPT)]
    cells = [cell for name in columns for cell in median_of(name, 2).values()]
    head = KEPT + " / ".join(name.removeprefix(KEPT) for name in columns)
    return {head: lambda rows: " / ".join(cell(rows).replace("none", "-") for cell in cells)}


def dense_and_ticket(columns: Columns) -> Columns:
    """Each of these columns twice: of the dense runs beside tickets, and of the tickets; empty where there is none."""

    def of(cell: Cell, part: Callable[[list[dict]], list[dict]]) -> Cell:
        return lambda rows: cell(own) if (own := part(rows)) else ""

    dense = {f"dense {head}": of(cell, dense_of_rows) for head, cell in columns.items()}
    return dense | {f"ticket {head}": of(cell, tickets_of_rows) for head, cell in columns.items()}


def tickets_of_rows(rows: list[dict]) -> list[dict]:
    return [row for row in rows if row["status"] is not None]


def speedup(threshold: float) -> Columns:
    """``t_gen(dense) / t_gen(ticket)`` of one seed, or the median and the range of those of several."""

    def cell(rows: list[dict]) -> str:
        pairs = [row for row in tickets_of_rows(rows) if row.get(BESIDE + "status") is not None]
        ratios = [ratio_bounds(found_in(row, threshold, BESIDE), found_in(row, threshold)) for row in pairs]
        return ratios_text(ratios) if len(ratios) > 1 else "".join(map(ratio_text, ratios))

    return {f"speedup (>= {threshold:g})": cell}


def pair_columns(*thresholds: float) -> Columns:
    """t_gen of dense run and ticket and their ratio at each threshold."""
    columns: Columns = {}
    for threshold in thresholds:
        columns |= dense_and_ticket(t_gen(threshold)) | speedup(threshold)
    return columns


def seeds_of_pairs(threshold: float) -> Columns:
    """t_gen and how many seeds have one, of dense runs and tickets; and the speedup."""
    return dense_and_ticket(brief_columns(threshold)) | speedup(threshold)


AT_START = median_of(NORM, 1, "L2 norm at the start") | median_of(SPREAD, 3, "logit scale at the start")
BEST = median_of("best_test_acc")
