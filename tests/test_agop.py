"""The average gradient outer product against the textbook's Jacobian and differences, and its symmetry on built matrices."""

import itertools

import numpy as np
import pytest
import torch
from networks import SIZES, build, weights_of
from scipy.linalg import circulant
from test_models import TEXTBOOK_ACT, textbook_transformer

from common.randomness import generator
from measures.gradients import agop, agop_measures, distance_to_circulant, exact

pytestmark = pytest.mark.numerics


def everything(measures) -> dict[tuple[str, str], float]:
    return {(measure, part): value for measure, part, value in measures}


def mean_outer_product(jacobian, inputs) -> torch.Tensor:
    """Example by example, input by input."""
    products = [jacobian(z).flatten(1) for z in inputs]
    return sum(J.T @ J for J in products) / len(products)


def by_autograd(logits):
    return lambda z: torch.autograd.functional.jacobian(logits, z)


def by_differences(logits, step=1e-6):
    def jacobian(z):
        moves = step * torch.eye(z.numel(), dtype=torch.float64).view(-1, *z.shape)
        return torch.stack([(logits(z + move) - logits(z - move)) / (2 * step) for move in moves], -1)

    return jacobian


def one_hot_pairs(p: int) -> list[torch.Tensor]:
    rows = torch.eye(p, dtype=torch.float64)
    return [rows[list(pair)] for pair in itertools.product(range(p), repeat=2)]  # (2, p) each


@pytest.mark.parametrize("num_layers", [0, 1])
@pytest.mark.parametrize("act_type", ["relu", "gelu"])
def test_of_the_mlp_with_respect_to_two_one_hot_vectors_it_is_four_times_the_same(num_layers, act_type):
    model = exact(build("mlp", num_layers=num_layers, act_type=act_type))
    w, act, p = weights_of(model), TEXTBOOK_ACT[act_type], SIZES["mlp"]["p"]

    def logits(z):
        hidden = act(w["W_inproj"] @ (w["W_E"] @ z[0] + w["W_E"] @ z[1]))
        for layer in range(num_layers):
            hidden = act(w[f"W_h.{layer}"] @ hidden)
        return w["W_U"].T @ (w["W_outproj"] @ hidden)

    for jacobian, rtol in ((by_autograd(logits), 1e-9), (by_differences(logits), 1e-5)):
        of_pairs = mean_outer_product(jacobian, one_hot_pairs(p))
        torch.testing.assert_close(of_pairs, agop(model).repeat(2, 2), rtol=rtol, atol=rtol)


@pytest.mark.parametrize("num_layers", [1, 2])
def test_of_the_transformer_each_token_counts_wherever_it_enters(num_layers):
    model = exact(build("transformer", num_layers=num_layers, act_type="gelu"))
    w, p = weights_of(model), SIZES["transformer"]["p"]

    def logits(z):
        embedded = w | {"W_E": w["W_E"] @ z.T}
        return textbook_transformer(embedded, torch.arange(2), TEXTBOOK_ACT["gelu"], SIZES["transformer"]["num_heads"])

    torch.testing.assert_close(agop(model), mean_outer_product(by_autograd(logits), one_hot_pairs(p)))


@pytest.mark.parametrize("p", [5, 7, 12, 67])
def test_built_circulants_are_found(p):
    values = np.random.default_rng(p).standard_normal(p)
    built = torch.tensor(circulant(values - values.mean()))
    assert distance_to_circulant(built) == pytest.approx(0, abs=1e-12)
    if p % 2:  # an even p leaves +1, -1, +1, ... to both
        assert distance_to_circulant(built.flip(1)) == pytest.approx(1), "constant along i + j"


def test_a_random_matrix_is_far_and_a_cosine_half_way():
    p = 67
    noise = torch.randn(200, p, p, generator=generator(0, "noise"), dtype=torch.float64)
    assert np.mean([distance_to_circulant(matrix) for matrix in noise]) == pytest.approx(1 - 1 / p, abs=2e-3)
    wave = torch.cos(2 * torch.pi * 5 * torch.arange(p, dtype=torch.float64) / p + 0.7)
    assert distance_to_circulant(torch.outer(wave, wave)) == pytest.approx(0.5)


def test_the_distance_is_to_the_nearest_circulant():
    p = 6
    basis = torch.stack([torch.tensor(circulant(row)).flatten() for row in np.eye(p)], 1)
    matrix = torch.randn(p, p, generator=generator(0, "matrix"), dtype=torch.float64)
    left = torch.linalg.lstsq(basis, matrix.flatten().unsqueeze(1)).solution
    rest = matrix.flatten() - (basis @ left).squeeze(1)
    assert distance_to_circulant(matrix) == pytest.approx(float(rest.square().sum() / matrix.square().sum()))


def cosine_network(p: int, k: int, phases: torch.Tensor):
    """W_inproj W_E are cosines of a, W_outproj^T W_U cosines of c with twice the phase: it adds modulo p."""
    m = len(phases)
    model = exact(build("mlp", num_layers=0, p=p, num_classes=p, d_emb=max(m, p), d_model=m))
    numbers = 2 * torch.pi * k * torch.arange(p, dtype=torch.float64) / p
    for weight in model.parameters():
        weight.zero_()
    model.W_E[:p].copy_(torch.eye(p))
    model.W_inproj[:, :p].copy_(torch.cos(numbers + phases.unsqueeze(1)))
    model.W_outproj[:m].copy_(torch.eye(m))
    model.W_U[:m].copy_(torch.cos(numbers + 2 * phases.unsqueeze(1)))
    return model


def test_a_built_network_with_cosines_of_all_phases_is_circulant_and_one_neuron_is_half_of_each():
    p, k = 13, 3
    all_phases = 2 * torch.pi * torch.arange(p, dtype=torch.float64) / p
    model = cosine_network(p, k, all_phases)
    pairs = torch.cartesian_prod(torch.arange(p), torch.arange(p))
    assert model(model.encode(pairs)).argmax(-1).equal(pairs.sum(1) % p)
    found = everything(agop_measures(agop(model), p, generator(0, "null")))
    assert found["agop_distance_to_circulant", "all"] == pytest.approx(0, abs=1e-12)
    assert found["agop_distance_to_circulant_null", "all"] > 0.5
    found = everything(agop_measures(agop(cosine_network(p, k, all_phases[:1])), p, generator(0, "null")))
    assert found["agop_distance_to_circulant", "all"] == pytest.approx(0.5)


def test_distances_of_the_blocks_of_two_tokens():
    same = torch.tensor(circulant(np.arange(7.0) - 3))
    tokens = torch.cat([torch.cat([same, same.flip(1)], 1), torch.cat([same.flip(1).T, same.T], 1)])
    found = everything(agop_measures(tokens, 7, generator(0, "null")))
    for part, distance in (("aa", 0), ("ab", 1), ("bb", 0)):
        assert found["agop_distance_to_circulant", part] == pytest.approx(distance, abs=1e-12)
