"""Controls by themselves, against what they promise, and through the command line for every kind of run."""

import itertools
import math
import shutil
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import build
from scripts import (
    REPOSITORY,
    TINY,
    TINY_TRANSFORMER,
    assert_refused,
    assert_same_run,
    call,
    config_of,
    load,
    rows_of,
    run_folders,
    succeed,
    summary_of,
)
from torch.func import functional_call

from common.errors import NothingToDo, UserError
from common.randomness import generator
from models import MLP, ImageMLP, Transformer
from pruning.controls import CONTROLS, Setting, swap_edges
from pruning.masks import make_mask
from pruning.scores import Network, score
from training.metrics import logit_std

pytestmark = pytest.mark.numerics
TINY_MNIST = (
    *("--config=configs/config_pruning_mnist.py", f"--data_root={REPOSITORY / 'tests' / 'fixtures' / 'mnist'}"),
    *("--device=cpu", "--threads=1", "--train_size=20", "--d_model=9", "--num_epochs=30", "--save_every=10"),
)
SIZES = {
    "mlp": TINY,
    "transformer": (*TINY_TRANSFORMER, "--config=configs/config_pruning_transformer.py"),
    "mnist": TINY_MNIST,
}


def setting_of(kind="mlp", rate=0.6, seed=0) -> Setting:
    model, other = build(kind, seed), build(kind, seed + 1)
    x = torch.randint(7, (12, 2), generator=generator(seed, "x"))
    x = torch.rand(12, 11, generator=generator(seed, "x")) if kind == "image" else x
    init = {name: weight.detach() for name, weight in model.named_parameters()}
    mask = make_mask(score("random", Network(init), generator(seed, "mask")), rate)

    @torch.no_grad()
    def std(weights):
        return float(logit_std(functional_call(model, weights, (x,))))

    redraw = lambda: {name: weight.detach() for name, weight in other.named_parameters()}
    units = {"mlp": MLP, "transformer": Transformer, "image": ImageMLP}[kind]().units(list(mask))
    return Setting(mask, init, generator(seed, "control"), redraw, std, units)


def norm(weights, order) -> float:
    return float(torch.linalg.vector_norm(torch.cat([weight.double().flatten() for weight in weights.values()]), order))


@pytest.mark.parametrize("kind", ["mlp", "transformer", "image"])
def test_shuffled_keeps_the_rate_of_each_matrix_and_little_else(kind):
    setting = setting_of(kind)
    mask, init, multiplier = CONTROLS["shuffled"](setting)
    assert (init, multiplier) == (setting.init, None)
    for name, kept in mask.items():
        assert kept.sum() == setting.mask[name].sum()
        assert kept.shape == setting.mask[name].shape
    assert any(not kept.equal(setting.mask[name]) for name, kept in mask.items())


@settings(deadline=None, max_examples=40)
@given(rows=st.integers(1, 12), columns=st.integers(1, 12), rate=st.floats(0, 1), seed=st.integers(0, 99))
def test_swapped_edges_keep_every_row_and_every_column(rows, columns, rate, seed):
    kept = torch.rand(rows, columns, generator=generator(seed, "mask")) >= rate
    swapped = swap_edges(kept, generator(seed, "swap"))
    assert swapped.sum(0).tolist() == kept.sum(0).tolist()
    assert swapped.sum(1).tolist() == kept.sum(1).tolist()
    assert swapped.equal(swap_edges(kept, generator(seed, "swap")))


def test_ten_swaps_a_weight_forget_where_the_weights_were():
    """Of a random half of the places about half are kept by chance again, as of any other half."""
    kept = torch.rand(60, 60, generator=generator(0, "mask")) < 0.5
    swapped = swap_edges(kept, generator(0, "swap"))
    assert float((kept & swapped).sum() / kept.sum()) == pytest.approx(0.5, abs=0.05)


