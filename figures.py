"""Run folders -> pictures, in one style.

Figures are made without pyplot: no display is needed, and matplotlib's global state stays as it is. Epochs are on a log
axis, as grokking is read; from 0 to 1 it is linear, so that epoch 0, the init, has a place.
"""

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

import numpy as np

from analysis.fourier import effective_input, effective_output, frequency_entropy
from errors import UserError
from training.checkpoints import list_checkpoints, load_checkpoint
from training.metrics import first_epoch, median_epoch, read_metrics

STYLE = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "0.9",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.4,
    "legend.frameon": False,
    "savefig.dpi": 150,
}
# Okabe and Ito's colours, told apart by colour-blind readers too; the first two are dense run and ticket everywhere.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
EPOCH_AXIS = "epoch (log axis, linear from 0 to 1)"

Matrix = Callable[[Mapping], np.ndarray]  # {name: weight} -> (neurons, values)


def matrices_of(path: Path, functions: Sequence[Matrix]) -> dict[Matrix, np.ndarray]:
    """What each of ``functions`` makes of the weights in one checkpoint, ``{function: (neurons, values)}``."""
    weights = load_checkpoint(path)["model"]
    try:
        matrices = {function: function(weights) for function in dict.fromkeys(functions)}
    except KeyError as error:
        raise UserError(f"{path} holds the weights of another kind of network: it has no {error.args[0]}") from None
    except (TypeError, ValueError):
        matrices = None
    if matrices is None or any(m.ndim != 2 or not m.shape[0] or m.shape[1] < 2 for m in matrices.values()):
        raise UserError(f"{path} is no checkpoint of this project: the shapes of its weights do not fit together")
    if not all(np.isfinite(matrix).all() for matrix in matrices.values()):
        raise UserError(f"{path} holds weights that are not finite; choose a run that did not diverge")
    return matrices


def read_matrices(
    folder: Path, functions: Sequence[Matrix], epochs: Container[int] | None = None
) -> dict[Matrix, dict[int, np.ndarray]]:
    """The same for all checkpoints of a run, or those of ``epochs``, ``{function: {epoch: (neurons, values)}}``, in order."""
    paths = list_checkpoints(folder)
    found = {epoch: matrices_of(path, functions) for epoch, path in paths.items() if epochs is None or epoch in epochs}
    if not found:
        raise UserError(f"{folder} holds no checkpoints: is it the folder of a run?")
    matrices = {function: {epoch: found[epoch][function] for epoch in found} for function in functions}
    for of_epoch in matrices.values():
        shapes = sorted({matrix.shape for matrix in of_epoch.values()})
        if len(shapes) > 1:
            raise UserError(f"{folder} holds checkpoints of different networks: weights of {shapes[0]}, {shapes[1]}")
    return matrices


def _read_records(folder: Path) -> dict[str, np.ndarray]:
    metrics = read_metrics(folder)
    if not len(metrics["epoch"]):
        raise UserError(f"{folder}/metrics.csv holds no records yet; let the run train first")
    return metrics


