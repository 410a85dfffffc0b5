"""Controls: the ticket with one ingredient changed, to see which one matters: its mask, its init, its norm, the scale of its logits.

A control is a function from a Setting to what is trained instead of the ticket, and has a place in CONTROLS. It raises NothingToDo
where there is nothing to compare.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from common.errors import NothingToDo, UserError
from common.waves import Waves
from pruning.masks import Mask

Weights = dict[str, Tensor]
SWAPS_PER_WEIGHT = (
    10  # accepted ones; after them hardly any edge is where it was, except where a dense matrix has no choice
)
TRIES_PER_SWAP = 100  # of a matrix that is nearly full or empty, where few swaps can be made


@dataclass(frozen=True)
class Setting:
    """What a control is made from.

    ``mask`` and ``init`` are the ticket's, ``{name: bool}`` and ``{name: float}``. ``generator`` gives what is random. ``redraw()``
    is a fresh init. ``logit_std(weights)``: the standard deviation of the logits on the training inputs over all n c entries, each
    example's mean removed; it raises NothingToDo where numbers are learned. ``units``: as ``Model.units`` gives them.
    ``weights``: those that gave the mask, or None where it is from a file. ``waves``: those of the task, or None.
    """

    mask: Mask
    init: Weights
    generator: torch.Generator
    redraw: Callable[[], Weights]
    logit_std: Callable[[Weights], float]
    units: list[list[tuple[str, int]]] | None = None
    weights: Weights | None = None
    waves: Waves | None = None

    def ticket(self) -> Weights:
        """The ticket's own weights at epoch 0."""
        return self.init | {name: self.init[name] * kept for name, kept in self.mask.items()}


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


def same_norm(setting: Setting, order: int, per_matrix: bool = False) -> Weights:
    """The dense init scaled so that its L1 or L2 norm is the ticket's, in total or matrix by matrix."""
    ticket, scaled = setting.ticket(), dict(setting.init)
    for names in [[name] for name in setting.mask] if per_matrix else [list(setting.mask)]:
        own, wanted = (
            torch.linalg.vector_norm(torch.cat([weights[name].double().flatten() for name in names]), order)
            for weights in (setting.init, ticket)
        )
        scaled |= {name: setting.init[name] * float(wanted / own) for name in names}
    return scaled


def with_logits_of_ticket(setting: Setting, init: Weights) -> Start:
    """Dense, the logits multiplied so that their standard deviation at epoch 0 is the ticket's."""
    return Start(None, init, setting.logit_std(setting.ticket()) / setting.logit_std(init))


def same_l1(setting: Setting) -> Start:
    """Dense, the init at the ticket's L1 norm (the paper's Section 4)."""
    return Start(None, same_norm(setting, 1))


def same_l2(setting: Setting) -> Start:
    """Dense, the init at the ticket's L2 norm (the paper's Section 4)."""
    return Start(None, same_norm(setting, 2))


def same_l2_per_matrix(setting: Setting) -> Start:
    """Dense, each matrix of the init at the L2 norm that it has in the ticket."""
    return Start(None, same_norm(setting, 2, per_matrix=True))


def same_logits(setting: Setting) -> Start:
    """Dense, its own init, the scale of the logits the ticket's."""
    return with_logits_of_ticket(setting, setting.init)


def same_l2_logits(setting: Setting) -> Start:
    """Dense, L2 norm and logit scale both the ticket's."""
    return with_logits_of_ticket(setting, same_norm(setting, 2))


def same_l2_logits_per_matrix(setting: Setting) -> Start:
    """Dense, the L2 norm of each matrix and the logit scale the ticket's."""
    return with_logits_of_ticket(setting, same_norm(setting, 2, per_matrix=True))


def inverted(setting: Setting) -> Start:
    """What the ticket drops."""
    return Start({name: ~kept for name, kept in setting.mask.items()}, setting.init)


def signs(setting: Setting) -> Start:
    """The ticket's mask, each weight the sign of its init times the standard deviation of its matrix (arXiv 1905.01067)."""
    return with_signs(setting, lambda weight: weight.sign())


def random_signs(setting: Setting) -> Start:
    """The same with signs at random."""
    heads = lambda weight: torch.randint(2, weight.shape, generator=setting.generator)
    return with_signs(setting, lambda weight: (2 * heads(weight) - 1).to(weight.dtype))


def with_signs(setting: Setting, sign: Callable[[Tensor], Tensor]) -> Start:
    matrices = {name: weight for name, weight in setting.init.items() if name in setting.mask}
    drawn = {name: sign(weight) * weight.std() for name, weight in matrices.items()}
    return Start(setting.mask, setting.init | drawn)


def pruned_neurons(setting: Setting) -> Start:
    """The dense init without the units that the ticket's mask leaves without input or output."""
    if setting.units is None:
        raise UserError("pruned_neurons: the model does not say which its units are; give its class units()")
    mask = {name: torch.ones_like(kept) for name, kept in setting.mask.items()}
    dead = 0
    for sides in setting.units:
        alive = torch.stack([setting.mask[name].any(1 - axis) for name, axis in sides]).all(0)
        for name, axis in sides:
            mask[name] &= alive.unsqueeze(1 - axis)
        dead += int((~alive).sum())
    if not dead:
        raise NothingToDo("pruned_neurons: the mask leaves every unit with input and output; nothing is trained")
    print(f"{dead:,} units that the ticket's mask cuts off are removed")
    return Start(mask, setting.init)


CONTROLS: dict[str, Callable[[Setting], Start]] = {
    control.__name__: control
    for control in (
        *(shuffled, shuffled_degrees, reinit, inverted, signs, random_signs, pruned_neurons),
        *(same_l1, same_l2, same_l2_per_matrix, same_logits, same_l2_logits, same_l2_logits_per_matrix),
    )
}
