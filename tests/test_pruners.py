"""Scorers against independent formulas, pruning in rounds and in iterations, a pruner of one's own, and the command line."""

import copy
import json
from itertools import pairwise
from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import KINDS, SIZES, build
from scripts import TINY, assert_refused, call, config_file, load, run_folders, succeed
from torch.func import functional_call

from common.errors import UserError
from common.randomness import generator
from pruning.iterate import mask_of, rate_after
from pruning.masks import check_mask, make_mask
from pruning.scores import SCORERS, Network, of_ones, score, synflow
from training.losses import cross_entropy, squared_error

pytestmark = pytest.mark.numerics
LOSSES = {"mlp": cross_entropy, "transformer": cross_entropy, "image": squared_error}


def network_of(kind: str, seed: int = 0, **sizes) -> Network:
    model, source = build(kind, seed, **sizes).double(), generator(seed, "x")
    if kind == "image":
        x = torch.rand(9, SIZES[kind]["num_pixels"], generator=source, dtype=torch.float64)
    else:
        x = torch.randint(SIZES[kind]["p"], (9, 2), generator=source)
    y = torch.randint(SIZES[kind]["num_classes"], (9,), generator=source)
    return Network(dict(model.state_dict()), model, x, y, LOSSES[kind])


def loss_at(network: Network, weights: dict) -> torch.Tensor:
    return network.loss(functional_call(network.model, weights, (network.x,)), network.y)


def some_places(scores: dict, count: int = 6):
    """The largest entries of each matrix, where a difference is well above its error."""
    for name, values in scores.items():
        for place in values.abs().flatten().argsort(descending=True)[:count].tolist():
            yield name, place


@pytest.mark.parametrize("kind", KINDS)
def test_snip_is_the_derivative_by_a_factor_on_each_weight(kind):
    network = network_of(kind)
    scores = score("snip", network, torch.Generator())
    step = 1e-6
    for name, place in some_places(scores):
        losses = []
        for factor in (1 + step, 1 - step):
            weights = {own: weight.clone() for own, weight in network.weights.items()}
            weights[name].view(-1)[place] *= factor
            losses.append(loss_at(network, weights))
        difference = float((losses[0] - losses[1]) / (2 * step))
        assert float(scores[name].flatten()[place]) == pytest.approx(abs(difference), rel=1e-4, abs=1e-9), (name, place)


@pytest.mark.parametrize(("pruner", "temperature"), [("grasp", 1), ("grasp_200", 200)])
@pytest.mark.parametrize("kind", KINDS)
def test_grasp_is_an_explicit_hessian_times_the_gradient(kind, pruner, temperature):
    """And, as a second check, half the change of the squared norm of the gradient where the weight is scaled."""
    network = network_of(kind, **({"d_model": 4, "d_mlp": 4} if kind == "transformer" else {}))
    scores = score(pruner, network, torch.Generator())
    names = list(network.weights)
    flat = torch.cat([network.weights[name].flatten() for name in names])

    def loss(vector):
        pieces = vector.split([network.weights[name].numel() for name in names])
        weights = {n: piece.view_as(network.weights[n]) for n, piece in zip(names, pieces, strict=True)}
        return network.loss(functional_call(network.model, weights, (network.x,)) / temperature, network.y)

    gradient = torch.autograd.functional.jacobian(loss, flat)
    hessian = torch.autograd.functional.hessian(loss, flat)
    wanted = flat * (hessian @ gradient)
    found = torch.cat([scores[name].flatten() for name in names])
    torch.testing.assert_close(found, wanted, rtol=1e-8, atol=1e-12)
    step, place = 1e-5, int(wanted.abs().argmax())
    ends = []
    for sign in (1, -1):
        moved = flat.clone()
        moved[place] *= 1 + sign * step
        ends.append(torch.autograd.functional.jacobian(loss, moved).square().sum())
    assert float(found[place]) == pytest.approx(float((ends[0] - ends[1]) / (4 * step)), rel=1e-4)


