"""The table of an analysis -> pictures, dense runs beside their tickets on the same axes; a line, or a row, for each seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from textwrap import fill

import numpy as np

from figures.analysis import CAPTIONS, PANELS, TITLES
from figures.curves import COLORS, Metrics, accuracy_axis, picture, stacked_axes

DENSE, TICKET = COLORS[:2]


@dataclass(frozen=True)
class Shown:
    """Pairs of one setting, one for each seed: ``{name of a run: columns of its metrics.csv}``, and their masks' rate, if any."""

    setting: str
    dense: Mapping[str, Metrics]
    tickets: Mapping[str, Metrics]
    pruning_rate: float | None

    def rows(self, table):
        """Those of the table; of a dense run's masks the ones at this rate."""
        own, rate = {*self.dense, *self.tickets}, table["pruning_rate"]
        is_of_rate = rate.isna() | rate.eq(self.pruning_rate)
        return table[table["run"].isin(own) & (table["other_run"].isna() | table["other_run"].isin(own)) & is_of_rate]

    @property
    def alpha(self) -> float:
        return 1 if len(self.dense) == 1 else 0.55


# Random masks, with as many weights as the dense run's in all or in a part: a mark at each epoch at which they were drawn.
RANDOM = {"random": ("random mask, as many weights", "x", "0.55")}
RANDOM |= {"shuffled": ("random, as many in each matrix", "s", COLORS[2])}
RANDOM |= {"shuffled_degrees": ("random, as many in each row and column", "D", COLORS[3])}
GRAPH = {"clustering": "clustering", "path_length": "mean path", "ramanujan_gap": "Ramanujan gap"}  # of each matrix
GRAPH |= {"weighted_spectral_gap": "spectral gap of |w|"}


def draw(table, shown: Sequence[Shown], folder: Path) -> list[Path]:
    """Writes what the table has rows for into ``folder``, a folder below it for each setting where these are several."""
    pictures = {name: (panels[0].curves[0].measure, draw_panels) for name, panels in PANELS.items()}
    pictures |= {"frequencies": ("logit_share", draw_frequencies), "masks": ("jaccard_distance", draw_masks)}
    pictures |= {"graph": ("clustering", draw_graph)}
    written = []
    for one in shown:
        rows, place = one.rows(table), folder / one.setting if len(shown) > 1 else folder
        place.mkdir(parents=True, exist_ok=True)
        for name, (measure, picture_of) in pictures.items():
            if rows["measure"].eq(measure).any():
                picture_of(rows, one, place / f"{name}.png")
                written.append(place / f"{name}.png")
    return written


def explain(figure, shown: Shown, path: Path, width: int) -> None:
    """A title above a picture; below it what its words mean and which runs these are, in lines of ``width`` letters."""
    figure.suptitle(TITLES[path.stem], fontsize=10)
    text = f"{CAPTIONS[path.stem]} Runs: {shown.setting}."
    figure.supxlabel(fill(text, width), fontsize=7, x=0.01, ha="left")


def plot(axes, rows, shown: Shown, style: str, dense: str, ticket: str, color: str | None = None) -> None:
    """Lines of the dense runs and the tickets with these labels, and marks of random masks."""
    for (name, mask), own in rows.groupby(["run", rows["mask"].fillna("")], sort=False):
        if mask in RANDOM:
            label, mark, of_mask = RANDOM[mask]
            axes.plot(own["epoch"], own["value"], mark, color=of_mask, mfc="none", markersize=4, label=label)
        else:
            label, usual = (ticket, TICKET) if name in shown.tickets else (dense, DENSE)
            how = {"color": color or usual, "alpha": shown.alpha, "marker": ".", "markersize": 3}
            axes.plot(own["epoch"], own["value"], style, label=label, **how)


def labelled(axes) -> dict:
    """``{label: what is drawn}``: one entry of the legend for all seeds."""
    drawn, labels = axes.get_legend_handles_labels()
    return dict(zip(labels, drawn, strict=True))


