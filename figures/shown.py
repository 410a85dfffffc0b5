"""What the pictures of an analysis show: a measure a curve, and below each picture what its words mean."""

from collections.abc import Sequence
from typing import NamedTuple


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
    ends: tuple[float, float | None] | None = None
    log: bool = False


UNIT, GRAY = (-0.03, 1.03), "0.35"
RANKS = {"input": "-", "output": "--", "W_in": "-", "W_h.0": "--", "W_out": ":"}
# Panels below one another, under the test accuracy. A panel of which nothing was measured is left out.
PANELS: dict[str, Sequence[Panel]] = {
    "fourier": (
        Panel(
            "share of the\nlogits' variance",
            [Curve("logit_share", "functions of a + b - c"), Curve("logit_share", "key frequencies alone", "keys", "--")],
            UNIT,
        ),
        Panel(
            "loss (log axis)",
            [Curve("restricted_loss", "keys alone, test", "test"), Curve("excluded_loss", "keys excluded, train", style="--")],
            log=True,
        ),
        Panel("phase alignment", [Curve("phase_alignment", "cos(out - 2 in)")], (-0.35, 1.03)),
        Panel("distance irrelevance", [Curve("distance_irrelevance", "right logit")], UNIT),
        Panel("number of\nkey frequencies", [Curve("key_frequencies", "at that epoch")], (0, None)),
    ),
    "structure": (
        Panel(
            "overlap with\nthe ticket's mask",
            [
                Curve("overlap", "its mask then"),
                Curve("overlap_by_degrees", "by chance, rows and columns given", style="--", color=GRAY),
                Curve("overlap_by_chance", "by chance, matrices given", style=":", color=GRAY),
            ],
            UNIT,
        ),
        Panel("cosine with\nthe start", [Curve("cosine", "all weights", style="--"), Curve("cosine_kept", "the ticket's weights")]),
    ),
    "norms": (
        Panel("L2 norm", [Curve("l2norm", "all weights"), Curve("l2norm_by_decay_alone", "weight decay alone", style=":")], (0, None)),
        Panel("effective rank", [Curve("effective_rank", part, part, style) for part, style in RANKS.items()], (0, None)),
        Panel("logit std (log axis)", [Curve("logit_std", "training set", "train")], log=True),
    ),
    "gradients": (
        Panel(
            "share of the\ngradient's energy",
            [
                Curve("gradient_share_in_mask", "in the ticket's mask"),
                Curve("gradient_share_in_largest", "in the largest weights", style="--"),
                Curve("gradient_share_in_degrees_mask", "by chance, rows and columns given", style=":", color=GRAY),
            ],
            UNIT,
        ),
        Panel(
            "cosine",
            [
                Curve("gradient_cosine_train_test", "train and test gradient"),
                Curve("descent_cosine_to_weights", "descent and weights", style="--"),
            ],
            (-1.03, 1.03),
        ),
        Panel(
            "AGOP, distance\nto circulant",
            [Curve("agop_distance_to_circulant", "numbers", part) for part in ("all", "ab")]
            + [Curve("agop_distance_to_circulant_null", "numbers renamed", part, ":") for part in ("all", "ab")],
            UNIT,
        ),
    ),
}  # fmt: skip
TITLES = {
    "fourier": "How networks come to add with a few frequencies",
    "structure": "How near the dense run is to the ticket's mask, and both are to the start",
    "norms": "The size of weights and logits",
    "gradients": "Where the gradients point",
    "graph": "Masks as graphs, matrix by matrix",
    "frequencies": "The share of each frequency in the logits at the end",
    "masks": "How the dense run's mask changes",
}
# What a reader of a picture may not know, below it.
CAPTIONS = {
    "fourier": "Key frequencies: those that are half or more of the variance of some neuron at the end of the run. Keys alone: "
    "the loss when the logits keep only what these frequencies say of a + b. Keys excluded: the loss without that part. "
    "Phase alignment: 1 where each neuron writes with twice the phase it reads with, as addition needs. Distance irrelevance: "
    "near 1 the right logit depends on a + b alone (a clock), near 0 on a - b as well (a pizza).",
    "structure": "Overlap: the share of the ticket's weights that the dense run's own mask would keep at that epoch. By chance: "
    "what a random mask with as many weights in each row and column, or in each matrix, keeps of them.",
    "norms": "Weight decay alone: the norm that would be left without any gradient. Effective rank: how many directions a "
    "matrix uses. Logit std: the spread of the logits within an example.",
    "gradients": "Energy: the sum of squares. Descent: minus the gradient; where its cosine with the weights is 1, it only "
    "holds them against their decay. AGOP: which inputs the logits depend on; at distance 0 from circulant they depend on "
    "differences of numbers alone. Numbers renamed: the same after the numbers have been shuffled, which is what chance gives.",
    "graph": "Kept weights are edges between units. Clustering: how many neighbours two units share. Mean path: how many edges "
    "lie between two units. Ramanujan gap: the bound of a good expander minus the second singular value; below 0 there are "
    "blocks of units that are hardly joined. Spectral gap: the first minus the second singular value of the sizes of the weights.",
    "frequencies": "How much of the variance of the logits at the end of the run is cos and sin of 2πk(a + b - c)/p: "
    "of the dense run upwards, of the ticket downwards.",
    "masks": "Jaccard distance of two masks: 1 minus the weights that both keep over those that either keeps; 0 where they are "
    "the same. Left: checkpoints that follow each other. Right: all pairs of checkpoints, the mean over seeds.",
}
