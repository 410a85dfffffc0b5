"""Rows of results -> tables in Markdown that also read well on a terminal.

Only tables over seeds are made from a pandas.DataFrame; a script that trains prints its table without pandas.
"""

from collections.abc import Iterator, Sequence
from math import inf

from analysis.statistics import censored_median
from figures.dots import Dot
from reporting.columns import (
    NOT_LOOKED_AT,
    Columns,
    accuracy,
    censored,
    epoch_text,
    generalization_columns,
    generalizing_seeds,
    mean_t_gen,
    median_t_gen,
    notes,
    ratio_bounds,
    ratio_text,
    t_gen,
    value_text,
    with_range,
)
from reporting.results import (
    ACCURACIES,
    BESIDE,
    Levels,
    Result,
    dense_of_rows,
    found_in,
    frame,
    measures_of,
    records,
    t_gen_column,
    t_mem_column,
)
from reporting.results import read_result as read_result  # for the scripts, beside what they print

LEGEND = {
    "unstable": "over 5 % of the epochs after t_gen (or after the first crossing) lie below the threshold",
    NOT_LOOKED_AT: "the run was stopped once its t_gen was certain, and only long runs show this",
}


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns line up; all but the first are right-aligned."""
    widths = [max(len(cell) for cell in column) for column in zip(head, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        (first, width), *others = zip(cells, widths, strict=True)
        return " | ".join(["| " + first.ljust(width), *(cell.rjust(width) for cell, width in others)]) + " |"

    rule = ["-" * width if i == 0 else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    return "\n".join([line(head), line(rule), *map(line, rows)])


def legend(text: str) -> list[str]:
    """What the marks in a table mean, a line each."""
    return [f"{mark}: {meaning}" for mark, meaning in LEGEND.items() if mark in text]


def with_legend(text: str) -> str:
    return "\n".join([text, *legend(text)])


# ---- tables over seeds, from a pandas.DataFrame


def groups_of(results, by: list[str]) -> Iterator[tuple[tuple, list[dict]]]:
    """The rows of each combination of the columns ``by``, in the order in which they come."""
    rows = records(results)
    for values, group in results.reset_index(drop=True).groupby(by, sort=False, dropna=False):
        yield values, [rows[number] for number in group.index]


def seeds_table(results, by: list[str], columns: Columns, heads: list[str] | None = None) -> str:
    """One line for each combination of the columns ``by``."""
    lines = [
        [*map(value_text, values), *(cell(rows) for cell in columns.values())]
        for values, rows in groups_of(results, by)
    ]
    return table([*(heads or by), *columns], lines)


def settings_table(results, more: Columns | None = None, early: float | None = None, brief: bool = False) -> str:
    """A study's part over seeds, one line a setting, the soonest first, at the part's own threshold.

    ``early``: a lower threshold that stands beside it; ``more``: further columns. ``brief``: of t_gen's columns only the median
    with its range, and how many seeds generalize.
    """
    level = threshold_of(results)
    own = t_gen(level) | generalizing_seeds(level) if brief else generalization_columns(level)
    columns = (t_gen(early) if early else {}) | own | (more or {})
    return seeds_table(soonest_first(results), ["setting"], columns)


def with_dense(results, name: str = "the dense network"):
    """A study's part with the dense runs beside its tickets as rows of their own, one a seed."""
    dense = {}
    for row in records(results):
        for own in dense_of_rows([row]):
            at = {
                "setting": name,
                "seed": row["seed"],
                "gen_threshold": row["gen_threshold"],
                "budget": row["num_epochs"],
            }
            dense[row["seed"]] = own | at
    return frame([*dense.values(), *records(results)])


def beside(dense, tickets, on: list[str]):
    """Tickets with other dense runs than their own, those that are equal in the columns ``on``, in the columns ``dense ...``."""
    own = tickets.drop(columns=[name for name in tickets if name.startswith(BESIDE)])
    others = dense.drop(columns=[name for name in dense if name in ("setting", "part")])
    return own.merge(others.rename(columns={name: BESIDE + name for name in others if name not in on}), "outer", on)


def threshold_of(results) -> float:
    """The test accuracy at which t_gen is read in a study's part."""
    return results["gen_threshold"].iloc[0]


