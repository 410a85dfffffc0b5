"""Weights -> scores: how much each prunable weight is worth keeping; the lowest go first.

A scorer is a few lines behind one signature, ``(weights, generator) -> scores``: ``weights`` is ``{name: float tensor}``,
``generator`` gives what is random, and the scores are finite, named and shaped as the weights. A new pruner is a function
here and its name in SCORERS (and in configs/ticket.py).
"""

from collections.abc import Callable

import torch
from torch import Tensor

from common.errors import UserError

Weights = dict[str, Tensor]
Scores = dict[str, Tensor]


def magnitude(weights: Weights, generator: torch.Generator) -> Scores:
    """|w| (the paper's Section 3.2; Han et al., arXiv 1506.02626)."""
    return {name: weight.abs() for name, weight in weights.items()}


def random(weights: Weights, generator: torch.Generator) -> Scores:
    """Uniform noise, the control for sparsity alone."""
    return {name: torch.rand(weight.shape, generator=generator) for name, weight in weights.items()}


SCORERS: dict[str, Callable[[Weights, torch.Generator], Scores]] = {"magnitude": magnitude, "random": random}


def score(pruner: str, weights: Weights, generator: torch.Generator) -> Scores:
    """The scores of the prunable weights (every tensor with two or more axes). Raises UserError for an unknown pruner."""
    if pruner not in SCORERS:
        raise UserError(f"pruner {pruner!r} is unknown; choose one of {', '.join(SCORERS)}")
    prunable = {name: weight.detach().cpu() for name, weight in weights.items() if weight.dim() >= 2}
    return SCORERS[pruner](prunable, generator)
