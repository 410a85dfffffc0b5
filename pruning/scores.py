"""A network -> scores: how much each prunable weight is worth keeping; the lowest go first.

A scorer is a few lines behind one signature, ``(network, generator) -> scores``: ``generator`` gives what is random, and the scores
are finite, named and shaped as the prunable weights. A new pruner is a function here and its name in SCORERS.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

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


def snip(network: Network, generator: torch.Generator) -> Scores:
    """|w dL/dw|: how much the loss feels a weight's removal (SNIP, arXiv 1810.02340, eq. 5, without its normalization)."""
    weights, loss = objective(network)
    gradients = torch.autograd.grad(loss, list(weights.values()))
    return {
        name: (weight * grad).abs().detach() for (name, weight), grad in zip(weights.items(), gradients, strict=True)
    }


def grasp(network: Network, generator: torch.Generator) -> Scores:
    """w (H g), g the gradient and H the Hessian of the loss: what lies low, when removed, raises the gradient's norm most.

    GraSP (arXiv 2002.07376, eq. 8) removes the largest of -w (H g). The logits are not divided by a temperature; grasp_200 does.
    """
    weights, loss = objective(network)
    gradients = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
    squared = sum((grad * grad.detach()).sum() for grad in gradients)  # its gradient is H g
    products = torch.autograd.grad(squared, list(weights.values()))
    return {
        name: (weight * product).detach() for (name, weight), product in zip(weights.items(), products, strict=True)
    }


def grasp_200(network: Network, generator: torch.Generator) -> Scores:
    """GraSP of the logits divided by 200, as in its published code, which takes this from classification at scale."""
    return grasp(replace(network, loss=lambda logits, y: network.loss(logits / 200, y)), generator)


def synflow(network: Network, generator: torch.Generator) -> Scores:
    """|w| dR/d|w|, R the sum of the outputs of the network of the |w| for an input of ones (arXiv 2006.05467, eq. 3 and 4): no data.

    In float64, as products over depth and rounds leave float32. An input of ones is every entry of a vocabulary at once, since an
    embedding is a lookup of what is a product with ones and zeros. To the Transformer it is tokens that are all the same: attention
    is uniform whatever W_Q and W_K are, so that theirs is the score 0.
    """
    model = copy.deepcopy(network.model).double()
    with torch.no_grad():
        for weight in model.parameters():
            weight.abs_()
    weights = prunable_of(model)
    gradients = torch.autograd.grad(ones_through(model).sum(), list(weights.values()), allow_unused=True)
    zeros = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    return {
        name: zeros[name] if grad is None else (weight * grad).detach()
        for (name, weight), grad in zip(weights.items(), gradients, strict=True)
    }


def prunable_of(model: nn.Module) -> dict[str, Tensor]:
    return {name: weight for name, weight in model.named_parameters() if weight.dim() >= 2}


def objective(network: Network) -> tuple[dict[str, Tensor], Tensor]:
    """The prunable weights, and the loss on the training set as a function of them, in float64."""
    model = copy.deepcopy(network.model).double()
    return prunable_of(model), network.loss(model(model.encode(network.x)), network.y)


def ones_through(model: nn.Module) -> Tensor:
    """The logits for an input of ones, (1, c)."""
    first = next(iter(model.parameters()))  # (d, p) or (d, i)
    ones = torch.ones(1, first.shape[-1], dtype=first.dtype)
    if not hasattr(model, "blocks"):
        return model(ones)
    residual = ones @ model.W_E.mT
    for block in model.blocks:
        residual = residual + residual @ block.W_V.mT @ block.W_O.mT
        residual = residual + block.hidden(residual) @ block.W_out.mT
    return residual @ model.W_U


def edge_popup(network: Network, generator: torch.Generator) -> Scores:
    """|w| of a network that has learned its mask (pruning/edge_popup.py): what that leaves out is 0 there, and so goes first."""
    return magnitude(network, generator)


SCORERS: dict[str, Callable[[Network, torch.Generator], Scores]] = {
    "magnitude": magnitude,
    "random": random,
    "snip": snip,
    "grasp": grasp,
    "grasp_200": grasp_200,
    "synflow": synflow,
    "edge_popup": edge_popup,
}


def score(pruner: str, network: Network, generator: torch.Generator) -> Scores:
    """The scores of the prunable weights. Raises UserError for an unknown pruner."""
    if pruner not in SCORERS:
        raise UserError(f"pruner {pruner!r} is unknown; choose one of {', '.join(SCORERS)}")
    return SCORERS[pruner](network, generator)
