"""What the sweeps about masks found, a dot a run: t_gen over alignment, and what a ticket costs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from figures.curves import COLORS, picture
from figures.sweeps import plain_epochs

MARKERS = ("o", "s", "D", "v", "P", "X")


@dataclass(frozen=True)
class Dot:
    """A run: ``x``; ``y``, or where it is known to be above; ``group``, its colour; whether it is drawn pale."""

    x: float
    y: float
    is_known: bool
    group: str
    is_pale: bool = False


def plot_dots(
    panels: Mapping[str, Sequence[Dot]],
    x_name: str,
    y_name: str,
    path: Path,
    note: str = "",
    wait: float | None = None,
) -> None:
    """Panels side by side on the same axes, ``{title: dots}``, to ``path``.

    A dot that is known only to be above its ``y`` is hollow, with an arrow. y is on a log axis; a line marks the height ``wait``.
    """
    from matplotlib.lines import Line2D

    groups = dict.fromkeys(dot.group for dots in panels.values() for dot in dots)
    looks = dict(zip(groups, zip(cycle(COLORS), (mark for mark in MARKERS for _ in COLORS)), strict=False))
    last = max((dot.y for dots in panels.values() for dot in dots), default=1)
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    with picture(path, 3.9 * columns if columns > 1 else 7, 1.2 + 2.9 * rows) as figure:
        every = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for axes, (title, dots) in zip(every, panels.items(), strict=False):
            for dot in dots:
                color, marker = looks[dot.group]
                alpha = 0.25 if dot.is_pale else 0.85
                look = {"color": color, "marker": marker, "markersize": 4, "alpha": alpha}
                axes.plot([dot.x], [dot.y], **look, fillstyle="full" if dot.is_known else "none")
                if not dot.is_known:
                    arrow = {"arrowstyle": "<-", "color": color, "lw": 0.7, "alpha": alpha}
                    axes.annotate("", (dot.x, dot.y), (0, 9), textcoords="offset points", arrowprops=arrow)
            axes.set_yscale("log")
            plain_epochs(axes.yaxis, last)
            if wait is not None:
                axes.axhline(wait, color="0.4", linewidth=0.8)
            axes.set_title(title)
        for axes in every[len(panels) :]:
            axes.remove()
        for number, axes in enumerate(every[: len(panels)]):
            is_lowest = number >= len(panels) - columns
            axes.set_xlabel(x_name if is_lowest else "")
            axes.tick_params(labelbottom=is_lowest)  # also where nothing stands in the last place
            axes.set_ylabel("" if number % columns else y_name)
        handles = [
            Line2D([], [], color=color, marker=marker, linestyle="none", markersize=4, label=group)
            for group, (color, marker) in looks.items()
        ]
        figure.suptitle(f"A dot is a run. Hollow, with an arrow: later than that. {note}".strip(), fontsize=9)
        figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=8)
