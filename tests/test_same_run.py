"""A run is known by what it contains: what is the same run, what is another one, and what is said where that is not plain."""

import os
import shutil
import subprocess
import sys
from dataclasses import MISSING, dataclass, fields
from pathlib import Path

import pytest
import torch
from scripts import (
    REPOSITORY,
    assert_refused,
    assert_same_run,
    bits,
    call,
    change_json,
    config_of,
    load,
    run_folders,
    snapshot,
    succeed,
)

from common.ranges import is_setting
from configs.base import PARTS, Dense, MLPConfig, MnistConfig
from configs.ticket import MLPTicketConfig, Ticket
from data import TASKS
from data.modular import Modular
from experiments import build, identity, ingredients, same_run
from experiments.parents import folder_of
from models import MODELS
from models.mlp import MLP
from reporting.tables import read_result
from training.losses import LOSSES

REUSED = "is finished and is reused"
# As the scripts' tests have it.
SMALL = {"fn_name": "multiply", "p": 7, "frac_train": 0.5, "d_emb": 8, "d_model": 6, "lr": 0.01, "num_epochs": 30}
DEFAULTS = {
    "Dense": "seed=42 num_epochs=30000 lr=0.001 weight_decay=1.0 start=None waves=6 wave_share=1.0 stop_after_gen=False"
    " save_every=2000 save_at=()"
    " optimizer=adamw betas=(0.9,0.98) batch_size=None loss=None lp=2.0 lp_alpha=0.0 stopping_thresh=None",
    "Ticket": "pruning_rate=0.6 prune_at=generalization pruner=magnitude mask_waves=6 scope=global control=None mask=None"
    " use_mask=True rewind_to=0 retrain_lr=None retrain_weight_decay=None retrain_num_epochs=None"
    " retrain_save_at=None retrain_stop_after_gen=None memorization_epoch=2000 generalization_epoch=28000"
    " pruning_iterations=None",
    "Modular": "p=67 fn_name=add frac_train=0.4 is_symmetric_input=True",
    "Mnist": "train_size=1000 balanced=False original_split=False",
    "Operations": "p=67 fn_names=('add','multiply') frac_train=0.4 is_symmetric_input=True",
    "Parity": "num_bits=40 num_relevant=3 num_train=1000 num_test=1000",
    "Regression": "num_dimensions=100 num_train=1000 num_test=1000",
    "Own": "frac_train=None data_hash=None",
    "OwnNumbers": "frac_train=None data_hash=None",
    "OwnPairs": "frac_train=None data_hash=None",
    "MLP": "act_type=relu weight_scale=1.0 d_emb=500 d_model=48 num_layers=0",
    "ImageMLP": "act_type=relu weight_scale=1.0 d_model=200 num_layers=1",
    "Transformer": "act_type=relu weight_scale=1.0 d_model=128 d_mlp=128 num_heads=1 num_layers=1",
}
# A config file of one's own in which everything that can be one's own is.
MINE = '''
from dataclasses import dataclass
from typing import ClassVar
import torch.nn.functional as F
from configs.ticket import Ticket
from data.modular import Modular
from models.mlp import MLP
from pruning.controls import Start
from training.losses import cross_entropy
from training.optimizer import AdamW

@dataclass(frozen=True, kw_only=True)
class Noisy(Modular):
    name: ClassVar[str] = "noisy"
    label_noise: float = 0.0
    """Share of wrong training labels."""
    def split(self, seed):
        split = super().split(seed)
        split.train_y[: int(len(split.train_y) * self.label_noise)] = 0
        return split

@dataclass(frozen=True, kw_only=True)
class Wide(MLP):
    name: ClassVar[str] = "wide"

def smooth(logits, y):
    return cross_entropy(logits, y) + 1e-3 * logits.double().square().mean((-2, -1))

def leaky(x):
    return F.leaky_relu(x)

class Mine(AdamW):
    eps = 1e-6

def largest_first(network, generator):
    return {name: -weight.abs() for name, weight in network.prunable.items()}

def halved(setting):
    return Start(setting.mask, {name: 0.5 * weight for name, weight in setting.init.items()})

parts = {"task": Noisy(label_noise=0.1), "model": Wide(act_type=leaky), "loss": smooth, "optimizer": Mine}
config = Ticket(**parts, pruner=largest_first).but(seed=3)
'''


