"""Where the gradients of a network with respect to its weights point.

``gradient_measures`` gives all that can be said of one checkpoint, ``direction_measures`` what needs two. The gradient is the
loss's alone, without weight decay; a ticket's is taken over all weights, the pruned ones included. Networks are as ``exact``
makes them. In the shapes, n is the number of examples, c of classes, N of weights, of the MLP m of neurons, e d_emb, p of numbers.
"""

import copy
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from analysis.agop import NUM_DRAWS, Measure, agop, agop_measures, has_two_layers, slope, spectrum_measures
from analysis.structure import as_vector, cosine, kept_by_degrees

Weights = Mapping[str, Tensor]

MAX_EXAMPLES = 256  # of which the kernel is made
NUM_CLASS_VECTORS = 3


def exact(model: nn.Module) -> nn.Module:
    """A copy in float64 whose weights record no gradients."""
    return copy.deepcopy(model).double().requires_grad_(False)


# ---- Weights


def loss_gradient(
    model: nn.Module, x: Tensor, y: Tensor, loss: Callable[[Tensor, Tensor], Tensor]
) -> dict[str, Tensor]:
    """The gradient of the mean loss over the examples, ``{name: shape of the weight}``; in units of loss per weight."""
    encoded = model.encode(x)
    return grad(lambda weights: loss(functional_call(model, weights, (encoded,)), y))(dict(model.named_parameters()))


def norm_measures(gradient: Weights) -> Iterator[Measure]:
    """L2 norm of each matrix's gradient, and of all as one vector."""
    for name, values in gradient.items():
        yield "gradient_norm", name, float(values.norm())
    yield "gradient_norm", "all", float(torch.cat([values.flatten() for values in gradient.values()]).norm())


def share_measures(gradient: Weights, mask: Weights) -> Iterator[Measure]:
    """The share of the gradient's energy (sum of squares) inside a mask, per matrix and in total, beside two controls.

    ``mask_share_of_weights`` is what a mask that knows nothing of the gradient holds on average of the matrix. For all matrices:
    ``random``, as many places anywhere, and ``shuffled``, as many places in each matrix; ``_std`` is the standard deviation over
    such masks; these four are exact. ``degrees``: as many in each row and column, to first order. nan where the gradient is 0.
    """
    energies = {name: gradient[name].double().square().flatten() for name in mask}
    kept = {name: mask[name].flatten() for name in mask}
    energy, everywhere = torch.cat(list(energies.values())), torch.cat(list(kept.values()))
    for name, of, inside in [*((name, energies[name], kept[name]) for name in mask), ("all", energy, everywhere)]:
        yield "gradient_share_in_mask", name, float(of[inside].sum() / of.sum())
        yield "mask_share_of_weights", name, float(inside.double().mean())
    for control, groups in (("random", [(energy, everywhere)]), ("shuffled", [(energies[m], kept[m]) for m in mask])):
        drawn = [mean_and_variance_of_a_draw(of, int(inside.sum())) for of, inside in groups]
        mean, variance = (sum(values) for values in zip(*drawn, strict=True))
        yield f"gradient_share_in_{control}_mask", "all", float(mean / energy.sum())
        yield f"gradient_share_in_{control}_mask_std", "all", float(variance.sqrt() / energy.sum())
    likely = [torch.as_tensor(kept_by_degrees(np.asarray(mask[name]))).flatten() for name in mask]
    yield "gradient_share_in_degrees_mask", "all", float((energy * torch.cat(likely)).sum() / energy.sum())


