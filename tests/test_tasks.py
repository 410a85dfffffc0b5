"""Sparse parity, polynomial regression and several operations at once: their data, what counts as accuracy, and the command line."""

import itertools
import math

import pytest
import torch
from scripts import assert_refused, call, run_folders, succeed
from sklearn.metrics import mean_squared_error, r2_score

from common.errors import UserError
from configs.base import paper
from data.operations import FORMULAS, Operations
from data.parity import Parity
from data.regression import Regression
from training.losses import LOSSES
from training.metrics import Pass, accuracy, right_probability
from training.optimizer import OPTIMIZERS

pytestmark = pytest.mark.numerics
SMALL = ("--device=cpu", "--num_epochs=30", "--save_every=10", "--d_model=8")
SIZES = {
    "parity": (*SMALL, "--task=parity", "--model=image_mlp", "--num_bits=6", "--num_train=64", "--num_test=32"),
    "regression": (
        *SMALL,
        "--task=regression",
        "--model=image_mlp",
        "--num_dimensions=5",
        "--num_train=64",
        "--num_test=32",
    ),
    "operations": (*SMALL, "--task=operations", "--p=7", "--d_emb=8"),
}
FORMULA = {
    "add": lambda a, b, p: a + b,
    "subtract": lambda a, b, p: a - b,
    "multiply": lambda a, b, p: a * b,
    "divide": lambda a, b, p: a * pow(b, -1, p),
    "x2y2": lambda a, b, p: a * a + b * b,
    "x2xyy2": lambda a, b, p: a * a + a * b + b * b,
    "x2xyy2x": lambda a, b, p: a * a + a * b + b * b + a,
    "x3xy": lambda a, b, p: a**3 + a * b,
    "x3xy2y": lambda a, b, p: a**3 + a * b * b + b,
}


@pytest.mark.parametrize(("bits", "relevant"), [(10, 3), (7, 2), (5, 5)])
def test_parity_is_the_product_of_the_same_few_bits_in_both_sets(bits, relevant):
    split = Parity(num_bits=bits, num_relevant=relevant, num_train=300, num_test=200).split(3)
    assert split.train_x.shape == (300, bits + 1)
    assert split.test_x.shape == (200, bits + 1)
    x, y = torch.cat([split.train_x, split.test_x]), torch.cat([split.train_y, split.test_y])
    assert x[:, -1].eq(1).all()
    assert set(x[:, :-1].unique().tolist()) == {-1.0, 1.0}
    products = (
        [math.prod(row[i] for i in chosen) for row in x.tolist()]
        for chosen in itertools.combinations(range(bits), relevant)
    )
    assert sum(product == (2 * y - 1).tolist() for product in products) == 1
    other = Parity(num_bits=bits, num_relevant=relevant, num_train=300, num_test=200).split(4)
    assert not other.train_x.equal(split.train_x)


def test_a_parity_of_more_bits_than_there_are_is_refused(place):
    assert_refused(call("train", *SIZES["parity"], "--num_relevant=41", size=()), "num_relevant 41")


def test_regression_is_half_the_square_of_one_linear_function():
    dimensions = 6
    split = Regression(num_dimensions=dimensions, num_train=4_000, num_test=50).split(0)
    x, y = split.train_x[:, :-1].double(), split.train_y.double()
    assert split.train_x[:, -1].eq(1).all()
    assert x.var().item() == pytest.approx(1 / dimensions, rel=0.05)
    pairs = list(itertools.combinations_with_replacement(range(dimensions), 2))
    features = torch.stack([x[:, i] * x[:, j] for i, j in pairs], 1)
    fitted = torch.linalg.lstsq(features, y[:, None]).solution[:, 0]
    form = torch.zeros(dimensions, dimensions, dtype=torch.float64)
    for (i, j), value in zip(pairs, fitted, strict=True):
        form[i, j] += value / 2
        form[j, i] += value / 2
    values = torch.linalg.eigvalsh(form)
    assert values[-1].item() == pytest.approx(dimensions / 2, rel=1e-4), "beta has the length sqrt(D)"
    assert values[:-1].abs().max() < 1e-4


