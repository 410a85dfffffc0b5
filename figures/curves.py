"""Recorded curves -> pictures, in one style.

Figures are made without pyplot: no display is needed, and matplotlib's global state stays as it is. Epochs are on a log
axis, as grokking is read; from 0 to 1 it is linear, so that epoch 0, the init, has a place.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

import numpy as np

from analysis.fourier import frequency_entropy
from common.errors import UserError
from training.generalization import Generalization

STYLE = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "0.9",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.4,
    "legend.frameon": False,
    "savefig.dpi": 150,
}
# Okabe and Ito's colours, told apart by colour-blind readers too; the first two are dense run and ticket everywhere.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
EPOCH_AXIS = "epoch (log axis, linear from 0 to 1)"

Metrics = Mapping[str, np.ndarray]  # {column of metrics.csv: (records,)}


def check_recorded(metrics: Metrics, label: str) -> None:
    """Raise UserError for a run that has recorded nothing, as one that diverged at once."""
    if not len(metrics["epoch"]):
        raise UserError(f"{label} holds no records yet; let the run train first")


@contextmanager
def picture(path: Path, width: float, height: float) -> Iterator:
    """A figure of this size (inches), which on leaving goes to ``path``."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure
        figure.savefig(path)


@contextmanager
def stacked_axes(path: Path, heights: Sequence[float]) -> Iterator[Sequence]:
    """Axes of these heights (inches) above one another, on one epoch axis; on leaving, the picture goes to ``path``."""
    with picture(path, 7, sum(heights)) as figure:
        axes = figure.subplots(len(heights), sharex=True, squeeze=False, height_ratios=heights)[:, 0]
        yield axes
        axes[-1].set_xscale("symlog", linthresh=1, linscale=0.4)
        axes[-1].xaxis.set_major_formatter("{x:,.0f}")
        axes[-1].set_xlim(left=0)
        axes[-1].set_xlabel(EPOCH_AXIS)


def accuracy_axis(axes, label: str) -> None:
    axes.set_ylabel(label)
    axes.set_ylim(-0.03, 1.03)


def plot_curves(metrics: Metrics, title: str, path: Path) -> None:
    """Train and test accuracy of one run over its epochs, and the losses below, to ``path``."""
    check_recorded(metrics, title)
    with stacked_axes(path, (2.4, 2.4)) as (accuracy, loss):
        for part, style in (("train", "--"), ("test", "-")):
            accuracy.plot(metrics["epoch"], metrics[f"{part}_acc"], style, color=COLORS[0], label=part)
            loss.plot(metrics["epoch"], metrics[f"{part}_loss"], style, color=COLORS[0], label=part)
        accuracy.set_title(title)
        accuracy_axis(accuracy, "accuracy")
        accuracy.legend(loc="best")
        loss.set_ylabel("loss (log axis)")
        loss.set_yscale("log", nonpositive="mask")


def plot_comparison(runs: Mapping[str, tuple[Metrics, Generalization]], path: Path, t_gen_threshold: float) -> None:
    """Train and test accuracy of several runs, ``{label: (metrics, what is known of t_gen)}``, in one picture, to ``path``.

    A thin line marks each run's t_gen (training/generalization.py) at ``t_gen_threshold``, where it has one.
    """
    for label, (metrics, _) in runs.items():
        check_recorded(metrics, label)
    with stacked_axes(path, (3.6,)) as (axes,):
        for (label, (metrics, found)), color in zip(runs.items(), cycle(COLORS)):
            axes.plot(metrics["epoch"], metrics["train_acc"], "--", color=color, alpha=0.6, label=f"{label}, train")
            axes.plot(metrics["epoch"], metrics["test_acc"], color=color, label=f"{label}, test: t_gen {found}")
            if found.t_gen is not None:
                axes.axvline(found.t_gen, color=color, linewidth=0.7)
        axes.axhline(t_gen_threshold, color="0.6", linewidth=0.7, linestyle=":")
        axes.set_title(f"Thin lines: t_gen, from which test accuracy stays at {t_gen_threshold:g} or above", pad=8)
        accuracy_axis(axes, "accuracy")
        axes.figure.legend(loc="outside lower center", ncols=2)


Spectra = tuple[Mapping[int, float], Mapping[int, np.ndarray], Mapping[int, np.ndarray]]


def plot_entropy(runs: Mapping[str, Spectra], path: Path) -> None:
    """Frequency entropy of input and output weights at the checkpoints, below test accuracy, to ``path``.

    ``runs``: for each label test accuracy ``{epoch: value}``, and input and output weights ``{epoch: (neurons, inputs)}``. Low
    entropy is periodic: a cosine has 0, a flat spectrum ln f.
    """
    num_frequencies = set()
    with stacked_axes(path, (1.8, 2.8)) as (accuracy, entropy):
        for (label, (test_acc, inputs, outputs)), color in zip(runs.items(), COLORS, strict=False):
            accuracy.plot(list(test_acc), list(test_acc.values()), color=color, label=label)
            for name, style, of_epoch in (("input weights", "o-", inputs), ("output weights", "s--", outputs)):
                entropies = [frequency_entropy(matrix) for matrix in of_epoch.values()]
                entropy.plot(list(of_epoch), entropies, style, color=color, markersize=3, label=f"{label}, {name}")
                num_frequencies |= {matrix.shape[1] // 2 for matrix in of_epoch.values()}
        for f in sorted(num_frequencies):
            entropy.axhline(np.log(f), color="0.5", linewidth=0.7, linestyle=":", label=f"flat spectrum: ln {f}")
        accuracy_axis(accuracy, "test accuracy")
        accuracy.legend(loc="best")
        entropy.set_ylabel("frequency entropy (nats)")
        entropy.set_ylim(bottom=0)
        entropy.legend(loc="best")
