"""Edge-popup: what it promises of weights and density, its gradient by hand, and as a run and as a mask like others."""

import json

import pytest
import torch
from networks import KINDS, build, weights_of
from scripts import assert_refused, bits, call, load, rows_of, run_folders, succeed
from torch.func import functional_call

from common.randomness import generator
from configs.load import stored_config
from configs.sweep import Sweep
from configs.ticket import MLPTicketConfig
from experiments.checkpoints import load_checkpoint
from experiments.code_state import standing
from pruning.edge_popup import EdgePopup
from reporting.at_epochs import at_epochs
from reporting.results import read_result
from training.losses import cross_entropy
from training.optimizer import OPTIMIZERS

pytestmark = pytest.mark.numerics
RATE = 0.6
POPUP = ("--pruner=edge_popup", "--prune_at=10", "--score_num_epochs=20", "--score_lr=0.05")


def data(kind):
    x = torch.randint(7, (12, 2), generator=generator(0, "x"))
    x = torch.rand(12, 11, generator=generator(0, "x")) if kind == "image" else x
    return x, torch.randint(5, (12,), generator=generator(0, "y"))


def popup(kind, **named) -> EdgePopup:
    return EdgePopup(build(kind), RATE, generator(0, "scores"), **named)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("kind", KINDS)
def test_weights_stay_bit_for_bit_and_each_matrix_keeps_its_number_at_every_step(kind, name):
    model, before = popup(kind), weights_of(build(kind))
    optimizer = OPTIMIZERS[name](model, {"adamw": 0.05, "sgd": 5.0}[name], 0.1, (0.9, 0.98), None)
    (x, y), masks = data(kind), []
    for _ in range(12):
        acting = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("scores.")}
        assert acting.keys() == before.keys()
        for name_, weight in acting.items():
            assert int((weight != 0).sum()) == weight.numel() - round(RATE * weight.numel())
            assert bits(weight[weight != 0]) == bits(before[name_][weight != 0])
        masks.append(torch.cat([(weight != 0).flatten() for weight in acting.values()]))
        cross_entropy(model(model.encode(x)), y).backward()
        optimizer.step()
    assert bits(weights_of(model.network)) == bits(before)
    assert not masks[0].equal(masks[-1]), "it learns"