def reused(script, *flags, **how):
    outcome = succeed(script, *flags, **how)
    assert REUSED in outcome.out, outcome
    return outcome.out


def own(text: str, name: str = "mine.py") -> str:
    Path(name).write_text(text)
    return f"--config={name}"


def trains_anew(*flags, script="train", **how) -> Path:
    """The folder of a run that was not there."""
    before = {path for path in Path("runs").glob("*") if path.is_dir()}
    outcome = succeed(script, *flags, **how)
    (new,) = {path for path in Path("runs").glob("*/") if ".old" not in path.name} - before
    assert f"{new.name} {REUSED}" not in outcome.out
    return new


# Settings that are at their default, and those that are not


def test_the_defaults_by_which_runs_are_found_and_named_stay():
    """Where one of these changes, every run that was made with the earlier one gets other settings and another name."""
    found = {}
    for cls in (Dense, Ticket, *TASKS.values(), *MODELS.values()):
        known = {field.name for field in fields(Dense)} if cls is Ticket else PARTS
        own = [field for field in fields(cls) if field.name not in known and is_setting(cls, field.name)]
        words = [f"{field.name}={field.default}".replace(" ", "") for field in own if field.default is not MISSING]
        found[cls.__name__] = " ".join(words)
    assert found == DEFAULTS


@dataclass(frozen=True, kw_only=True)
class Grown(Dense):
    label_smoothing: float = 0.0
    """A new field of the training, whose default means "as before"."""


@dataclass(frozen=True, kw_only=True)
class GrownTask(Modular):
    label_noise: float = 0.0


@dataclass(frozen=True, kw_only=True)
class GrownModel(MLP):
    dropout: float = 0.0


@dataclass(frozen=True, kw_only=True)
class GrownTicket(Ticket):
    variant: str = "none"


def test_a_new_field_whose_default_means_as_before_leaves_every_run_as_it_was(monkeypatch):
    monkeypatch.setitem(TASKS, "modular", GrownTask)
    monkeypatch.setitem(MODELS, "mlp", GrownModel)
    monkeypatch.setattr("common.choices._shipped", {})  # as if they had always been there
    before = MLPConfig(lr=0.1)
    grown = Grown(task=GrownTask(), model=GrownModel(), lr=0.1)
    assert grown.settings() == before.settings()
    assert grown.run_name() == before.run_name()
    for name in ("label_smoothing", "label_noise", "dropout"):
        assert grown.but(**{name: 0.5}).settings() == before.settings() | {name: 0.5}
        assert grown.but(**{name: 0.5}).run_name() == f"{before.run_name()}_{name}0.5"
    ticket, source = MLPTicketConfig(lr=0.1), {"epoch": 3}
    grown = GrownTicket(task=GrownTask(), model=GrownModel(), lr=0.1)
    assert grown.settings(source) == ticket.settings(source)
    assert grown.but(variant="x").run_name(source) == f"{ticket.run_name(source)}_variantx"


def test_a_run_has_one_name_however_a_config_spells_it():
    one, other = MLPTicketConfig(weight_decay=2, betas=(0, 0.9)), MLPTicketConfig(weight_decay=2.0, betas=(0.0, 0.9))
    assert one.run_name() == other.run_name()
    assert str(one.settings()) == str(other.settings())
    assert (
        MLPConfig(loss="cross_entropy").settings() == MLPConfig(optimizer="adamw").settings() == MLPConfig().settings()
    )
    assert MLPConfig(loss="squared_error").settings() != MLPConfig().settings()
    assert MnistConfig(loss="squared_error").settings() == MnistConfig().settings()