@pytest.mark.parametrize("kind", ["mlp", "image"])
def test_synflow_is_conserved_layer_by_layer_and_neuron_by_neuron(kind):
    network = network_of(kind)
    scores = score("synflow", network, torch.Generator())
    absolute = copy.deepcopy(network.model)
    for weight in absolute.parameters():
        weight.data.abs_()
    total = float(of_ones(absolute).sum().detach())
    for name, values in scores.items():
        assert float(values.sum()) == pytest.approx(total, rel=1e-10), name
        assert bool((values >= 0).all())
    first, following = ("W_inproj", "W_h.0") if kind == "mlp" else ("W_in", "W_h.0")
    torch.testing.assert_close(scores[first].sum(1), scores[following].sum(0))


def test_synflow_on_the_mlp_by_the_formula():
    """R = 1^T W_U^T W_outproj W_h W_inproj W_E 1 of the |w|: a weight's score is itself times what comes in times what goes out."""
    network = network_of("mlp")
    weights = {name: weight.abs() for name, weight in network.weights.items()}
    into = weights["W_inproj"] @ weights["W_E"].sum(1)
    after = weights["W_outproj"].T @ weights["W_U"].sum(1)
    scores = score("synflow", network, torch.Generator())
    torch.testing.assert_close(scores["W_h.0"], weights["W_h.0"] * after[:, None] * into[None, :])


def test_synflow_needs_no_data_and_gives_attention_no_score():
    network = network_of("transformer")
    scores = score("synflow", Network(network.weights, network.model), torch.Generator())
    for name, values in scores.items():
        assert bool((values == 0).all()) == name.endswith(("W_Q", "W_K")), name


@pytest.mark.parametrize("pruner", [name for name in SCORERS if name != "waves"])  # test_waves.py
@pytest.mark.parametrize("kind", KINDS)
def test_a_scorer_leaves_the_network_as_it_is(kind, pruner):
    network = network_of(kind)
    before = {name: weight.clone() for name, weight in network.model.state_dict().items()}
    first, again = (score(pruner, network, generator(0, "mask")) for _ in range(2))
    for name, weight in network.model.state_dict().items():
        assert weight.equal(before[name])
        assert first[name].equal(again[name])
        assert first[name].shape == weight.shape
        assert bool(first[name].isfinite().all())
        assert not first[name].requires_grad


@settings(deadline=None, max_examples=30)
@given(
    pruner=st.sampled_from(["magnitude", "random", "snip", "grasp", "synflow"]),
    rates=st.lists(st.floats(0, 1), min_size=2, max_size=2).map(sorted),
    rounds=st.integers(1, 5),
    scope=st.sampled_from(["global", "local"]),
    kind=st.sampled_from(KINDS),
)
def test_rounds_end_at_the_exact_count_and_nothing_comes_back(pruner, rates, rounds, scope, kind):
    """Nor does what an earlier iteration has removed."""
    network = network_of(kind)
    scorer = lambda *given: SCORERS[pruner](*given)
    scorer.rounds = rounds
    masks = []  # of each round

    def kept_of_round(*given):
        masks.append(make_mask(*given))
        return masks[-1]

    with patch("pruning.iterate.make_mask", kept_of_round):
        before = mask_of(scorer, network, rates[0], scope, generator(0, "mask"))
        mask = mask_of(scorer, network, rates[1], scope, generator(0, "mask"), before)
    assert len(masks) == 2 * rounds
    assert masks[-1] is mask
    for one, rate in ((before, rates[0]), (mask, rates[1])):
        counts = {name: (int((~kept).sum()), kept.numel()) for name, kept in one.items()}
        if scope == "global":
            assert sum(count for count, _ in counts.values()) == round(
                rate * sum(total for _, total in counts.values())
            )
        else:
            assert all(count == round(rate * total) for count, total in counts.values())
    for earlier, later in (*pairwise(masks[:rounds]), *pairwise(masks[rounds:]), (before, mask)):
        assert all(bool((earlier[name] | ~later[name]).all()) for name in mask)
    if pruner == "magnitude":
        once = make_mask(score("magnitude", network, torch.Generator()), rates[1], scope)
        assert all(once[name].equal(mask[name]) for name in mask), "the weights do not change between rounds"


def test_synflow_scores_a_hundred_times_and_the_others_once():
    network = network_of("mlp")
    for pruner, rounds in (("synflow", 100), (synflow, 100), ("magnitude", 1)):
        with patch("pruning.iterate.make_mask", side_effect=make_mask) as made:
            mask_of(pruner, network, 0.6, "global", generator(0, "mask"))
        assert made.call_count == rounds