def soonest_first(results):
    """A study's rows, the settings in the order of their median t_gen, then of its restricted mean."""
    level = threshold_of(results)
    keys = {
        setting: (median_t_gen(rows, level), mean_t_gen(rows, level))
        for (setting,), rows in groups_of(results, ["setting"])
    }
    order = {setting: place for place, setting in enumerate(sorted(keys, key=keys.get))}
    return results.sort_values("setting", key=lambda names: names.map(order), kind="stable")


def pairs_table(results, columns: Columns, threshold: float) -> str:
    """Every seed of tickets beside their dense runs, then a line with the median over seeds where there are several.

    A line names its setting, and what is to be known at the threshold about how its runs or their dense runs ended.
    """
    lines = []
    for (setting,), rows in groups_of(results, ["setting"]):
        for own in [*([row] for row in rows), *([rows] if len(rows) > 1 else [])]:
            ends = [f"dense {note}" for note in notes(dense_of_rows(own), threshold)] + [*notes(own, threshold)]
            seed = str(own[0]["seed"]) if len(own) == 1 else "median (range)"
            lines.append([with_range(setting, ", ".join(ends)), seed, *(cell(own) for cell in columns.values())])
    return table(["ticket", "seed", *columns], lines)


def winner(results, by: list[str], threshold: float) -> list[dict]:
    """The rows of the setting that a search finds: it holds for the most seeds, and of those has the smallest median t_gen."""

    def order(rows: list[dict]) -> tuple[int, float]:
        times, is_event = censored([found_in(row, threshold) for row in rows])
        median = censored_median(times, is_event)
        return -sum(is_event), inf if median is None else median

    return min((rows for _, rows in groups_of(results, by)), key=order)


# ---- tables of single runs


def results_table(results: dict[str, Result], mem_threshold: float, gen_threshold: float) -> str:
    """One row for each run: when it memorizes and generalizes, its accuracies, weights and seconds."""
    columns = t_gen(gen_threshold) | accuracy(ACCURACIES[0]) | accuracy(ACCURACIES[1]) | accuracy(ACCURACIES[2])
    lines = []
    for label, result in results.items():
        row = measures_of(result, Levels((gen_threshold,), mem_threshold))
        memorized, generalized = row[t_mem_column(mem_threshold)], row[t_gen_column(gen_threshold)]
        known_until = row["budget" if row["status"] == "diverged" else "last_epoch"]
        delay = "censored" if None in (memorized, generalized) else f"{generalized - memorized:,}"
        found, *measured = (cell([row]) for cell in columns.values())
        counts = row["weights_kept"], row["weights"] - row["weights_kept"]
        name = with_range(label, ", ".join(notes([row], gen_threshold)))
        line = [name, epoch_text(memorized, known_until), found, delay, *measured]
        lines.append([*line, *(f"{count:,}" for count in counts), f"{row['seconds']:.0f}"])
    head = ["run", f"t_mem (train acc >= {mem_threshold:g})", f"t_gen (test acc >= {gen_threshold:g})", "delay"]
    return table([*head, *[*columns][1:], "kept", "removed", "seconds"], lines)


def matrices_table(counts: dict[str, tuple[int, int]]) -> str:
    """What a mask keeps and removes in each matrix."""
    rows = [
        [name, f"{total:,}", f"{kept:,}", f"{total - kept:,}", f"{kept / total:.3f}"]
        for name, (kept, total) in counts.items()
    ]
    return table(["matrix", "weights", "kept", "removed", "fraction kept"], rows)


def speedup_text(dense: Result, ticket: Result, gen_threshold: float) -> str:
    """The speedup of a ticket in a sentence."""
    slow, fast = (run.generalized(gen_threshold) for run in (dense, ticket))
    if fast.t_gen is None:
        return f"no speedup: the ticket's t_gen at test acc {gen_threshold:g} is {fast}"
    return f"speedup t_gen(dense) / t_gen(ticket): {ratio_text(ratio_bounds(slow, fast))}"


def print_results(results: dict[str, Result], mem_threshold: float, gen_threshold: float) -> None:
    """``results_table``, and what its marks mean."""
    print(with_legend(results_table(results, mem_threshold, gen_threshold)))


# ---- pictures


def dots_of(results, threshold: float, place: str = "setting", group: str | None = None) -> list[Dot]:
    """A dot a run: its t_gen, at the value of a column or at the name of its setting; in the colour of another column's value."""
    dots = []
    for row in records(results):
        found = found_in(row, threshold)
        dots.append(
            Dot(row[place], max(found.known_until, 1), found.t_gen is not None, str(row[group]) if group else "")
        )
    return dots