def test_what_is_printed_is_the_share_of_positions_that_did_not_change(capsys):
    setting = setting_of()
    mask = CONTROLS["shuffled_degrees"](setting).mask
    said = capsys.readouterr().out.splitlines()
    for name, line in zip(setting.mask, said, strict=True):
        both, kept = int((mask[name] & setting.mask[name]).sum()), int(setting.mask[name].sum())
        assert line.startswith(f"{name}: {both / kept:.3f} of")


def test_reinit_is_the_mask_on_another_init():
    setting = setting_of()
    mask, init, _ = CONTROLS["reinit"](setting)
    assert mask is setting.mask
    assert all(not init[name].equal(weight) for name, weight in setting.init.items())


@pytest.mark.parametrize(
    "control", [name for name in CONTROLS if name.startswith("same_l1") or name.startswith("same_l2")]
)
def test_the_norm_is_the_tickets(control):
    setting, order, per_matrix = setting_of(), int(control[6]), control.endswith("per_matrix")
    mask, init, _ = CONTROLS[control](setting)
    assert mask is None
    assert norm(init, order) == pytest.approx(norm(setting.ticket(), order), rel=1e-6)
    factors = {name: float((init[name] / weight).mean()) for name, weight in setting.init.items()}
    for name, weight in init.items():
        torch.testing.assert_close(weight, setting.init[name] * factors[name])
        if per_matrix:
            assert norm({name: weight}, order) == pytest.approx(norm({name: setting.ticket()[name]}, order), rel=1e-5)
    spread = max(factors.values()) - min(factors.values())
    assert (spread > 1e-4) == per_matrix


@pytest.mark.parametrize("kind", ["mlp", "transformer", "image"])
@pytest.mark.parametrize("control", [name for name in CONTROLS if "logits" in name])
def test_the_logit_scale_is_the_tickets(control, kind):
    setting = setting_of(kind)
    _, init, multiplier = CONTROLS[control](setting)
    assert multiplier * setting.logit_std(init) == pytest.approx(setting.logit_std(setting.ticket()), rel=1e-6)
    assert (control == "same_logits") == all(init[name].equal(weight) for name, weight in setting.init.items())


def test_the_logit_std_by_hand():
    logits = torch.tensor([[1.0, 3.0], [10.0, 20.0]])
    assert float(logit_std(logits)) == pytest.approx(math.sqrt((1 + 1 + 25 + 25) / 4))
    both = torch.stack([logits, 2 * logits])
    assert logit_std(both).tolist() == pytest.approx([math.sqrt(13), 2 * math.sqrt(13)])


def test_inverted_and_signs():
    setting = setting_of()
    for name, kept in CONTROLS["inverted"](setting).mask.items():
        assert kept.equal(~setting.mask[name])
    for control in ("signs", "random_signs"):
        mask, init, _ = CONTROLS[control](setting)
        assert mask is setting.mask
        for name, weight in init.items():
            assert weight.abs().unique().tolist() == pytest.approx([float(setting.init[name].std())])
            assert bool((weight.sign() == setting.init[name].sign()).all()) == (control == "signs")


def test_pruned_neurons_removes_units_that_are_cut_off_whole():
    setting = setting_of(rate=0.0)
    with pytest.raises(NothingToDo, match="nothing is trained"):
        CONTROLS["pruned_neurons"](setting)
    setting.mask["W_h.0"][2] = False  # hidden unit 2 of the second layer gets nothing
    setting.mask["W_E"][3] = False  # embedding unit 3
    setting.mask["W_U"][5, 1:] = False  # one weight is left: alive
    mask = CONTROLS["pruned_neurons"](setting).mask
    cut = {name: (~kept).nonzero().tolist() for name, kept in mask.items()}
    assert {row for row, _ in cut["W_E"]} == {3}
    assert {column for _, column in cut["W_inproj"]} == {3}
    assert {row for row, _ in cut["W_h.0"]} == {2}
    assert {column for _, column in cut["W_outproj"]} == {2}
    assert not cut["W_U"]


def test_a_model_that_does_not_know_its_units_is_told_so():
    with pytest.raises(UserError, match="pruned_neurons: the model does not say"):
        CONTROLS["pruned_neurons"](replace(setting_of(), units=None))


