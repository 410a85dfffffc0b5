"""What single neurons of an image network look at, and how much each counts.

In the shapes, m is the number of neurons of the first hidden layer (d_model), i the pixels of an image, row by row.
"""

from collections.abc import Mapping

import numpy as np

NUM_PIXELS = 28 * 28


def input_weights(weights: Mapping) -> np.ndarray:
    """The images that the neurons look for, ``{name: weight} -> (m, i) float32``: W_in."""
    W_in = np.asarray(weights["W_in"], dtype=np.float32)
    if W_in.shape[-1] != NUM_PIXELS:
        raise ValueError(f"W_in has {W_in.shape[-1]} inputs, and an image {NUM_PIXELS} pixels")
    return W_in


def norms_in_and_out(weights: Mapping) -> np.ndarray:
    """L2 norm of each neuron's weights from the pixels and of those to the next layer, ``{name: weight} -> (m, 2)``."""
    following = weights["W_h.0"] if "W_h.0" in weights else weights["W_out"]  # (neurons of the next layer, m)
    from_pixels = np.asarray(weights["W_in"], dtype=np.float64)  # (m, i)
    to_next = np.asarray(following, dtype=np.float64).T  # (m, neurons of the next layer)
    return np.stack([np.linalg.norm(from_pixels, axis=1), np.linalg.norm(to_next, axis=1)], -1)


def strength(norms: np.ndarray) -> np.ndarray:
    """How much each neuron counts, ``(m, 2) -> (m,)``: the product of the two norms.

    With ReLU, a neuron's incoming weights times c > 0 and its outgoing ones divided by c are the same network: the product
    does not change, the norms do. It is 0 exactly where a mask cuts all that comes in or all that goes out.
    """
    return norms.prod(-1)
