"""A network -> its mask: score, prune a part, score what is left again; nothing comes back."""

import copy
from collections.abc import Callable
from dataclasses import replace

import torch

from common.choices import chosen
from pruning.masks import Mask, count_kept, make_mask
from pruning.scores import SCORERS, Network, Scores, score


def mask_of(
    pruner: str | Callable,
    network: Network,
    pruning_rate: float,
    scope: str,
    generator: torch.Generator,
    before: Mask | None = None,
) -> Mask:
    """The mask that a pruner, a name in SCORERS or a scorer itself, takes from a network, ``{name: bool}``, True = kept.

    ``before``: the mask of an earlier iteration; what it has removed stays removed. A scorer with ``rounds`` prunes in so many; one
    with ``matrices`` prunes these alone, each at the rate. Raises UserError as ``score`` and ``make_mask`` do.
    """
    scorer, mask, start = chosen(SCORERS, pruner), before, 0.0
    rounds, matrices = getattr(scorer, "rounds", 1), getattr(scorer, "matrices", None)
    if before is not None:
        kept, total = (sum(column) for column in zip(*count_kept(before).values(), strict=True))
        # With local scope, rounding may have removed more than is asked for now.
        start = min(1 - kept / total, pruning_rate)
    for number in range(1, rounds + 1):
        scores = score(pruner, network if mask is None else masked(network, mask), generator)
        scores = scores if mask is None else below_what_is_kept(scores, mask)
        rate = rate_after(number / rounds, pruning_rate, start)
        if matrices is None:
            now = make_mask(scores, rate, scope)
        else:
            now = {name: torch.ones_like(values, dtype=torch.bool) for name, values in scores.items()}
            now |= make_mask({name: scores[name] for name in matrices if name in scores}, rate, "local")
        # A matrix of which more had gone than is due by now keeps what is left.
        if mask is not None and number < rounds:
            now = {name: kept & mask[name] for name, kept in now.items()}
        mask = now
    return mask


def rate_after(part: float, pruning_rate: float, start: float = 0.0) -> float:
    """The fraction that is removed after this ``part`` of the rounds, 0 to 1, on the way from ``start`` to ``pruning_rate``.

    Each round keeps the same fraction of what is left (arXiv 2006.05467).
    """
    if part == 1 or start == 1:
        return pruning_rate
    return 1 - (1 - start) * ((1 - pruning_rate) / (1 - start)) ** part


def below_what_is_kept(scores: Scores, mask: Mask) -> Scores:
    """The scores with those of weights that ``mask`` has removed below all others."""
    lowest = min(float(values.min()) for values in scores.values()) - 1
    return {name: torch.where(mask[name], values, lowest) for name, values in scores.items()}


def masked(network: Network, mask: Mask) -> Network:
    """The network without the weights that ``mask`` removes."""
    weights = {name: weight * mask[name] if name in mask else weight for name, weight in network.weights.items()}
    model = copy.deepcopy(network.model)
    if model is not None:
        model.load_state_dict(weights, strict=False)
    return replace(network, weights=weights, model=model)
