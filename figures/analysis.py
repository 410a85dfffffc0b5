"""The table of an analysis -> pictures, dense runs beside their tickets on the same axes; a line, or a row, for each seed."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import NamedTuple

from figures.curves import accuracy_axis, stacked_axes
from figures.measured import DENSE, TICKET, Shown, draw_frequencies, draw_graph, draw_masks, plot, told_once


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
                plot(axes, own, shown, curve.style, *labels, curve.color)
            axes.set_ylabel(panel.label)
            axes.set_yscale("log" if panel.log else "linear")
            if panel.ends:
                axes.set_ylim(*panel.ends)
        for axes in (accuracy, *others):
            told = told_once(axes)
            axes.legend(told.values(), told, loc="center left", bbox_to_anchor=(1, 0.5), fontsize=7)
        accuracy.figure.suptitle(fill(shown.setting, 100), fontsize=8)
