"""Sparse parity, polynomial regression and several operations at once: their data, what counts as accuracy, and the command line."""

import itertools
import math

import numpy as np
import pytest
import torch
from scripts import assert_refused, call, run_folders, succeed
from sklearn.metrics import mean_squared_error, r2_score

from configs.base import paper
from configs.load import load_config
from configs.ticket import ticket_of
from data.operations import FORMULAS, Operations
from data.parity import Parity
from data.regression import Regression
from experiments.jobs import job_of
from experiments.train_jobs import run_job, run_population
from training.losses import LOSSES
from training.metrics import MEASURES, Pass, accuracy, right_probability
from training.optimizer import OPTIMIZERS

pytestmark = pytest.mark.numerics
SMALL = ("--device=cpu", "--num_epochs=30", "--save_every=10", "--d_model=8")
SIZES = {
    "parity": (*SMALL, "--num_bits=6", "--num_train=64", "--num_test=32"),
    "regression": (*SMALL, "--num_dimensions=5", "--num_train=64", "--num_test=32"),
    "operations": (*SMALL, "--p=7", "--d_emb=8"),
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
    assert_refused(call("train", "--config=configs/config_parity.py", "--num_relevant=41", size=()), "num_relevant 41")


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
    outcome = call("train", "--config=configs/config_operations.py", "--fn_names", *names, size=())
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
    size = SIZES[name]
    said = succeed(
        "main", f"--config=configs/config_pruning_{name}.py", *size, "--prune_at=20", "--retrain_num_epochs=20", size=()
    ).out
    (dense,), (ticket,) = run_folders("runs")
    assert f"{ticket} (ticket)" in said
    assert dense.name.startswith(name)
    assert "is reused" in succeed("train", f"--config=configs/config_{name}.py", *size, size=()).out
    assert "wrote" in succeed("analyze", f"--dense_run={dense}", f"--ticket_run={ticket}", size=()).out
    for control in ("same_logits", "shuffled", "reinit", "same_l2"):
        flags = (
            f"--config=configs/config_pruning_{name}.py",
            *size,
            "--prune_at=20",
            "--retrain_num_epochs=9",
            f"--control={control}",
        )
        outcome = call("prune", *flags, size=())
        assert outcome.status == 0
        assert ("nothing is trained" in outcome) == (name == "regression" and control == "same_logits")
    for pruner in ("snip", "grasp", "synflow"):
        flags = (f"--config=configs/config_pruning_{name}.py", *size, "--prune_at=0", "--retrain_num_epochs=5")
        succeed("prune", *flags, f"--pruner={pruner}", size=())


def test_numbers_have_no_probability_and_no_class(place):
    succeed("train", "--config=configs/config_regression.py", *SIZES["regression"], size=())
    ((dense,), _) = run_folders("runs")
    header, *rows = (line.split(",") for line in (dense / "metrics.csv").read_text().splitlines())
    assert {row[header.index("test_prob")] for row in rows} == {""}
    for loss in ("cross_entropy", "squared_error"):
        refused = call("train", "--config=configs/config_regression.py", f"--loss={loss}", size=())
        assert_refused(refused, f"the loss {loss} is for classes, and the task regression gives numbers")
    refused = call("train", "--config=configs/config_parity.py", "--loss=regression_error", size=())
    assert_refused(refused, "the loss regression_error is for numbers, and the task parity gives classes")


def test_regression_is_the_same_alone_and_in_a_population(place):
    task = Regression(num_dimensions=5, num_train=64, num_test=32)
    base = paper("regression", "image_mlp").but(task=task, d_model=8, num_epochs=60, device="cpu")
    alone = run_job(job_of(base.but(seed=1, root="alone"))).path
    jobs = [job_of(base.but(seed=seed, root="together"), population=True) for seed in (1, 2)]
    together = run_population(jobs)[0].path
    one, other = (np.genfromtxt(run / "metrics.csv", delimiter=",", skip_header=1) for run in (alone, together))
    np.testing.assert_allclose(one, other, rtol=2e-4, atol=1e-5, equal_nan=True)


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


@pytest.mark.parametrize("name", SIZES)
def test_its_config_is_what_the_experiment_says(name):
    dense, ticket = (load_config(f"configs/{module}_{name}.py") for module in ("config", "config_pruning"))
    assert ticket == ticket_of(dense)
    assert ticket.dense() == dense
    assert set(MEASURES)  # the columns are the same as everywhere
