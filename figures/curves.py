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
from common.errors import UserError
from experiments.checkpoints import list_checkpoints, load_checkpoint
from experiments.reading import read_generalization, read_metrics

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

    A thin line marks each run's t_gen (training/generalization.py) at ``t_gen_threshold``, where it has one.
    """
    with _stacked_axes(path, (3.6,)) as (axes,):
        for (label, folder), color in zip(folders.items(), cycle(COLORS)):
            metrics = _read_records(folder)
            found = read_generalization(folder, t_gen_threshold)
            axes.plot(metrics["epoch"], metrics["train_acc"], "--", color=color, alpha=0.6, label=f"{label}, train")
            axes.plot(metrics["epoch"], metrics["test_acc"], color=color, label=f"{label}, test: t_gen {found}")
            if found.t_gen is not None:
                axes.axvline(found.t_gen, color=color, linewidth=0.7)
        axes.axhline(t_gen_threshold, color="0.6", linewidth=0.7, linestyle=":")
        axes.set_title(f"Thin lines: t_gen, from which test accuracy stays at {t_gen_threshold:g} or above", pad=8)
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
