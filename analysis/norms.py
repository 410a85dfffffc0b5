"""How large the weights are, and how many directions they use."""

from collections.abc import Mapping

import numpy as np


def norms(weights: Mapping[str, np.ndarray], order: int) -> dict[str, float]:
    """L1 or L2 norm of each matrix, and of all of them as one vector, ``{name: norm, "all": norm}`` in units of the weights."""
    each = {name: float(np.linalg.norm(np.ravel(weight), order)) for name, weight in weights.items()}
    return each | {"all": float(np.linalg.norm(list(each.values()), order))}


def effective_rank(singular_values: np.ndarray) -> float:
    """exp of the Shannon entropy of the values as shares of their sum (Roy and Vetterli 2007), ``(r,) -> float``.

    r for r equal values, whatever their size; 0 where all are 0.
    """
    shares = singular_values[singular_values > 0] / max(singular_values.sum(), np.finfo(np.float64).tiny)
    return float(np.exp(-(shares * np.log(shares)).sum())) if len(shares) else 0.0


def decay_alone(norm: float, lr: float, weight_decay: float, updates: int) -> float:
    """What a norm becomes without a gradient: AdamW multiplies every weight by 1 - lr weight_decay an update."""
    return norm * (1 - lr * weight_decay) ** updates
