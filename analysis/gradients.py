"""Where the gradients of a network with respect to its weights point.

The gradient is the loss's alone, without weight decay; a ticket's is taken over all weights, the pruned ones included. Networks
are as ``exact`` makes them.
"""

import copy
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad

from analysis.agop import Measure, agop, agop_measures
from analysis.structure import as_vector, cosine, in_order, kept_by_degrees

Weights = Mapping[str, Tensor]
Loss = Callable[[Tensor, Tensor], Tensor]


def exact(model: nn.Module) -> nn.Module:
    """A copy in float64 whose weights record no gradients."""
    return copy.deepcopy(model).double().requires_grad_(False)


def parts_of(gradient: Weights) -> list[tuple[str, list[str]]]:
    """Each matrix, and all of them together, ``[(part, names), ...]``."""
    return [*((name, [name]) for name in in_order(gradient)), ("all", list(gradient))]


def loss_gradient(model: nn.Module, x: Tensor, y: Tensor, loss: Loss) -> dict[str, Tensor]:
    """The gradient of the mean loss over the examples, ``{name: shape of the weight}``; in units of loss per weight."""
    encoded = model.encode(x)
    return grad(lambda weights: loss(functional_call(model, weights, (encoded,)), y))(dict(model.named_parameters()))


def share_measures(gradient: Weights, mask: Weights) -> Iterator[Measure]:
    """The share of the gradient's energy (sum of squares) inside a mask, per matrix and in total; nan where the gradient is 0.

    ``gradient_share_in_degrees_mask``: what a mask holds on average, to first order, that knows nothing of the gradient and has as
    many places in each row and each column.
    """
    energy = {name: gradient[name].double().square() for name in mask}
    for part, names in parts_of(mask):
        total = sum(energy[name].sum() for name in names)
        yield "gradient_share_in_mask", part, float(sum(energy[name][mask[name]].sum() for name in names) / total)
    likely = sum((energy[name] * torch.as_tensor(kept_by_degrees(np.asarray(mask[name])))).sum() for name in mask)
    yield "gradient_share_in_degrees_mask", "all", float(likely / total)


def gradient_measures(
    model: nn.Module, split, loss: Loss, mask: Weights | None, generator: torch.Generator | None
) -> Iterator[Measure]:
    """All measures of one checkpoint, as (measure, part, value). The model may be in any precision.

    Cosines: of the gradient with that on the test set, and of minus the gradient with the weights, where near 1 it only holds the
    weights against their decay. ``mask``: the ticket's, or None, which leaves out what needs one. ``generator`` gives AGOP's null,
    of the same seed for every checkpoint; None leaves AGOP out, which means nothing but for addition modulo p.
    """
    model = exact(model)
    train = loss_gradient(model, split.train_x, split.train_y, loss)
    test = loss_gradient(model, split.test_x, split.test_y, loss)
    if mask is not None:
        yield from share_measures(train, mask)
    weights = dict(model.named_parameters())
    for part, names in parts_of(train):
        now = as_vector(train, names)
        yield "gradient_cosine_train_test", part, cosine(now, as_vector(test, names))
        yield "descent_cosine_to_weights", part, cosine(-now, as_vector(weights, names))
    if generator is not None:
        yield from agop_measures(agop(model), model.p, generator)
