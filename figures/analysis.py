"""The table of an analysis -> pictures, dense runs beside their tickets on the same axes; a line, or a row, for each seed."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from textwrap import fill
from typing import NamedTuple

import numpy as np

from figures.curves import COLORS, STYLE, Metrics, accuracy_axis, stacked_axes

DENSE, TICKET = COLORS[:2]
# Random masks: a mark at each epoch at which they were drawn.
RANDOM = {"random": ("x", "0.55"), "shuffled": ("s", COLORS[2]), "shuffled_degrees": ("D", COLORS[3])}


@dataclass(frozen=True)
class Shown:
    """Pairs of one setting, one for each seed: ``{name of a run: columns of its metrics.csv}``, and their masks' rate, if any."""

    setting: str
    dense: Mapping[str, Metrics]
    tickets: Mapping[str, Metrics]
    pruning_rate: float | None

    def rows(self, table):
        """Those of the table; of a dense run's masks the ones at this rate, or that are compared at several."""
        own, rate = {*self.dense, *self.tickets}, table["pruning_rate"]
        is_compared = table["measure"].eq("jaccard_distance") & (self.pruning_rate is not None)
        is_of_rate = rate.isna() | rate.eq(self.pruning_rate) | is_compared
        return table[table["run"].isin(own) & (table["other_run"].isna() | table["other_run"].isin(own)) & is_of_rate]

    @property
    def alpha(self) -> float:
        return 1 if len(self.dense) == 1 else 0.55


class Curve(NamedTuple):
    """A measure over the epochs; in a ``color`` of its own where only the dense run has it."""

    measure: str
    label: str
    part: str = "all"
    style: str = "-"
    color: str | None = None


class Panel(NamedTuple):
    """Curves on one pair of axes."""

    label: str
    curves: Sequence[Curve]
    log: bool = False
    ends: tuple[float, float | None] | None = None


UNIT = (-0.03, 1.03)
RANKS = {"input": "-", "output": "--", "W_in": "-", "W_h.0": "--", "W_out": ":"}
# Pictures of panels below one another, under the test accuracy; a panel of which nothing was measured is left out.
PICTURES: dict[str, Sequence[Panel]] = {
    "fourier": (
        Panel(
            "share of the\nlogits' variance",
            [Curve("logit_share", "functions of a + b - c"), Curve("logit_share", "key frequencies alone", "keys", "--")],
            ends=UNIT,
        ),
        Panel(
            "loss (log axis)",
            [Curve("restricted_loss", "keys alone, test", "test"), Curve("excluded_loss", "keys excluded, train", style="--")],
            log=True,
        ),
        Panel("phase alignment", [Curve("phase_alignment", "cos(out - 2 in)")], ends=(-0.35, 1.03)),
        Panel("distance irrelevance", [Curve("distance_irrelevance", "right logit")], ends=UNIT),
        Panel("number of\nkey frequencies", [Curve("key_frequencies", "at that epoch")], ends=(0, None)),
    ),
    "structure": (
        Panel(
            "overlap with\nthe ticket's mask",
            [
                Curve("overlap", "its mask then"),
                Curve("overlap_by_degrees", "by chance, rows and columns given", style="--", color="0.35"),
                Curve("overlap_by_chance", "by chance, matrices given", style=":", color="0.35"),
            ],
            ends=UNIT,
        ),
        Panel("cosine with\nthe start", [Curve("cosine", "all weights", style="--"), Curve("cosine_kept", "the ticket's weights")]),
    ),
    "paths": (Panel("mean path from\ninputs to outputs", [Curve("weighted_path_length", "edges of length 1/|w|")]),),
    "norms": (
        Panel(
            "L2 norm",
            [Curve("l2norm", "all weights"), Curve("l2norm_by_decay_alone", "weight decay alone", style=":")],
            ends=(0, None),
        ),
        Panel("effective rank", [Curve("effective_rank", part, part, style) for part, style in RANKS.items()], ends=(0, None)),
        Panel("logit std (log axis)", [Curve("logit_std", "training set", "train")], log=True),
    ),
    "gradients": (
        Panel(
            "share of the\ngradient's energy",
            [
                Curve("gradient_share_in_mask", "in the ticket's mask"),
                Curve("gradient_share_in_largest", "in the largest weights", style="--"),
                Curve("gradient_share_in_degrees_mask", "by chance, rows and columns given", style=":", color="0.35"),
            ],
            ends=UNIT,
        ),
        Panel(
            "cosine",
            [
                Curve("gradient_cosine_train_test", "train and test gradient"),
                Curve("descent_cosine_to_weights", "descent and weights", style="--"),
            ],
            ends=(-1.03, 1.03),
        ),
        Panel(
            "AGOP, distance\nto circulant",
            [Curve("agop_distance_to_circulant", "numbers", part) for part in ("all", "ab")]
            + [Curve("agop_distance_to_circulant_null", "numbers renamed", part, ":") for part in ("all", "ab")],
            ends=UNIT,
        ),
        Panel(
            "kernel alignment\nwith same class",
            [Curve("kernel_alignment", "labels"), Curve("kernel_alignment_permuted", "labels permuted", style=":")],
        ),
    ),
}  # fmt: skip
# Of each matrix's graph.
GRAPH = {"clustering": "clustering", "path_length": "mean path", "ramanujan_gap": "Ramanujan gap"}
GRAPH |= {"weighted_spectral_gap": "spectral gap of |w|"}


