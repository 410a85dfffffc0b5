"""How much of where training starts is left in the weights from which a mask is taken.

Weights and masks are ``{name: array}`` of the same shapes; all matrices together are one vector.
"""

from collections.abc import Mapping

import numpy as np


def as_vector(arrays: Mapping[str, np.ndarray], names: list[str]) -> np.ndarray:
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
