"""A network -> scores: how much each prunable weight is worth keeping; the lowest go first.

A scorer is a few lines behind one signature, ``(network, generator) -> scores``: ``generator`` gives what is random, and the scores
are finite, named and shaped as the prunable weights. A new pruner is a function here and its name in SCORERS.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from common.errors import UserError

Scores = dict[str, Tensor]


@dataclass(frozen=True)
class Network:
    """What is scored.

    ``weights``: ``{name: float tensor}``, all of them. For scorers that ask more: ``model`` with these weights, the training set
    ``x``, ``y`` and the ``loss(logits, y)`` that it is trained with.
    """

    weights: dict[str, Tensor]
    model: nn.Module | None = None
    x: Tensor | None = None
    y: Tensor | None = None
    loss: Callable[[Tensor, Tensor], Tensor] | None = None

    @property
    def prunable(self) -> dict[str, Tensor]:
        """The weights with two axes or more, on the CPU."""
        return {name: weight.detach().cpu() for name, weight in self.weights.items() if weight.dim() >= 2}


def magnitude(network: Network, generator: torch.Generator) -> Scores:
    """|w| (the paper's Section 3.2; Han et al., arXiv 1506.02626)."""
    return {name: weight.abs() for name, weight in network.prunable.items()}


def random(network: Network, generator: torch.Generator) -> Scores:
    """Uniform noise, the control for sparsity alone."""
    return {name: torch.rand(weight.shape, generator=generator) for name, weight in network.prunable.items()}


SCORERS: dict[str, Callable[[Network, torch.Generator], Scores]] = {"magnitude": magnitude, "random": random}


def score(pruner: str, network: Network, generator: torch.Generator) -> Scores:
    """The scores of the prunable weights. Raises UserError for an unknown pruner."""
    if pruner not in SCORERS:
        raise UserError(f"pruner {pruner!r} is unknown; choose one of {', '.join(SCORERS)}")
    return SCORERS[pruner](network, generator)
