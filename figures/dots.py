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

    Where places are names they stand at the left, in the order of the dots, each with a bar at its median. ``wait``: a line at
    this value.
    """

    title: str
    panels: Mapping[str, Sequence[Dot]]
    value_name: str
    place_name: str = ""
    wait: float | None = None

    def draw(self, path: Path) -> None:
        every = [dot for dots in self.panels.values() for dot in dots]
        names = list(dict.fromkeys(dot.place for dot in every if isinstance(dot.place, str)))
        groups = dict.fromkeys(dot.group for dot in every)
        looks = dict(zip(groups, zip(cycle(COLORS), (mark for mark in MARKERS for _ in COLORS)), strict=False))
        columns = len(self.panels) if names else min(2, len(self.panels))
        rows = -(-len(self.panels) // columns)
        widest = max(map(len, names), default=0)
        width = 0.4 + 0.065 * widest + max(2.2 * columns, 4.5) if names else 7.5
        with picture(path, width, 1.1 + 0.21 * len(names) if names else 1.4 + 2.9 * rows) as figure:
            grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
            for number, (axes, (heading, dots)) in enumerate(zip(grid, self.panels.items(), strict=False)):
                self._panel(axes, dots, looks, names)
                axes.set_title(heading)
                across, up = (self.value_name, "") if names else (self.place_name, self.value_name)
                is_lowest = number >= len(self.panels) - columns
                axes.set_xlabel("" if names or not is_lowest else across)
                axes.set_ylabel("" if number % columns else up)
                axes.tick_params(labelbottom=is_lowest)  # also where nothing stands in the last place
            for axes in grid[len(self.panels) :]:
                axes.remove()
            if names:
                figure.supxlabel(self.value_name, fontsize=9)
            figure.suptitle(f"{self.title}\n{_key(every, bool(names))}", fontsize=9.5)
            if len(groups) > 1:
                _legend(figure, looks)

    def _panel(self, axes, dots: Sequence[Dot], looks: dict, names: list[str]) -> None:
        for dot in dots:
            point = (max(dot.value, LEAST), names.index(dot.place)) if names else (dot.place, max(dot.value, LEAST))
            color, marker = looks[dot.group]
            look = {"color": color, "alpha": 0.25 if dot.is_pale else 0.8}
            fill = "full" if dot.is_known else "none"
            axes.plot(*([one] for one in point), marker=marker, markersize=4, fillstyle=fill, **look)
            if not dot.is_known:  # it points to later
                arrow = {"arrowstyle": "<-", "lw": 0.7} | look
                axes.annotate("", point, (9, 0) if names else (0, 9), textcoords="offset points", arrowprops=arrow)
        for place, name in enumerate(names):
            own = [dot for dot in dots if dot.place == name]
            middle = censored_median([dot.value for dot in own], [dot.is_known for dot in own]) if own else None
            if len(own) > 1 and middle is not None:
                axes.plot([middle], [place], "|", color="0.2", markersize=11)
        long, line = (axes.xaxis, axes.axvline) if names else (axes.yaxis, axes.axhline)
        if names:
            axes.set_yticks(range(len(names)), names)
            axes.set_ylim(len(names) - 0.5, -0.5)
        else:
            axes.xaxis.set_major_formatter(lambda place, _: f"{place:,.6g}")
        (axes.set_xscale if names else axes.set_yscale)("log")
        plain_numbers(long, (1,) if names else (1, 2, 5))
        if self.wait is not None:
            line(self.wait, color="0.4", linewidth=0.8)


def _key(dots: Sequence[Dot], has_medians: bool) -> str:
    """What the marks mean, of those that are there."""
    key = "A dot is a run." + (" A bar is a median." if has_medians else "")
    key += "" if all(dot.is_known for dot in dots) else " Hollow with an arrow: it takes longer than that."
    return key


def _legend(figure, looks: dict[str, tuple[str, str]]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=color, marker=marker, linestyle="none", markersize=4, label=group)
        for group, (color, marker) in looks.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=8)


def plain_numbers(axis, digits: Sequence[int] = (1, 2, 5)) -> None:
    """1,000 2,000 5,000 10,000 on a log axis, instead of powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=digits))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
