"""Norms and ranks with a known answer."""

import numpy as np
import pytest
import torch

from measures.norms import decay_alone, effective_rank, norms_of

pytestmark = pytest.mark.numerics


def test_norms_of_matrices_and_of_all_as_one_vector():
    weights = {"W": np.array([[3.0, -4.0]]), "V": np.array([[12.0], [0.0]])}
    assert norms_of(weights, 1) == {"W": 7, "V": 12, "all": 19}
    assert norms_of(weights, 2) == {"W": 5, "V": 12, "all": 13}


def test_effective_rank():
    orthogonal = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0]
    for r in (1, 3, 6):
        values = np.linalg.svd(0.01 * orthogonal[:, :r] @ orthogonal[:r], compute_uv=False)
        assert effective_rank(values) == pytest.approx(r)
    assert effective_rank(np.array([2.0, 1.0])) == pytest.approx(3 / 2 ** (2 / 3)), "exp(ln 3 - 2/3 ln 2)"
    assert effective_rank(np.array([0.5, 0.25, 0.25])) == pytest.approx(2**1.5)
    assert effective_rank(np.array([3.0, 0, 0])) == 1
    assert effective_rank(np.zeros(3)) == 0


def test_decay_alone_is_adamw_without_a_gradient():
    weight = torch.nn.Parameter(torch.tensor([3.0, 4.0], dtype=torch.float64))
    optimizer = torch.optim.AdamW([weight], lr=0.01, weight_decay=2.0)
    for _ in range(50):
        weight.grad = torch.zeros_like(weight)
        optimizer.step()
    assert decay_alone(5.0, 0.01, 2.0, 50) == pytest.approx(float(weight.detach().norm()))
