"""The optimizer, the losses, the metrics and the loop against slow or independent counterparts."""

import itertools
import math
from dataclasses import replace
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import KINDS, SIZES, build, stack, weights_of
from torch.func import functional_call

from common.files import load_tensors
from common.randomness import generator
from data.task import Split
from experiments.reader import list_checkpoints, load_checkpoint
from experiments.recorder import Recorder
from pruning.masks import make_mask
from pruning.scores import Network, score
from training.loop import Schedule, measure, member_state, train
from training.losses import cross_entropy, lp_penalty, squared_error
from training.metrics import METRICS, Pass, Seen, accuracy, first_epoch, right_probability
from training.optimizer import ALIGNMENT, AdamW

pytestmark = pytest.mark.numerics

BETAS = (0.9, 0.98)
LOSSES = {"mlp": cross_entropy, "transformer": cross_entropy, "image": squared_error}
close = torch.testing.assert_close


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """On a busy machine the threads of networks this small wait for one another most of the time."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make_split(kind, seed=0, num_train=12, num_test=9):
    """Random examples with random labels."""
    source = generator(seed, "examples")
    sizes = SIZES[kind]
    count = num_train + num_test
    if kind == "image":
        x = torch.rand(count, sizes["num_pixels"], generator=source)
    else:
        x = torch.randint(sizes["p"], (count, 2), generator=source)
    y = torch.randint(sizes["num_classes"], (count,), generator=source)
    return Split(x[:num_train], y[:num_train], x[num_train:], y[num_train:], sizes["num_classes"], sizes.get("p", 11))


def stack_splits(splits):
    names = ("train_x", "train_y", "test_x", "test_y")
    return replace(splits[0], **{name: torch.stack([getattr(s, name) for s in splits]) for name in names})


def norms(flat):
    return torch.stack([METRICS[name](Seen(None, None, {}, {}, None, flat, flat)) for name in ("l1norm", "l2norm")], -1)


def random_mask(model, rate=0.6, seed=0):
    return make_mask(score("random", Network(model.state_dict()), generator(seed, "mask")), rate)


class Notes:
    """A recorder that keeps everything in memory, and never ends a run before its last epoch."""

    def __init__(self):
        self.epochs, self.rows, self.states, self.is_running = [], [], [], True

    def observe(self, epoch, values, get_state, schedule):
        self.epochs.append(epoch)
        self.rows.append(values)
        self.states.append(get_state())
        self.is_running = epoch < schedule.num_epochs


def run(model, split, loss, num_epochs, *, lr=1e-2, weight_decay=1.0, mask=None, start=0, members=1, **schedule):
    """Train with the loop; gives what was noted for each network, and the optimizer."""
    optimizer = AdamW(model, lr, weight_decay, BETAS, mask)
    notes = [Notes() for _ in range(members)]
    schedule = Schedule(**{"num_epochs": num_epochs, "save_every": 10_000, **schedule})
    train(model, split, loss, optimizer, notes, schedule, start=start)
    return (notes if members > 1 else notes[0]), optimizer


def assert_same_bits(one, other):
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


def assert_weights_close(one, other, tolerance):
    for name, weight in one.items():
        close(weight, other[name].to(weight), rtol=tolerance, atol=tolerance, msg=lambda text, n=name: f"{n}: {text}")


def pull_at_every_weight(model):
    """A backward pass that gives every weight a gradient, pruned or not."""
    sum((weight * (1 + weight.detach().abs())).sum() for weight in model.parameters()).backward()


# The optimizer


@settings(deadline=None, max_examples=25)
@given(
    kind=st.sampled_from(KINDS),
    rate=st.floats(0, 1, allow_subnormal=False),
    lr=st.sampled_from((1e-4, 1e-2, 1.0)),
    weight_decay=st.sampled_from((0.0, 1.0, 30.0)),
    num_steps=st.integers(0, 12),
    members=st.sampled_from((None, 1, 2)),
    seed=st.integers(0, 99),
)
def test_a_pruned_weight_is_0_after_any_number_of_steps(kind, rate, lr, weight_decay, num_steps, members, seed):
    model = build(kind, seed)
    mask = random_mask(model, rate, seed)
    if members is not None:
        model = stack([build(kind, seed + member) for member in range(members)])
        mask = {name: torch.stack([kept] * members) for name, kept in mask.items()}
        lr, weight_decay = (torch.full((members,), x, dtype=torch.float64) for x in (lr, weight_decay))
    before = weights_of(model)
    optimizer = AdamW(model, lr, weight_decay, BETAS, mask)
    for _ in range(num_steps):
        pull_at_every_weight(model)
        optimizer.step()
    for name, weight in model.named_parameters():
        assert not bool(weight[~mask[name]].any()), name
        kept, initial = weight[mask[name]], before[name][mask[name]]
        assert torch.equal(kept, initial) if num_steps == 0 else not bool((kept == initial).any())


def test_masks_and_weights_are_paired_by_name():
    split = make_split("mlp")
    mask = random_mask(build("mlp"))
    forward, backward = (
        run(build("mlp"), split, cross_entropy, 5, mask=dict(items))[0].states[-1]["model"]
        for items in (mask.items(), reversed(mask.items()))
    )
    assert_same_bits(forward, backward)


def test_the_model_s_weights_are_views_of_the_flat_vector():
    model = build("transformer")
    optimizer = AdamW(model, 1e-2, 1.0, BETAS, None)
    with torch.no_grad():
        for value, (name, view) in enumerate(optimizer.views(optimizer.flat).items(), 1):
            view.fill_(value)
            assert torch.equal(dict(model.named_parameters())[name], torch.full_like(view, value))
    total = sum(value * weight.numel() for value, weight in enumerate(model.parameters(), 1))
    assert optimizer.flat.sum() == total, "and nothing but weights is in it"


# Masks outside the model and masks in the forward pass


def train_with_masks_in_the_forward_pass(model, split, loss, mask, num_epochs, lp, lp_alpha):
    """The weights behind the masks after each update, all in one flat vector with the optimizer's layout."""
    shapes = {name: weight.shape for name, weight in model.named_parameters()}
    sizes = [weight.numel() + -weight.numel() % ALIGNMENT for weight in model.parameters()]
    flat = torch.zeros(sum(sizes))
    for piece, weight in zip(flat.split(sizes), model.parameters(), strict=True):
        piece[: weight.numel()] = weight.detach().flatten()
    flat.requires_grad_()
    optimizer = torch.optim.AdamW([flat], lr=1e-2, betas=BETAS, weight_decay=1.0, fused=True)
    x = model.encode(split.train_x)
    for _ in range(num_epochs + 1):
        masked = {
            name: piece[: shape.numel()].view(shape) * mask[name]
            for (name, shape), piece in zip(shapes.items(), flat.split(sizes), strict=True)
        }
        yield {name: weight.detach() for name, weight in masked.items()}
        objective = loss(functional_call(model, masked, (x,)), split.train_y)
        if lp_alpha:
            per_matrix = [torch.linalg.vector_norm(weight, lp, dim=(-2, -1)) for weight in masked.values()]
            objective = objective + lp_alpha * torch.stack(per_matrix).mean()
        optimizer.zero_grad()
        objective.backward()
        optimizer.step()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("lp", "lp_alpha"), [(2.0, 0.0), (1.0, 0.1), (1.5, 0.1), (2.0, 0.1), (3.0, 0.1)])