@contextmanager
def _stacked_axes(path: Path, heights: Sequence[float]) -> Iterator[Sequence]:
    """Axes of these heights (inches) above one another, on one epoch axis; on leaving, the picture goes to ``path``."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7, sum(heights)), layout="constrained")
        axes = figure.subplots(len(heights), sharex=True, squeeze=False, height_ratios=heights)[:, 0]
        yield axes
        axes[-1].set_xscale("symlog", linthresh=1, linscale=0.4)
        axes[-1].xaxis.set_major_formatter("{x:,.0f}")
        axes[-1].set_xlim(left=0)
        axes[-1].set_xlabel(EPOCH_AXIS)
        figure.savefig(path)


def _accuracy_axis(axes, label: str) -> None:
    axes.set_ylabel(label)
    axes.set_ylim(-0.03, 1.03)


def plot_curves(folder: Path, path: Path) -> None:
    """Train and test accuracy of one run over its epochs, and the losses below, to ``path``."""
    folder = Path(folder)
    metrics = _read_records(folder)
    with _stacked_axes(path, (2.4, 2.4)) as (accuracy, loss):
        for part, style in (("train", "--"), ("test", "-")):
            accuracy.plot(metrics["epoch"], metrics[f"{part}_acc"], style, color=COLORS[0], label=part)
            loss.plot(metrics["epoch"], metrics[f"{part}_loss"], style, color=COLORS[0], label=part)
        accuracy.set_title(folder.resolve().name)
        _accuracy_axis(accuracy, "accuracy")
        accuracy.legend(loc="best")
        loss.set_ylabel("loss (log axis)")
        loss.set_yscale("log", nonpositive="mask")


def plot_comparison(folders: Mapping[str, Path], path: Path, t_gen_threshold: float = 0.95) -> None:
    """Train and test accuracy of several runs, ``{label: folder}``, in one picture, to ``path``.

    A thin line marks each run's t_gen, the first recorded epoch with test accuracy at ``t_gen_threshold`` or above.
    """
    with _stacked_axes(path, (3.6,)) as (axes,):
        for (label, folder), color in zip(folders.items(), cycle(COLORS)):
            metrics = _read_records(folder)
            t_gen = first_epoch(metrics, "test_acc", t_gen_threshold)
            reached = f"{t_gen:,}" if t_gen is not None else f"> {int(metrics['epoch'][-1]):,}"
            axes.plot(metrics["epoch"], metrics["train_acc"], "--", color=color, alpha=0.6, label=f"{label}, train")
            axes.plot(metrics["epoch"], metrics["test_acc"], color=color, label=f"{label}, test: t_gen {reached}")
            if t_gen is not None:
                axes.axvline(t_gen, color=color, linewidth=0.7)
        axes.axhline(t_gen_threshold, color="0.6", linewidth=0.7, linestyle=":")
        axes.set_title(f"Thin lines: t_gen, the first recorded epoch with test accuracy at least {t_gen_threshold:g}")
        _accuracy_axis(axes, "accuracy")
        axes.figure.legend(loc="outside lower center", ncols=2)


def plot_entropy(dense_folder: Path, ticket_folder: Path | None, path: Path) -> None:
    """Frequency entropy of input and output weights at the checkpoints, below test accuracy, to ``path``.

    Low entropy is periodic: a cosine has 0, a flat spectrum ln f. Dense run and ticket, or the dense run alone.
    """
    functions = {effective_input: ("input weights", "o-"), effective_output: ("output weights", "s--")}
    folders = {"dense": dense_folder} | ({"ticket": ticket_folder} if ticket_folder else {})
    num_frequencies = set()
    with _stacked_axes(path, (1.8, 2.8)) as (accuracy, entropy):
        for (label, folder), color in zip(folders.items(), COLORS, strict=False):
            metrics = _read_records(folder)
            accuracy.plot(metrics["epoch"], metrics["test_acc"], color=color, label=label)
            for function, of_epoch in read_matrices(folder, list(functions)).items():
                name, style = functions[function]
                entropies = [frequency_entropy(matrix) for matrix in of_epoch.values()]
                entropy.plot(list(of_epoch), entropies, style, color=color, markersize=3, label=f"{label}, {name}")
                num_frequencies |= {matrix.shape[1] // 2 for matrix in of_epoch.values()}
        for f in sorted(num_frequencies):
            entropy.axhline(np.log(f), color="0.5", linewidth=0.7, linestyle=":", label=f"flat spectrum: ln {f}")
        _accuracy_axis(accuracy, "test accuracy")
        accuracy.legend(loc="best")
        entropy.set_ylabel("frequency entropy (nats)")
        entropy.set_ylim(bottom=0)
        entropy.legend(loc="best")


def plot_sweep(groups: Mapping[str, Sequence[Mapping]], column: str, path: Path, varying: Sequence[str]) -> None:
    """An epoch (``column``) over the first of the ``varying`` settings, to ``path``; a line for each value of the others.

    ``groups``: for each combination the rows of its seeds. Dots are seeds and the line is their median; runs that never get
    there are triangles above the upper border, which count as later than all others in the median. prune_at is drawn at the
    epoch of the mask, the median over seeds.
    """
    import matplotlib
    from matplotlib.figure import Figure

    x_name, others = varying[0], varying[1:]
    settings = [rows[0][x_name] for rows in groups.values()]
    places = [_place(rows, x_name) for rows in groups.values()]
    is_number = all(isinstance(place, int | float) and not isinstance(place, bool) for place in places)
    if not is_number:
        ticks = list(dict.fromkeys(map(str, settings)))
        places = [ticks.index(str(setting)) for setting in settings]
    border = 1.25 * max(row["last_epoch"] for rows in groups.values() for row in rows)
    lines: dict[tuple, list] = {}
    for rows, place in zip(groups.values(), places, strict=True):
        lines.setdefault(tuple(rows[0][name] for name in others), []).append((place, [row[column] for row in rows]))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7, 3.8), layout="constrained")
        axes = figure.subplots()
        spread = 0.006 * (max(places) - min(places) or 1)
        for number, ((values, line), color) in enumerate(zip(lines.items(), cycle(COLORS))):
            named = (f"{name} {value}" for name, value in zip(others, values, strict=True))
            shift, top = spread * (number - (len(lines) - 1) / 2), border * 1.3**number
            line.sort(key=lambda point: point[0])
            medians = [median_epoch(epochs) for _, epochs in line]
            axes.plot(
                [place + shift for place, _ in line],
                [top if median is None else max(median, 1) for median in medians],
                "-", color=color, label=", ".join(named) or "median over seeds",
            )  # fmt: skip
            for place, epochs in line:
                reached = [max(epoch, 1) for epoch in epochs if epoch is not None]
                axes.plot([place + shift] * len(reached), reached, "o", color=color, markersize=3.5, alpha=0.7)
                if len(reached) < len(epochs):
                    _mark_censored(axes, place + shift, top, "^", len(epochs) - len(reached), color)
        axes.axhline(border / 1.12, color="0.6", linewidth=0.7, linestyle=":")
        axes.set_yscale("log")
        _plain_epochs(axes.yaxis)
        axes.set_xlabel("epoch of the mask (prune_at)" if is_number and x_name == "prune_at" else x_name)
        axes.set_ylabel(column)
        if not is_number:
            axes.set_xticks(range(len(ticks)), ticks)
        axes.set_title("Dots: seeds. Lines: medians. Triangles: how many seeds never get there.", pad=10)
        axes.legend(loc="best")
        figure.savefig(path)


def _place(rows: Sequence[Mapping], x_name: str):
    """Where a setting is on the x axis: at its value; of prune_at, at the mask's epoch, where there is one."""
    if x_name != "prune_at":
        return rows[0][x_name]
    epochs = [row["mask_epoch"] for row in rows]
    return None if None in epochs else median_epoch(epochs)


