"""Spectra and entropies against cosines, flat spectra, a slow Fourier transform, and properties over random weights."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from analysis.fourier import (
    dominant_frequency,
    effective_input,
    effective_output,
    frequency_entropy,
    neuron_entropy,
    neuron_order,
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


def test_one_input_has_no_spectrum():
    with pytest.raises(ValueError, match="two inputs"):
        spectrum(np.ones((3, 1)))


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