@pytest.mark.parametrize("control", [name for name in CONTROLS if name != "pruned_neurons"])
def test_vectors_are_no_part_of_a_control(control):
    """They stay as they are drawn, but for a fresh init, and have no mask."""
    setting = setting_of()
    bias = torch.tensor([0.5, -0.25])
    setting = replace(setting, init=setting.init | {"bias": bias})
    plain = replace(setting, logit_std=lambda weights: float(len(weights)))
    plain = replace(plain, redraw=lambda: setting.redraw() | {"bias": bias + 1})
    mask, init, _ = CONTROLS[control](plain)
    assert mask is None or "bias" not in mask
    assert init["bias"].equal(bias + (control == "reinit"))


# ---- through the scripts


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    """For each kind of network the root of a dense run."""
    found = {kind: tmp_path_factory.mktemp(kind) for kind in SIZES}
    for kind, root in found.items():
        succeed("main", "--stage=train_full", f"--root={root}", size=SIZES[kind])
    return found


EVERYWHERE = ("shuffled", "same_l2_logits", "pruned_neurons")
OF_ALL_KINDS = [("mlp", name) for name in CONTROLS] + list(itertools.product(("transformer", "mnist"), EVERYWHERE))


@pytest.mark.parametrize(("kind", "control"), OF_ALL_KINDS)
def test_every_control_trains_and_its_folder_holds_what_it_trained_from(roots, kind, control):
    flags = (f"--control={control}", "--prune_at=30", "--retrain_num_epochs=3", f"--root={roots[kind]}")
    outcome = succeed("main", *flags, size=SIZES[kind])
    (dense,), controls = run_folders(roots[kind])
    controls = [run for run in controls if config_of(run)["config"]["control"] == control]
    if not controls:
        assert (control, "nothing is trained" in outcome.out) == ("pruned_neurons", True)
        return
    (run,) = controls
    assert (config_of(run)["content"]["logit_multiplier"] is None) == ("logits" not in control)
    start, init = load(run / "init.pth")["model"], load(dense / "init.pth")["model"]
    has_mask = not control.startswith("same")
    assert (run / "mask.pth").exists() == has_mask
    if has_mask:
        mask = load(run / "mask.pth")["mask"]
        assert all(bool((start[name][~kept] == 0).all()) for name, kept in mask.items())
        if control in ("shuffled", "shuffled_degrees", "inverted", "pruned_neurons"):
            assert all(start[name].equal(init[name] * kept) for name, kept in mask.items())
    assert f"| {control}" in outcome.out


def test_the_logits_of_a_run_are_multiplied_and_the_std_of_the_ticket_is_its_own(place):
    for flags in ([], ["--control=same_logits"], ["--control=same_l2_logits"]):
        succeed("main", "--prune_at=30", "--retrain_num_epochs=3", *flags)
    column = (run_folders("runs")[0][0] / "metrics.csv").read_text().split("\n")[0].split(",").index("train_logit_std")
    first = [rows_of(run)[0][column] for run in run_folders("runs")[1]]
    assert first == pytest.approx([first[0]] * 3, rel=1e-5)
    assert rows_of(run_folders("runs")[0][0])[0][column] > 1.05 * first[0]


def test_a_longer_control_goes_on_bit_for_bit(dense):
    flags = ("--control=same_l2_logits", "--prune_at=30")
    shutil.copytree("runs", "one")
    succeed("prune", *flags, "--retrain_num_epochs=140", "--root=one")
    succeed("prune", *flags, "--retrain_num_epochs=117")
    assert "goes on from epoch 117" in succeed("prune", *flags, "--retrain_num_epochs=140").out
    (longer,) = [run for run in run_folders("runs")[1] if summary_of(run)["epochs"] == 140]
    assert_same_run(run_folders("one")[1][0], longer)


def test_what_makes_no_sense_is_refused(place):
    assert_refused(call("main", "--control=same_l3"), "same_l3", "same_l2")
    assert_refused(call("main", "--control=shuffled", "--use_mask=False"), "the control shuffled", "--use_mask")