def test_masks_outside_equal_masks_in_the_forward_pass_bit_for_bit(kind, lp, lp_alpha):
    split = make_split(kind)
    model = build(kind)
    mask = random_mask(model, 0.6)
    noted, _ = run(model, split, LOSSES[kind], 40, mask=mask, lp=lp, lp_alpha=lp_alpha)
    inside = train_with_masks_in_the_forward_pass(build(kind), split, LOSSES[kind], mask, 40, lp, lp_alpha)
    assert noted.epochs == list(range(41))
    for state, expected in zip(noted.states, inside, strict=True):
        for name, weight in state["model"].items():
            assert torch.equal(weight[mask[name]], expected[name][mask[name]])
            assert not bool(weight[~mask[name]].any())
    assert all(not torch.equal(weight, noted.states[0]["model"][name]) for name, weight in state["model"].items())


# What is measured, and when


def test_the_first_hundred_epochs_are_due_and_then_steps_are_at_most_1_percent():
    due = [epoch for epoch in range(120_000) if Schedule(10**6, 10**6).records(epoch)]
    assert due[:101] == list(range(101))
    for epoch, following in itertools.pairwise(due[100:]):
        assert following - epoch <= max(1, epoch / 100)
    assert [epoch for epoch in due if 198 <= epoch <= 206] == [198, 199, 200, 202, 204, 206]
    assert [epoch for epoch in due if 9_900 <= epoch <= 10_200] == [9_900, 9_999, 10_000, 10_100, 10_200]
    assert sum(epoch <= 30_000 for epoch in due) < 1_000, "the records are dense where a log axis is"


