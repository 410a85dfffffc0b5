"""The losses, each a value per network: ``(..., n, c) logits, (..., n) labels -> (...)``; labels are classes, int64, or numbers."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """Mean cross-entropy in float64: in float32 the loss of a memorized training set rounds to 0 and its gradient with it."""
    y = y.expand(logits.shape[:-1])
    nll = F.cross_entropy(logits.double().flatten(0, -2), y.flatten(), reduction="none")
    return nll.view(y.shape).mean(-1)


def squared_error(logits: Tensor, y: Tensor) -> Tensor:
    """Mean squared error to the one-hot label over all n c entries, as in Liu et al. (arXiv 2210.01117) for MNIST."""
    target = torch.zeros_like(logits).scatter_(-1, y.expand(logits.shape[:-1]).unsqueeze(-1), 1.0)
    return (logits - target).square().mean((-2, -1))


def regression_error(predicted: Tensor, y: Tensor) -> Tensor:
    """Mean squared error to labels that are numbers, ``(..., n, 1), (..., n) float32 -> (...)``."""
    return (predicted.squeeze(-1) - y).square().mean(-1)


# A loss is a function like these and its name here.
LOSSES: dict[str, Loss] = {
    "cross_entropy": cross_entropy,
    "squared_error": squared_error,
    "regression_error": regression_error,
}
regression_error.labels = "numbers"


def labels_of(loss: Loss) -> str:
    """What a loss is for: "numbers", where a function says so in its attribute ``labels``, else "classes"."""
    return getattr(loss, "labels", "classes")


def lp_penalty(matrices: Sequence[Tensor], lp: float, lp_alpha: float) -> Tensor:
    """``lp_alpha * mean over matrices of ||W||_lp``, ``(..., out, in) each -> (...)``."""
    norms = [torch.linalg.vector_norm(weight, lp, dim=(-2, -1)) for weight in matrices]
    return lp_alpha * torch.stack(norms, -1).mean(-1)