@pytest.mark.parametrize("by_value", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_of_a_score_is_that_of_the_acting_weight_times_the_weight(kind, by_value):
    model, (x, y) = popup(kind, by_value=by_value).double(), data(kind)
    scores = dict(model.scores.named_parameters())
    acting = {}
    for name, weight in build(kind).double().named_parameters():
        rank = scores[name].detach() if by_value else scores[name].detach().abs()
        order = rank.flatten().argsort()
        kept = torch.ones(order.numel(), dtype=torch.float64)
        kept[order[: round(RATE * order.numel())]] = 0
        acting[name] = (weight.detach() * kept.view_as(weight)).requires_grad_()
    loss = cross_entropy(functional_call(build(kind).double(), acting, (model.encode(x),)), y)
    gradients = dict(zip(acting, torch.autograd.grad(loss, list(acting.values()), allow_unused=True), strict=True))
    mine = cross_entropy(model(model.encode(x)), y)
    assert mine.item() == pytest.approx(loss.item(), rel=1e-12)
    mine.backward()
    weights = dict(build(kind).double().named_parameters())
    for name, score in scores.items():
        wanted = gradients[name] * weights[name].detach() * (1 if by_value else score.detach().sign())
        torch.testing.assert_close(score.grad, wanted, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("learn_weights", [False, True])
def test_a_state_is_all_that_is_needed_to_go_on(learn_weights):
    one, other = popup("mlp", learn_weights=learn_weights), popup("mlp", learn_weights=learn_weights)
    optimizer = OPTIMIZERS["adamw"](one, 0.05, 1.0, (0.9, 0.98), None)
    x, y = data("mlp")
    for _ in range(3):
        cross_entropy(one(x), y).backward()
        optimizer.step()
    assert (bits(weights_of(one.network)) != bits(weights_of(build("mlp")))) == learn_weights
    other.load_state_dict(one.state_dict())
    assert bits(other.state_dict()) == bits(one.state_dict())
    assert other(x).equal(one(x))


@pytest.fixture
def dense(place):
    succeed("train", "--seed=1")
    return run_folders("runs")[0][0]


def test_its_mask_is_a_mask_like_others(dense):
    said = succeed("prune", "--seed=1", *POPUP, "--retrain_num_epochs=15").out
    scored, ticket = sorted(run_folders("runs")[1], key=lambda path: "learn" not in path.name)
    assert f"{ticket} (ticket)" in said
    assert f"mask learned in {scored.name} on the weights of epoch 10 (at its end, train acc" in said
    acting, mask = load_checkpoint(scored / "final.pth")["model"], load(ticket / "mask.pth")["mask"]
    assert {name: bits(weight != 0) for name, weight in acting.items()} == {n: bits(kept) for n, kept in mask.items()}
    start, init = load(dense / "10.pth")["model"], load(dense / "init.pth")["model"]
    for name, weight in acting.items():
        assert weight.equal(start[name] * mask[name])
        assert load(ticket / "init.pth")["model"][name].equal(init[name] * mask[name])
        assert int(mask[name].sum()) == mask[name].numel() - round(RATE * mask[name].numel())
    assert len(rows_of(scored)) == 21
    assert load(scored / "final.pth")["model"].keys() > acting.keys(), "the scores are saved as well"
    again = succeed("prune", "--seed=1", *POPUP, "--retrain_num_epochs=15").out
    assert again.count("is reused") == 2
    assert "t_mem" in succeed("prune", "--seed=1", *POPUP, "--learn=scores").out, "and alone"
    for run in (ticket, scored):
        assert "wrote" in succeed("analyze", f"--dense_run={dense}", f"--ticket_run={run}", size=()).out
    for run, config in ((path, stored_config(path)) for path in (scored, ticket)):
        assert standing(json.loads((run / "config.json").read_text()), config) == "current"
    cosine = json.loads((ticket / "config.json").read_text())["alignment"]["cosine"]
    one, other = (torch.cat([weights[name].flatten() for name in init]) for weights in (start, init))
    assert cosine == pytest.approx(float(one @ other / one.norm() / other.norm()), rel=1e-4), "of the weights that stay"


def test_how_scores_are_learned_makes_another_run(dense):
    for flags in (
        [],
        ["--learn=both"],
        ["--score_by_value=True"],
        ["--score_optimizer=sgd"],
        ["--score_weight_decay=0"],
    ):
        succeed("prune", "--seed=1", *POPUP, "--learn=scores", *flags)
    assert "is reused" in succeed("prune", "--seed=1", *POPUP, "--learn=scores", "--score_weight_decay=1").out
    runs = run_folders("runs")[1]
    assert len({(run / "metrics.csv").read_text() for run in runs}) == len(runs) == 5
    both = next(run for run in runs if '"learn": "both"' in (run / "config.json").read_text())
    start = load(dense / "10.pth")["model"]
    assert any(
        not weight.equal(start[name] * (weight != 0))
        for name, weight in load_checkpoint(both / "final.pth")["model"].items()
    )


def test_accuracy_and_mask_over_time_become_columns(dense):
    succeed("prune", "--seed=1", *POPUP, "--learn=scores")
    (run,) = run_folders("runs")[1]
    row = at_epochs(read_result(run), (5, 20, 77))
    assert row["test_acc at 20"] == rows_of(run)[-1][4]
    assert row["test_acc at 77"] is None
    masks = [load_checkpoint(run / name)["model"] for name in ("init.pth", "5.pth", "final.pth")]
    first, *later = (torch.cat([(weight != 0).flatten() for weight in mask.values()]) for mask in masks)
    for epoch, mask in zip((5, 20), later, strict=True):
        assert row[f"mask kept at {epoch}"] == pytest.approx(float((first & mask).sum() / first.sum()))
    assert at_epochs(read_result(dense), (10,)).keys() == {"test_acc at 10", "mask kept at 10"}


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (["--score_lr=0.1"], "score_lr is about learning scores: add --pruner edge_popup"),
        (["--learn=both"], "add --pruner edge_popup"),
        ([*POPUP, "--pruning_rounds=3"], "leave pruning_rounds and pruning_iterations out"),
        ([*POPUP, "--learn=scores", "--retrain_lr=1"], "leave retrain_lr out"),
        ([*POPUP, "--learn=scores", "--control=shuffled"], "leave control out"),
        ([*POPUP, "--learn=scores", "--rewind_to=10"], "leave rewind_to out"),
        ([*POPUP, "--learn=nothing"], "learn"),
    ],
)
def test_what_means_nothing_is_refused(place, flags, word):
    assert_refused(call("prune", *flags), word)
    assert not list(place.glob("runs/*"))


def test_a_sweep_finds_what_it_needs(place, monkeypatch):
    from experiments.worker import plan

    base = MLPTicketConfig(pruner="edge_popup", score_num_epochs=5)
    runs = plan(Sweep(base, settings=[{}, {"learn": "scores"}], seeds=(0,)))
    assert [len(run.parents) for run in runs] == [0, 1, 2] or [len(run.parents) for run in runs] == [0, 2, 1]
    assert runs[0].config == base.but(seed=0).dense()
