"""Masks and weights compared: cases with a known answer."""

import numpy as np
import pytest
from networks import build, weights_of

from analysis.structure import (
    alignment,
    chance_overlap,
    cosine,
    degree_overlap,
    in_order,
    jaccard_distance,
    overlap,
)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("mlp", ["W_E", "W_inproj", "W_h.0", "W_outproj", "W_U"]),
        ("image", ["W_in", "W_h.0", "W_out"]),
    ],
)
def test_matrices_in_the_order_of_the_network(kind, expected):
    assert in_order(weights_of(build(kind, num_layers=1))) == expected


def test_matrices_of_a_transformer_in_its_order():
    names = in_order(weights_of(build("transformer")))
    assert (names[0], names[-1]) == ("W_E", "W_U")


def test_an_angle_that_is_known():
    assert cosine(np.array([1.0, 0]), np.array([1.0, 1])) == pytest.approx(np.cos(np.pi / 4))
    assert np.isnan(cosine(np.zeros(2), np.ones(2)))


def test_all_matrices_are_one_vector_and_the_kept_weights_another():
    start = {"W_E": np.array([[3.0, 1.0]]), "W_U": np.array([[-1.0], [2.0]])}
    later = {"W_E": np.array([[1.0, -5.0]]), "W_U": np.array([[-2.0], [0.0]])}
    mask = {"W_E": np.array([[True, False]]), "W_U": np.array([[True], [False]])}
    found = alignment(start, later, mask)
    assert found["cosine"] == pytest.approx((3 - 5 + 2 + 0) / np.sqrt(15 * 30))
    assert found["cosine_kept"] == pytest.approx(5 / np.sqrt(10 * 5))
    assert found["same_signs_kept"] == 1
    assert found["mask_l2norm"] == pytest.approx(np.sqrt(30))
    inverted = {name: ~kept for name, kept in mask.items()}
    assert alignment(start, later, inverted)["same_signs_kept"] == 0, "1 and -5, 2 and 0"


def test_a_mask_that_keeps_nothing_has_no_agreement():
    one = {"W": np.ones((2, 2))}
    found = alignment(one, one, {"W": np.zeros((2, 2), dtype=bool)})
    assert np.isnan(found["cosine_kept"])
    assert np.isnan(found["same_signs_kept"])


def test_two_masks():
    one, other = np.array([True, True, False, False]), np.array([True, False, True, False])
    assert jaccard_distance({"W": one}, {"W": other}) == pytest.approx(2 / 3)
    assert jaccard_distance({"W": one, "V": one}, {"W": other, "V": one}) == pytest.approx(1 - 3 / 5)
    assert (jaccard_distance({"W": one}, {"W": one}), jaccard_distance({"W": one}, {"W": ~one})) == (0, 1)
    assert jaccard_distance({"W": one & ~one}, {"W": one & ~one}) == 0
    assert overlap({"W": one}, {"W": other}) == 0.5
    assert overlap({"W": one, "V": one}, {"W": other, "V": one}) == 0.75
    assert np.isnan(overlap({"W": one}, {"W": one & ~one}))


def test_overlap_by_chance_is_the_mean_over_shuffled_masks():
    random = np.random.default_rng(0)
    one = {"W": random.random((8, 9)) < 0.7, "V": random.random((9, 4)) < 0.2}
    other = {name: random.random(kept.shape) < 0.4 for name, kept in one.items()}

    def shuffled():
        return {name: random.permutation(kept.ravel()).reshape(kept.shape) for name, kept in one.items()}

    mean = np.mean([overlap(shuffled(), other) for _ in range(4000)])
    assert chance_overlap(one, other) == pytest.approx(mean, abs=0.01)


def test_overlap_by_degrees_knows_which_rows_are_empty():
    one = {"W": np.repeat([[True], [False]], 6, axis=1)}
    assert degree_overlap(one, {"W": one["W"]}) == 1
    assert degree_overlap(one, {"W": ~one["W"]}) == 0
    assert chance_overlap(one, {"W": one["W"]}) == 0.5
    even = {"W": np.eye(4, dtype=bool)}
    assert degree_overlap(even, even) == 0.25, "a weight in each row and column, and four places for it"
