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


def strength(weights: Mapping) -> np.ndarray:
    """How much each neuron counts, ``{name: weight} -> (m, 1)``: the L2 norm of its weights from the pixels times that of those to
    the next layer.

    With ReLU, a neuron's incoming weights times c > 0 and its outgoing ones divided by c are the same network: the product
    does not change, the norms do. It is 0 exactly where a mask cuts all that comes in or all that goes out.
    """
    from_pixels = np.asarray(weights["W_in"], dtype=np.float64)  # (m, i)
    following = weights["W_h.0"] if "W_h.0" in weights else weights["W_out"]  # (neurons of the next layer, m)
    to_next = np.asarray(following, dtype=np.float64).T  # (m, neurons of the next layer)
    return (np.linalg.norm(from_pixels, axis=1) * np.linalg.norm(to_next, axis=1))[:, None]
