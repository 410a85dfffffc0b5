"""What a sweep found -> one picture: an epoch over the axes of a grid, or setting by setting."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from math import log10
from pathlib import Path
from statistics import median

from analysis.statistics import censored_median
from figures.curves import COLORS, picture


def plot_sweep(groups: Mapping[str, Sequence[Mapping]], column: str, path: Path, varying: Sequence[str]) -> None:
    """An epoch (``column``) over the first of the ``varying`` settings, to ``path``; a line for each value of the others.

    ``groups``: for each combination the rows of its seeds. Dots are seeds and the line is their median; runs without a t_gen
    there are triangles above the upper border, which count as later than all others in the median. prune_at is drawn at the
    epoch of the mask, the median over seeds.
    """
    x_name, others = varying[0], varying[1:]
    places, ticks = _places(list(groups.values()), x_name)
    last = max(1, *(row["last_epoch"] for rows in groups.values() for row in rows))
    border = 1.25 * last
    lines: dict[tuple, list] = {}
    for rows, place in zip(groups.values(), places, strict=True):
        lines.setdefault(tuple(rows[0][name] for name in others), []).append((place, rows))
    with picture(path, 7, 3.8) as figure:
        axes = figure.subplots()
        spread = 0.006 * (max(places) - min(places) or 1)
        for number, ((values, line), color) in enumerate(zip(lines.items(), cycle(COLORS))):
            named = (f"{name} {value}" for name, value in zip(others, values, strict=True))
            shift, top = spread * (number - (len(lines) - 1) / 2), border * 1.5**number
            line.sort(key=lambda point: point[0])
            medians = [_median(rows, column) for _, rows in line]
            axes.plot(
                [place + shift for place, _ in line],
                [top if middle is None else max(middle, 1) for middle in medians],
                "-", color=color, label=", ".join(named) or "median over seeds",
            )  # fmt: skip
            for place, rows in line:
                epochs = [row[column] for row in rows]
                reached = [max(epoch, 1) for epoch in epochs if epoch is not None]
                axes.plot([place + shift] * len(reached), reached, "o", color=color, markersize=3.5, alpha=0.7)
                if len(reached) < len(epochs):
                    _mark_censored(axes, (place + shift, top), "^", len(epochs) - len(reached), color)
        axes.axhline(border / 1.12, color="0.6", linewidth=0.7, linestyle=":")
        axes.set_yscale("log")
        if not any(row[column] is not None for rows in groups.values() for row in rows):
            axes.set_ylim(bottom=1)  # or the axis would have no number
        plain_epochs(axes.yaxis, last)
        axes.set_xlabel(x_name)
        axes.set_ylabel(column)
        if ticks:
            axes.set_xticks(list(ticks.values()), list(ticks))
        elif x_name == "prune_at":
            axes.set_xlabel("epoch of the mask (prune_at)")
            axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.set_title("Dots: seeds. Lines: medians. Triangles: how many seeds have no t_gen.", pad=10)
        axes.legend(loc="best")


def _median(rows: Sequence[Mapping], column: str) -> float | None:
    """The median over seeds; those without a value are known to be later than ``known_until``, or than their last epoch."""
    known_until = column.replace("t_gen", "t_gen_known_until", 1)
    times = [row.get(known_until, row["last_epoch"]) if row[column] is None else row[column] for row in rows]
    return censored_median(times, [row[column] is not None for row in rows])


def _places(settings: Sequence[Sequence[Mapping]], x_name: str) -> tuple[list[float], dict[str, float]]:
    """Where each setting is on the x axis, and ``{label: place}`` of its ticks; no ticks where the axis is linear.

    Numbers are at their value, or at its logarithm when they span more than a factor of 10; prune_at is at the mask's epoch, where
    there is one; all else stands side by side.
    """
    values = [rows[0][x_name] for rows in settings]
    if x_name == "prune_at":
        epochs = [[row["mask_epoch"] for row in rows if row["mask_epoch"] is not None] for rows in settings]
        if all(epochs):
            return [median(own) for own in epochs], {}
    elif all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        if min(values) <= 0 or max(values) <= 10 * min(values):
            return values, {}
        return [log10(value) for value in values], {f"{value:g}": log10(value) for value in values}
    ticks = {label: place for place, label in enumerate(dict.fromkeys(map(str, values)))}
    return [ticks[str(value)] for value in values], ticks


def _mark_censored(axes, point: tuple[float, float], marker: str, count: int, color: str) -> None:
    """A triangle that points out of the picture, and beyond its tip how many seeds it stands for."""
    axes.plot(*([x] for x in point), marker, color=color, markersize=6)
    offset, ha, va = ((0, 4), "center", "bottom") if marker == "^" else ((6, 0), "left", "center")
    axes.annotate(str(count), point, offset, textcoords="offset points", ha=ha, va=va, fontsize=7)


def plain_epochs(axis, last: int) -> None:
    """1,000 2,000 5,000 10,000 on a log axis, instead of powers of ten; none above the last epoch, where no time is meant."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda epoch, _: f"{epoch:,.0f}" if epoch <= last else ""))
    axis.set_minor_formatter(NullFormatter())


def plot_settings(groups: Mapping[str, Sequence[Mapping]], column: str, path: Path) -> None:
    """An epoch (``column``) for settings that are no grid, to ``path``: one line of the picture each, named at the left.

    Dots are seeds and the bar is their median; a triangle at the right border counts the seeds without a t_gen.
    """
    last = max(1, *(row["last_epoch"] for rows in groups.values() for row in rows))
    border = 1.25 * last
    width = max(7, 3.5 + 0.07 * max(map(len, groups)))  # inches; the names stand beside the axes
    with picture(path, width, 1.2 + 0.24 * len(groups)) as figure:
        axes = figure.subplots()
        for place, rows in enumerate(groups.values()):
            epochs = [row[column] for row in rows]
            reached = [max(epoch, 1) for epoch in epochs if epoch is not None]
            axes.plot(reached, [place] * len(reached), "o", color=COLORS[1], markersize=4, alpha=0.7)
            if len(epochs) > 1:
                middle = _median(rows, column)
                axes.plot([border if middle is None else max(middle, 1)], [place], "|", color=COLORS[1], markersize=12)
            if len(reached) < len(epochs):
                _mark_censored(axes, (border, place), ">", len(epochs) - len(reached), COLORS[1])
        axes.axvline(border / 1.06, color="0.6", linewidth=0.7, linestyle=":")
        axes.set_yticks(range(len(groups)), list(groups))
        axes.invert_yaxis()
        axes.set_xscale("log")
        if not any(row[column] is not None for rows in groups.values() for row in rows):
            axes.set_xlim(left=1)
        plain_epochs(axes.xaxis, last)
        axes.set_xlabel(f"{column}, epochs (log axis)")
        figure.suptitle("Dots: seeds. Bars: medians. Triangles: how many seeds have no t_gen.", fontsize=10)
