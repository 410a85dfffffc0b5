"""A network -> scores: how much each prunable weight is worth keeping; the lowest go first.

A scorer is a few lines behind one signature, ``(network, generator) -> scores``: ``generator`` gives what is random, and the scores
are finite, named and shaped as the prunable weights. A new pruner is a function here and its name in SCORERS.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from common.choices import chosen, spelled
from common.errors import UserError
from common.waves import Waves, power_in, project, strongest
from models.starts import input_product, require_waves

Scores = dict[str, Tensor]


@dataclass(frozen=True)
class Network:
    """What is scored.

    ``weights``: ``{name: float tensor}``, all of them. For scorers that ask more: ``model`` with these weights, the training set
    ``x``, ``y`` and the ``loss(logits, y)`` that it is trained with; the ``waves`` of the task, and the number of them to use.
    """

    weights: dict[str, Tensor]
    model: nn.Module | None = None
    x: Tensor | None = None
    y: Tensor | None = None
    loss: Callable[[Tensor, Tensor], Tensor] | None = None
    waves: Waves | None = None
    num_waves: int = 6

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
    model = copy.deepcopy(network.model).double().eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.abs_()
    weights = prunable_of(model)
    gradients = torch.autograd.grad(of_ones(model).sum(), list(weights.values()), allow_unused=True)
    zeros = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    return {
        name: zeros[name] if grad is None else (weight * grad).detach()
        for (name, weight), grad in zip(weights.items(), gradients, strict=True)
    }


synflow.rounds = 100  # as published; a scorer without this number scores once


def waves(network: Network, generator: torch.Generator) -> Scores:
    """w dJ/dw, J the sum over neurons of <what it sees of the numbers, the wave that fits this best>: no training and no data.

    Of the waves that are strongest in all neurons together, each neuron takes its strongest, with the phase that it has there.
    """
    planes = strongest(input_product(network.weights), require_waves(network.waves), network.num_waves)
    return toward(network, planes)


waves.matrices = ("W_E", "W_inproj")  # a scorer with this prunes these alone, each at the rate


def toward(network: Network, planes: Tensor) -> Scores:
    """The scores of ``waves`` for any planes, ``(k, 2, p)``."""
    weights = {name: weight.double().requires_grad_() for name, weight in network.prunable.items()}
    seen = input_product(weights)
    best = power_in(seen.detach(), planes).argmax(-1)  # m
    parts = torch.stack([project(seen.detach(), plane.unsqueeze(0)) for plane in planes])  # k m p
    templates = nn.functional.normalize(parts[best, torch.arange(len(best))], dim=-1)  # m p
    gradients = torch.autograd.grad((seen * templates).sum(), list(weights.values()), allow_unused=True)
    return {
        name: torch.zeros_like(weight) if grad is None else (weight * grad).detach()
        for (name, weight), grad in zip(weights.items(), gradients, strict=True)
    }


def prunable_of(model: nn.Module) -> dict[str, Tensor]:
    """The parameters with two axes or more, a tied one once."""
    return {name: weight for name, weight in model.named_parameters() if weight.dim() >= 2}


def objective(network: Network) -> tuple[dict[str, Tensor], Tensor]:
    """The prunable weights, and the loss on the training set as a function of them, in float64."""
    model = copy.deepcopy(network.model).double().eval()
    return prunable_of(model), network.loss(model(model.encode(network.x)), network.y)


def of_ones(model: nn.Module) -> Tensor:
    """The logits for an input of ones, (1, c): the module's own ``of_ones()`` where it has one."""
    if hasattr(model, "of_ones"):
        return model.of_ones()
    first = next(iter(prunable_of(model).values()))  # (d, p) or (d, i)
    try:
        return model(torch.ones(1, first.shape[-1], dtype=first.dtype))
    except (RuntimeError, IndexError, TypeError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"synflow: this model takes no input of ones ({reason}); give its module of_ones()") from None


SCORERS: dict[str, Callable[[Network, torch.Generator], Scores]] = {
    "magnitude": magnitude,
    "random": random,
    "snip": snip,
    "grasp": grasp,
    "grasp_200": grasp_200,
    "synflow": synflow,
    "waves": waves,
}


def score(pruner: str | Callable, network: Network, generator: torch.Generator) -> Scores:
    """The scores of the prunable weights, by a name in SCORERS or a scorer itself.

    Raises UserError for an unknown name, and for a scorer that does not give each of these weights its score.
    """
    scores = chosen(SCORERS, pruner)(network, generator)
    wanted = {name: weight.shape for name, weight in network.prunable.items()}
    if {name: getattr(score, "shape", None) for name, score in scores.items()} != wanted:
        text = spelled(SCORERS, pruner)
        raise UserError(f"the pruner {text} must give a score, named and shaped alike, for {', '.join(wanted)}")
    return {name: scores[name] for name in wanted}
