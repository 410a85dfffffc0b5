"""What analyses have measured, a picture of its own: which frequencies, masks of all epochs, masks as graphs."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from textwrap import fill

import numpy as np

from figures.curves import COLORS, Metrics, accuracy_axis, picture

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


# Of each matrix's graph.
GRAPH = {"clustering": "clustering", "path_length": "mean path", "ramanujan_gap": "Ramanujan gap"}
GRAPH |= {"weighted_spectral_gap": "spectral gap of |w|"}


def plot(axes, rows, shown: Shown, style: str, dense: str, ticket: str, color: str | None = None) -> None:
    """Lines of the dense runs and the tickets with these labels, and marks of random masks."""
    for (name, mask), own in rows.groupby(["run", rows["mask"].fillna("")], sort=False):
        if mask in RANDOM:
            mark, of_mask = RANDOM[mask]
            axes.plot(own["epoch"], own["value"], mark, color=of_mask, mfc="none", markersize=4, label=mask)
        else:
            label, usual = (ticket, TICKET) if name in shown.tickets else (dense, DENSE)
            how = {"color": color or usual, "alpha": shown.alpha, "marker": ".", "markersize": 3}
            axes.plot(own["epoch"], own["value"], style, label=label, **how)


def told_once(axes) -> dict:
    """``{label: what is drawn}``: one entry of the legend for all seeds."""
    drawn, labels = axes.get_legend_handles_labels()
    return dict(zip(labels, drawn, strict=True))


def draw_frequencies(rows, shown: Shown, path: Path) -> None:
    """What each frequency adds to the logits at the end: dense upwards, ticket downwards."""
    rows = rows[rows["measure"].eq("logit_share") & rows["part"].str.isdigit()]
    rows = rows[rows["epoch"].eq(rows.groupby("run")["epoch"].transform("max"))]
    with picture(path, 7, 0.9 + 1.2 * len(shown.dense)) as figure:
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
        every[-1].xaxis.get_major_locator().set_params(integer=True)
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
    with picture(path, 10, 4.2) as figure:
        left, right = figure.subfigures(1, 2)
        accuracy, successive = left.subplots(2, 1, sharex=True)
        accuracy_axis(accuracy, "test accuracy, dense")
        beside = rows[(rows["epoch"] - rows["other_epoch"]).eq(step)]
        for (name, metrics), color in zip(shown.dense.items(), cycle(COLORS)):
            accuracy.plot(metrics["epoch"], metrics["test_acc"], color=color)
            for rate, style in styles.items():
                own = beside[beside["run"].eq(name) & beside["pruning_rate"].eq(rate)]
                if own.empty:
                    continue
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
        right.colorbar(image, ax=axes, shrink=0.8, label="Jaccard distance")
        figure.suptitle(fill(shown.setting, 140), fontsize=8)


def draw_graph(rows, shown: Shown, path: Path) -> None:
    """Each measure of each matrix's graph: the dense run's masks, the ticket's, and random ones."""
    matrices = list(dict.fromkeys(rows[rows["measure"].eq("clustering")]["part"]))
    with picture(path, 1 + 2.4 * len(matrices), 1 + 1.9 * len(GRAPH)) as figure:
        every = figure.subplots(len(GRAPH), len(matrices), sharex=True, squeeze=False)
        for of_measure, measure in zip(every, GRAPH, strict=True):
            for axes, matrix in zip(of_measure, matrices, strict=True):
                own = rows[rows["measure"].eq(measure) & rows["part"].eq(matrix)]
                plot(axes, own, shown, "-", "masks of the dense run", "ticket")
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
        told = told_once(every[0, 0])
        figure.legend(told.values(), told, loc="outside lower center", ncols=5)
        figure.suptitle(fill(shown.setting, 120), fontsize=8)
        figure.draw_without_rendering()  # the layout makes room for the numbers of the draw before
