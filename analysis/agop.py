"""How a network's logits depend on the numbers that it is given: the average gradient outer product (AGOP), and its symmetry.

G = mean over all ordered pairs of J^T J, J (c, i) the gradient of the logits with respect to the input (Radhakrishnan et al., arXiv
2212.13881; for modular arithmetic Mallinar et al., arXiv 2407.20199). Networks are in float64 and their weights record no
gradients. In the shapes, n is the number of pairs, c of classes, p of numbers, i of inputs, m of neurons.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, jacrev, vmap

Measure = tuple[str, str, float]  # its name, the part of the network (a matrix, a block, "all"), its value

NUM_DRAWS = 20  # of the null
CHUNK = 64  # examples whose Jacobians are in memory at once


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
    """The same in closed form, a thousand times faster: B^T ((A A^T) * mean of s s^T) B, ``-> (p, p)``.

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


def agop_measures(G: Tensor, p: int, generator: torch.Generator) -> Iterator[Measure]:
    """The distance of G to circulant, beside the null; of a Transformer that of the blocks aa, ab and bb.

    The null is the mean over matrices G whose numbers are renamed at random, rows and columns alike: the spectrum, the entries and
    the diagonal are the same, only the order of the numbers is lost.
    """
    blocks = {"all": G} if len(G) == p else {"aa": G[:p, :p], "ab": G[:p, p:], "bb": G[p:, p:]}
    renamed = [torch.randperm(p, generator=generator) for _ in range(NUM_DRAWS)]
    for part, block in blocks.items():
        null = torch.tensor([distance_to_circulant(block[numbers][:, numbers]) for numbers in renamed])
        yield "agop_distance_to_circulant", part, distance_to_circulant(block)
        yield "agop_distance_to_circulant_null", part, float(null.mean())
