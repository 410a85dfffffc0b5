"""Gradients with respect to weights, against differences, the full Jacobian, enumerated masks, and cases with a known answer."""

import math

import pytest
import torch
from networks import KINDS, SIZES, build, weights_of
from torch.func import functional_call

from common.randomness import generator
from data.task import Split
from measures.gradients import (
    exact,
    gradient_measures,
    loss_gradient,
    share_measures,
)
from training.losses import LOSSES, labels_of

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


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("loss", [name for name in LOSSES if labels_of(LOSSES[name]) == "classes"])
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


def test_shares_of_the_energy_that_are_known():
    gradient = {"A": torch.tensor([[3.0, -4.0], [0.0, 5.0]]), "B": torch.tensor([[7.0], [-1.0]])}
    mask = {"A": torch.tensor([[True, False], [False, True]]), "B": torch.tensor([[False], [True]])}
    found = table(share_measures(gradient, mask))
    assert found["gradient_share_in_mask", "A"] == pytest.approx((9 + 25) / 50)
    assert found["gradient_share_in_mask", "B"] == pytest.approx(1 / 50)
    assert found["gradient_share_in_mask", "all"] == pytest.approx(35 / 100)


def test_what_masks_hold_that_know_nothing_of_the_gradient():
    gradient = {"A": torch.tensor([[3.0, -4.0, 0.5], [0.0, 5.0, 1.0]]), "B": torch.tensor([[7.0], [-1.0]])}
    mask = {"A": torch.tensor([[True, False, True], [False, True, True]]), "B": torch.tensor([[False], [True]])}
    found = table(share_measures(gradient, mask))
    a, b = (gradient[name].square().flatten().tolist() for name in "AB")
    # Row sum times column sum over all: 2 * 1 / 4, 2 * 1 / 4, 2 * 2 / 4 in A, and 0, 1 in B.
    likely = 0.5 * (9 + 16 + 0 + 25) + 1.0 * (0.25 + 1) + 1.0
    assert found["gradient_share_in_degrees_mask", "all"] == pytest.approx(likely / sum(a + b))


def test_a_gradient_of_zero_has_no_share():
    found = table(share_measures({"A": torch.zeros(2, 2)}, {"A": torch.eye(2).bool()}))
    assert math.isnan(found["gradient_share_in_mask", "all"])
    assert math.isnan(found["gradient_share_in_degrees_mask", "all"])


def checkpoint(kind: str):
    sizes = SIZES[kind]
    num_inputs = sizes["num_pixels" if kind == "image" else "p"]
    split = Split(*examples(kind, 20), *examples(kind, 15, seed=1), sizes["num_classes"], num_inputs)
    model = build(kind)
    mask = {name: torch.rand(w.shape, generator=generator(0, name)) < 0.4 for name, w in weights_of(model).items()}
    return model, split, LOSSES["cross_entropy"], mask


@pytest.mark.parametrize("kind", KINDS)
def test_a_checkpoint_has_every_measure_and_the_same_ones_again(kind):
    model, split, loss, mask = checkpoint(kind)

    def drawn():
        return None if kind == "image" else generator(0, "measures")

    before = weights_of(model)
    found = table(gradient_measures(model, split, loss, mask, drawn()))
    assert all(math.isfinite(value) for value in found.values())
    assert found == table(gradient_measures(model, split, loss, mask, drawn()))
    assert all(
        weight.equal(before[name]) and weight.dtype == torch.float32 for name, weight in weights_of(model).items()
    )
    assert any("circulant" in measure for measure, _ in found) == (kind != "image")
    own = table(share_measures(loss_gradient(exact(model), split.train_x, split.train_y, loss), mask))
    assert found["gradient_share_in_mask", "all"] == own["gradient_share_in_mask", "all"]
    without = table(gradient_measures(model, split, loss, None, drawn()))
    assert without == {key: value for key, value in found.items() if "mask" not in key[0]}


def test_train_and_test_gradient_of_the_same_examples_are_one():
    model, split, loss, mask = checkpoint("mlp")
    twice = Split(split.train_x, split.train_y, split.train_x, split.train_y, split.num_classes, split.num_inputs)
    found = table(gradient_measures(model, twice, loss, mask, generator(0, "measures")))
    for part in [*mask, "all"]:
        assert found["gradient_cosine_train_test", part] == pytest.approx(1)


def test_descent_is_compared_with_the_weights():
    model, split, loss, mask = checkpoint("mlp")
    found = table(gradient_measures(model, split, loss, mask, generator(0, "measures")))
    gradient = loss_gradient(exact(model), split.train_x, split.train_y, loss)
    for name, weight in exact(model).named_parameters():
        along = torch.cosine_similarity(gradient[name].flatten(), weight.flatten(), dim=0)
        assert found["descent_cosine_to_weights", name] == pytest.approx(-float(along))