def draw_panels(rows, shown: Shown, path: Path) -> None:
    """The panels of PANELS with the name of the file."""
    measured = set(zip(rows["measure"], rows["part"], strict=True))
    drawn = [
        (panel, [one for one in panel.curves if (one.measure, one.part) in measured]) for panel in PANELS[path.stem]
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
                plot(axes, own, shown, curve.style, *labels, curve.color)
            axes.set_ylabel(panel.label)
            axes.set_yscale("log" if panel.log else "linear")
            if panel.ends:
                axes.set_ylim(*panel.ends)
        for axes in (accuracy, *others):
            entries = labelled(axes)
            axes.legend(entries.values(), entries, loc="center left", bbox_to_anchor=(1, 0.5), fontsize=7)
        explain(accuracy.figure, shown, path, 120)


def draw_frequencies(rows, shown: Shown, path: Path) -> None:
    """What each frequency adds to the logits at the end: dense upwards, ticket downwards."""
    rows = rows[rows["measure"].eq("logit_share") & rows["part"].str.isdigit()]
    rows = rows[rows["epoch"].eq(rows.groupby("run")["epoch"].transform("max"))]
    with picture(path, 7, 1.2 + 1.2 * len(shown.dense)) as figure:
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
        explain(figure, shown, path, 120)


def draw_masks(rows, shown: Shown, path: Path) -> None:
    """Jaccard distance of the dense run's masks: over the usual number of epochs between checkpoints, and of all pairs."""
    rows = rows[rows["measure"].eq("jaccard_distance")]
    means = rows.groupby(["epoch", "other_epoch"])["value"].mean().unstack()
    epochs = sorted({*means.index, *means.columns.astype(int)})
    step = int(np.bincount(np.diff(epochs)).argmax())
    with picture(path, 10, 4.4) as figure:
        left, right = figure.subplots(1, 2)
        beside = rows[(rows["epoch"] - rows["other_epoch"]).eq(step)]
        for (seed, own), color in zip(beside.groupby("seed"), cycle(COLORS)):
            left.plot(own["epoch"] - step / 2, own["value"], "o-", color=color, markersize=3, label=f"seed {seed}")
        left.set(ylabel=f"Jaccard distance of masks {step:,} epochs apart", xlabel="epoch", ylim=(0, None))
        left.xaxis.set_major_formatter("{x:,.0f}")
        left.set_xlim(0, epochs[-1])
        left.legend(loc="best", fontsize=7)
        square = means.reindex(index=epochs, columns=epochs).fillna(0).to_numpy()
        image = right.imshow(square + square.T, vmin=0)
        ticks = range(0, len(epochs), -(-len(epochs) // 20))
        right.set_xticks(ticks, [f"{epochs[at]:,}" for at in ticks], rotation=90)
        right.set_yticks(ticks, [f"{epochs[at]:,}" for at in ticks])
        right.grid(False)
        right.set(xlabel="epoch", ylabel="epoch")
        figure.colorbar(image, ax=right, shrink=0.8, label="Jaccard distance")
        explain(figure, shown, path, 170)


def draw_graph(rows, shown: Shown, path: Path) -> None:
    """Each measure of each matrix's graph: the dense run's masks, the ticket's, and random ones."""
    matrices = list(dict.fromkeys(rows[rows["measure"].eq("clustering")]["part"]))
    with picture(path, 3.5 + 2.4 * len(matrices), 1.4 + 1.9 * len(GRAPH)) as figure:
        every = figure.subplots(len(GRAPH), len(matrices), sharex=True, squeeze=False)
        for of_measure, (measure, label) in zip(every, GRAPH.items(), strict=True):
            of_measure[0].set_ylabel(label)
            for axes, matrix in zip(of_measure, matrices, strict=True):
                own = rows[rows["measure"].eq(measure) & rows["part"].eq(matrix)]
                plot(axes, own, shown, "-", "masks of the dense run", "ticket")
                axes.set_xscale("symlog", linthresh=100, linscale=0.4)
                axes.set_xlim(left=0)
                axes.xaxis.set_major_formatter("{x:,.0f}")
                axes.tick_params("x", labelsize=7)
        for axes, lowest, matrix in zip(every[0], every[-1], matrices, strict=True):
            axes.set_title(matrix)
            lowest.set_xlabel("epoch")
        entries = labelled(every[0, 0])
        figure.legend(entries.values(), entries, loc="outside right upper")
        explain(figure, shown, path, 50 + 40 * len(matrices))
        figure.draw_without_rendering()  # the layout makes room for the numbers of the draw before
