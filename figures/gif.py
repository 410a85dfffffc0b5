"""Small panels, one per neuron, over the epochs of one or two runs -> frames -> a GIF.

All panels of a run are drawn as a few artists in one pair of axes (panels.py), made once and updated for each frame: a
frame costs as much as one plot, and nothing but the values and the epoch can differ between frames.
"""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from figures.curves import COLORS, STYLE
from figures.panels import DRAW, Side

SECONDS_PER_FRAME, SECONDS_AT_MOST = 0.4, 12.0  # the second for all frames but the last: many frames go faster
SECONDS_LAST_FRAME = 3.0
NUM_SHADES = 16  # of red, green and blue each: two inks, gray on white and the shades of images need no more


@dataclass(frozen=True)
class Movie:
    """What is drawn. All sides have the same axes."""

    title: str
    note: Sequence[str]  # lines below the panels
    sides: Sequence[Side]
    epochs: Sequence[tuple[int | None, ...]]  # what each frame shows: the epoch of each side, or None


def shown_epochs(saved: Sequence[Sequence[int]], max_frames: int | None = None) -> list[tuple[int | None, ...]]:
    """For each epoch that any side has saved, in order: the latest epoch of each side that is not later, or None.

    Of more than ``max_frames`` epochs, those are left out whose neighbours are closest on a log axis; never the first and
    the last.
    """
    frames = sorted({epoch for epochs in saved for epoch in epochs})
    while max_frames is not None and len(frames) > max(max_frames, 2):
        place = np.log1p(frames)
        del frames[1 + int(np.argmin(place[2:] - place[:-2]))]
    return [tuple(max((own for own in epochs if own <= epoch), default=None) for epochs in saved) for epoch in frames]


def symmetric_ends(values: Sequence[np.ndarray]) -> tuple[tuple[float, float], str]:
    """Ends of an axis (or of colours) around 0 for all of ``values``, and what is to be said where some values lie outside; else "".

    A few far values would flatten all the others: where the largest is over twice the 99.9 % quantile, this is the end.
    """
    sizes = np.abs(np.concatenate([value.ravel() for value in values]))
    end, largest = float(np.quantile(sizes, 0.999)), float(sizes.max())
    if end == 0 or largest <= 2 * end:
        end = largest or 1.0
        return (-end, end), ""
    outside = f"{(sizes > end).sum():,} of {sizes.size:,} values lie outside, up to ±{largest:.2g}"
    return (-end, end), f"; {outside}, and are drawn on the edge"


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
        bottom = 0.03 + 0.022 * len(note.splitlines())  # a long note takes room from the panels
        grid = {"left": 0.01, "right": 0.99, "top": 0.89, "bottom": bottom, "wspace": 0.02}
        all_axes = figure.subplots(1, len(movie.sides), squeeze=False, gridspec_kw=grid)[0]
        drawn = []
        for axes, side, color in zip(all_axes, movie.sides, COLORS, strict=False):
            axes.set_axis_off()
            content, set_values = DRAW[side.draw](axes, side, color)
            title = axes.text(0.5, 1.01, "", transform=axes.transAxes, ha="center", va="bottom", size=11, color=color)
            for artist in (content, title):
                artist.set_animated(True)  # left out of the background
            drawn.append((axes, content, set_values, title))
        canvas.draw()
        background = canvas.copy_from_bbox(figure.bbox)
        for epochs in movie.epochs:
            canvas.restore_region(background)
            for side, (axes, content, set_values, title), epoch in zip(movie.sides, drawn, epochs, strict=True):
                if epoch in side.values:
                    set_values(side.values[epoch])
                    axes.draw_artist(content)
                title.set_text(side.caption(epoch))
                axes.draw_artist(title)
            yield np.asarray(canvas.buffer_rgba())[..., :3].copy()


def save_gif(frames: Sequence[np.ndarray], path: Path) -> None:
    """Write ``frames``, ``(height, width, 3) uint8``, as a GIF that loops and holds its last frame."""
    import imageio.v3 as iio

    # Few shades of each colour, the same in all frames: nothing that stands still flickers, and the file is small.
    step = 255 / (NUM_SHADES - 1)
    few = [(np.round(frame / step) * step).astype(np.uint8) for frame in frames]
    seconds = min(SECONDS_PER_FRAME, SECONDS_AT_MOST / len(frames))
    milliseconds = [round(1000 * seconds)] * (len(frames) - 1) + [round(1000 * SECONDS_LAST_FRAME)]
    iio.imwrite(path, few, plugin="pillow", extension=".gif", duration=milliseconds, loop=0, optimize=True)
