"""How start and later weights agree: cases with a known answer."""

import numpy as np
import pytest

from analysis.structure import alignment, cosine


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
