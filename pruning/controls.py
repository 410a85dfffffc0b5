"""Controls: what a ticket is compared with, so that its mask, its init, its norm and the scale of its logits are told apart.

A control is a function from a Setting to what is trained instead of the ticket, and its name in CONTROLS. It raises NothingToDo
where there is nothing to compare.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from common.errors import NothingToDo
from pruning.masks import Mask

Weights = dict[str, Tensor]
SWAPS_PER_WEIGHT = (
    10  # accepted ones; after them hardly any edge is where it was, but those that a dense matrix leaves no choice
)
TRIES_PER_SWAP = 100  # of a matrix that is nearly full or empty, where few swaps can be made


@dataclass(frozen=True)
class Setting:
    """What a control is made from.

    ``mask`` and ``init`` are the ticket's, ``{name: bool}`` and ``{name: float}``, ``final`` the weights that gave the mask.
    ``generator`` gives what is random. ``redraw()`` is a fresh init. ``logit_std(weights)``: the standard deviation of the logits
    on the training inputs over all n c entries, each example's mean removed. ``per_matrix``: norms matrix by matrix.
    """

    mask: Mask
    init: Weights
    final: Weights
    generator: torch.Generator
    redraw: Callable[[], Weights]
    logit_std: Callable[[Weights], float]
    per_matrix: bool = False

    def ticket(self) -> Weights:
        """The ticket's own weights at epoch 0."""
        return {name: self.init[name] * kept for name, kept in self.mask.items()}


class Start(NamedTuple):
    """What is trained: a mask or none, the init, and a fixed number by which the logits are multiplied, or none."""

    mask: Mask | None
    init: Weights
    multiplier: float | None = None


def shuffled(setting: Setting) -> Start:
    """Random positions at the ticket's own rate in each matrix."""

    def shuffle(kept: Tensor) -> Tensor:
        order = torch.randperm(kept.numel(), generator=setting.generator)
        return kept.flatten()[order].view_as(kept)

    return Start({name: shuffle(kept) for name, kept in setting.mask.items()}, setting.init)


def shuffled_degrees(setting: Setting) -> Start:
    """Edges swapped at random within each matrix: every row and every column keeps its number of weights."""
    mask = {}
    for name, kept in setting.mask.items():
        mask[name] = swap_edges(kept, setting.generator)
        if total := int(kept.sum()):
            print(f"{name}: {int((kept & mask[name]).sum()) / total:.3f} of its kept positions are where they were")
    return Start(mask, setting.init)


def swap_edges(kept: Tensor, generator: torch.Generator) -> Tensor:
    """``(out, in) bool -> (out, in) bool`` with the same sums over rows and columns.

    Of two kept places (a, i) and (b, j) with (a, j) and (b, i) free, those two are kept instead.
    """
    numbers = random.Random(int(torch.randint(2**62, (), generator=generator)))
    edges = kept.nonzero().tolist()
    taken = {(row, column) for row, column in edges}
    wanted, tries = SWAPS_PER_WEIGHT * len(edges), TRIES_PER_SWAP * SWAPS_PER_WEIGHT * len(edges)
    while wanted and tries:
        tries -= 1
        one, other = int(numbers.random() * len(edges)), int(numbers.random() * len(edges))
        (a, i), (b, j) = edges[one], edges[other]
        if (a, j) in taken or (b, i) in taken:  # also where a = b or i = j
            continue
        taken -= {(a, i), (b, j)}
        taken |= {(a, j), (b, i)}
        edges[one], edges[other] = [a, j], [b, i]
        wanted -= 1
    swapped = torch.zeros_like(kept)
    if edges:
        swapped[tuple(torch.tensor(edges).T)] = True
    return swapped


def reinit(setting: Setting) -> Start:
    """The ticket's mask on a fresh init."""
    return Start(setting.mask, setting.redraw())


def same_norm(setting: Setting, order: int) -> Weights:
    """The dense init scaled so that its L1 or L2 norm is the ticket's, in total or matrix by matrix."""
    ticket = setting.ticket()
    if setting.per_matrix:
        groups = [[name] for name in setting.mask]
    else:
        groups = [list(setting.mask)]
    scaled = dict(setting.init)
    for names in groups:
        own, wanted = (
            torch.linalg.vector_norm(torch.cat([weights[name].double().flatten() for name in names]), order)
            for weights in (setting.init, ticket)
        )
        scaled |= {name: setting.init[name] * float(wanted / own) for name in names}
    return scaled


