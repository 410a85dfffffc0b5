"""Small panels, one per neuron, over the epochs of one or two runs -> frames -> a GIF.

All panels of a run are drawn as a few collections in one pair of axes, made once and updated for each frame: a frame
costs as much as one plot, and nothing but the values and the epoch can differ between frames.
"""

import math
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from figures import COLORS, STYLE

SECONDS_PER_FRAME = 0.4
SECONDS_LAST_FRAME = 3.0
NUM_SHADES = 8  # of red, green and blue each: two inks and gray on white need no more

# A panel is a cell of size 1 x 1 with a strip for its label above the plot: plot's left, right, bottom and top.
LEFT, RIGHT, BOTTOM, TOP = 0.06, 0.94, 0.06, 0.76


@dataclass(frozen=True)
class Side:
    """One run, as one half of the picture."""

    name: str
    values: Mapping[int, np.ndarray]  # {epoch: (panels, x)}
    test_acc: Mapping[int, float]  # {epoch: test accuracy}

    def caption(self, epoch: int | None) -> str:
        if epoch is None:
            return f"{self.name}: no checkpoint yet"
        accuracy = f", test accuracy {self.test_acc[epoch]:.3f}" if epoch in self.test_acc else ""
        return f"{self.name}, epoch {epoch:,}{accuracy}"


@dataclass(frozen=True)
class Movie:
    """What is drawn: the same panels and axes in every frame."""

    title: str
    note: Sequence[str]  # lines below the panels
    draw: str  # a key of DRAW
    sides: Sequence[Side]
    labels: Sequence[str]  # of the panels
    x_ends: tuple[int, int]  # the numbers of the first and last value of a panel
    y_ends: tuple[float, float]
    backdrop: np.ndarray | None = None  # (panels, x) values in gray behind the others, in every frame

    @property
    def epochs(self) -> list[tuple[int | None, ...]]:
        """What each frame shows: the epoch of each side, or None."""
        return shown_epochs([list(side.values) for side in self.sides])


def shown_epochs(saved: Sequence[Sequence[int]]) -> list[tuple[int | None, ...]]:
    """For each epoch that any side has saved, in order: the latest epoch of each side that is not later, or None."""
    return [
        tuple(max((own for own in epochs if own <= epoch), default=None) for epochs in saved)
        for epoch in sorted({epoch for epochs in saved for epoch in epochs})
    ]


def symmetric_ends(values: Sequence[np.ndarray]) -> tuple[tuple[float, float], str]:
    """Ends of a y axis around 0 for all of ``values``, and what is to be said where some values lie outside; else "".

    A few far values would flatten all the others: where the largest is over twice the 99.9 % quantile, this is the end.
    """
    sizes = np.abs(np.concatenate([value.ravel() for value in values]))
    end, largest = float(np.quantile(sizes, 0.999)), float(sizes.max())
    if end == 0 or largest <= 2 * end:
        end = largest or 1.0
        return (-end, end), ""
    outside = f"{(sizes > end).sum():,} of {sizes.size:,} values lie outside, up to ±{largest:.2g}"
    return (-end, end), f"; {outside}, and are drawn on the edge"


def _place(x: np.ndarray, y: np.ndarray, movie: Movie, corners: np.ndarray) -> np.ndarray:
    """Points in the cells of their panels; x runs from 0 to 1, y is a value, ``(n), (panels, n) -> (panels, n, 2)``."""
    low, high = movie.y_ends
    x = LEFT + (RIGHT - LEFT) * x
    y = BOTTOM + (TOP - BOTTOM) * (np.clip(y, low, high) - low) / (high - low)
    return np.stack(np.broadcast_arrays(corners[:, :1] + x, corners[:, 1:] + y), -1)


def _curves(axes, movie: Movie, corners: np.ndarray, color: str):
    """A line per panel: the artist, and what gives it values, ``(panels, n)``."""
    from matplotlib.collections import LineCollection

    lines = axes.add_collection(LineCollection([], colors=color, linewidths=1.0))
    return lines, lambda values: lines.set_segments(_place(np.linspace(0, 1, values.shape[1]), values, movie, corners))


def _bars(axes, movie: Movie, corners: np.ndarray, color: str):
    """A bar from 0 up to each value: the artist, and what gives it values, ``(panels, n)``."""
    from matplotlib.collections import PolyCollection

    bars = axes.add_collection(PolyCollection([], facecolors=color, edgecolors=color, linewidths=0.8))

    def show(values: np.ndarray) -> None:
        left, right = np.arange(values.shape[1]) / values.shape[1], np.arange(1, values.shape[1] + 1) / values.shape[1]
        zero = np.zeros_like(values)
        outline = [(left, zero), (left, values), (right, values), (right, zero)]
        bars.set_verts(np.stack([_place(x, y, movie, corners) for x, y in outline], 2).reshape(-1, 4, 2))

    return bars, show


