"""Gradients with respect to weights, against differences, the full Jacobian, enumerated masks, and cases with a known answer."""

import math
from itertools import combinations

import pytest
import torch
from networks import KINDS, SIZES, build, weights_of
from torch.func import functional_call, jacrev

from analysis.agop import cyclic_order
from analysis.gradients import (
    direction_measures,
    exact,
    example_kernel,
    gradient_measures,
    kernel_alignment,
    kernel_measures,
    kernel_of_two_layers,
    loss_gradient,
    norm_measures,
    same_class,
    share_measures,
)
from common.randomness import generator
from data.split import Split
from training.losses import LOSSES, LOSSES_OF_NUMBERS

pytestmark = pytest.mark.numerics


def examples(kind: str, n: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    source, sizes = generator(seed, "examples"), SIZES[kind]
    if kind == "image":
        return torch.rand(n, sizes["num_pixels"], generator=source), torch.arange(n) % sizes["num_classes"]
    x = torch.randint(sizes["p"], (n, 2), generator=source)
    return x, x.sum(1) % sizes["p"]


def table(measures) -> dict[tuple[str, str], float]:
    measures = list(measures)
    found = {(measure, part): value for measure, part, value in measures}
    assert len(found) == len(measures), "one value each"
    return found


def full_jacobian(model, x) -> torch.Tensor:
    """(n, c, N)"""
    jacobians = jacrev(lambda weights: functional_call(model, weights, (model.encode(x),)))(weights_of(model))
    return torch.cat([jacobian.flatten(2) for jacobian in jacobians.values()], -1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("loss", [name for name in LOSSES if name not in LOSSES_OF_NUMBERS])
def test_the_gradient_is_the_slope_of_the_loss(kind, loss):
    model = exact(build(kind))
    x, y = examples(kind, 12)
    gradient, weights, step = loss_gradient(model, x, y, LOSSES[loss]), weights_of(model), 1e-5
    assert list(gradient) == list(weights)
    for name, weight in weights.items():
        for place in range(0, weight.numel(), 5):
            moved = torch.zeros(weight.numel(), dtype=torch.float64)
            moved[place] = step
            losses = [
                LOSSES[loss](
                    functional_call(model, weights | {name: weight + sign * moved.view_as(weight)}, (model.encode(x),)),
                    y,
                )
                for sign in (1, -1)
            ]
            slope = float(losses[0] - losses[1]) / (2 * step)
            assert float(gradient[name].flatten()[place]) == pytest.approx(slope, rel=1e-4, abs=1e-8)


def test_norms_that_are_known():
    found = table(norm_measures({"A": torch.tensor([[3.0, 4.0]]), "B": torch.tensor([[12.0]])}))
    assert found == {("gradient_norm", "A"): 5, ("gradient_norm", "B"): 12, ("gradient_norm", "all"): 13}


def test_shares_of_the_energy_that_are_known():
    gradient = {"A": torch.tensor([[3.0, -4.0], [0.0, 5.0]]), "B": torch.tensor([[7.0], [-1.0]])}
    mask = {"A": torch.tensor([[True, False], [False, True]]), "B": torch.tensor([[False], [True]])}
    found = table(share_measures(gradient, mask))
    assert found["gradient_share_in_mask", "A"] == pytest.approx((9 + 25) / 50)
    assert found["gradient_share_in_mask", "B"] == pytest.approx(1 / 50)
    assert found["gradient_share_in_mask", "all"] == pytest.approx(35 / 100)
    for part in ("A", "B", "all"):
        assert found["mask_share_of_weights", part] == 0.5


def test_the_controls_are_the_mean_and_spread_over_all_masks_there_are():
    gradient = {"A": torch.tensor([[3.0, -4.0, 0.5], [0.0, 5.0, 1.0]]), "B": torch.tensor([[7.0], [-1.0]])}
    mask = {"A": torch.tensor([[True, False, True], [False, True, True]]), "B": torch.tensor([[False], [True]])}
    found = table(share_measures(gradient, mask))
    a, b = (gradient[name].square().flatten().tolist() for name in "AB")
    total = sum(a) + sum(b)
    every = {
        "random": [sum(chosen) / total for chosen in combinations(a + b, 5)],
        "shuffled": [(sum(one) + sum(other)) / total for one in combinations(a, 4) for other in combinations(b, 1)],
    }
    for control, shares in every.items():
        shares = torch.tensor(shares, dtype=torch.float64)
        assert found[f"gradient_share_in_{control}_mask", "all"] == pytest.approx(float(shares.mean()))
        assert found[f"gradient_share_in_{control}_mask_std", "all"] == pytest.approx(float(shares.std(correction=0)))


def test_a_gradient_of_zero_has_no_share_and_no_direction():
    zero, one = {"A": torch.zeros(2, 2)}, {"A": torch.ones(2, 2)}
    found = table(share_measures(zero, {"A": torch.eye(2).bool()}))
    assert math.isnan(found["gradient_share_in_mask", "all"])
    assert math.isnan(found["gradient_share_in_shuffled_mask", "all"])
    assert math.isnan(table(direction_measures(one, zero, one, one))["descent_cosine_to_final", "all"]), "it is there"
    assert math.isnan(table(direction_measures(one, zero, one, zero))["gradient_cosine_to_previous", "A"])


def test_descent_on_a_quadratic_points_to_its_minimum():
    final = {"A": torch.tensor([[1.0, 2.0]]), "B": torch.tensor([[-3.0]])}
    weights = {"A": torch.tensor([[5.0, 0.0]]), "B": torch.tensor([[1.0]])}
    gradient = {name: weights[name] - final[name] for name in final}
    turned = {"A": torch.tensor([[2.0, 4.0]]), "B": -gradient["B"]}  # in A at a right angle
    found = table(direction_measures(gradient, turned, weights, final))
    for part in ("A", "B", "all"):
        assert found["descent_cosine_to_final", part] == pytest.approx(1)
    assert found["gradient_cosine_to_previous", "A"] == pytest.approx(0, abs=1e-12)
    assert found["gradient_cosine_to_previous", "B"] == pytest.approx(-1)
    assert found["gradient_cosine_to_previous", "all"] == pytest.approx(-16 / (6 * 6))
    assert found["descent_cosine_to_weights", "A"] == pytest.approx(-20 / (20**0.5 * 5))
    alone = table(direction_measures(gradient, None, weights, final))
    assert alone == {key: value for key, value in found.items() if key[0] != "gradient_cosine_to_previous"}


@pytest.mark.parametrize("kind", KINDS)
def test_the_kernel_is_that_of_the_full_jacobian(kind):
    model = exact(build(kind))
    x, _ = examples(kind, 9)
    vectors = torch.randn(4, SIZES[kind]["num_classes"], generator=generator(1, "vectors"), dtype=torch.float64)
    along = torch.einsum("ncw,rc->rnw", full_jacobian(model, x), vectors)
    torch.testing.assert_close(example_kernel(model, x, vectors), torch.einsum("rnw,rmw->nm", along, along) / 4)


@pytest.mark.parametrize("act_type", ["relu", "gelu"])
@pytest.mark.parametrize("num_classes", [7, 14])
def test_the_closed_form_is_the_sum_over_all_logits(act_type, num_classes):
    model = exact(build("mlp", num_layers=0, act_type=act_type, num_classes=num_classes))
    x, _ = examples("mlp", 20)
    jacobian = full_jacobian(model, x)
    torch.testing.assert_close(kernel_of_two_layers(model, x), torch.einsum("ncw,mcw->nm", jacobian, jacobian))


def test_the_kernel_of_a_network_that_is_linear_here():
    """x > 0 and W_in = 1 leave W_out x: a logit's gradient is x for its own row of W_out, and that row times x for W_in."""
    model = exact(build("image", num_layers=0, num_pixels=6))
    model.W_in.copy_(torch.eye(6))
    x = torch.rand(5, 6, generator=generator(0, "x"), dtype=torch.float64) + 0.1
    classes = 5**0.5 * torch.eye(5, dtype=torch.float64)
    torch.testing.assert_close(example_kernel(model, x, classes), x @ x.T * (5 + model.W_out.square().sum()))


def test_alignments_that_are_known():
    y = torch.tensor([0, 0, 1, 1, 2, 2])
    labels = same_class(y)
    assert labels.sum() == 12
    numbers = torch.tensor([1.0, -2.0, 0.5])
    assert same_class(numbers).tolist() == [[1, -2, 0.5], [-2, 4, -1], [0.5, -1, 0.25]]
    shift = torch.arange(6.0, dtype=torch.float64)
    assert kernel_alignment(3 * labels + shift + shift[:, None] + 5, labels) == pytest.approx(1), "centred, any scale"
    u, v = torch.tensor([1.0, -1, 1, -1]), torch.tensor([1.0, 1, -1, -1])  # both of mean 0, at a right angle
    assert kernel_alignment(torch.outer(u, u), torch.outer(v, v)) == pytest.approx(0)
    assert kernel_alignment(torch.outer(u, u), torch.outer(u, u) + torch.outer(v, v)) == pytest.approx(0.5**0.5)
    assert math.isnan(kernel_alignment(torch.ones(4, 4), torch.outer(u, u)))


def test_a_kernel_that_knows_the_classes_is_far_from_its_null():
    y = torch.arange(40) % 4
    found = table(kernel_measures(same_class(y), y, generator(0, "null")))
    assert found["kernel_alignment", "all"] == pytest.approx(1)
    assert found["kernel_alignment_permuted", "all"] < 0.2
    assert found["kernel_trace", "all"] == pytest.approx(40)
    assert [found["kernel_eigenvalue_share", str(rank)] for rank in range(1, 6)] == pytest.approx([0.25] * 4 + [0])
    assert found["kernel_effective_rank", "all"] == pytest.approx(4), "as many equal eigenvalues as classes"


def checkpoint(kind: str):
    sizes = SIZES[kind]
    num_inputs = sizes["num_pixels" if kind == "image" else "p"]
    split = Split(*examples(kind, 20), *examples(kind, 15, seed=1), sizes["num_classes"], num_inputs)
    model = build(kind)
    mask = {name: torch.rand(w.shape, generator=generator(0, name)) < 0.4 for name, w in weights_of(model).items()}
    order = None if kind == "image" else cyclic_order("add", num_inputs)
    return model, split, LOSSES["cross_entropy"], mask, order


@pytest.mark.parametrize("kind", KINDS)
def test_a_checkpoint_has_every_measure_and_the_same_ones_again(kind):
    model, split, loss, mask, order = checkpoint(kind)
    before = weights_of(model)
    found = table(gradient_measures(model, split, loss, mask, generator(0, "measures"), order))
    assert all(math.isfinite(value) for value in found.values())
    assert found == table(gradient_measures(model, split, loss, mask, generator(0, "measures"), order))
    assert all(
        weight.equal(before[name]) and weight.dtype == torch.float32 for name, weight in weights_of(model).items()
    )
    assert any("circulant" in measure for measure, _ in found) == (order is not None)
    for prefix, x, y in (("", split.train_x, split.train_y), ("test_", split.test_x, split.test_y)):
        own = table(share_measures(loss_gradient(exact(model), x, y, loss), mask))
        assert found[f"{prefix}gradient_share_in_mask", "all"] == own["gradient_share_in_mask", "all"]
    without = table(gradient_measures(model, split, loss, None, generator(0, "measures"), order))
    assert without == {key: value for key, value in found.items() if "mask" not in key[0]}


def test_train_and_test_gradient_of_the_same_examples_are_one():
    model, split, loss, mask, _ = checkpoint("mlp")
    twice = Split(split.train_x, split.train_y, split.train_x, split.train_y, split.num_classes, split.num_inputs)
    found = table(gradient_measures(model, twice, loss, mask, generator(0, "measures")))
    for part in [*mask, "all"]:
        assert found["gradient_cosine_train_test", part] == pytest.approx(1)
