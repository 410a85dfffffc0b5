"""Rows of results -> tables in Markdown that also read well on a terminal.

Only tables over seeds are made from a pandas.DataFrame; a script that trains prints its table without pandas.
"""

from collections.abc import Iterator, Sequence

from figures.dots import Dot
from reporting.columns import (
    NOT_LOOKED_AT,
    Columns,
    brief_columns,
    epoch_text,
    generalization_columns,
    generalizing,
    how_soon,
    median_of,
    median_t_gen,
    notes,
    ratio_bounds,
    ratio_text,
    t_gen,
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
from training.generalization import Generalization

DENSE = "the dense network"  # the setting that stands for dense runs
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


def groups_of(results, by: str | list[str] = "setting") -> Iterator[tuple]:
    """Each value of a column, or the values of several, in the order in which they come, with the rows that have it."""
    rows = records(results)
    for values, group in results.reset_index(drop=True).groupby(by, sort=False, dropna=False):
        yield values, [rows[number] for number in group.index]


def cells_of(results, columns: Columns, by: str = "setting") -> dict[object, list[str]]:
    """``{setting: a line of cells}``."""
    return {value: [cell(rows) for cell in columns.values()] for value, rows in groups_of(results, by)}


def seeds_table(results, columns: Columns, head: str = "setting") -> str:
    """One line for each setting."""
    return table([head, *columns], [[name, *cells] for name, cells in cells_of(results, columns).items()])


def settings_table(results, more: Columns | None = None, early: float | None = None, brief: bool = False) -> str:
    """A study's part over seeds, one line a setting, the soonest first, at the part's own threshold.

    ``early``: a lower threshold that stands beside it; ``more``: further columns. ``brief``: of t_gen's columns only the median
    with its range, and how many seeds generalize.
    """
    level = threshold_of(results)
    own = brief_columns(level) if brief else generalization_columns(level)
    columns = (t_gen(early) if early else {}) | own | (more or {})
    return seeds_table(soonest_first(results), columns)


def with_dense(results):
    """A study's part with the dense runs beside its tickets as the setting DENSE, one a seed, unless it has that setting."""
    if DENSE in set(results["setting"]):
        return results
    tickets, dense = records(results), {}
    for row in tickets:
        for own in dense_of_rows([row]):
            dense[row["seed"]] = own | {"setting": DENSE, "seed": row["seed"], "budget": row["num_epochs"]}
    return frame([*dense.values(), *tickets])


def beside(dense, tickets, on: list[str]):
    """Tickets with other dense runs than their own, those that are equal in the columns ``on``, in the columns ``dense ...``."""
    own = tickets.drop(columns=[name for name in tickets if name.startswith(BESIDE)])
    others = dense.drop(columns=["setting", "part"])
    return own.merge(others.rename(columns={name: BESIDE + name for name in others if name not in on}), "outer", on)


def threshold_of(results) -> float:
    """The test accuracy at which t_gen is read in a study's part."""
    return results["gen_threshold"].iloc[0]


def soonest_first(results):
    """A study's rows, the settings in the order of their median t_gen, then of its restricted mean."""
    keys = {setting: how_soon(rows) for setting, rows in groups_of(results)}
    return in_order(results, sorted(keys, key=keys.get))


def in_order(results, settings: Sequence[str]):
    """A study's rows, the settings in this order."""
    places = {name: place for place, name in enumerate(settings)}
    return results.sort_values("setting", key=lambda names: names.map(places), kind="stable")


def pairs_table(results, columns: Columns, threshold: float) -> str:
    """Every seed of tickets beside their dense runs, then a line with the median over seeds where there are several.

    A line names its setting, and what is to be known at the threshold about how its runs or their dense runs ended.
    """
    lines = []
    for setting, rows in groups_of(results):
        for own in [*([row] for row in rows), *([rows] if len(rows) > 1 else [])]:
            ends = [f"dense {note}" for note in notes(dense_of_rows(own), threshold)] + [*notes(own, threshold)]
            seed = str(own[0]["seed"]) if len(own) == 1 else "median (range)"
            lines.append([with_range(setting, ", ".join(ends)), seed, *(cell(own) for cell in columns.values())])
    return table(["ticket", "seed", *columns], lines)


def winner(results, by: str | list[str] = "setting", threshold: float | None = None) -> list[dict]:
    """The rows of the setting that a search finds: it holds for the most seeds, and of those has the smallest median t_gen."""
    groups = [rows for _, rows in groups_of(results, by)]
    return min(groups, key=lambda rows: (-generalizing(rows, threshold), median_t_gen(rows, threshold)))


# ---- tables of single runs


def results_table(results: dict[str, Result], mem_threshold: float, gen_threshold: float) -> str:
    """One row for each run: when it memorizes and generalizes, its accuracies, weights and seconds."""
    accuracies = {head: cell for name in ACCURACIES for head, cell in median_of(name).items()}
    lines = []
    for label, result in results.items():
        row = measures_of(result, Levels((gen_threshold,), mem_threshold))
        memorized, generalized = row[t_mem_column(mem_threshold)], row[t_gen_column(gen_threshold)]
        known_until = row["budget" if row["status"] == "diverged" else "last_epoch"]
        delay = "censored" if None in (memorized, generalized) else f"{generalized - memorized:,}"
        name = with_range(label, ", ".join(notes([row], gen_threshold)))
        line = [name, epoch_text(memorized, known_until), str(found_in(row, gen_threshold)), delay]
        line += [cell([row]) for cell in accuracies.values()]
        counts = row["weights_kept"], row["weights"] - row["weights_kept"]
        lines.append([*line, *(f"{count:,}" for count in counts), f"{row['seconds']:.0f}"])
    head = ["run", t_mem_column(mem_threshold), t_gen_column(gen_threshold), "delay"]
    return table([*head, *accuracies, "kept", "removed", "seconds"], lines)


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
    if slow.t_gen is None and fast.t_gen is None:
        return (
            f"no speedup: neither has a t_gen at test acc {gen_threshold:g} (dense {slow}, ticket {fast}); train longer"
        )
    if fast.t_gen is None:
        return f"no speedup: the ticket's t_gen at test acc {gen_threshold:g} is {fast}"
    return f"speedup t_gen(dense) / t_gen(ticket): {ratio_text(ratio_bounds(slow, fast))}"


def print_results(results: dict[str, Result], mem_threshold: float, gen_threshold: float) -> None:
    """``results_table``, and what its marks mean."""
    print(with_legend(results_table(results, mem_threshold, gen_threshold)))


# ---- pictures


def dot_of(found: Generalization, place: float | str, group: str = "", is_pale: bool = False) -> Dot:
    """A run at its t_gen."""
    return Dot(place, max(found.known_until, 1), found.t_gen is not None, group, is_pale)


def dots_of(results, threshold: float | None = None, place: str = "setting", group: str | None = None) -> list[Dot]:
    """A dot a run, at the value of a column or at the name of its setting; in the colour of another column's value."""
    rows = records(results)
    return [dot_of(found_in(row, threshold), row[place], str(row[group]) if group else "") for row in rows]