def same_l1(setting: Setting) -> Start:
    """Dense, the init at the ticket's L1 norm (the paper's Section 4)."""
    return Start(None, same_norm(setting, 1))


def same_l2(setting: Setting) -> Start:
    """Dense, the init at the ticket's L2 norm (the paper's Section 4)."""
    return Start(None, same_norm(setting, 2))


def same_logits(setting: Setting) -> Start:
    """Dense, its own init, the logits multiplied so that their standard deviation at epoch 0 is the ticket's."""
    return Start(None, setting.init, setting.logit_std(setting.ticket()) / setting.logit_std(setting.init))


def same_l2_logits(setting: Setting) -> Start:
    """Dense, norm and logit scale both the ticket's."""
    init = same_norm(setting, 2)
    return Start(None, init, setting.logit_std(setting.ticket()) / setting.logit_std(init))


def inverted(setting: Setting) -> Start:
    """What the ticket drops."""
    return Start({name: ~kept for name, kept in setting.mask.items()}, setting.init)


def signs(setting: Setting) -> Start:
    """The ticket's mask, each weight the sign of its init times the standard deviation of its matrix (arXiv 1905.01067)."""
    return Start(setting.mask, {name: weight.sign() * weight.std() for name, weight in setting.init.items()})


def random_signs(setting: Setting) -> Start:
    """The same with signs at random."""

    def draw(weight: Tensor) -> Tensor:
        heads = torch.randint(2, weight.shape, generator=setting.generator)
        return (2 * heads - 1).to(weight.dtype) * weight.std()

    return Start(setting.mask, {name: draw(weight) for name, weight in setting.init.items()})


def pruned_neurons(setting: Setting) -> Start:
    """The dense init without the units that the ticket's mask leaves without input or output."""
    mask = {name: torch.ones_like(kept) for name, kept in setting.mask.items()}
    dead = 0
    for sides in units_of(list(setting.mask)):
        alive = None
        for name, axis in sides:
            has_any = setting.mask[name].any(1 - axis)
            alive = has_any if alive is None else alive & has_any
        for name, axis in sides:
            mask[name] &= alive.unsqueeze(1 - axis)
        dead += int((~alive).sum())
    if not dead:
        raise NothingToDo("pruned_neurons: the mask leaves every unit with input and output; nothing is trained")
    print(f"{dead:,} units that the ticket's mask cuts off are removed")
    return Start(mask, setting.init)


def units_of(names: list[str]) -> list[list[tuple[str, int]]]:
    """The units of a network by its matrices: for each kind what comes in and goes out, ``[(matrix, the axis of units), ...]``.

    Embedding and hidden units, MLP units and the inputs of images, not residual dimensions.
    """
    hidden = [name for name in names if name.startswith("W_h")]
    if "W_inproj" in names:
        layers = ["W_inproj", *hidden, "W_outproj"]
        ends = [[("W_E", 0), ("W_inproj", 1)], [("W_outproj", 0), ("W_U", 0)]]
    elif "W_in" in names:
        layers, ends = ["W_in", *hidden, "W_out"], [[("W_in", 1)]]
    else:
        blocks = sorted({name.rpartition(".")[0] for name in names if name.endswith(".W_in")})
        return [[(f"{block}.W_in", 0), (f"{block}.W_out", 1)] for block in blocks]
    return ends + [[(one, 0), (following, 1)] for one, following in pairwise(layers)]


CONTROLS: dict[str, Callable[[Setting], Start]] = {
    "shuffled": shuffled,
    "shuffled_degrees": shuffled_degrees,
    "reinit": reinit,
    "same_l1": same_l1,
    "same_l2": same_l2,
    "same_logits": same_logits,
    "same_l2_logits": same_l2_logits,
    "inverted": inverted,
    "signs": signs,
    "random_signs": random_signs,
    "pruned_neurons": pruned_neurons,
}
COMPARE_LOGITS = ("same_logits", "same_l2_logits")  # of classes, so that they mean nothing where numbers are learned