def test_the_threshold_decides_where_the_run_stops_by_it():
    for stops in (False, True):
        ticket = MLPTicketConfig(stop_after_gen=stops)
        for one in (ticket, ticket.dense()):
            other = one.but(gen_threshold=0.9)
            assert (one.settings() == other.settings()) == (one.run_name() == other.run_name()) == (not stops)
    of_ticket_alone = MLPTicketConfig(retrain_stop_after_gen=True)
    assert of_ticket_alone.dense().settings() == MLPConfig().settings()
    assert of_ticket_alone.run_name({"epoch": 7}).endswith("at7_retrain_stop_after_gen0.95")


# What a run is, besides its settings


def test_another_precision_is_another_run(runs, monkeypatch):
    monkeypatch.setattr(torch, "set_default_dtype", torch.set_default_dtype)
    text = "import torch\nfrom configs.base import MLPConfig\ntorch.set_default_dtype(torch.float64)\nconfig = MLPConfig()\n"
    try:
        exact = trains_anew(own(text))
        assert exact.name.endswith("_precisionfloat64")
        assert load(exact / "final.pth")["model"]["W_E"].dtype == torch.float64
        reused("train", own(text))
    finally:
        torch.set_default_dtype(torch.float32)
    reused("train")


def test_an_entry_of_a_table_that_a_config_file_replaces_makes_another_run(runs, monkeypatch):
    text = (
        "from configs.base import MLPConfig\nfrom training.losses import LOSSES, cross_entropy\n"
        "def scaled(logits, y):\n    return 3 * cross_entropy(logits, y)\n"
        "LOSSES['cross_entropy'] = scaled\nconfig = MLPConfig()\n"
    )
    before = snapshot(runs[0])
    monkeypatch.setitem(LOSSES, "cross_entropy", LOSSES["cross_entropy"])
    new = trains_anew(own(text))
    assert "lossmine.scaled" in new.name
    assert snapshot(runs[0]) == before
    assert f"{new} {REUSED}" in reused("train", own(text))


@pytest.mark.parametrize("table", ["task", "model"])
def test_so_does_one_of_the_tables_of_tasks_and_models(runs, monkeypatch, table):
    texts = {
        "task": "class Mine(Modular):\n    def split(self, seed):\n        return super().split(seed + 1)\nTASKS['modular'] = Mine\n",
        "model": "class Mine(MLP):\n    def build(self, *given):\n        model = super().build(*given)\n"
        "        model.act = lambda x: x.sigmoid()\n        return model\nMODELS['mlp'] = Mine\n",
    }
    head = "from configs.base import Dense\nfrom data import TASKS\nfrom data.modular import Modular\n"
    head += "from models import MODELS\nfrom models.mlp import MLP\n"
    for entries, name in ((TASKS, "modular"), (MODELS, "mlp")):
        monkeypatch.setitem(entries, name, entries[name])
    before = snapshot(runs[0])
    trains_anew(own(head + texts[table] + "config = Dense(task=TASKS['modular'](), model=MODELS['mlp']())\n"))
    assert snapshot(runs[0]) == before