DRAW = {"curves": _curves, "bars": _bars}


def _lay_out(axes, movie: Movie, color: str) -> Callable[[np.ndarray | None, str], None]:
    """The empty panels of one side, in a grid filled row by row; returns what draws values and a caption into them."""
    from matplotlib.collections import LineCollection

    number = np.arange(len(movie.labels))
    columns = math.ceil(math.sqrt(0.7 * len(number)))
    size = min(6.5, 45 / columns)  # of the text, in points: no label may reach into the next panel
    rows = math.ceil(len(number) / columns)
    corners = np.stack([number % columns, rows - 1 - number // columns], -1).astype(float)  # (panels, 2): x, y
    axes.set(xlim=(-0.3, columns), ylim=(-0.25, rows))
    axes.set_axis_off()

    frame = np.array([[LEFT, TOP], [LEFT, BOTTOM], [RIGHT, BOTTOM], [RIGHT, TOP], [LEFT, TOP]])
    axes.add_collection(LineCollection(corners[:, None] + frame, colors="0.75", linewidths=0.6))
    zero = _place(np.array([0, 1]), np.zeros((len(number), 2)), movie, corners)
    axes.add_collection(LineCollection(zero, colors="0.85", linewidths=0.6))
    for (x, y), label in zip(corners, movie.labels, strict=True):
        axes.text(x + LEFT, y + TOP + 0.04, label, size=size, color="0.25")
    # The axes are the same in all panels: their numbers stand once, at the panel in the lower left corner.
    lowest = corners[:, 1].min()
    for at, end in zip((BOTTOM, TOP), movie.y_ends, strict=True):
        axes.text(LEFT - 0.05, lowest + at, f"{end:.2g}", size=size, ha="right", va="center")
    for at, end, align in zip((LEFT, RIGHT), movie.x_ends, ("left", "right"), strict=True):
        axes.text(at, lowest + BOTTOM - 0.07, f"{end}", size=size, ha=align, va="top")

    draw = DRAW[movie.draw]
    if movie.backdrop is not None:
        draw(axes, movie, corners, "0.85")[1](movie.backdrop)
    content, set_values = draw(axes, movie, corners, color)
    title = axes.text(0.5, 1.01, "", transform=axes.transAxes, ha="center", va="bottom", size=11, color=color)
    for artist in (content, title):
        artist.set_animated(True)  # left out of the background

    def show(values: np.ndarray | None, caption: str) -> None:
        if values is not None:
            set_values(values)
            axes.draw_artist(content)
        title.set_text(caption)
        axes.draw_artist(title)

    return show


def render(movie: Movie) -> Iterator[np.ndarray]:
    """The frames, one per epoch of the union of both sides, ``(height, width, 3) uint8``."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        width = 10.4 if len(movie.sides) > 1 else 6.5
        figure = Figure(figsize=(width, 7.2), dpi=100)
        canvas = FigureCanvasAgg(figure)
        figure.text(0.5, 0.975, movie.title, ha="center", va="top", size=12)
        note = "\n".join(textwrap.fill(line, round(15 * width)) for line in movie.note)
        figure.text(0.5, 0.01, note, ha="center", va="bottom", size=8, color="0.25", linespacing=1.4)
        grid = {"left": 0.01, "right": 0.99, "top": 0.89, "bottom": 0.08, "wspace": 0.02}
        all_axes = figure.subplots(1, len(movie.sides), squeeze=False, gridspec_kw=grid)[0]
        show = [_lay_out(axes, movie, color) for axes, color in zip(all_axes, COLORS, strict=False)]
        canvas.draw()
        background = canvas.copy_from_bbox(figure.bbox)
        for epochs in movie.epochs:
            canvas.restore_region(background)
            for side, show_side, epoch in zip(movie.sides, show, epochs, strict=True):
                show_side(side.values.get(epoch), side.caption(epoch))
            yield np.asarray(canvas.buffer_rgba())[..., :3].copy()


def save_gif(frames: Sequence[np.ndarray], path: Path) -> None:
    """Write ``frames``, ``(height, width, 3) uint8``, as a GIF that loops and holds its last frame."""
    import imageio.v3 as iio

    # Few shades of each colour, the same in all frames: nothing that stands still flickers, and the file is small.
    step = 255 / (NUM_SHADES - 1)
    few = [(np.round(frame / step) * step).astype(np.uint8) for frame in frames]
    seconds = [SECONDS_PER_FRAME] * (len(frames) - 1) + [SECONDS_LAST_FRAME]
    milliseconds = [1000 * second for second in seconds]
    iio.imwrite(path, few, plugin="pillow", extension=".gif", duration=milliseconds, loop=0, optimize=True)