def mean_and_variance_of_a_draw(values: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Of the sum of k of the ``values (N,)``, drawn without replacement: k times their mean, k (N - k) / (N - 1) their variance."""
    N = len(values)
    return k * values.mean(), values.var(correction=0) * k * (N - k) / max(N - 1, 1)


def direction_measures(
    gradient: Weights, previous: Weights | None, weights: Weights, final: Weights
) -> Iterator[Measure]:
    """Cosines of this checkpoint's gradient, per matrix and in total, between -1 and 1; nan where one of the two is 0.

    ``gradient_cosine_to_previous``: with the gradient at the checkpoint before, if there is one. ``descent_cosine_to_final``: of
    minus the gradient with what is left of the way, the final weights minus those of now. ``descent_cosine_to_weights``: with the
    weights of now; near 1 the gradient does little but hold the weights against their decay.
    """
    left = {name: final[name].double() - weights[name].double() for name in gradient}
    for part, names in [*((name, [name]) for name in gradient), ("all", list(gradient))]:
        now = as_vector(gradient, names)
        if previous is not None:
            yield "gradient_cosine_to_previous", part, cosine(now, as_vector(previous, names))
        yield "descent_cosine_to_final", part, cosine(-now, as_vector(left, names))
        yield "descent_cosine_to_weights", part, cosine(-now, as_vector(weights, names))


# ---- Examples


def example_kernel(model: nn.Module, x: Tensor, class_vectors: Tensor) -> Tensor:
    """The empirical tangent kernel of the logits along a few directions, ``(n, ...), (r, c) -> (n, n)``.

    K = 1/r sum over the vectors v of J_v J_v^T, where row j of J_v (n, N) is the gradient of v . logits(x_j) with respect to all
    weights. For v ~ N(0, I) its mean is the kernel of all logits, summed over classes (Jacot et al., arXiv 1806.07572).
    """
    weights = dict(model.named_parameters())
    along = lambda weights, example, vector: (functional_call(model, weights, (example,)) @ vector).squeeze()
    rows_of = vmap(grad(along), in_dims=(None, 0, None))
    examples = model.encode(x.unsqueeze(1))  # each a batch of one
    kernel = torch.zeros(len(x), len(x), dtype=torch.float64)
    for vector in class_vectors:
        for rows in rows_of(weights, examples, vector).values():
            kernel.addmm_(rows.flatten(1), rows.flatten(1).mT, alpha=1 / len(class_vectors))
    return kernel


def kernel_of_two_layers(model: nn.Module, x: Tensor) -> Tensor:
    """The same of the MLP without extra layers, for all logits: the sum over classes in closed form, ``(n, 2) -> (n, n)``.

    One term a matrix: W_E, W_inproj, W_outproj, W_U. The gradient of a logit with respect to a matrix is an outer product, and
    the inner product of two such is the product of two inner products.
    """
    counts = model.encode(x)  # n p
    embedded, out = counts @ model.W_E.mT, model.W_outproj.mT @ model.W_U
    before = embedded @ model.W_inproj.mT  # n m
    hidden, slopes = model.act(before), slope(model.act, before)
    through, read = out @ out.mT, hidden @ model.W_outproj.mT  # m m, n e
    return (
        slopes @ (through * (model.W_inproj @ model.W_inproj.mT)) @ slopes.mT * (counts @ counts.mT)
        + (slopes * through.diagonal()) @ slopes.mT * (embedded @ embedded.mT)
        + hidden @ hidden.mT * model.W_U.square().sum()
        + read @ read.mT * out.shape[1]
    )


def centred(kernel: Tensor) -> Tensor:
    """H K H, H = I - 11^T/n: the mean of every row and of every column is 0."""
    return kernel - kernel.mean(0) - kernel.mean(1, keepdim=True) + kernel.mean()


def kernel_alignment(one: Tensor, other: Tensor) -> float:
    """Centred kernel alignment, the cosine of the two centred kernels as vectors (Cortes et al., arXiv 1203.0550)."""
    return cosine(centred(one).flatten().numpy(), centred(other).flatten().numpy())


def same_class(y: Tensor) -> Tensor:
    """1 where two examples have one class, else 0; of numbers the product of the two, ``(n,) -> (n, n)``."""
    return torch.outer(y, y).double() if y.is_floating_point() else (y[:, None] == y).double()


def kernel_measures(kernel: Tensor, y: Tensor, generator: torch.Generator) -> Iterator[Measure]:
    """Spectrum of the kernel of the examples and its alignment with "of the same class", beside that with the labels permuted."""
    yield from spectrum_measures("kernel", kernel)
    yield "kernel_alignment", "all", kernel_alignment(kernel, same_class(y))
    orders = [torch.randperm(len(y), generator=generator) for _ in range(NUM_DRAWS)]
    null = torch.tensor([kernel_alignment(kernel, same_class(y[order])) for order in orders])
    yield "kernel_alignment_permuted", "all", float(null.mean())
    yield "kernel_alignment_permuted_std", "all", float(null.std())


# ---- A checkpoint


def gradient_measures(
    model: nn.Module,
    split,
    loss: Callable[[Tensor, Tensor], Tensor],
    mask: Weights | None,
    generator: torch.Generator,
    order: Tensor | None = None,
) -> Iterator[Measure]:
    """All measures of one checkpoint, as (measure, part, value).

    The kernel is that of the first MAX_EXAMPLES training examples (a split is in random order): of all logits where there is a
    closed form, else along NUM_CLASS_VECTORS random directions. The model may be in any precision.

    ``mask``: the ticket's, or None, which leaves out what needs one. ``generator`` gives class vectors and nulls: pass one of the
    same seed for every checkpoint. ``order``: see cyclic_order. Measures of the test loss's gradient begin with ``test_``.
    """
    model = exact(model)
    gradients = {
        "": loss_gradient(model, split.train_x, split.train_y, loss),
        "test_": loss_gradient(model, split.test_x, split.test_y, loss),
    }
    for prefix, gradient in gradients.items():
        shares = () if mask is None else share_measures(gradient, mask)
        for measure, part, value in (*norm_measures(gradient), *shares):
            if not (prefix and measure.startswith("mask")):
                yield prefix + measure, part, value
    names = list(gradients[""])
    for part, of in [*((name, [name]) for name in names), ("all", names)]:
        yield "gradient_cosine_train_test", part, cosine(*(as_vector(gradient, of) for gradient in gradients.values()))
    x, y = split.train_x[:MAX_EXAMPLES], split.train_y[:MAX_EXAMPLES]
    if has_two_layers(model):
        kernel = kernel_of_two_layers(model, x)
    else:
        vectors = torch.randn(NUM_CLASS_VECTORS, split.num_classes, generator=generator, dtype=torch.float64)
        kernel = example_kernel(model, x, vectors)
    yield from kernel_measures(kernel, y, generator)
    yield from agop_measures(agop(model, split), order, generator)
