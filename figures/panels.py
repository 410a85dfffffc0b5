"""Small panels, one per neuron, in one pair of axes: as curves, as bars or as images.

A drawing lays out what stands still, and gives one artist for all its panels together with what puts values into it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from common.errors import UserError

# A panel of curves or bars is a cell of size 1 x 1 with a strip for its label above the plot: plot's left, right, bottom, top.
LEFT, RIGHT, BOTTOM, TOP = 0.06, 0.94, 0.06, 0.76

# An image's shades, from the lowest value over 0 to the highest; told apart by colour-blind readers, and neither of them the
# colour of a run. As few as this, or noise would make large files.
LOW, ZERO, HIGH = ["#40004b", "#762a83", "#b06fc0"], "#ffffff", ["#5cb868", "#1b7837", "#00441b"]
SHADES_A_SIDE = 9
GAP, STRIP, LEGEND = 6, 13, 40  # pixels of the screen: between images, for a label, for the legend below


@dataclass(frozen=True)
class Side:
    """One run, as one half of the picture: a panel for each neuron. All but the values is the same in every frame."""

    name: str
    values: Mapping[int, np.ndarray]  # {epoch: (panels, x)}
    test_acc: Mapping[int, float]  # {epoch: test accuracy}
    draw: str  # a key of DRAW
    labels: Sequence[str]  # of the panels
    x_ends: tuple[int, int]  # the numbers of the first and last value of a panel
    y_ends: tuple[float, float]  # of the values: of the y axis, or of the colours
    backdrop: np.ndarray | None = None  # (panels, x) values in gray behind the others, in every frame

    def caption(self, epoch: int | None) -> str:
        if epoch is None:
            return f"{self.name}: no checkpoint yet"
        accuracy = f", test accuracy {self.test_acc[epoch]:.3f}" if epoch in self.test_acc else ""
        return f"{self.name}, epoch {epoch:,}{accuracy}"


Drawn = tuple[object, Callable[[np.ndarray], None]]  # the artist, and what gives it values, (panels, x)


def _place(x: np.ndarray, y: np.ndarray, side: Side, corners: np.ndarray) -> np.ndarray:
    """Points in the cells of their panels; x runs from 0 to 1, y is a value, ``(n), (panels, n) -> (panels, n, 2)``."""
    low, high = side.y_ends
    x = LEFT + (RIGHT - LEFT) * x
    y = BOTTOM + (TOP - BOTTOM) * (np.clip(y, low, high) - low) / (high - low)
    return np.stack(np.broadcast_arrays(corners[:, :1] + x, corners[:, 1:] + y), -1)


def _curves(axes, side: Side, corners: np.ndarray, color: str) -> Drawn:
    """A line per panel."""
    from matplotlib.collections import LineCollection

    lines = axes.add_collection(LineCollection([], colors=color, linewidths=1.0))
    return lines, lambda values: lines.set_segments(_place(np.linspace(0, 1, values.shape[1]), values, side, corners))


def _bars(axes, side: Side, corners: np.ndarray, color: str) -> Drawn:
    """A bar from 0 up to each value."""
    from matplotlib.collections import PolyCollection

    bars = axes.add_collection(PolyCollection([], facecolors=color, edgecolors=color, linewidths=0.8))

    def show(values: np.ndarray) -> None:
        left, right = np.arange(values.shape[1]) / values.shape[1], np.arange(1, values.shape[1] + 1) / values.shape[1]
        zero = np.zeros_like(values)
        outline = [(left, zero), (left, values), (right, values), (right, zero)]
        bars.set_verts(np.stack([_place(x, y, side, corners) for x, y in outline], 2).reshape(-1, 4, 2))

    return bars, show


def _plots(draw: Callable, axes, side: Side, color: str) -> Drawn:
    """Plots of ``draw`` in a grid that is filled row by row, all with the same two axes."""
    from matplotlib.collections import LineCollection

    number = np.arange(len(side.labels))
    columns = math.ceil(math.sqrt(0.7 * len(number)))
    size = min(6.5, 45 / columns)  # of the text, in points: no label may reach into the next panel
    rows = math.ceil(len(number) / columns)
    corners = np.stack([number % columns, rows - 1 - number // columns], -1).astype(float)  # (panels, 2): x, y
    axes.set(xlim=(-0.3, columns), ylim=(-0.25, rows))

    frame = np.array([[LEFT, TOP], [LEFT, BOTTOM], [RIGHT, BOTTOM], [RIGHT, TOP], [LEFT, TOP]])
    axes.add_collection(LineCollection(corners[:, None] + frame, colors="0.75", linewidths=0.6))
    zero = _place(np.array([0, 1]), np.zeros((len(number), 2)), side, corners)
    axes.add_collection(LineCollection(zero, colors="0.85", linewidths=0.6))
    for (x, y), label in zip(corners, side.labels, strict=True):
        axes.text(x + LEFT, y + TOP + 0.04, label, size=size, color="0.25")
    # The axes are the same in all panels: their numbers stand once, at the panel in the lower left corner.
    lowest = corners[:, 1].min()
    for at, end, align in zip((BOTTOM, TOP), side.y_ends, ("bottom", "top"), strict=True):  # not beside the label
        axes.text(LEFT - 0.05, lowest + at, f"{end:.2g}", size=size, ha="right", va=align)
    for at, end, align in zip((LEFT, RIGHT), side.x_ends, ("left", "right"), strict=True):
        axes.text(at, lowest + BOTTOM - 0.07, f"{end}", size=size, ha=align, va="top")
    if side.backdrop is not None:
        draw(axes, side, corners, "0.85")[1](side.backdrop)
    return draw(axes, side, corners, color)


def shades() -> np.ndarray:
    """The colours of an image, from the lowest value to the highest, ``(2 SHADES_A_SIDE + 1, 3) uint8``; 0 is the middle one."""
    from matplotlib.colors import LinearSegmentedColormap

    number = 2 * SHADES_A_SIDE + 1
    colors = LinearSegmentedColormap.from_list("", [*LOW, ZERO, *HIGH], N=number)(np.arange(number))
    return (255 * colors[:, :3]).round().astype(np.uint8)


def shade_of(values: np.ndarray, end: float) -> np.ndarray:
    """The shade of each value, ``(...) -> (...) int64``, from -SHADES_A_SIDE to SHADES_A_SIDE.

    The root makes room for small values: weights end ten times smaller than they start.
    """
    return (np.sign(values) * np.sqrt(np.minimum(np.abs(values) / end, 1)) * SHADES_A_SIDE).round().astype(np.int64)


def _images(axes, side: Side, color: str) -> Drawn:
    """Square images row by row, each value a square of whole pixels of the screen, above a legend of the colours.

    All are parts of one image, in which nothing but the panels is opaque.
    """
    from matplotlib.collections import LineCollection
    from matplotlib.image import AxesImage

    number, pixels = len(side.labels), math.isqrt(side.x_ends[1] - side.x_ends[0] + 1)
    box = axes.get_window_extent()
    width, height = int(box.width), int(box.height) - LEGEND

    def room(scale: int) -> tuple[int, int]:  # columns and rows
        return width // (pixels * scale + GAP), height // (pixels * scale + STRIP + GAP)

    scale = next((s for s in range(width, 0, -1) if math.prod(room(s)) >= number), None)
    if scale is None:
        raise UserError(f"{number} images do not fit into the picture: --num_neurons {math.prod(room(1))} is the most")
    columns = math.ceil(number / room(scale)[1])
    rows = math.ceil(number / columns)
    pitch = np.array([pixels * scale + GAP, pixels * scale + STRIP + GAP])  # x and y from image to image
    places = np.stack([np.arange(number) % columns, np.arange(number) // columns], -1)
    corners = places * pitch + [(width - columns * pitch[0] + GAP) // 2, STRIP]  # (panels, 2): the upper left ones
    axes.set(xlim=(0, box.width), ylim=(box.height, 0))  # a unit is a pixel, and y runs downwards as in images

    size, end, palette = min(6.5, 0.085 * pitch[0]), side.y_ends[1], shades()
    # Just outside of the pixels of the image, which would hide it.
    square = np.array([[0, 0], [0, 1], [1, 1], [1, 0], [0, 0]]) * (pixels * scale + 1) - 1
    axes.add_collection(LineCollection(corners[:, None] + square, colors="0.75", linewidths=0.6))
    for (x, y), label in zip(corners, side.labels, strict=True):
        axes.text(x, y - 3, label, size=size, color="0.25")
    _legend(axes, width / 2, rows * pitch[1] + STRIP + GAP, palette, end)

    mosaic = np.zeros((rows * pitch[1], columns * pitch[0], 4), dtype=np.uint8)  # red, green, blue, opacity
    left, top = corners[0]
    extent = (left, left + mosaic.shape[1], top + mosaic.shape[0], top)
    picture = axes.add_image(AxesImage(axes, extent=extent, interpolation="nearest"))

    def show(values: np.ndarray) -> None:
        colors = palette[shade_of(values, end) + SHADES_A_SIDE].reshape(-1, pixels, pixels, 3)
        for (x, y), image in zip(places * pitch, colors, strict=True):
            cell = mosaic[y : y + pixels * scale, x : x + pixels * scale]
            cell[..., :3], cell[..., 3] = image.repeat(scale, 0).repeat(scale, 1), 255
        picture.set_data(mosaic)

    return picture, show


def _legend(axes, center: float, top: float, palette: np.ndarray, end: float) -> None:
    """The shades side by side, with the values that some of them stand for."""
    from matplotlib.patches import Rectangle

    wide, high = 22, 9
    for shade, color in zip(range(-SHADES_A_SIDE, SHADES_A_SIDE + 1), palette / 255, strict=True):
        x = center + (shade - 0.5) * wide
        axes.add_patch(Rectangle((x, top), wide, high, facecolor=color, edgecolor="0.75", linewidth=0.4))
        if shade % 3 == 0:
            value = np.sign(shade) * end * (shade / SHADES_A_SIDE) ** 2
            axes.text(x + wide / 2, top + high + 3, f"{value:.2g}", size=6.5, color="0.25", ha="center", va="top")


DRAW = {"curves": partial(_plots, _curves), "bars": partial(_plots, _bars), "images": _images}