def test_checkpoints_are_the_early_ones_and_the_multiples():
    saved = lambda *schedule: [epoch for epoch in range(schedule[0] + 1) if Schedule(*schedule).saves(epoch)]
    assert saved(6_000, 2_000) == [0, 100, 200, 500, 1_000, 2_000, 4_000, 6_000]
    assert saved(1_000, 300, (7, 900)) == [0, 7, 100, 200, 300, 500, 600, 900, 1_000]


@pytest.mark.parametrize(("lead", "shares_labels"), [((), True), ((3,), False), ((3,), True), ((2, 2), False)])
def test_evaluate_is_what_numpy_says(lead, shares_labels):
    source = generator(0, "logits")
    logits = torch.randn(*lead, 40, 5, generator=source) * 3
    y = torch.randint(5, ((40,) if shares_labels else (*lead, 40)), generator=source)
    loss = torch.rand(lead, generator=source, dtype=torch.float64)
    seen = Pass(logits, y, loss)
    found = torch.stack([seen.loss.double(), accuracy(seen), right_probability(seen)], -1)
    assert found.shape == (*lead, 3)
    assert found.dtype == torch.float64
    labels = np.broadcast_to(y.numpy(), (*lead, 40))
    for index in itertools.product(*map(range, lead)):
        z, right = logits.double().numpy()[index], labels[index]
        probabilities = np.exp(z) / np.exp(z).sum(1, keepdims=True)
        share = np.mean([np.argmax(row) == label for row, label in zip(z, right, strict=True)])
        probability = np.mean([row[label] for row, label in zip(probabilities, right, strict=True)])
        assert 0.05 < share < 0.6
        assert found[index].tolist() == pytest.approx([loss[index].item(), share, probability], rel=1e-12)


def test_a_row_has_the_columns_of_metrics_csv_in_their_order():
    model, split = build("mlp").double(), make_split("mlp")
    optimizer = AdamW(model, 1e-2, 1.0, BETAS, None)
    sides = [(model.encode(x), y) for x, y in ((split.train_x, split.train_y), (split.test_x, split.test_y))]
    row = measure(model, *sides, cross_entropy, optimizer).tolist()
    assert len({*row}) == len(METRICS)
    expected = []
    for x, y in sides:
        z, y = model(x).detach().numpy(), y.numpy()
        picked = np.exp(z)[np.arange(len(y)), y] / np.exp(z).sum(1)
        expected.append([-np.log(picked).mean(), (z.argmax(1) == y).mean(), picked.mean()])
    weights = np.concatenate([weight.detach().numpy().ravel() for weight in model.parameters()])
    interleaved = [value for pair in zip(*expected, strict=True) for value in pair]
    logits = model(sides[0][0]).detach().numpy()
    spread = (logits - logits.mean(1, keepdims=True)).std()
    assert row == pytest.approx([*interleaved, np.abs(weights).sum(), (weights**2).sum() ** 0.5, spread], rel=1e-12)


def test_measuring_saves_nothing_for_a_backward_pass():
    model, split = build("transformer"), make_split("transformer")
    optimizer = AdamW(model, 1e-2, 1.0, BETAS, None)
    sides = [(model.encode(x), y) for x, y in ((split.train_x, split.train_y), (split.test_x, split.test_y))]
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: saved.append(tensor), lambda _: None):
        row = measure(model, *sides, cross_entropy, optimizer)
    assert row.grad_fn is None
    assert saved == []
    assert torch.is_grad_enabled()