def test_what_a_config_file_defines_trains_resumes_and_is_found_again(place):
    flag, size = own(MINE), ("--device=cpu", "--p=7", "--num_epochs=30", "--save_every=10")
    succeed("main", flag, size=size)
    (dense,), (ticket,) = run_folders("runs")
    assert dense.name.startswith("wide_noisy_add_seed3_")
    for text in ("label_noise0.1", "act_typemine.leaky", "lossmine.smooth", "optimizermine.Mine"):
        assert text in dense.name
    assert "__mine.largest_first0.6_global" in ticket.name
    assert "mine.py" in config_of(dense)["code"]
    weights = load(dense / "final.pth")["model"]
    kept = load(ticket / "mask.pth")["mask"]
    smallest, largest = (
        torch.cat([weights[name].abs()[kept[name] == side] for name in kept]) for side in (True, False)
    )
    assert smallest.max() <= largest.min()
    assert reused("main", flag, size=size).count(REUSED) == 2
    whole = shutil.copytree(ticket, place / "whole")
    state = load(ticket / "state.pth")
    assert state["epoch"] == 30
    for name in ("summary.json", "state.pth", "final.pth"):
        (ticket / name).unlink()
    assert REUSED not in succeed("prune", flag, size=size).out
    assert_same_run(ticket, whole)
    (dense / "summary.json").unlink()
    assert "goes on from epoch 30" in succeed("train", flag, size=size).out
    # What only reads goes by config.json, and builds nothing of it.
    shutil.move("mine.py", "gone.py")
    assert read_result(dense).settings["config"]["label_noise"] == 0.1
    assert read_result(ticket).settings["config"]["pruner"] == "mine.largest_first"


def test_a_control_of_a_config_file_trains_too(place):
    text = MINE + "from configs.ticket import MLPTicketConfig\nconfig = MLPTicketConfig(control=halved)\n"
    succeed("main", own(text))
    (dense,), (ticket,) = run_folders("runs")
    mask, init = load(ticket / "mask.pth")["mask"], load(dense / "init.pth")["model"]
    start = {name: 0.5 * init[name] * mask[name] for name in mask}
    assert bits(load(ticket / "init.pth")["model"]) == bits(start)
    assert "controlmine.halved" in ticket.name
    assert reused("main", own(text)).count(REUSED) == 2


# Two runs with the same settings, two settings of the same run


def test_iterative_tickets_whose_earlier_round_took_its_mask_elsewhere_are_two_runs(runs):
    flags = ("--pruning_iterations=2", "--retrain_num_epochs=60")
    succeed("prune", *flags, "--prune_at=generalization")
    ways = ("generalization", "memorization --memorization_epoch=10")
    made = []
    for way in ways:
        outcome = succeed("prune", *flags, *f"--prune_at={way}".split())
        made.append(outcome.out.split("(ticket)")[0].split()[-1])
        if way == ways[0]:
            assert f"{made[0]} {REUSED}" in outcome.out
    one, other = map(Path, made)
    assert one != other
    assert bits(load(one / "mask.pth")["mask"]) != bits(load(other / "mask.pth")["mask"])
    for path, way in zip((one, other), ways, strict=True):
        assert f"{path} {REUSED}" in reused("prune", *flags, *f"--prune_at={way}".split())


def test_iterative_tickets_that_differ_in_an_earlier_round_alone_are_two_by_their_settings():
    """Whether or not their masks come out the same: finding goes by settings, and never builds a mask."""
    config = MLPTicketConfig(pruning_iterations=2)
    sources = [{"epoch": 30, "run": config.earlier_round().settings({"epoch": epoch})} for epoch in (10, 30)]
    assert config.settings(sources[0]) != config.settings(sources[1])


def test_two_derivations_of_one_mask_are_one_ticket_found_by_both_from_then_on(runs, monkeypatch):
    """At a rate that is rounded to as many weights, and with the scope in which one matrix is all there is."""
    _, ticket = runs
    asked = ["--prune_at=20", "--pruning_rate=0.601"]
    outcome = succeed("prune", *asked)
    assert f"is the same run as {ticket}, by what it contains" in outcome.out
    assert f"{ticket} {REUSED}" in outcome.out
    assert len(config_of(ticket)["asked_for"]) == 2
    assert run_folders("runs") == ([runs[0]], [ticket]), "and no empty folder is left"
    monkeypatch.setattr(ingredients, "build_split", lambda config: pytest.fail("something was built"))
    monkeypatch.setattr(ingredients, "build_model", lambda *given: pytest.fail("something was built"))
    for rate in (0.6, 0.601):
        found = folder_of(MLPTicketConfig(**SMALL, prune_at="20", pruning_rate=rate))
        assert (found.path, found.is_finished) == (ticket, True)
    assert not folder_of(MLPTicketConfig(**SMALL, prune_at="20", pruning_rate=0.7)).is_claimed