def _mark_censored(axes, x: float, y: float, marker: str, count: int, color: str) -> None:
    axes.plot([x], [y], marker, color=color, markersize=6)
    axes.annotate(str(count), (x, y), (6, 0), textcoords="offset points", va="center", fontsize=7)


def _plain_epochs(axis) -> None:
    """1,000 2,000 5,000 10,000 on a log axis, instead of powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda epoch, _: f"{epoch:,.0f}"))
    axis.set_minor_formatter(NullFormatter())


def plot_settings(groups: Mapping[str, Sequence[Mapping]], column: str, path: Path) -> None:
    """An epoch (``column``) for settings that are no grid, to ``path``: one line of the picture each, named at the left.

    Dots are seeds and the bar is their median; a triangle at the right border counts the seeds that never get there.
    """
    import matplotlib
    from matplotlib.figure import Figure

    border = 1.25 * max(row["last_epoch"] for rows in groups.values() for row in rows)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7, 1.2 + 0.24 * len(groups)), layout="constrained")
        axes = figure.subplots()
        for place, rows in enumerate(groups.values()):
            epochs = [row[column] for row in rows]
            reached = [max(epoch, 1) for epoch in epochs if epoch is not None]
            axes.plot(reached, [place] * len(reached), "o", color=COLORS[1], markersize=4, alpha=0.7)
            if len(epochs) > 1:
                median = median_epoch(epochs)
                axes.plot([border if median is None else max(median, 1)], [place], "|", color=COLORS[1], markersize=12)
            if len(reached) < len(epochs):
                _mark_censored(axes, border, place, ">", len(epochs) - len(reached), COLORS[1])
        axes.axvline(border / 1.06, color="0.6", linewidth=0.7, linestyle=":")
        axes.set_yticks(range(len(groups)), list(groups))
        axes.invert_yaxis()
        axes.set_xscale("log")
        _plain_epochs(axes.xaxis)
        axes.set_xlabel(f"{column}, epochs (log axis)")
        figure.suptitle("Dots: seeds. Bars: medians. Triangles: how many seeds never get there.", fontsize=10)
        figure.savefig(path)
