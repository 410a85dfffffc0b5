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
KEY_SHARE = 0.5  # of a neuron's variance, from which on a frequency is its own


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


# ---- on the grid of all ordered pairs (a, b): logits (p, p, c) and activations of m neurons (m, p, p), for addition modulo p


def grid_spectrum(activations: np.ndarray) -> np.ndarray:
    """Share of each frequency in the variance of a neuron over all pairs (a, b), ``(m, p, p) -> (m, f)``; in 0 ... 1.

    Frequency k is cos and sin of k a, of k b and of k (a +- b), linear and quadratic terms together (Nanda et al., arXiv 2301.05217).
    What a row lacks to 1 mixes frequencies. A neuron that is constant is given zeros.
    """
    power = np.abs(np.fft.fft2(activations)) ** 2
    p = power.shape[-1]
    mean = power[..., 0, 0].copy()
    power[..., 0, 0] = 0
    total = power.sum((-2, -1))
    cells = [sorted({0, k, p - k}) for k in range(1, p // 2 + 1)]
    own = np.stack([power[..., rows, :][..., rows].sum((-2, -1)) for rows in cells], -1)
    return np.divide(own, total[..., None], out=np.zeros_like(own), where=(total > _NO_POWER * mean)[..., None])


def key_frequencies(shares: np.ndarray) -> np.ndarray:
    """The frequencies that are half or more of some neuron's variance, ``(m, f) -> (keys,) int64``, from 1 to f.

    Nanda et al. take each neuron's strongest one; without a bound every neuron of an init would make a key.
    """
    return np.flatnonzero((shares >= KEY_SHARE).any(0)) + 1


def by_sum(values: np.ndarray) -> np.ndarray:
    """The mean over all pairs with (a + b) mod p = s, ``(p, p, ...) -> (p, ...)``: what depends on the sum alone."""
    s, a = np.ogrid[: len(values), : len(values)]
    return values[a, (s - a) % len(values)].mean(1)


def sum_component(logits: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
    """The part of each logit in the span of cos and sin of 2 pi k (a + b) / p, k in ``frequencies``, ``(p, p, c) -> (p, p, c)``."""
    p = len(logits)
    transform = np.fft.rfft(by_sum(logits), axis=0)
    transform[~np.isin(np.arange(len(transform)), frequencies)] = 0
    a, b = np.ogrid[:p, :p]
    return np.fft.irfft(transform, p, axis=0)[(a + b) % p]


def restricted_logits(logits: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Only what the key frequencies say of a + b, and each class's mean over all pairs (Nanda et al.), ``(p, p, c) -> (p, p, c)``."""
    return sum_component(logits, keys) + logits.mean((0, 1))


def excluded_logits(logits: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """All but what those frequencies say of a + b (Nanda et al.), ``(p, p, c) -> (p, p, c)``."""
    return logits - sum_component(logits, keys)


def logit_shares(logits: np.ndarray) -> np.ndarray:
    """Share of cos and sin of 2 pi k (a + b - c) / p in the logits' variance, ``(p, p, p) -> (f,)``.

    The variance is that over all p^3 logits, each pair's mean removed, as softmax does not see it. The sum over k is the share that
    depends on a + b - c alone: 1 for a network that only adds. Of noise it is about 1 / p^2.
    """
    logits = logits - logits.mean(-1, keepdims=True)
    p, total = len(logits), np.square(logits).sum()
    s, d = np.ogrid[:p, :p]
    aligned = by_sum(logits)[s, (s - d) % p].mean(0)  # by d = a + b - c
    power = np.abs(np.fft.rfft(aligned)[1:]) ** 2 / p
    power[: (p - 1) // 2] *= 2  # and the mirror p - k
    return p**2 * power / total if total else power


def phases(weights: np.ndarray, frequency: np.ndarray) -> np.ndarray:
    """phi of the part A cos(2 pi k a / p + phi) of each neuron, k its ``frequency``, ``(m, p), (m,) -> (m,)`` in radians."""
    return np.angle(np.fft.rfft(weights)[np.arange(len(weights)), frequency])


def phase_alignment(phase_in: np.ndarray, phase_out: np.ndarray) -> float:
    """Mean of cos(phase_out - 2 phase_in) over neurons, ``(m,), (m,) -> float``: 1 for a network that adds, about 0 by chance.

    A neuron that reads cos(w a + phi) and cos(w b + phi) makes cos(w (a + b) + 2 phi), and cos(w c + 2 phi) is what turns that
    into a vote for c = a + b (Gromov, arXiv 2301.02679). nan without a neuron.
    """
    return float(np.cos(phase_out - 2 * phase_in).mean()) if len(phase_in) else float("nan")


def distance_irrelevance(logits: np.ndarray) -> float:
    """How little the right class's logit depends on the sum compared with all of its spread, ``(p, p, c) -> float``, odd p.

    With M[a + b, a - b] the right logit: the mean over a - b of its std over a + b, divided by the std of all (Zhong et al., arXiv
    2306.17844, Definition 4.2; not of the largest wrong logit, as in their code). Their clocks have 0.85, their pizzas 0.17.
    """
    p = len(logits)
    if p % 2 == 0:
        raise ValueError(f"a + b and a - b tell a and b only for odd p, not {p}")
    total, difference = np.ogrid[:p, :p]
    half = (p + 1) // 2  # the inverse of 2
    right = logits[(total + difference) * half % p, (total - difference) * half % p, total]
    return float(right.std(0).mean() / right.std()) if right.std() else float("nan")