def test_norms_are_those_of_all_weights_as_one_vector():
    model = stack([build("transformer", seed) for seed in range(3)])
    lr = torch.full((3,), 1e-2, dtype=torch.float64)
    found = norms(AdamW(model, lr, lr * 0, BETAS, None).flat)
    assert found.dtype == torch.float64
    for member in range(3):
        own = [w.detach().double().reshape(3, -1)[member].numpy() for w in model.parameters()]
        vector = np.concatenate(own)
        expected = [sum(map(abs, vector.tolist())), math.sqrt(sum(w * w for w in vector.tolist()))]
        assert found[member].tolist() == pytest.approx(expected, rel=1e-12)


def test_norms_of_many_float32_weights_are_summed_in_float64():
    flat = torch.full((1_000_003,), 0.1)
    assert norms(flat).tolist() == pytest.approx(
        [1_000_003 * float(flat[0]), 1_000_003**0.5 * float(flat[0])], rel=1e-12
    )


def test_first_epoch_is_the_first_recorded_one_at_or_above_the_threshold():
    metrics = {"epoch": np.array([0.0, 5, 20, 30, 40]), "test_acc": np.array([0.1, 0.5, 0.95, 0.9, 1.0])}
    assert first_epoch(metrics, "test_acc", 0.95) == 20
    assert first_epoch(metrics, "test_acc", 0.4) == 5
    assert first_epoch(metrics, "test_acc", 0.951) == 40
    assert first_epoch(metrics, "test_acc", 0.0) == 0
    assert first_epoch(metrics, "test_acc", 1.01) is None
    assert isinstance(first_epoch(metrics, "test_acc", 0.95), int)
    assert first_epoch({"epoch": np.array([]), "test_acc": np.array([])}, "test_acc", 0.5) is None


# The losses


def log_softmax(z):
    """Row by row, in numpy's longest floats."""
    z = np.asarray(z, dtype=np.longdouble)
    top = z.max(-1, keepdims=True)
    return z - top - np.log(np.exp(z - top).sum(-1, keepdims=True))


@pytest.mark.parametrize(("lead", "shares_labels"), [((), True), ((3,), False), ((3,), True), ((2, 2), False)])
def test_the_losses_are_what_numpy_says(lead, shares_labels):
    source = generator(0, "logits")
    logits = torch.randn(*lead, 13, 5, generator=source) * 20
    y = torch.randint(5, ((13,) if shares_labels else (*lead, 13)), generator=source)
    entropies, errors = cross_entropy(logits, y), squared_error(logits.double(), y)
    assert entropies.shape == errors.shape == lead
    assert entropies.dtype == torch.float64
    labels = np.broadcast_to(y.numpy(), (*lead, 13))
    for index in itertools.product(*map(range, lead)):
        z, right = logits.numpy()[index], labels[index]
        entropy = -np.mean([row[label] for row, label in zip(log_softmax(z), right, strict=True)])
        assert entropies[index].item() == pytest.approx(float(entropy), rel=1e-12)
        differences = [
            (float(z[i, j]) - (1.0 if j == right[i] else 0.0)) ** 2
            for i in range(z.shape[0])
            for j in range(z.shape[1])
        ]
        assert errors[index].item() == pytest.approx(sum(differences) / len(differences), rel=1e-12)


def test_a_memorized_example_still_has_a_loss_and_a_gradient():
    """At a margin of 30 the loss is 9e-14, which is 0 in float32."""
    logits = torch.tensor([[30.0, 0.0]], requires_grad=True)
    loss = cross_entropy(logits, torch.tensor([0]))
    loss.backward()
    assert loss.item() == pytest.approx(math.exp(-30), rel=1e-2)
    assert logits.grad.tolist()[0] == pytest.approx([-math.exp(-30), math.exp(-30)], rel=1e-2)


