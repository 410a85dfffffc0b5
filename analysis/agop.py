"""What in its inputs a network's logits depend on: the average gradient outer product (AGOP), its rank and its symmetry.

G = mean over examples of J^T J, J (c, i) the gradient of the logits with respect to the input (Radhakrishnan et al., arXiv
2212.13881; for modular arithmetic Mallinar et al., arXiv 2407.20199). Networks are in float64 and their weights record no
gradients. In the shapes, n is the number of examples, c of classes, p of numbers, i of inputs, m of neurons.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, jacrev, vmap

from analysis.norms import effective_rank

Measure = tuple[str, str, float]  # its name, the part of the network (a matrix, a block, "all"), its value

NUM_DRAWS = 20  # of the null
CHUNK = 64  # examples whose Jacobians are in memory at once


def agop(model: nn.Module, split) -> Tensor:
    """The average gradient outer product G, as above, for each kind of network, ``-> (i, i)``. What an input is:

    MLP: how often each number occurs, (p, p), over all p^2 ordered pairs. It sums its embeddings, so with respect to two one-hot
    vectors G would be this one four times. Transformer: the two one-hot tokens, first a's, then b's, (2p, 2p), over all ordered
    pairs; a token enters as query, key and value. Images: pixels, (i, i), over the training images.
    """
    if not hasattr(model, "p"):
        return mean_outer_product(model, model.encode(split.train_x))
    pairs = torch.cartesian_prod(torch.arange(model.p), torch.arange(model.p))
    if hasattr(model, "blocks"):
        return agop_of_tokens(model, pairs)
    return agop_of_two_layers(model) if has_two_layers(model) else mean_outer_product(model, model.encode(pairs))


def has_two_layers(model: nn.Module) -> bool:
    """Whether this is the MLP for modular arithmetic without extra layers, for which there are closed forms."""
    return hasattr(model, "W_inproj") and not len(model.W_h)


def slope(act: Callable[[Tensor], Tensor], values: Tensor) -> Tensor:
    """The derivative of an activation at each of the values."""
    return grad(lambda values: act(values).sum())(values)


def mean_outer_product(output: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
    """The mean of J^T J by autograd, ``(n, ...) -> (i, i)``, i entries an input; ``output`` maps (..., i) to (..., c)."""
    jacobians = vmap(jacrev(output))
    rows = (jacobians(part).flatten(2).flatten(0, 1) for part in inputs.split(CHUNK))  # n c, i
    return sum(part.mT @ part for part in rows) / len(inputs)


def agop_of_two_layers(model: nn.Module) -> Tensor:
    """The MLP's without extra layers, in closed form: B^T ((A A^T) * mean of s s^T) B, ``-> (p, p)``.

    B (m, p) and A (m, c) are the effective weights into and out of the m neurons, s (m,) the slopes of their activations at a pair.
    """
    into, out = model.W_inproj @ model.W_E, model.W_outproj.mT @ model.W_U
    before = (into.unsqueeze(2) + into.unsqueeze(1)).flatten(1)  # m p^2
    slopes = slope(model.act, before)
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


def cyclic_order(fn_name: str, p: int) -> Tensor | None:
    """The numbers in the order in which the operation is an addition or a subtraction modulo their count; None where there is none.

    0 ... p-1 for addition and subtraction; the powers of a primitive root, without 0, for multiplication and division.
    """
    if fn_name in ("add", "subtract"):
        return torch.arange(p)
    if fn_name in ("multiply", "divide"):
        for root in range(1, p):
            powers = [pow(root, exponent, p) for exponent in range(p - 1)]
            if sorted(powers) == list(range(1, p)):
                return torch.tensor(powers)
    return None


def distance_to_circulant(matrix: Tensor) -> float:
    """How far a matrix A ``(p, p)`` is from the nearest circulant one: ||A - P A||^2 / ||A||^2, from 0 to 1.

    P A is the mean over the places with the same j - i modulo p. Independent entries of mean 0 are at about 1 - 1/p; v v^T of a
    single cosine v is at 1/2.
    """
    p = len(matrix)
    difference = (torch.arange(p) - torch.arange(p).unsqueeze(1)) % p
    means = torch.zeros(p, dtype=matrix.dtype).index_add_(0, difference.flatten(), matrix.flatten()) / p
    return float((matrix - means[difference]).square().sum() / matrix.square().sum())


def agop_measures(G: Tensor, order: Tensor | None, generator: torch.Generator) -> Iterator[Measure]:
    """The effective rank of G; with an ``order`` its distance to circulant, beside the null.

    The null is G with its numbers renamed at random, rows and columns alike: the same spectrum, entries and diagonal, only the
    order of the numbers is lost. Of a Transformer the distances are those of the blocks aa, ab and bb.
    """
    eigenvalues = torch.linalg.eigvalsh(G).clamp(min=0)  # rounding may give -1e-17
    yield "agop_effective_rank", "all", effective_rank(eigenvalues.numpy())
    if order is None:
        return
    p = int(order.max()) + 1
    blocks = {"all": G} if len(G) == p else {"aa": G[:p, :p], "ab": G[:p, p:], "bb": G[p:, p:]}
    renamed = [order[torch.randperm(len(order), generator=generator)] for _ in range(NUM_DRAWS)]
    for part, block in blocks.items():
        null = torch.tensor([distance_to_circulant(block[numbers][:, numbers]) for numbers in renamed])
        yield "agop_distance_to_circulant", part, distance_to_circulant(block[order][:, order])
        yield "agop_distance_to_circulant_null", part, float(null.mean())
        yield "agop_distance_to_circulant_null_std", part, float(null.std())
