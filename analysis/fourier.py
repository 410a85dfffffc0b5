"""How periodic the weights are: spectra over the inputs 0 ... p-1, and their entropy (arXiv 2310.19470).

A network that has grokked modular addition reads and writes its numbers as cosines cos(2 pi k a / p + phase). In the
shapes, m is the number of neurons (d_model), d is d_emb, p the inputs (or outputs), and f = p // 2 the frequencies.

All frequencies k = 1 ... p // 2 count. For odd p these are (p - 1) / 2, and each stands for its mirror p - k as well.
For even p the last one, k = p / 2, has no mirror and is counted once, so that the powers add up to the neuron's
variance. The mean (k = 0) is left out. A neuron that is zero (pruned) or constant has no spectrum: it is given zeros,
and has no part in a mean.
"""

from collections.abc import Callable, Mapping

import numpy as np

Matrix = Callable[[Mapping], np.ndarray]  # what is made of a network, {name: weight} -> (neurons, values)

# Rounding alone leaves a constant neuron about 1e-32 of its power; anything real is far above this.
_NO_POWER = 1e-24


def effective_input(weights: Mapping) -> np.ndarray:
    """What each neuron sees of input a, ``{name: weight} -> (m, p)``: W_inproj W_E (MLP) or W_E (Transformer)."""
    W_E = np.asarray(weights["W_E"], dtype=np.float64)  # (d, p); Transformer (m, p)
    return np.asarray(weights["W_inproj"], dtype=np.float64) @ W_E if "W_inproj" in weights else W_E


def effective_output(weights: Mapping) -> np.ndarray:
    """What each neuron adds to logit c, ``{name: weight} -> (m, p)``: W_outproj^T W_U (MLP) or W_U (Transformer)."""
    W_U = np.asarray(weights["W_U"], dtype=np.float64)  # (d, p); Transformer (m, p)
    return np.asarray(weights["W_outproj"], dtype=np.float64).T @ W_U if "W_outproj" in weights else W_U


def spectrum(weights: np.ndarray) -> np.ndarray:
    """Share of each frequency 1 ... f in the neuron's power, ``(..., p) -> (..., f)``; rows add up to 1, or are 0."""
    weights = np.asarray(weights, dtype=np.float64)
    p = weights.shape[-1]
    if p < 2:
        raise ValueError(f"a spectrum needs two inputs or more, not {p}")
    largest = np.abs(weights).max(-1, keepdims=True)
    # Scaled first, so that no square overflows or vanishes.
    weights = np.divide(weights, largest, out=np.zeros_like(weights), where=largest > 0)
    power = np.abs(np.fft.rfft(weights)) ** 2
    power[..., 1 : (p + 1) // 2] *= 2  # rfft gives k without its mirror p - k
    varying = power[..., 1:].sum(-1, keepdims=True)
    has_spectrum = varying > _NO_POWER * power.sum(-1, keepdims=True)
    return np.divide(power[..., 1:], varying, out=np.zeros_like(power[..., 1:]), where=has_spectrum)


def dominant_frequency(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each neuron's strongest frequency and its strength, ``(..., p) -> (...) int64, (...) float64``.

    The strength is that frequency's share of the power: 1 for a pure cosine. A neuron without a spectrum has 0 and 0.
    """
    shares = spectrum(weights)
    strength = shares.max(-1)
    return np.where(strength > 0, shares.argmax(-1) + 1, 0), strength


def neuron_entropy(weights: np.ndarray) -> np.ndarray:
    """Shannon entropy of each neuron's spectrum, in nats, ``(..., p) -> (...)``.

    0 for a pure cosine, ln f for a flat spectrum, nan for a neuron without a spectrum.
    """
    shares = spectrum(weights)
    entropy = -(shares * np.log(np.where(shares > 0, shares, 1))).sum(-1)
    return np.where(shares.any(-1), np.maximum(entropy, 0), np.nan)  # rounding may give -1e-17


def frequency_entropy(weights: np.ndarray) -> float:
    """The mean entropy of the neurons that have a spectrum, ``(m, p) -> float``; nan where none has."""
    entropy = neuron_entropy(weights)
    entropy = entropy[~np.isnan(entropy)]
    return float(entropy.mean()) if len(entropy) else float("nan")


def neuron_order(weights: np.ndarray) -> np.ndarray:
    """The neurons by dominant frequency, then by strength, the strongest first, ``(m, p) -> (m,) int64``.

    Neurons without a spectrum come last; ties keep their order.
    """
    frequency, strength = dominant_frequency(weights)
    return np.lexsort((-strength, frequency, frequency == 0))
