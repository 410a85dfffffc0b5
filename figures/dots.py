"""The one picture of a study: a dot a run, and an arrow where the run ended before it got there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from analysis.statistics import censored_median
from figures.curves import COLORS, picture

LEAST = 1e-3  # what is drawn for 0 on a log axis
MARKERS = ("o", "s", "D", "v", "P", "X")


@dataclass(frozen=True)
class Dot:
    """A run: where it stands, a number or the name of a setting, and the epoch or ratio it took, on a log axis.

    ``is_known``: False where the run ended before it got there, so that it takes more than ``value``. ``group``: its colour and mark.
    """

    place: float | str
    value: float
    is_known: bool = True
    group: str = ""
    is_pale: bool = False


@dataclass(frozen=True)
class Dots:
    """A picture: ``title``, one sentence that says what one sees; ``panels``, ``{heading: dots}``; the names of both axes.

    Where places are names they stand at the left, in the order of the dots, each with a bar at its median; where they are
    numbers, ``wait`` is a value at which a line is drawn.
    """

    title: str
    panels: Mapping[str, Sequence[Dot]]
    value_name: str
    place_name: str = ""
    wait: float | None = None

    def draw(self, path: Path) -> None:
        every = [dot for dots in self.panels.values() for dot in dots]
        names = list(dict.fromkeys(dot.place for dot in every if isinstance(dot.place, str)))
        marks = [(color, marker) for marker in MARKERS for color in COLORS]
        looks = dict(zip(dict.fromkeys(dot.group for dot in every), cycle(marks), strict=False))
        columns = len(self.panels) if names else min(2, len(self.panels))
        rows = -(-len(self.panels) // columns)
        size = (7.5, 1.4 + 2.9 * rows)
        if names:
            size = (0.4 + 0.065 * max(map(len, names)) + max(2.2 * columns, 4.5), 1.1 + 0.21 * len(names))
        with picture(path, *size) as figure:
            grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
            for number, (axes, (heading, dots)) in enumerate(zip(grid, self.panels.items(), strict=False)):
                draw_panel(axes, dots, looks, names)
                axes.set_title(heading)
                is_lowest = number >= len(self.panels) - columns
                axes.tick_params(labelbottom=is_lowest)  # also where nothing stands in the last place
                if self.wait is not None:
                    axes.axhline(self.wait, color="0.4", linewidth=0.8)
                if not names:
                    axes.set_xlabel(self.place_name if is_lowest else "")
                    axes.set_ylabel("" if number % columns else self.value_name)
            for axes in grid[len(self.panels) :]:
                axes.remove()
            if names:
                figure.supxlabel(self.value_name, fontsize=9)
            key = "A dot is a run." + (" A bar is a median." if names else "")
            if not all(dot.is_known for dot in every):
                key += " Hollow with an arrow: it takes longer than that."
            figure.suptitle(f"{self.title}\n{key}", fontsize=9.5)
            if len(looks) > 1:
                draw_legend(figure, looks)


def draw_panel(axes, dots: Sequence[Dot], looks: dict[str, tuple[str, str]], names: list[str]) -> None:
    """The dots, their medians and the numbers on the axes. ``names``: the places, if these are names."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    for dot in dots:
        value = max(dot.value, LEAST)
        x, y = (value, names.index(dot.place)) if names else (dot.place, value)
        color, marker = looks[dot.group]
        look = {"color": color, "alpha": 0.25 if dot.is_pale else 0.8}
        axes.plot([x], [y], marker=marker, markersize=4, fillstyle="full" if dot.is_known else "none", **look)
        if not dot.is_known:  # it points to later
            arrow = {"arrowstyle": "<-", "lw": 0.7} | look
            axes.annotate("", (x, y), (9, 0) if names else (0, 9), textcoords="offset points", arrowprops=arrow)
    for place, name in enumerate(names):
        own = [dot for dot in dots if dot.place == name]
        middle = censored_median([dot.value for dot in own], [dot.is_known for dot in own])
        if len(own) > 1 and middle is not None:
            axes.plot([middle], [place], "|", color="0.2", markersize=11)
    if names:
        axes.set_xscale("log")
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(names) - 0.5, -0.5)
    else:
        axes.set_yscale("log")
        axes.xaxis.set_major_formatter(lambda place, _: f"{place:,.6g}")
    # 1,000 2,000 5,000 10,000 instead of powers of ten.
    values = axes.xaxis if names else axes.yaxis
    values.set_major_locator(LogLocator(subs=(1,) if names else (1, 2, 5)))
    values.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}"))
    values.set_minor_formatter(NullFormatter())


def draw_legend(figure, looks: dict[str, tuple[str, str]]) -> None:
    from matplotlib.lines import Line2D

    look = {"linestyle": "none", "markersize": 4}
    handles = [Line2D([], [], color=color, marker=mark, label=group, **look) for group, (color, mark) in looks.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=8)
