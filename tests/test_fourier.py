"""Spectra and entropies against cosines, flat spectra, a slow Fourier transform, and properties over random weights."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from analysis.fourier import (
    by_sum,
    distance_irrelevance,
    dominant_frequency,
    effective_input,
    effective_output,
    excluded_logits,
    frequency_entropy,
    grid_spectrum,
    key_frequencies,
    logit_shares,
    neuron_entropy,
    neuron_order,
    phase_alignment,
    phases,
    restricted_logits,
    spectrum,
)

pytestmark = pytest.mark.numerics

# Whole numbers, so that no neuron is constant but for rounding.
WHOLE = st.tuples(st.integers(1, 4), st.integers(2, 41)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=st.integers(-9, 9).map(float))
)
ANY = st.tuples(st.integers(1, 4), st.integers(2, 41)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=st.floats(-1e300, 1e300))
)


def cosine(p: int, k: int, phase: float) -> np.ndarray:
    return np.cos(2 * np.pi * k * np.arange(p) / p + phase)


def slow_spectrum(values: list[float]) -> list[float]:
    """The definition, term by term: the power of k and of its mirror p - k, over that of all but the mean."""
    p = len(values)
    power = [
        sum(w * math.cos(2 * math.pi * k * a / p) for a, w in enumerate(values)) ** 2
        + sum(w * math.sin(2 * math.pi * k * a / p) for a, w in enumerate(values)) ** 2
        for k in range(p)
    ]
    return [sum(power[j] for j in {k, p - k}) / sum(power[1:]) for k in range(1, p // 2 + 1)]


@pytest.mark.parametrize("p", [3, 5, 7, 11, 12, 31, 67, 97, 113])
def test_a_cosine_has_entropy_0_and_its_peak_at_its_own_frequency(p):
    frequencies = np.arange(1, (p - 1) // 2 + 1)
    for phase in (0.0, 0.4, 1.9, -2.5, math.pi / 2):
        weights = np.stack([3 * cosine(p, k, phase) + 0.7 for k in frequencies])
        np.testing.assert_allclose(neuron_entropy(weights), 0, atol=1e-9)
        found, strength = dominant_frequency(weights)
        assert found.tolist() == frequencies.tolist()
        np.testing.assert_allclose(strength, 1)


@pytest.mark.parametrize("p", [4, 12, 68])
def test_the_highest_frequency_of_an_even_p_counts_too(p):
    alternating = (-1.0) ** np.arange(p)
    assert dominant_frequency(alternating)[0] == p // 2
    assert neuron_entropy(alternating) == pytest.approx(0, abs=1e-9)
    assert spectrum(alternating).shape == (p // 2,)


@pytest.mark.parametrize("p", [3, 7, 67, 113])
def test_a_flat_spectrum_has_entropy_ln_of_the_number_of_frequencies(p):
    impulse = np.eye(p)  # equal power everywhere, wherever the impulse is
    np.testing.assert_allclose(spectrum(impulse), 2 / (p - 1))
    np.testing.assert_allclose(neuron_entropy(impulse), math.log((p - 1) / 2))
    equal = sum(cosine(p, k, 0.3 * k) for k in range(1, (p - 1) // 2 + 1))
    assert neuron_entropy(equal) == pytest.approx(math.log((p - 1) / 2))


def test_two_equal_cosines_have_entropy_ln_2():
    assert neuron_entropy(cosine(67, 5, 0.2) + cosine(67, 33, 1.0)) == pytest.approx(math.log(2))


@pytest.mark.parametrize("p", [2, 3, 4, 9, 10, 23])
def test_the_spectrum_equals_the_definition(p):
    weights = np.random.default_rng(p).normal(size=(3, p))
    np.testing.assert_allclose(spectrum(weights), [slow_spectrum(row.tolist()) for row in weights], atol=1e-12)


@given(ANY)
@settings(deadline=None)
def test_entropy_lies_between_0_and_ln_f(weights):
    entropy = neuron_entropy(weights)
    living = ~np.isnan(entropy)
    assert (entropy[living] >= 0).all()
    assert (entropy[living] <= math.log(weights.shape[1] // 2) + 1e-9).all()
    np.testing.assert_allclose(spectrum(weights).sum(-1), living)


@given(WHOLE, st.floats(1e-200, 1e200), st.integers(0, 40))
@settings(deadline=None)
def test_entropy_does_not_change_with_scale_sign_and_cyclic_shift(weights, scale, shift):
    expected = neuron_entropy(weights)
    np.testing.assert_allclose(neuron_entropy(weights * scale), expected, atol=1e-9)
    np.testing.assert_allclose(neuron_entropy(-weights), expected, atol=1e-9)
    np.testing.assert_allclose(neuron_entropy(np.roll(weights, shift, -1)), expected, atol=1e-9)


def test_neurons_that_are_zero_or_constant_have_no_spectrum_and_no_part_in_the_mean():
    p = 67
    impulse = np.eye(p)[4]
    weights = np.stack([np.zeros(p), impulse, np.full(p, 0.1), cosine(p, 8, 0.5)])
    assert np.isnan(neuron_entropy(weights)).tolist() == [True, False, True, False]
    assert dominant_frequency(weights)[0][[0, 2]].tolist() == [0, 0]
    assert frequency_entropy(weights) == pytest.approx(math.log(33) / 2)
    assert math.isnan(frequency_entropy(np.zeros((3, p))))


def test_leading_axes_are_kept():
    weights = np.random.default_rng(0).normal(size=(2, 3, 11))
    assert spectrum(weights).shape == (2, 3, 5)
    np.testing.assert_allclose(neuron_entropy(weights)[1], neuron_entropy(weights[1]))


def test_neurons_are_ordered_by_frequency_then_strength_and_dead_ones_come_last():
    p, noise = 31, np.eye(31)[0]
    weights = np.stack(
        [
            np.zeros(p),
            cosine(p, 9, 0.1),
            50 * (cosine(p, 2, 0.7) + 0.6 * noise),  # larger, but less pure than the next
            cosine(p, 2, 0.1) + 0.1 * noise,
            np.ones(p),
            cosine(p, 15, 2.0),
        ]
    )
    assert neuron_order(weights).tolist() == [3, 2, 1, 5, 0, 4]


def test_effective_weights_are_the_written_products_in_either_network():
    generator = torch.Generator().manual_seed(0)
    d, m, p = 6, 4, 7
    shapes = {"W_E": (d, p), "W_inproj": (m, d), "W_h.0": (m, m), "W_outproj": (d, m), "W_U": (d, p)}
    mlp = {name: torch.randn(*shape, generator=generator) for name, shape in shapes.items()}
    inputs, outputs = effective_input(mlp), effective_output(mlp)
    assert inputs.shape == outputs.shape == (m, p)
    for neuron in range(m):
        for a in range(p):
            assert inputs[neuron, a] == pytest.approx(float(mlp["W_inproj"][neuron] @ mlp["W_E"][:, a]), abs=1e-5)
            assert outputs[neuron, a] == pytest.approx(float(mlp["W_outproj"][:, neuron] @ mlp["W_U"][:, a]), abs=1e-5)

    transformer = {"W_E": mlp["W_E"], "W_U": mlp["W_U"], "blocks.0.W_in": torch.ones(8, d)}
    np.testing.assert_array_equal(effective_input(transformer), mlp["W_E"])
    np.testing.assert_array_equal(effective_output(transformer), mlp["W_U"])


# ---- on the grid of all pairs


def votes(p: int, keys, amplitude=lambda a, b, k: 1.0) -> np.ndarray:
    """Logits (p, p, p): the sum over keys of amplitude cos 2 pi k (a + b - c) / p."""
    a, b, c = np.ogrid[:p, :p, :p]
    return sum(amplitude(a, b, k) * np.cos(2 * np.pi * k * (a + b - c) / p) for k in keys)


@pytest.mark.parametrize("p", [11, 12, 67])
def test_logits_of_a_network_that_adds_are_all_explained_by_its_frequencies(p):
    keys = [2, (p - 1) // 2]  # the highest, too
    shares = logit_shares(3 * votes(p, keys) + np.random.default_rng(0).normal(size=(p, p, 1)))
    np.testing.assert_allclose(shares[[k - 1 for k in keys]], 0.5)
    assert shares.sum() == pytest.approx(1)
    if p % 2 == 0:
        assert logit_shares(votes(p, [p // 2]))[-1] == pytest.approx(1), "which has no mirror"


def test_noise_is_explained_by_one_over_p_squared():
    p, random = 31, np.random.default_rng(0)
    found = np.mean([logit_shares(random.normal(size=(p, p, p))).sum() for _ in range(5)])
    assert found == pytest.approx(1 / p**2, rel=0.3)
    assert logit_shares(np.zeros((5, 5, 5))).tolist() == [0, 0]


def test_restricted_and_excluded_logits_are_projections_on_cos_and_sin_of_the_sum():
    p, keys, random = 7, [1, 3], np.random.default_rng(1)
    logits = random.normal(size=(p, p, p))
    a, b = np.ogrid[:p, :p]
    component = np.zeros_like(logits)
    for k in keys:
        for wave in (np.cos(2 * np.pi * k * (a + b) / p), np.sin(2 * np.pi * k * (a + b) / p)):
            wave = wave / np.linalg.norm(wave)
            component += wave[:, :, None] * (wave[:, :, None] * logits).sum((0, 1))
    np.testing.assert_allclose(excluded_logits(logits, keys), logits - component, atol=1e-12)
    np.testing.assert_allclose(restricted_logits(logits, keys), component + logits.mean((0, 1)), atol=1e-12)
    adds = votes(p, keys) + random.normal(size=p)
    np.testing.assert_allclose(restricted_logits(adds, np.array(keys)), adds, atol=1e-12)
    np.testing.assert_allclose(excluded_logits(votes(p, [2]), keys), votes(p, [2]), atol=1e-12)


def test_the_mean_by_sum_pair_by_pair():
    p, values = 5, np.random.default_rng(2).normal(size=(5, 5, 3))
    slow = [np.mean([values[a, b] for a in range(p) for b in range(p) if (a + b) % p == s], axis=0) for s in range(p)]
    np.testing.assert_allclose(by_sum(values), slow)


@pytest.mark.parametrize("p", [7, 8, 31])
def test_a_neuron_of_one_frequency_has_it_whichever_way_it_is_combined(p):
    top = (p - 1) // 2
    for k in (1, top):
        one = cosine(p, k, 0.3)
        neurons = np.stack([5 + one[:, None] + 0 * one, one[:, None] + one, one[:, None] * one, 2 * one - one[:, None]])
        np.testing.assert_allclose(grid_spectrum(neurons)[:, k - 1], 1)
    mixed = np.stack([cosine(p, 1, 0)[:, None] * cosine(p, top, 0), np.full((p, p), 3.0)])
    np.testing.assert_allclose(grid_spectrum(mixed), 0, atol=1e-12)
    noise = np.random.default_rng(0).normal(size=(20, p, p))
    assert grid_spectrum(noise).sum(-1).max() < 1


def test_key_frequencies_are_those_of_half_of_some_neurons_variance():
    shares = np.array([[0.6, 0.3, 0.0], [0.2, 0.4, 0.3], [0.0, 0.0, 0.5]])
    assert key_frequencies(shares).tolist() == [1, 3]
    assert key_frequencies(np.zeros((2, 3))).tolist() == []


def test_phases_of_a_network_that_adds():
    p, random = 31, np.random.default_rng(3)
    frequency, phase = random.integers(1, 16, 40), random.uniform(-math.pi, math.pi, 40)
    into = np.stack([1.7 * cosine(p, k, one) for k, one in zip(frequency, phase, strict=True)])
    out = np.stack([0.4 * cosine(p, k, 2 * one) for k, one in zip(frequency, phase, strict=True)])
    np.testing.assert_allclose(phases(into, frequency), phase)
    assert phase_alignment(phases(into, frequency), phases(out, frequency)) == pytest.approx(1)
    assert phase_alignment(phase, 2 * phase + math.pi / 2) == pytest.approx(0)
    assert math.isnan(phase_alignment(phase[:0], phase[:0]))


def test_distance_irrelevance_of_a_clock_and_of_a_pizza():
    p = 31
    pizza = votes(p, [1, 4], lambda a, b, k: np.abs(np.cos(np.pi * k * (a - b) / p)))
    assert distance_irrelevance(pizza) == pytest.approx(0, abs=1e-12)
    a, b = np.ogrid[:p, :p]
    of_sum = np.zeros((p, p, p))
    of_sum[a, b, (a + b) % p] = np.random.default_rng(0).normal(size=p)[(a + b) % p]
    assert distance_irrelevance(of_sum) == pytest.approx(1)
    with pytest.raises(ValueError, match="odd"):
        distance_irrelevance(np.zeros((4, 4, 4)))