def test_a_ticket_without_a_mask_that_is_trained_as_its_dense_run_is_that_run(runs):
    said = reused("prune", "--use_mask=False")
    assert f"is the same run as {runs[0]}" in said
    assert len(run_folders("runs")[1]) == 1


def test_data_that_hold_something_else_make_another_run_and_its_ticket_takes_that(place):
    """A file that was changed in place: its settings are the same."""
    flags = ("--data_root=data", "--train_size=100", "--d_model=8", "--num_epochs=20", "--save_every=10")
    size = ("--config=configs/config_pruning_mnist.py", "--device=cpu", "--prune_at=20")
    shutil.copytree(REPOSITORY / "tests" / "fixtures" / "mnist", "data")
    succeed("main", *flags, size=size)
    (dense,), (ticket,) = run_folders("runs")
    before = snapshot("runs")
    assert succeed("main", *flags, size=size).out.count(REUSED) == 2
    for name in ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"):  # test images in place of training images
        shutil.copy(Path("data") / name.replace("train", "t10k"), Path("data") / name)
    assert_refused(call("prune", *flags, size=size), f"the run at {dense} has learned other data")
    outcome = succeed("main", *flags, size=size)
    assert outcome.out.count(REUSED) == 0
    assert f"{dense} holds another run: data differ; this one goes to {dense.name}_" in outcome.out
    own_dense, own_ticket = (path for path in Path("runs").iterdir() if path not in (dense, ticket))
    if "__" in own_dense.name:
        own_dense, own_ticket = own_ticket, own_dense
    assert config_of(own_ticket)["dense_run"] == str(own_dense)
    assert load(own_ticket / "mask.pth")["source"]["run"] == own_dense.name
    after = snapshot("runs")
    assert {name: after[name] for name in before} == before
    assert succeed("main", *flags, size=size).out.count(REUSED) == 2
    shutil.rmtree("data")
    shutil.copytree(REPOSITORY / "tests" / "fixtures" / "mnist", "data")
    said = succeed("main", *flags, size=size).out
    assert f"{dense} {REUSED}" in said
    assert f"{ticket} {REUSED}" in said


# Files of another run


@pytest.fixture
def other(runs):
    """A ticket and its dense run that differ from ``runs`` in the seed."""
    succeed("main", "--prune_at=20", "--seed=7")
    dense, ticket = run_folders("runs")
    return next(path for path in dense if path not in runs), next(path for path in ticket if path not in runs)


@pytest.mark.parametrize("name", ["metrics.csv", "summary.json", "final.pth", "20.pth", "init.pth"])
def test_a_file_of_another_run_is_named_and_never_used(runs, other, name):
    shutil.copy(other[0] / name, runs[0] / name)
    for script in ("prune", "main"):
        outcome = call(script, "--prune_at=20", "--pruning_rate=0.3")
        assert_refused(outcome, str(runs[0] / name), "another run")
    assert not [path for path in run_folders("runs")[1] if "magnitude0.3" in path.name and (path / "mask.pth").exists()]


def test_nor_does_an_interrupted_run_go_on_with_another_ones_state(runs, other):
    """Of the same shapes and the same epoch: nothing but the run that it names tells it from this one's."""
    for own, its in zip(reversed(runs), reversed(other), strict=True):
        (own / "summary.json").unlink()
        shutil.copy(its / "state.pth", own / "state.pth")
        assert_refused(call("main", "--prune_at=20"), str(own / "state.pth"), "belongs to another run")


def test_a_mask_of_another_run_is_named_where_it_is_read_and_written_anew_where_the_run_goes_on(runs, other):
    _, ticket = runs
    mask = bits(load(ticket / "mask.pth")["mask"])
    shutil.copy(other[1] / "mask.pth", ticket / "mask.pth")
    assert_refused(call("prune", f"--mask={ticket}"), str(ticket / "mask.pth"), "belongs to another run")
    (ticket / "summary.json").unlink()
    assert "goes on from epoch 30" in succeed("prune", "--prune_at=20").out
    assert bits(load(ticket / "mask.pth")["mask"]) == mask