@pytest.mark.parametrize("lp", [1.0, 1.5, 2.0, 3.0])
def test_the_penalty_is_the_mean_of_the_matrices_norms(lp):
    models = [build("transformer", seed).double() for seed in range(2)]

    def expected(model):
        sums = [sum(abs(w) ** lp for w in weight.detach().flatten().tolist()) for weight in model.parameters()]
        return 0.3 * sum(total ** (1 / lp) for total in sums) / len(sums)

    values = [expected(model) for model in models]
    assert lp_penalty(list(models[0].parameters()), lp, 0.3).item() == pytest.approx(values[0], rel=1e-12)
    assert lp_penalty(list(stack(models).parameters()), lp, 0.3).tolist() == pytest.approx(values, rel=1e-12)


@pytest.mark.parametrize("lp", [1.0, 1.5, 2.0, 3.0])
def test_the_penalty_has_a_finite_gradient_where_weights_or_whole_matrices_are_pruned(lp):
    model = build("mlp")
    with torch.no_grad():
        model.W_E[:, ::2] = 0
        model.W_U.zero_()
    lp_penalty(list(model.parameters()), lp, 1.0).backward()
    for weight in model.parameters():
        assert bool(weight.grad.isfinite().all())
        assert not bool(weight.grad[weight == 0].any())
    assert bool(model.W_E.grad[:, 1::2].all())


# The loop


def hand_written_run(kind, split, num_epochs, weight_decay):
    """The weights after 0, 1, 2 ... updates of torch's plain AdamW, all parameters on their own."""
    model = build(kind).double()
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=1e-2, betas=BETAS, weight_decay=weight_decay, fused=False, foreach=False
    )
    weights = [weights_of(model)]
    for _ in range(num_epochs):
        optimizer.zero_grad()
        LOSSES[kind](model(model.encode(split.train_x)), split.train_y).backward()
        optimizer.step()
        weights.append(weights_of(model))
    return weights


@pytest.mark.parametrize("weight_decay", [0.0, 1.0, 30.0])
@pytest.mark.parametrize("kind", KINDS)
def test_epoch_e_is_the_weights_after_exactly_e_updates(kind, weight_decay):
    split = make_split(kind)
    noted, optimizer = run(build(kind).double(), split, LOSSES[kind], 25, weight_decay=weight_decay)
    expected = hand_written_run(kind, split, 25, weight_decay)
    assert noted.epochs == list(range(26))
    for state, weights in zip(noted.states, expected, strict=True):
        assert_weights_close(state["model"], weights, 1e-10)
    assert_same_bits(noted.states[0]["model"], weights_of(build(kind).double()))
    assert optimizer.state["step"] == 25


def test_what_is_recorded_depends_on_the_epoch_alone_but_for_checkpoints_and_the_last():
    def recorded(num_epochs, save_every, start=0):
        return run(build("mlp"), make_split("mlp"), cross_entropy, num_epochs, save_every=save_every, start=start)[
            0
        ].epochs

    grid = [*range(101), *range(101, 201), *range(202, 261, 2)]
    assert recorded(260, 1_000) == grid
    assert recorded(251, 1_000) == sorted({epoch for epoch in grid if epoch <= 251} | {251})
    assert recorded(260, 23) == sorted({*grid, 207, 253})
    assert recorded(260, 1_000, start=203) == [epoch for epoch in grid if epoch >= 203]


def test_recording_does_not_change_what_is_learned():
    split = make_split("mlp")
    sparse, _ = run(build("mlp"), split, cross_entropy, 230)
    dense, _ = run(build("mlp"), split, cross_entropy, 230, save_every=1)
    assert len(dense.epochs) == 231 > len(sparse.epochs)
    assert_same_bits(sparse.states[-1]["model"], dense.states[-1]["model"])


