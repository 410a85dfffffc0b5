"""Scores -> masks: exactly ``round(rate * N)`` weights go, whatever the ties."""

import torch
from torch import Tensor

from common.errors import UserError

Mask = dict[str, Tensor]


def make_mask(scores: dict[str, Tensor], pruning_rate: float, scope: str = "global") -> Mask:
    """The mask, ``{name: bool}``, True = kept.

    ``global`` ranks all weights together, ``local`` each matrix on its own. Among equal scores the earlier goes: in the order
    of the names, then by flat index. Raises UserError for a rate outside 0 ... 1, an unknown scope or scores that are not finite.
    """
    if not 0 <= pruning_rate <= 1:
        raise UserError(f"pruning_rate must be from 0 to 1, the fraction removed, not {pruning_rate}")
    if scope == "local":
        mask = {name: _keep(score.flatten(), pruning_rate).view_as(score) for name, score in scores.items()}
    elif scope == "global":
        kept = _keep(torch.cat([score.flatten() for score in scores.values()]), pruning_rate)
        pieces = kept.split([score.numel() for score in scores.values()])
        mask = {name: piece.view_as(score) for (name, score), piece in zip(scores.items(), pieces, strict=True)}
    else:
        raise UserError(f"scope must be global or local, not {scope!r}")
    return mask


def _keep(scores: Tensor, rate: float) -> Tensor:
    if not bool(scores.isfinite().all()):
        raise UserError("a score is not finite: the weights to prune are damaged")
    kept = torch.ones(scores.numel(), dtype=torch.bool)
    kept[torch.argsort(scores, stable=True)[: round(rate * scores.numel())]] = False
    return kept


def check_mask(mask: Mask, weights: dict[str, Tensor]) -> None:
    """Raise UserError unless ``mask`` has a bool tensor of the right shape for every prunable weight, and no other."""
    prunable = {name: weight.shape for name, weight in weights.items() if weight.dim() >= 2}
    if set(mask) != set(prunable):
        odd = ", ".join(sorted(set(mask) ^ set(prunable)))
        raise UserError(f"the mask is for another model: {odd} is in only one of the two")
    for name, shape in prunable.items():
        if mask[name].dtype != torch.bool or mask[name].shape != shape:
            found = f"{mask[name].dtype} {tuple(mask[name].shape)}"
            raise UserError(f"the mask is for another model: {name} is {found}, not torch.bool {tuple(shape)}")


def count_kept(mask: Mask) -> dict[str, tuple[int, int]]:
    """``{name: (kept, all)}``."""
    return {name: (int(kept.sum()), kept.numel()) for name, kept in mask.items()}


def emptied(mask: Mask) -> list[str]:
    """The names of the matrices of which nothing is left."""
    return [name for name, kept in mask.items() if not bool(kept.any())]