def test_each_round_keeps_the_same_fraction():
    assert [rate_after(part, 0.75) for part in (0.5, 1)] == [0.5, 0.75]
    assert rate_after(0.5, 0.96, start=0.84) == pytest.approx(0.92)
    assert rate_after(0.3, 1.0) == rate_after(0.3, 1.0, start=1.0) == 1.0


class WithBias(torch.nn.Module):
    """A linear model with a bias, and its matrix tied to a second name."""

    def __init__(self):
        super().__init__()
        self.bias = torch.nn.Parameter(torch.tensor([0.5, 0.0, -0.5]))
        self.weight = self.tied = torch.nn.Parameter(torch.arange(1.0, 13).view(3, 4))

    def encode(self, x):
        return x

    def forward(self, x):
        return x @ self.weight.mT + self.bias


@pytest.mark.parametrize("pruner", [name for name in SCORERS if name != "waves"])  # test_waves.py
def test_vectors_are_not_pruned_and_a_tied_weight_is_one(pruner):
    model = WithBias()
    x, y = torch.rand(5, 4, generator=generator(0, "x"), dtype=torch.float64), torch.tensor([0, 1, 2, 0, 1])
    network = Network(dict(model.named_parameters()), model, x, y, cross_entropy)
    mask = mask_of(pruner, network, 0.5, "global", generator(0, "mask"))
    assert {name: int(kept.sum()) for name, kept in mask.items()} == {"weight": 6}
    check_mask(mask, dict(model.named_parameters()))
    later = mask_of(pruner, network, 0.75, "global", generator(0, "mask"), mask)
    assert int(later["weight"].sum()) == 3