def test_a_folder_that_is_copied_under_the_name_of_another_run_is_not_taken_for_it(runs):
    dense, _ = runs
    name = MLPConfig(**SMALL, seed=9).run_name()
    shutil.copytree(dense, dense.with_name(name))
    said = succeed("train", "--seed=9").out
    assert "holds another run: " in said
    assert "data" in said.split("holds another run: ")[1].split("differ")[0]
    (new,) = [path for path in run_folders("runs")[0] if path.name.startswith(f"{name}_")]
    assert config_of(new)["config"]["seed"] == 9
    assert f"{new} {REUSED}" in reused("train", "--seed=9")


def test_a_state_from_after_the_end_is_refused(runs):
    succeed("train", "--num_epochs=3")
    shorter = next(path for path in run_folders("runs")[0] if "num_epochs3_" in path.name)
    (shorter / "summary.json").unlink()
    torch.save(load(runs[0] / "state.pth") | {"run": config_of(shorter)["id"]}, shorter / "state.pth")
    assert_refused(call("train", "--num_epochs=3"), "state.pth", "does not belong to this run")


# The code


def test_a_run_whose_files_of_code_have_changed_is_reused_and_one_line_names_them(runs):
    dense, _ = runs
    assert "changed" not in reused("train")
    stored = config_of(dense)
    rooms = {name.split("/")[0] for name in stored["code"]}
    assert rooms == {"data", "models", "pruning", "training"}
    change_json(
        dense / "config.json",
        code=stored["code"] | {"training/loop.py": "other", "models/mlp.py": "other", "models/gone.py": "x"},
        git_commit="0123456789abcdef+",
    )
    line = next(line for line in reused("train").splitlines() if REUSED in line)
    assert line.endswith(
        "since then models/mlp.py, training/loop.py changed (git diff 0123456789ab -- models/mlp.py training/loop.py): "
        "--rerun trains again"
    )
    succeed("prune", "--prune_at=20", "--pruning_rate=0.3")  # nothing is refused for it
    succeed("train", "--rerun")
    assert "changed" not in reused("train")


def test_comments_and_docstrings_of_a_file_do_not_count(place):
    flag = own(MINE)
    succeed("train", flag)
    commented = MINE.replace("def smooth", "# As in a paper.\ndef smooth").replace('"""Share of', '"""The share of')
    assert "changed" not in reused("train", own(commented.replace("eps = 1e-6", "eps =  1e-6")))
    said = reused("train", own(MINE.replace("eps = 1e-6", "eps = 1e-7")))
    assert "since then mine.py changed: --rerun trains again" in said, (
        "no git diff of what is no file of the repository"
    )


def test_a_run_that_goes_on_with_other_code_says_so_and_config_json_does_for_good(runs):
    dense, _ = runs
    (dense / "summary.json").unlink()
    change_json(dense / "config.json", code=config_of(dense)["code"] | {"training/loop.py": "other"})
    assert "training/loop.py changed" in succeed("train").out
    assert config_of(dense)["code"]["training/loop.py"] == "changed while the run was trained"
    assert "training/loop.py changed" in reused("train")


def test_other_versions_are_said(runs):
    change_json(runs[0] / "config.json", torch="1.0", threads=3, python="3.5")
    said = reused("train")
    assert "trained with torch 1.0, python 3.5, threads 3" in said


# Another kind of CPU


def on_another_machine(monkeypatch, rounding: float):
    """Another CPU, which draws the same init but for some last bits: ``rounding`` of the standard deviation."""
    build_model = build.build_model

    def rounded(config, split):
        model = build_model(config, split)
        with torch.no_grad():
            for weight in model.parameters():
                weight[::2] += rounding * weight.std()
        return model

    monkeypatch.setattr(ingredients, "build_model", rounded)
    for module in (identity, same_run):
        monkeypatch.setattr(module, "machine", lambda: "another machine", raising=False)