@pytest.mark.parametrize("kind", KINDS)
def test_going_on_from_a_saved_state_equals_never_having_stopped(kind):
    split = make_split(kind)
    mask = random_mask(build(kind))
    whole, _ = run(build(kind), split, LOSSES[kind], 60, mask=mask, lp_alpha=0.01)
    state = whole.states[37]
    model = build(kind, seed=5)
    optimizer = AdamW(model, 1e-2, 1.0, BETAS, mask)
    optimizer.load_weights(state["model"])
    optimizer.load_state(state["optimizer"])
    rest = Notes()
    train(model, split, LOSSES[kind], optimizer, [rest], Schedule(60, 10_000, lp_alpha=0.01), start=37)
    assert rest.rows == whole.rows[37:]
    for one, other in zip(rest.states, whole.states[37:], strict=True):
        assert_same_bits(one["model"], other["model"])
        assert_same_bits(one["optimizer"], other["optimizer"])


def test_a_member_s_state_is_its_own_and_no_longer_changes():
    models = [build("mlp", seed) for seed in range(3)]
    expected = [weights_of(model) for model in models]
    lr = torch.full((3,), 1e-2, dtype=torch.float64)
    population = stack(models)
    optimizer = AdamW(population, lr, lr, BETAS, None)
    states = [member_state(population, optimizer, member) for member in range(3)]
    pull_at_every_weight(population)
    optimizer.step()
    for state, weights in zip(states, expected, strict=True):
        assert_same_bits(state["model"], weights)
        assert state["optimizer"]["step"] == 0
        assert state["optimizer"]["exp_avg"].shape == optimizer.flat.shape[1:]
        assert not bool(state["optimizer"]["exp_avg"].any())