def draw(table, shown: Sequence[Shown], folder: Path) -> list[Path]:
    """Writes what the table has rows for into ``folder``, a folder below it for each setting where these are several."""
    pictures = {name: (panels[0].curves[0].measure, draw_panels) for name, panels in PICTURES.items()}
    pictures |= {"frequencies": ("logit_share", draw_frequencies), "masks": ("jaccard_distance", draw_masks)}
    pictures |= {"graph": ("clustering", draw_graph)}
    written = []
    for one in shown:
        rows, place = one.rows(table), folder / one.setting if len(shown) > 1 else folder
        place.mkdir(parents=True, exist_ok=True)
        for name, (measure, picture) in pictures.items():
            if rows["measure"].eq(measure).any():
                picture(rows, one, place / f"{name}.png")
                written.append(place / f"{name}.png")
    return written


@contextmanager
def _figure(path: Path, width: float, height: float) -> Iterator:
    """A figure of this size (inches), which on leaving goes to ``path``."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE | {"axes.axisbelow": True}):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure
        figure.savefig(path)


def _plot(axes, rows, shown: Shown, style: str, dense: str, ticket: str, color: str | None = None) -> None:
    """Lines of the dense runs and the tickets with these labels, and marks of random masks."""
    for (name, mask), own in rows.groupby(["run", rows["mask"].fillna("")], sort=False):
        if mask in RANDOM:
            mark, of_mask = RANDOM[mask]
            axes.plot(own["epoch"], own["value"], mark, color=of_mask, mfc="none", markersize=4, label=mask)
        else:
            label, usual = (ticket, TICKET) if name in shown.tickets else (dense, DENSE)
            how = {"color": color or usual, "alpha": shown.alpha, "marker": ".", "markersize": 3}
            axes.plot(own["epoch"], own["value"], style, label=label, **how)


def _told_once(axes) -> dict:
    """``{label: what is drawn}``: one entry of the legend for all seeds."""
    drawn, labels = axes.get_legend_handles_labels()
    return dict(zip(labels, drawn, strict=True))


def draw_panels(rows, shown: Shown, path: Path) -> None:
    """The panels of PICTURES with the name of the file."""
    measured = set(zip(rows["measure"], rows["part"], strict=True))
    drawn = [
        (panel, [one for one in panel.curves if (one.measure, one.part) in measured]) for panel in PICTURES[path.stem]
    ]
    drawn = [(panel, curves) for panel, curves in drawn if curves]
    with stacked_axes(path, (1.5, *[1.8] * len(drawn))) as (accuracy, *others):
        for runs, color, label in ((shown.dense, DENSE, "dense"), (shown.tickets, TICKET, "ticket")):
            for metrics in runs.values():
                accuracy.plot(metrics["epoch"], metrics["test_acc"], color=color, alpha=shown.alpha, label=label)
        accuracy_axis(accuracy, "test accuracy")
        for axes, (panel, curves) in zip(others, drawn, strict=True):
            for curve in curves:
                own = rows[rows["measure"].eq(curve.measure) & rows["part"].eq(curve.part)]
                if curve.measure.startswith("overlap"):
                    own = own[own["run"].isin(shown.dense)]  # a ticket's is that with other seeds
                labels = [curve.label] * 2 if curve.color else [f"dense: {curve.label}", f"ticket: {curve.label}"]
                _plot(axes, own, shown, curve.style, *labels, curve.color)
            axes.set_ylabel(panel.label)
            axes.set_yscale("log" if panel.log else "linear")
            if panel.ends:
                axes.set_ylim(*panel.ends)
        for axes in (accuracy, *others):
            told = _told_once(axes)
            axes.legend(told.values(), told, loc="center left", bbox_to_anchor=(1, 0.5), fontsize=7)
        accuracy.figure.suptitle(fill(shown.setting, 100), fontsize=8)


def draw_frequencies(rows, shown: Shown, path: Path) -> None:
    """What each frequency adds to the logits at the end: dense upwards, ticket downwards."""
    rows = rows[rows["measure"].eq("logit_share") & rows["part"].str.isdigit()]
    rows = rows[rows["epoch"].eq(rows.groupby("run")["epoch"].transform("max"))]
    with _figure(path, 7, 0.9 + 1.2 * len(shown.dense)) as figure:
        every = figure.subplots(len(shown.dense), sharex=True, sharey=True, squeeze=False)[:, 0]
        for axes, dense, ticket in zip(every, shown.dense, shown.tickets, strict=True):
            for name, color, sign, label in ((dense, DENSE, 1, "dense"), (ticket, TICKET, -1, "ticket")):
                own = rows[rows["run"].eq(name)]
                axes.bar(own["part"].astype(int), sign * own["value"], color=color, label=label)
            axes.axhline(0, color="0.3", linewidth=0.7)
            axes.yaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
            axes.set_ylabel(f"seed {own['seed'].iloc[0]}")
        every[0].legend(loc="center left", bbox_to_anchor=(1, 0.5))
        every[-1].set_xlabel("frequency k")
        figure.suptitle("Share of cos and sin of 2πk(a + b - c)/p in the logits' variance at the end", fontsize=9)


def draw_masks(rows, shown: Shown, path: Path) -> None:
    """Jaccard distance of the dense run's masks: over a fixed number of epochs, and of all pairs, the mean over seeds."""
    rows = rows[rows["measure"].eq("jaccard_distance") & rows["part"].eq("all")]
    rates = sorted(rows["pruning_rate"].unique()) if len(shown.dense) == 1 else [shown.pruning_rate]
    styles = dict(zip(rates, ("o-", "s--", "^:", "v-."), strict=False))
    means = (
        rows[rows["pruning_rate"].eq(shown.pruning_rate)].groupby(["epoch", "other_epoch"])["value"].mean().unstack()
    )
    epochs = sorted({*means.index, *means.columns.astype(int)})
    step = int(np.bincount(np.diff(epochs)).argmax())  # the usual distance of checkpoints
    with _figure(path, 10, 4.2) as figure:
        left, right = figure.subfigures(1, 2)
        accuracy, successive = left.subplots(2, 1, sharex=True)
        accuracy_axis(accuracy, "test accuracy, dense")
        beside = rows[(rows["epoch"] - rows["other_epoch"]).eq(step)]
        for (name, metrics), color in zip(shown.dense.items(), cycle(COLORS)):
            accuracy.plot(metrics["epoch"], metrics["test_acc"], color=color)
            for rate, style in styles.items():
                own = beside[beside["run"].eq(name) & beside["pruning_rate"].eq(rate)]
                label = f"seed {own['seed'].iloc[0]}, rate {rate:g}"
                successive.plot(own["epoch"] - step / 2, own["value"], style, color=color, markersize=3, label=label)
        successive.set(ylabel=f"Jaccard distance of masks\n{step:,} epochs apart", xlabel="epoch", ylim=(0, None))
        successive.xaxis.set_major_formatter("{x:,.0f}")
        successive.set_xlim(0, epochs[-1])
        successive.legend(loc="best", fontsize=7)
        square = means.reindex(index=epochs, columns=epochs).fillna(0).to_numpy()
        axes = right.subplots()
        image = axes.imshow(square + square.T, vmin=0)
        ticks = range(0, len(epochs), -(-len(epochs) // 20))
        axes.set_xticks(ticks, [f"{epochs[at]:,}" for at in ticks], rotation=90)
        axes.set_yticks(ticks, [f"{epochs[at]:,}" for at in ticks])
        axes.grid(False)
        axes.set(title=f"of all pairs, rate {shown.pruning_rate:g}", xlabel="epoch", ylabel="epoch")
        right.colorbar(image, ax=axes, shrink=0.8)


def draw_graph(rows, shown: Shown, path: Path) -> None:
    """Each measure of each matrix's graph: the dense run's masks, the ticket's, and random ones."""
    matrices = list(dict.fromkeys(rows[rows["measure"].eq("clustering")]["part"]))
    with _figure(path, 1 + 2.4 * len(matrices), 1 + 1.9 * len(GRAPH)) as figure:
        every = figure.subplots(len(GRAPH), len(matrices), sharex=True, squeeze=False)
        for of_measure, measure in zip(every, GRAPH, strict=True):
            for axes, matrix in zip(of_measure, matrices, strict=True):
                own = rows[rows["measure"].eq(measure) & rows["part"].eq(matrix)]
                _plot(axes, own, shown, "-", "masks of the dense run", "ticket")
                axes.set_xscale("symlog", linthresh=100, linscale=0.4)
                axes.set_xlim(left=0)
                axes.xaxis.set_major_formatter("{x:,.0f}")
                axes.tick_params("x", labelsize=7)
        for axes, matrix in zip(every[0], matrices, strict=True):
            axes.set_title(matrix)
        for axes, label in zip(every[:, 0], GRAPH.values(), strict=True):
            axes.set_ylabel(label)
        for axes in every[-1]:
            axes.set_xlabel("epoch")
        told = _told_once(every[0, 0])
        figure.legend(told.values(), told, loc="outside lower center", ncols=5)