def test_a_start_that_is_drawn_is_compared_up_to_rounding_on_another_machine_alone(runs, monkeypatch):
    with monkeypatch.context() as patch:
        on_another_machine(patch, 1e-6)
        said = reused("main", "--prune_at=20")
        assert said.count(REUSED) == 2
        lines = [line for line in said.splitlines() if "made on another machine" in line]
        assert len(lines) == 1, "the ticket's start is the dense run's, saved, so it is the same bit for bit"
        assert f"{runs[0]}: made on another machine (" in lines[0]
        assert "same up to rounding" in lines[0]
    with monkeypatch.context() as patch:
        on_another_machine(patch, 1e-4)
        assert "holds another run: start differ" in succeed("train").out
    with monkeypatch.context() as patch:
        on_another_machine(patch, 1e-6)
        patch.setattr(same_run, "machine", lambda: config_of(runs[0])["machine"])
        assert "holds another run: start differ" in succeed("train").out


def test_a_mask_that_comes_by_the_same_settings_from_the_same_weights_is_the_same_on_another_machine(runs, monkeypatch):
    _, ticket = runs
    mask_of = ingredients.mask_of

    def rounded(*given):
        mask = mask_of(*given)
        mask["W_E"][0, 0] = ~mask["W_E"][0, 0]
        return mask

    monkeypatch.setattr(ingredients, "mask_of", rounded)
    with monkeypatch.context() as patch:
        on_another_machine(patch, 0)
        said = reused("prune", "--prune_at=20")
        assert f"{ticket}: made on another machine" in said
        assert f"{ticket} {REUSED}" in said
        # From other weights it is another mask.
        stored = config_of(ticket)
        change_json(ticket / "config.json", mask_weights="other")
        assert "holds another run: mask differ" in succeed("prune", "--prune_at=20", "--retrain_num_epochs=30").out
        change_json(ticket / "config.json", mask_weights=stored["mask_weights"])
    # Nor is it the same on the same machine.
    assert f"{ticket} {REUSED}" not in succeed("prune", "--prune_at=20").out


@pytest.mark.slow
def test_runs_that_are_copied_to_a_machine_of_another_kind_go_on_being_what_they_are(place):
    """Dense, ticket and controls, both ways: here with this CPU's kernels, there with those of another."""
    here = torch.backends.cpu.get_cpu_capability()
    environment = {**os.environ, "ATEN_CPU_CAPABILITY": "avx2" if here == "DEFAULT" else "default"}
    size = ("--d_emb=64", "--d_model=48", "--prune_at=20")  # large enough that the kernels of both are used
    commands = [("main", *size)] + [("prune", *size, f"--control={name}") for name in ("reinit", "same_l2", "shuffled")]
    commands += [("train", "--num_epochs=40", *size[:2])]
    program = f"from scripts import *\nfor root in ('there', 'here'):\n for script, *flags in {commands}:\n"
    program += "  print(succeed(script, *flags, '--root=' + root).out)\n print('=====')\n"

    def run_here(root: str) -> str:
        return "".join(succeed(script, *flags, f"--root={root}").out for script, *flags in commands)

    run_here("here")
    before = snapshot("here")
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    _, there, _ = done.stdout.split("=====")
    starts = [load(run_folders(root)[0][0] / "init.pth")["model"]["W_E"] for root in ("here", "there")]
    assert not torch.equal(*starts), "the CPUs do differ"
    for said in (there, run_here("there")):
        assert said.count(REUSED) == 6, said
        assert said.count("made on another machine") >= 3, "the two dense runs, and what is drawn for reinit"
    after = snapshot("here")
    assert after.keys() == before.keys()
    assert {name for name in after if after[name] != before[name]} <= {name for name in after if "comparison" in name}