def test_a_pruner_of_ones_own():
    network = network_of("mlp")
    largest_go = lambda network, generator: {name: -weight.abs() for name, weight in network.prunable.items()}
    mask = mask_of(largest_go, network, 0.5, "local", torch.Generator())
    for name, kept in mask.items():
        assert network.weights[name].abs()[kept].max() <= network.weights[name].abs()[~kept].min()

    def half(network, generator):
        return {"W_E": network.weights["W_E"]}

    with pytest.raises(UserError, match=r"pruner test_pruners.*half must give a score, .* for W_E, W_inproj"):
        mask_of(half, network, 0.5, "global", torch.Generator())
    with pytest.raises(UserError, match="magnitud is unknown; choose one of magnitude, random"):
        mask_of("magnitud", network, 0.5, "global", torch.Generator())

    class TakesTokens(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.table = torch.nn.Parameter(torch.rand(7, 3))

        def forward(self, x):
            return torch.nn.functional.embedding(x, self.table)

    tokens = TakesTokens()
    with pytest.raises(UserError, match=r"takes no input of ones .* give its module of_ones"):
        mask_of("synflow", Network(dict(tokens.named_parameters()), tokens), 0.5, "global", torch.Generator())


@pytest.mark.parametrize("pruner", ["snip", "grasp", "synflow"])
def test_every_pruner_makes_a_ticket(place, pruner):
    for flags in (["--prune_at=init"], ["--prune_at=20", "--scope=local"]):
        succeed("main", f"--pruner={pruner}", *flags, "--retrain_num_epochs=5")
    tickets = run_folders("runs")[1]
    assert len(tickets) == 2
    for ticket in tickets:
        mask = load(ticket / "mask.pth")["mask"]
        removed = sum(int((~kept).sum()) for kept in mask.values())
        is_local = "local" in ticket.name
        assert removed == (sum(round(0.6 * kept.numel()) for kept in mask.values()) if is_local else round(0.6 * 208))


def test_iterations_are_runs_of_their_own_that_are_reused(place):
    flags = ("--prune_at=30", "--retrain_num_epochs=30", "--pruning_rate=0.784", "--pruning_iterations=3")
    said = succeed("main", *flags).out
    masks = {run: load(run / "mask.pth")["mask"] for run in run_folders("runs")[1]}
    removed = {run: sum(int((~kept).sum()) for kept in mask.values()) for run, mask in masks.items()}
    for run, number in removed.items():
        assert load(run / "mask.pth")["pruning_rate"] == 1 - (208 - number) / 208
    tickets = {rate: next(run for run in removed if removed[run] == round(rate * 208)) for rate in (0.4, 0.64, 0.784)}
    assert len(removed) == 3
    masks = {rate: masks[run] for rate, run in tickets.items()}
    for earlier, later in ((0.4, 0.64), (0.64, 0.784)):
        assert all(bool((masks[earlier][name] | ~masks[later][name]).all()) for name in masks[later])
    assert load(tickets[0.64] / "mask.pth")["source"]["run"] == tickets[0.4].name, "from the end of the earlier round"
    init = load(run_folders("runs")[0][0] / "init.pth")["model"]
    for rate, run in tickets.items():
        start = load(run / "init.pth")["model"]
        assert all(start[name].equal(init[name] * kept) for name, kept in masks[rate].items()), (
            "each rewinds to the init"
        )
    assert f"{tickets[0.4]} is finished and is reused" in succeed("main", *flags).out
    assert said.count("mask from") == 3
    assert "pruning_iterations3" in tickets[0.784].name


def test_the_first_of_several_iterations_is_the_plain_ticket(place):
    succeed("main", "--pruning_rate=0.4", "--prune_at=30")
    said = succeed("main", "--pruning_rate=0.64", "--prune_at=30", "--pruning_iterations=2").out
    assert "magnitude0.4_global_at30 is finished and is reused" in said


def test_the_trained_weights_are_kept_where_the_start_is_the_masks_own_epoch(place):
    succeed("main", "--prune_at=20", "--rewind_to=prune_at")
    (dense,), (ticket,) = run_folders("runs")
    there, start = (load(run / name)["model"] for run, name in ((dense, "20.pth"), (ticket, "init.pth")))
    assert all(start[name].equal(there[name] * kept) for name, kept in load(ticket / "mask.pth")["mask"].items())
    assert json.loads((ticket / "config.json").read_text())["alignment"]["cosine"] == pytest.approx(1)
    said = succeed("main", "--prune_at=20", "--rewind_to=20").out
    assert f"{ticket} is finished and is reused" in said, "it is one run however it is spelled"
    refused = call("main", "--prune_at=20", "--rewind_to=prune_at", "--use_mask=False")
    assert_refused(refused, "rewind_to prune_at", "none is taken")
    refused = call("main", "--prune_at=20", "--rewind_to=prune_at", "--pruning_iterations=2")
    assert_refused(refused, "rewind_to prune_at with pruning_iterations")


def test_masks_so_many_epochs_before_or_after_t_gen(place):
    """t_gen is 0 here: nothing changes, and the init has two of 14 test examples right."""
    still = ("--lr=0", "--seed=0", "--gen_threshold=0.05", "--num_epochs=1100", "--retrain_num_epochs=2")
    said = succeed("main", *still, "--prune_at=t_gen+25").out
    assert "t_gen+25: the last checkpoint at or before it is that of epoch 20" in said
    (ticket,) = run_folders("runs")[1]
    assert load(ticket / "mask.pth")["source"]["epoch"] == 20, "the last that was saved"
    assert f"{ticket} is finished and is reused" in succeed("main", *still, "--prune_at=20").out
    assert_refused(
        call("main", *still, "--prune_at=t_gen-1"), "prune_at t_gen-1", "no checkpoint at or before epoch -1"
    )
    assert_refused(
        call("main", *still, "--gen_threshold=0.9", "--prune_at=t_gen-1"), "t_gen (test acc >= 0.9)", "is > 1,100"
    )
    assert_refused(call("main", "--prune_at=t_gen"), "prune_at must be", "t_gen-2000", "not 't_gen'")


@pytest.mark.parametrize("pruner", ["snip", "grasp", "synflow"])
def test_gradients_are_of_the_loss_that_trains(place, pruner):
    """With another loss the scores are others, but for synflow, which asks for none."""
    masks = []
    for number, loss in enumerate(("cross_entropy", "squared_error")):
        flags = (
            f"--pruner={pruner}",
            config_file(loss=loss),
            "--prune_at=init",
            "--retrain_num_epochs=2",
            f"--root=r{number}",
        )
        succeed("main", *flags, size=TINY)
        masks.append(load(run_folders(f"r{number}")[1][0] / "mask.pth")["mask"])
    is_same = all(masks[0][name].equal(masks[1][name]) for name in masks[0])
    assert is_same == (pruner == "synflow")
