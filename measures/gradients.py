"""Where the gradient points: inside the ticket's mask or not, with the test gradient or against it; and what the logits depend on.

The gradient with respect to the weights is the loss's alone, without weight decay; a ticket's is taken over all weights, the pruned
ones included. How logits depend on the numbers that a network is given says the average gradient outer product (AGOP): G = mean over
all ordered pairs of J^T J, J (c, i) the gradient of the logits with respect to the input (Radhakrishnan et al., arXiv 2212.13881; for
modular arithmetic Mallinar et al., arXiv 2407.20199).

Networks are as ``exact`` makes them. In the shapes, n is the number of pairs, c of classes, p of numbers, i of inputs, m of neurons.
"""

import copy
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, jacrev, vmap

from analysis.structure import as_vector, cosine, in_order, kept_by_degrees
from common.randomness import generator
from measures.pairs import OneRun, Pair, Row, Rows
from measures.structure import magnitude_masks

Weights = Mapping[str, Tensor]
Loss = Callable[[Tensor, Tensor], Tensor]
Measure = tuple[str, str, float]  # its name, the part of the network (a matrix, a block, "all"), its value

NUM_DRAWS = 20  # of AGOP's null
CHUNK = 64  # examples whose Jacobians are in memory at once


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
    model: nn.Module, split, loss: Loss, mask: Weights | None, drawn: torch.Generator | None
) -> Iterator[Measure]:
    """All measures of one checkpoint, as (measure, part, value). The model may be in any precision.

    Cosines: of the gradient with that on the test set, and of minus the gradient with the weights, where near 1 it only holds the
    weights against their decay. ``mask``: the ticket's, or None, which leaves out what needs one. ``drawn`` gives AGOP's null,
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
    if drawn is not None:
        yield from agop_measures(agop(model), model.p, drawn)


def agop(model: nn.Module) -> Tensor:
    """The average gradient outer product G of a network for modular arithmetic, ``-> (i, i)``. What an input is:

    MLP: how often each number occurs, (p, p). It sums its embeddings, so with respect to two one-hot vectors G would be this one
    four times. Transformer: the two one-hot tokens, first a's, then b's, (2p, 2p); a token enters as query, key and value.
    """
    pairs = torch.cartesian_prod(torch.arange(model.p), torch.arange(model.p))
    if hasattr(model, "blocks"):
        return agop_of_tokens(model, pairs)
    if hasattr(model, "W_inproj") and not len(model.W_h):
        return agop_of_two_layers(model)
    return mean_outer_product(model, model.encode(pairs))


def mean_outer_product(output: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
    """The mean of J^T J by autograd, ``(n, ...) -> (i, i)``, i entries an input; ``output`` maps (..., i) to (..., c)."""
    jacobians = vmap(jacrev(output))
    rows = (jacobians(part).flatten(2).flatten(0, 1) for part in inputs.split(CHUNK))  # n c, i
    return sum(part.mT @ part for part in rows) / len(inputs)


def agop_of_two_layers(model: nn.Module) -> Tensor:
    """The same in closed form, hundreds of times faster: B^T ((A A^T) * mean of s s^T) B, ``-> (p, p)``.

    B (m, p) and A (m, c) are the effective weights into and out of the m neurons, s (m,) the slopes of their activations at a pair.
    """
    into, out = model.W_inproj @ model.W_E, model.W_outproj.mT @ model.W_U
    before = (into.unsqueeze(2) + into.unsqueeze(1)).flatten(1)  # m p^2
    slopes = grad(lambda values: model.act(values).sum())(before)
    return into.mT @ (out @ out.mT * (slopes @ slopes.mT) / before.shape[1]) @ into


def agop_of_tokens(model: nn.Module, pairs: Tensor) -> Tensor:
    """The Transformer's, ``(n, 2) -> (2p, 2p)``.

    Its table of embeddings is replaced by one of two rows, those of the example's own tokens: the logits are then a function of
    the embedded tokens (2, d), and these are linear in the one-hot ones.
    """
    here = torch.arange(2).unsqueeze(0)  # tokens 0 and 1
    logits = lambda embedded: functional_call(model, {"W_E": embedded.mT}, (here,)).squeeze(0)
    of_embedded = mean_outer_product(logits, model.W_E.mT[pairs])  # 2d 2d
    to_embedded = torch.block_diag(model.W_E, model.W_E)  # 2d 2p
    return to_embedded.mT @ of_embedded @ to_embedded


def distance_to_circulant(matrix: Tensor) -> float:
    """How far a matrix A ``(p, p)`` is from the nearest circulant one: ||A - P A||^2 / ||A||^2, from 0 to 1.

    P A is the mean over the places with the same j - i modulo p. Independent entries of mean 0 are at about 1 - 1/p; v v^T of a
    single cosine v is at 1/2.
    """
    p = len(matrix)
    difference = (torch.arange(p) - torch.arange(p).unsqueeze(1)) % p
    means = torch.zeros(p, dtype=matrix.dtype).index_add_(0, difference.flatten(), matrix.flatten()) / p
    return float((matrix - means[difference]).square().sum() / matrix.square().sum())


def agop_measures(G: Tensor, p: int, drawn: torch.Generator) -> Iterator[Measure]:
    """The distance of G to circulant, beside the null; of a Transformer that of the blocks aa, ab and bb.

    The null is the mean over matrices G whose numbers are renamed at random, rows and columns alike: the spectrum, the entries and
    the diagonal are the same, only the order of the numbers is lost.
    """
    blocks = {"all": G} if len(G) == p else {"aa": G[:p, :p], "ab": G[:p, p:], "bb": G[p:, p:]}
    renamed = [torch.randperm(p, generator=drawn) for _ in range(NUM_DRAWS)]
    for part, block in blocks.items():
        null = torch.tensor([distance_to_circulant(block[numbers][:, numbers]) for numbers in renamed])
        yield "agop_distance_to_circulant", part, distance_to_circulant(block)
        yield "agop_distance_to_circulant_null", part, float(null.mean())


def measure_gradients(pair: Pair, run: OneRun, epoch: int) -> Rows:
    rate, split = pair.pruning_rate, run.split
    ticket = pair.ticket.name if run is pair.dense else None  # a dense run may have several
    mask = None if pair.ticket.mask is None else tensors(pair.ticket.mask)
    drawn = generator(run.config.seed, "gradients") if run.adds else None  # the same null at every checkpoint
    for measure, part, value in gradient_measures(run.network(epoch), split, run.loss, mask, drawn):
        of_mask = ("ticket", rate, ticket) if "mask" in measure else ()
        yield Row(measure, value, part, *of_mask)

    if mask is not None:  # late in a dense run the largest weights are the ticket's: the control for their share
        largest = tensors(magnitude_masks(run, rate, pair.ticket.config.scope)[epoch])
        gradient = loss_gradient(exact(run.network(epoch)), split.train_x, split.train_y, run.loss)
        for measure, part, value in share_measures(gradient, largest):
            if measure == "gradient_share_in_mask":
                yield Row("gradient_share_in_largest", value, part, "magnitude", rate, ticket)


def tensors(mask: dict) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(kept) for name, kept in mask.items()}