@pytest.mark.parametrize("symmetric", [True, False])
def test_several_operations_are_each_one_s_own_labels(symmetric):
    names = FORMULAS if not symmetric else ("multiply", "add", "x2y2")
    task = Operations(p=7, fn_names=names, frac_train=0.5, is_symmetric_input=symmetric)
    split = task.split(1)
    examples = torch.cat([split.train_x, split.test_x]).tolist()
    labels = torch.cat([split.train_y, split.test_y]).tolist()
    assert (split.num_inputs, split.num_classes) == (7 + len(names), 7)
    pairs = [(a, b) for a in range(7) for b in range(7) if a <= b or not symmetric]
    wanted = [[7 + place, a, b] for place, name in enumerate(names) for a, b in pairs if b or name != "divide"]
    assert sorted(examples) == sorted(wanted)
    assert len(split.train_y) == len(wanted) // 2
    for (token, a, b), label in zip(examples, labels, strict=True):
        assert label == FORMULA[names[token - 7]](a, b, 7) % 7
    assert task.order_matters != symmetric


@pytest.mark.parametrize("names", [["add"], ["add", "add"], ["add", "rand"]])
def test_operations_that_are_none_are_refused(place, names):
    outcome = call("train", *SIZES["operations"], "--fn_names", *names, size=())
    assert_refused(outcome, "fn_names" if len(set(names)) == 1 else "rand")


def test_what_counts_as_accuracy_of_numbers_is_the_explained_variance():
    predicted, y = torch.randn(3, 40, 1), torch.randn(40)
    loss = LOSSES["regression_error"](predicted, y)
    seen = Pass(predicted, y, loss)
    for member in range(3):
        numbers = predicted[member, :, 0].numpy()
        assert accuracy(seen)[member].item() == pytest.approx(r2_score(y.numpy(), numbers), rel=1e-5)
        assert loss[member].item() == pytest.approx(mean_squared_error(y.numpy(), numbers), rel=1e-5)
    assert right_probability(seen).isnan().all()
    assert accuracy(Pass(y[:, None], y, loss[0])).item() == 1


@pytest.mark.parametrize("name", SIZES)
def test_main_trains_it_and_its_ticket(place, name):
    flags = (*SIZES[name], "--prune_at=20", "--retrain_num_epochs=9")
    said = succeed("main", *flags, size=()).out
    (dense,), (ticket,) = run_folders("runs")
    assert f"{ticket} (ticket)" in said
    assert dense.name.startswith(name)
    assert "is reused" in succeed("train", *SIZES[name], size=()).out
    for control in ("same_logits", "shuffled"):
        outcome = succeed("prune", *flags, f"--control={control}", size=())
        assert ("nothing is trained" in outcome) == (name == "regression" and control == "same_logits")
    succeed("prune", *flags, f"--pruner={'synflow' if name == 'parity' else 'snip'}", size=())


@pytest.mark.parametrize(
    "task", [Parity(num_bits=7), Regression(num_dimensions=4), Operations(p=7), Operations(p=5, fn_names=FORMULAS)]
)
def test_the_sizes_are_those_of_the_split(task):
    split = task.split(0)
    assert task.sizes() == (len(split.train_y) + len(split.test_y), split.num_inputs, split.num_classes)
    width = task.sizes().num_inputs if task.inputs == "vectors" else 3
    assert split.train_x.shape[1] == width


def test_numbers_have_no_probability_and_no_class(place):
    succeed("train", *SIZES["regression"], size=())
    ((dense,), _) = run_folders("runs")
    header, *rows = (line.split(",") for line in (dense / "metrics.csv").read_text().splitlines())
    assert {row[header.index("test_prob")] for row in rows} == {""}
    for loss in ("cross_entropy", "squared_error"):
        with pytest.raises(UserError, match=f"the loss {loss} does not fit the task regression, whose labels are num"):
            paper("regression", "image_mlp", loss=loss)
    with pytest.raises(UserError, match="the loss regression_error does not fit the task parity, whose labels are cl"):
        paper("parity", "image_mlp", loss="regression_error")


def test_sgd_is_torch_s_but_for_decoupled_decay():
    weights = [torch.nn.Linear(5, 4, bias=False) for _ in range(2)]
    weights[1].load_state_dict(weights[0].state_dict())
    mine = OPTIMIZERS["sgd"](weights[0], 0.1, 0.5, (0.9, 0.98), None)
    torchs = torch.optim.SGD(weights[1].parameters(), lr=0.1, momentum=0.9)
    x = torch.randn(7, 5)
    for _ in range(5):
        for model in weights:
            model(x).square().sum().div(20).backward()
        mine.step()
        with torch.no_grad():
            weights[1].weight.mul_(1 - 0.1 * 0.5)
        torchs.step()
        torchs.zero_grad()
        torch.testing.assert_close(weights[0].weight, weights[1].weight)