@pytest.mark.parametrize("batch_size", [5, 12, 100])
def test_an_epoch_of_batches_sees_every_example_once_in_an_order_of_its_own(batch_size):
    split = make_split("image")

    def batches_seen(seed):
        seen = []
        model = build("image")
        model.register_forward_pre_hook(lambda _, args: seen.append(args[0]) if torch.is_grad_enabled() else None)
        noted, _ = run(model, split, squared_error, 4, batch_size=batch_size, seed=seed)
        return seen, noted

    seen, noted = batches_seen(0)
    per_epoch = math.ceil(12 / batch_size)
    assert len(seen) == 4 * per_epoch
    assert noted.states[-1]["optimizer"]["step"] == 4 * per_epoch
    place = {tuple(row): i for i, row in enumerate(split.train_x.tolist())}
    orders = []
    for epoch in range(4):
        rows = torch.cat(seen[epoch * per_epoch : (epoch + 1) * per_epoch]).tolist()
        orders.append([place[tuple(row)] for row in rows])
        assert sorted(orders[-1]) == list(range(12))
    assert len({*map(tuple, orders)}) == (4 if per_epoch > 1 else 1)
    again, other = batches_seen(0)[0], batches_seen(1)[0]
    assert all(torch.equal(a, b) for a, b in zip(seen, again, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(seen, other, strict=True)) == (per_epoch == 1)


# The end of a run


@pytest.fixture
def recorder(tmp_path):
    quiet = {"make_logger": lambda rows: Mock(), "draw": lambda metrics: None}
    recorder = Recorder(tmp_path, run="an id", thresholds=(0.99, 0.95), facts={}, **quiet)
    recorder.start()
    return recorder


def train_and_finish(model, split, loss, recorder, schedule, lr=1e-2):
    optimizer = AdamW(model, lr, 0.0, BETAS, None)
    train(model, split, loss, optimizer, [recorder], schedule)
    return recorder.finish(), optimizer


def test_a_threshold_is_to_be_undercut_not_met(recorder):
    split = make_split("mlp")
    noted, _ = run(build("mlp"), split, cross_entropy, 5, weight_decay=0.0, lr=0.0)
    schedule = Schedule(5, 10_000, stopping_thresh=noted.rows[0][1])
    summary, _ = train_and_finish(build("mlp"), split, cross_entropy, recorder, schedule, lr=0.0)
    assert (summary["status"], summary["epochs"]) == ("completed", 5)


def spoil_training(loss, after, spoil):
    """``loss``, with ``spoil(value)`` in place of its value after so many training passes."""
    passes = itertools.count(1)

    def spoiled(logits, y):
        value = loss(logits, y)
        return spoil(value) if torch.is_grad_enabled() and next(passes) > after else value

    return spoiled


def assert_last_good_state_is_kept(recorder, epoch):
    state = load_tensors(recorder.folder / "state.pth", ("model", "optimizer", "epoch", "rows"))
    assert state["epoch"] == epoch
    assert all(bool(weight.isfinite().all()) for weight in state["model"].values())
    checkpoints = list_checkpoints(recorder.folder)
    assert max(checkpoints) == epoch
    for path in checkpoints.values():
        assert all(bool(weight.isfinite().all()) for weight in load_checkpoint(path)["model"].values())
    assert_same_bits(load_checkpoint(checkpoints[epoch])["model"], state["model"])


def test_a_loss_that_is_not_a_number_ends_the_run_as_diverged(recorder, capsys):
    loss = spoil_training(cross_entropy, 150, lambda value: value * float("nan"))
    summary, _ = train_and_finish(build("mlp"), make_split("mlp"), loss, recorder, Schedule(400, 10_000))
    assert recorder.status == summary["status"] == "diverged"
    assert [row[0] for row in recorder.rows] == list(range(151)), "update 151 is the first with a gradient of nan"
    assert all(map(math.isfinite, itertools.chain(*recorder.rows)))
    assert_last_good_state_is_kept(recorder, 100)
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    for part in ("diverged", "epoch 151", "epoch 100"):
        assert part in printed


def test_a_weight_that_is_infinite_ends_the_run_though_every_loss_is_finite(recorder):
    """An infinitely negative weight on positive pixels switches its neuron off, which hurts no loss."""
    model, seen = build("image"), []

    def spoil(value):
        with torch.no_grad():
            model.W_in[2, 3] = -float("inf")
        seen.append(value.item())
        return value

    loss = spoil_training(squared_error, 120, spoil)
    summary, _ = train_and_finish(model, make_split("image"), loss, recorder, Schedule(400, 10_000))
    assert summary["status"] == "diverged"
    assert recorder.rows[-1][0] == 120
    split = make_split("image")
    seen.append(squared_error(model(split.test_x), split.test_y).item())
    assert all(map(math.isfinite, seen))
    assert_last_good_state_is_kept(recorder, 100)


# A population


@pytest.mark.parametrize("more", [{}, {"num_layers": 2, "lp": 1.5, "lp_alpha": 0.1}])
@pytest.mark.parametrize("kind", KINDS)
def test_a_population_equals_its_single_runs(kind, more):
    """Three that differ in init, mask, rate and decay, and in the split; or with a split and a penalty that they share."""
    rates, decays = (3e-4, 1e-3, 3e-3), (1.0, 0.0, 3.0)
    layers, schedule = more.get("num_layers", 1), {name: more[name] for name in more if name != "num_layers"}
    splits = [make_split(kind, 0 if more else seed) for seed in range(3)]
    if kind == "image":
        splits = [replace(split, train_x=split.train_x.double(), test_x=split.test_x.double()) for split in splits]
    models = lambda: [build(kind, seed, num_layers=layers).double() for seed in range(3)]
    masks = [random_mask(model, rate) for model, rate in zip(models(), (0.6, 0, 0.3), strict=True)]
    singles = [
        run(model, split, LOSSES[kind], 60, lr=lr, weight_decay=decay, mask=mask, **schedule)[0]
        for model, split, lr, decay, mask in zip(models(), splits, rates, decays, masks, strict=True)
    ]
    split = splits[0] if more else stack_splits(splits)
    mask = {name: torch.stack([mask[name] for mask in masks]) for name in masks[0]}
    lr, decay = (torch.tensor(values, dtype=torch.float64) for values in (rates, decays))
    together, _ = run(
        stack(models()), split, LOSSES[kind], 60, lr=lr, weight_decay=decay, mask=mask, members=3, **schedule
    )
    for one, member in zip(singles, together, strict=True):
        assert member.epochs == one.epochs
        assert_weights_close(member.states[-1]["model"], one.states[-1]["model"], 1e-10)
        np.testing.assert_allclose(member.rows, one.rows, rtol=1e-10, atol=1e-10)
    assert len({row[0] for one in singles for row in one.rows}) > 30, "and all of them learned"
