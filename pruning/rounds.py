"""Pruning in rounds: score, prune a part, score what is left again; nothing comes back."""

import copy

import torch
from torch import Tensor

from pruning.masks import Mask, make_mask
from pruning.scores import Network, Scores, score

SCHEDULES = ("exponential", "linear")


def rate_after(part: float, pruning_rate: float, schedule: str) -> float:
    """The fraction that is removed after this ``part`` of the rounds, 0 to 1, on the way to ``pruning_rate``.

    exponential: each round keeps the same fraction of what is left (arXiv 2006.05467); linear: each removes the same number.
    """
    if part == 1 or schedule == "linear":
        return pruning_rate * part
    return 1 - (1 - pruning_rate) ** part


def below_what_is_kept(scores: Scores, mask: Mask) -> Scores:
    """The scores with those of weights that ``mask`` has removed below all others."""
    lowest = min(float(values.min()) for values in scores.values()) - 1
    return {name: torch.where(mask[name], values, lowest) for name, values in scores.items()}


def masked(network: Network, mask: Mask) -> Network:
    """The network without the weights that ``mask`` removes."""
    model = copy.deepcopy(network.model)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.mul_(mask[name])
    return Network(dict(model.state_dict()), model, network.x, network.y, network.loss)


def prune_in_rounds(
    pruner: str,
    network: Network,
    generator: torch.Generator,
    pruning_rate: float,
    scope: str,
    rounds: int,
    schedule: str,
) -> dict[str, Tensor]:
    """The mask after ``rounds`` of scoring and pruning, ``{name: bool}``."""
    scores = score(pruner, network, generator)
    mask = make_mask(scores, rate_after(1 / rounds, pruning_rate, schedule), scope)
    for number in range(2, rounds + 1):
        scores = below_what_is_kept(score(pruner, masked(network, mask), generator), mask)
        mask = make_mask(scores, rate_after(number / rounds, pruning_rate, schedule), scope)
    return mask
