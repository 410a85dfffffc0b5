"""Masks and weights compared: how much of the start is left, and how alike two masks are.

Weights and masks are ``{name: array}`` of the same shapes; all matrices together are one vector.
"""

from collections.abc import Iterable, Mapping

import numpy as np


def in_order(names: Iterable[str]) -> list[str]:
    """Matrices from the inputs of a network to its outputs; torch names hidden layers and blocks after all the others."""
    last = ("W_out", "W_outproj", "W_U")
    return sorted(names, key=lambda name: last.index(name) + 1 if name in last else 0)


def as_vector(arrays: Mapping[str, np.ndarray], names: Iterable[str]) -> np.ndarray:
    """The matrices of these names as one vector, in float64."""
    return np.concatenate([np.asarray(arrays[name], dtype=np.float64).ravel() for name in names])


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    """The cosine of the angle between two vectors; nan where one of them is 0."""
    lengths = np.linalg.norm(one) * np.linalg.norm(other)
    return float(one @ other / lengths) if lengths else float("nan")


def alignment(start: Mapping, later: Mapping, mask: Mapping) -> dict[str, float]:
    """How the weights at the start and those ``later``, which gave the mask, agree, of all weights and of the kept ones.

    ``cosine`` and ``cosine_kept``: of the two vectors. ``same_signs_kept``: the share of the kept weights with the same sign.
    ``mask_l2norm``: the norm of the later weights. Numbers between -1 and 1, 0 and 1, and in units of the weights.
    """
    names = list(mask)
    kept = as_vector(mask, names) > 0
    start, later = as_vector(start, names), as_vector(later, names)
    signs = np.sign(start[kept]) == np.sign(later[kept])
    return {
        "cosine": cosine(start, later),
        "cosine_kept": cosine(start[kept], later[kept]),
        "same_signs_kept": float(signs.mean()) if len(signs) else float("nan"),
        "mask_l2norm": float(np.linalg.norm(later)),
    }


def jaccard_distance(one: Mapping, other: Mapping) -> float:
    """1 - |and| / |or| of two masks: 0 where they are the same, 1 where they share nothing."""
    both = sum(np.count_nonzero(one[name] & other[name]) for name in one)
    either = sum(np.count_nonzero(one[name] | other[name]) for name in one)
    return 1 - both / either if either else 0.0


def overlap(one: Mapping, other: Mapping) -> float:
    """The share of the weights that the mask ``other`` keeps which ``one`` keeps as well; nan where it keeps none."""
    return _share_of(other, sum(np.count_nonzero(one[name] & other[name]) for name in other))


def chance_overlap(one: Mapping, other: Mapping) -> float:
    """What ``overlap`` is expected to be where ``one`` keeps as many weights of each matrix, at random places."""
    return _share_of(other, sum(np.count_nonzero(other[name]) * one[name].mean() for name in other))


def degree_overlap(one: Mapping, other: Mapping) -> float:
    """The same where ``one`` keeps as many weights of each row and each column."""
    return _share_of(other, sum((kept_by_degrees(one[name]) * other[name]).sum() for name in other))


def _share_of(mask: Mapping, number: float) -> float:
    kept = sum(np.count_nonzero(matrix) for matrix in mask.values())
    return float(number / kept) if kept else float("nan")


def kept_by_degrees(kept: np.ndarray) -> np.ndarray:
    """How likely each place is kept by a random mask with the same row and column sums, ``(n, m) bool -> (n, m)``.

    To first order: row sum times column sum over all; where that is above 1 it is 1.
    """
    return np.minimum(np.outer(kept.sum(1), kept.sum(0)) / max(1, np.count_nonzero(kept)), 1)
