"""How large the weights are, and how many directions they use."""

from collections.abc import Mapping

import numpy as np


def norms(weights: Mapping[str, np.ndarray], order: int) -> dict[str, float]:
    """L1 or L2 norm of each matrix, and of all of them as one vector, ``{name: norm, "all": norm}`` in units of the weights."""
    each = {name: float(np.linalg.norm(np.ravel(weight), order)) for name, weight in weights.items()}
    return each | {"all": float(np.linalg.norm(list(each.values()), order))}


def effective_rank(matrix: np.ndarray) -> float:
    """exp of the entropy of the singular values, normalized to add up to 1 (Roy and Vetterli 2007), ``(n, m) -> float``.

    r for r equal singular values, whatever their size; 0 for a matrix that is 0.
    """
    values = np.linalg.svd(matrix, compute_uv=False)
    shares = values[values > 0] / values.sum() if values.any() else values[:0]
    return float(np.exp(-(shares * np.log(shares)).sum())) if len(shares) else 0.0


def decay_alone(norm: float, lr: float, weight_decay: float, updates: int) -> float:
    """What a norm becomes without a gradient: AdamW multiplies every weight by 1 - lr weight_decay an update."""
    return norm * (1 - lr * weight_decay) ** updates
