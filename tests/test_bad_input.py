"""What a user can get wrong: one short message, exit status 2, and nothing lost or overwritten."""

import errno
import json
import os
import pickle
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import torch
from scripts import (
    REPOSITORY,
    TINY,
    TINY_TRANSFORMER,
    assert_refused,
    assert_same_run,
    call,
    load,
    run_folders,
    snapshot,
    succeed,
)

from common import files

pytestmark = pytest.mark.filterwarnings("error")  # a warning would be more than one short message
TRANSFORMER = "--config=configs/config_transformer.py"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The root of a dense run, its ticket from epoch 20, and an unfinished run with seed 1."""
    root = tmp_path_factory.mktemp("finished")
    for script, *flags in (("train",), ("prune", "--prune_at=20"), ("train", "--seed=1")):
        succeed(script, f"--root={root}", *flags)
    unfinished, _ = run_folders(root)[0]
    assert "seed1" in unfinished.name
    (unfinished / "summary.json").unlink()
    return root


@pytest.fixture
def runs(finished, place):
    """A copy of a test's own, in the working directory: the folders of the dense run, the ticket and the unfinished run."""
    shutil.copytree(finished, place / "runs")
    (unfinished, dense), (ticket,) = run_folders(place / "runs")
    return dense, ticket, unfinished


# ---- flags


@pytest.mark.parametrize(
    ("script", "flags", "words"),
    [
        # unknown
        ("train", ["--bogus=1"], ["--bogus"]),
        ("train", ["bogus"], ["bogus"]),
        ("train", ["--num_heads=2"], ["--num_heads"]),
        ("train", ["--pruning_rate=0.5"], ["--pruning_rate"]),
        ("prune", ["--stage=all"], ["--stage"]),
        ("main", ["--weight-deca=2"], ["Unrecognized options: --weight-deca=2", "perhaps you meant --weight_decay"]),
        # of the wrong type, or without a value
        ("train", ["--p=seven"], ["--p", "'seven'"]),
        ("train", ["--p"], ["--p"]),
        ("train", ["--lr=fast"], ["--lr", "'fast'"]),
        ("train", ["--seed=1.5"], ["--seed"]),
        ("train", ["--is_symmetric_input=maybe"], ["--is_symmetric_input"]),
        ("prune", ["--use_mask=2"], ["--use_mask"]),
        ("prune", ["--generalization_epoch=late"], ["--generalization_epoch: it must be INT|{auto}, not ['late']"]),
        ("prune", ["--rewind_to=abc"], ["--rewind_to: it must be INT|{prune_at}, not ['abc']; see prune.py --help"]),
        ("prune", ["--retrain_save_at", "x"], ["--retrain_save_at", "'x'"]),
        # out of range
        ("train", ["--p=1"], ["p must be", "at least 2", "1"]),
        ("train", ["--frac_train=0"], ["frac_train must be", "above 0", "below 1"]),
        ("train", ["--frac_train=1"], ["frac_train must be", "above 0", "below 1"]),
        ("train", ["--frac_train=0.03"], ["frac_train 0.03 leaves the training set of 28 rows empty"]),
        ("train", ["--frac_train=0.99999999999999999"], ["frac_train must be"]),
        ("train", ["--fn_name=divide", "--p=9"], ["prime", "9"]),
        ("train", ["--lr=nan"], ["lr must be a finite number", "nan"]),
        ("train", ["--lr=-0.1"], ["lr must be", "at least 0"]),
        ("train", ["--weight_decay=-inf"], ["weight_decay must be a finite number"]),
        ("train", ["--weight_scale=0"], ["weight_scale must be", "above 0"]),
        ("train", ["--lp=0.5"], ["lp must be", "at least 1"]),
        ("train", ["--lp_alpha=-1"], ["lp_alpha must be"]),
        ("train", ["--stopping_thresh=0"], ["stopping_thresh must be", "above 0"]),
        ("train", ["--num_epochs=0"], ["num_epochs must be", "at least 1"]),
        ("train", ["--save_every=0"], ["save_every must be", "at least 1"]),
        ("train", ["--seed=-1"], ["seed must be", "at least 0"]),
        ("train", ["--threads=-1"], ["threads must be"]),
        ("train", ["--d_model=0"], ["d_model must be"]),
        ("train", ["--num_layers=-1"], ["num_layers must be"]),
        ("train", ["--gen_threshold=95"], ["gen_threshold must be", "at most 1"]),
        ("prune", ["--pruning_rate=1.5"], ["pruning_rate must be", "at most 1", "1.5"]),
        ("prune", ["--pruning_rate=-0.1"], ["pruning_rate must be", "at least 0"]),
        ("main", ["--pruning_rate=60"], ["pruning_rate must be"]),
        ("prune", ["--retrain_lr=nan"], ["retrain_lr must be"]),
        ("prune", ["--retrain_num_epochs=0"], ["retrain_num_epochs must be"]),
        ("prune", ["--memorization_epoch=-1"], ["memorization_epoch must be"]),
        # no such operation, pruner, stage ...
        ("train", ["--fn_name=plus"], ["'plus'", "'add', 'subtract', 'multiply'"]),
        ("train", ["--fn_name="], ["'add', 'subtract', 'multiply'"]),
        ("train", ["--act_type=tanh"], ["tanh", "relu"]),
        ("prune", ["--pruner=biggest"], ["biggest", "magnitude", "random"]),
        ("prune", ["--scope=layer"], ["layer", "global", "local"]),
        ("prune", ["--prune_at=late"], ["'late'", "init, memorization, generalization or an epoch"]),
        ("prune", ["--checkpoint=-5"], ["-5"]),
        ("prune", ["--checkpoint=1e3"], ["'1e3'", "init, memorization, generalization or an epoch"]),
        ("main", ["--stage=test"], ["test", "train_full"]),
        ("main", ["--dataset=cifar"], ["cifar", "modular_addition"]),
        # no such device
        ("train", ["--device=cuda"], ["device cuda is not there", "--device cpu"]),
        ("prune", ["--device=cuda:7"], ["--device cpu"]),
        ("main", ["--device=nonsense"], ["device nonsense is not there", "--device cpu"]),
        ("train", ["--device=meta"], ["device meta is not there", "--device cpu"]),
        ("train", ["--device="], ["--device cpu"]),
        # no such dense run
        ("prune", ["--seed=5"], ["there is no finished dense run", "python main.py"]),
        ("main", ["--stage=retrain", "--seed=5"], ["there is no finished dense run"]),
        ("prune", ["--prune_at=11"], ["epoch 11 was not saved", "saved are 0, 10, 20, 30"]),
        ("main", ["--prune_at=11"], ["epoch 11 was not saved", "saved are 0, 10, 20, 30"]),
        ("prune", ["--prune_at=99999999999999999999"], ["was not saved"]),
        ("prune", ["--rewind_to=11"], ["rewind_to 11: it was not saved", "saved are 0, 10, 20, 30"]),
        ("prune", ["--pruning_iterations=0"], ["pruning_iterations must be", "at least 1"]),
        ("prune", ["--pruning_iterations=5000"], ["pruning_iterations must be", "at most 100"]),
        # masks and places
        ("prune", ["--mask=nowhere.pth"], ["nowhere.pth is not there; give a mask.pth, or the folder of a ticket"]),
        ("prune", ["--mask=runs"], ["runs/mask.pth is not there"]),
        ("prune", ["--mask="], ["mask must be a mask.pth or the folder of a ticket"]),
        (
            "prune",
            ["--mask=a", "--pruning_rate=0.5"],
            ["--mask is a mask that is there, so --pruning_rate has no meaning"],
        ),
        ("train", ["--root="], ["--root is empty"]),
        ("main", ["--config="], ["--config is empty"]),
    ],
)
def test_a_wrong_flag(runs, place, script, flags, words, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    if "=cuda" in flags[0]:
        zeros = torch.zeros
        missing = "No CUDA GPUs are available"
        monkeypatch.setattr(
            torch, "zeros", lambda *a, **k: _raise(RuntimeError(missing)) if "cuda" in str(k) else zeros(*a, **k)
        )
    before = snapshot(place)
    assert_refused(call(script, *flags), *words)
    assert snapshot(place) == before


def _raise(error):
    raise error


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--num_heads=4"], ["d_model 6 is not divisible by num_heads 4"]),
        (["--num_heads=0"], ["num_heads must be"]),
        (["--num_layers=0"], ["num_layers must be"]),
        (["--d_emb=5"], ["--d_emb"]),
    ],
)
def test_a_wrong_flag_of_the_transformer(place, flags, words):
    assert_refused(call("train", TRANSFORMER, *flags, size=TINY_TRANSFORMER), *words)
    assert not list(place.iterdir())


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--num_tasks=0"], ["--num_tasks is 1 or more"]),
        (["--num_tasks=-3"], ["--num_tasks is 1 or more"]),
        (["--index=-1"], ["--index and --workers are 0 or more"]),
        (["--workers=-1"], ["--index and --workers are 0 or more"]),
        (["--workers=two"], ["--workers", "'two'"]),
        (["--seeds"], ["at least one seed"]),
        (["--output="], ["--output is empty"]),
        (["--root="], ["--root is empty"]),
        (["--pruning_iterations=5000"], ["at most 100"]),
        (["--bogus"], ["--bogus"]),
    ],
)
def test_a_wrong_flag_of_a_sweep(place, flags, words):
    (place / "my_sweep.py").write_text(
        "from configs.sweep import Sweep\nfrom configs.ticket import MLPTicketConfig\nsweep = Sweep(MLPTicketConfig())"
    )
    before = snapshot(place)
    assert_refused(call("sweep", "--config=my_sweep.py", "--list", *flags, size=()), *words)
    assert snapshot(place) == before


def test_a_chain_of_the_most_rounds_is_planned_and_walked(place):
    """A hundred rounds of iterative pruning, each of which needs the one before."""
    assert_refused(call("prune", "--pruning_iterations=100"), "there is no finished dense run")


# ---- config modules


def test_a_config_of_ones_own(place):
    (place / "mine.py").write_text(
        "from configs.ticket import MLPTicketConfig\n"
        "width = 3 + 3\n"
        "config = MLPTicketConfig(p=7, d_emb=8, d_model=width, num_epochs=12, fn_name='x2y2', pruning_rate=0.25,\n"
        "                         device='cpu', threads=1, prune_at='12')\n"
    )
    assert call("main", "--config=mine.py", "--seed=7", size=()).status == 0
    (dense,), (ticket,) = run_folders("runs")
    assert load(ticket / "mask.pth")["pruning_rate"] == 0.25
    assert load(dense / "final.pth")["model"]["W_inproj"].shape == (6, 8)
    stored = json.loads((dense / "config.json").read_text())
    assert (stored["config"]["fn_name"], stored["config"]["seed"]) == ("x2y2", 7)
    # The same by flags alone, and train.py takes the dense part of a ticket's config.
    flags = ("--p=7", "--d_emb=8", "--d_model=6", "--num_epochs=12", "--fn_name=x2y2", "--seed=7", "--device=cpu")
    assert "is finished and is reused" in call("train", *flags, size=())
    assert "is finished and is reused" in call("train", f"--config={place / 'mine.py'}", "--seed=7", size=())


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("mine.py", None, ["config mine.py is not there"]),
        ("mine.py", "settings = 1", ["config mine.py defines no `config`"]),
        ("mine.py", "config = {'p': 7}", ["`config` in mine.py is a dict"]),
        ("mine.py", "config = 1 / 0", ["config mine.py raises ZeroDivisionError: division by zero"]),
        ("mine.py", "config = (", ["config mine.py raises SyntaxError"]),
        ("mine.py", "import no_such_module", ["config mine.py raises ModuleNotFoundError"]),
        ("mine.py", "raise SystemExit(0)", ["config mine.py raises SystemExit"]),
        ("mine.py", "class Odd(BaseException): pass\nraise Odd('boo')", ["config mine.py raises Odd: boo"]),
        ("mine.py", "def deeper(): deeper()\ndeeper()", ["config mine.py raises RecursionError"]),
        ("mine.py", "raise ValueError('two\\nlines')", ["config mine.py raises ValueError", "two lines"]),
        ("mine.py", b"\xff\xfe\x00", ["config mine.py raises"]),
        (
            "mine.py",
            "from configs.base import MLPConfig\nconfig = MLPConfig(p=1)",
            ["config mine.py: p must be", "at least 2"],
        ),
        (
            "mine.py",
            "from configs.base import MLPConfig\nconfig = MLPConfig(p='7')",
            ["config mine.py: p must be a whole number", "'7'"],
        ),
        (
            "mine.py",
            "from configs.base import MLPConfig\nconfig = MLPConfig(num_heads=2)",
            ["config mine.py raises TypeError", "num_heads"],
        ),
        (
            "mine.py",
            "from configs.base import MLPConfig\nconfig = MLPConfig(is_symmetric_input=1)",
            ["is_symmetric_input must be True or False"],
        ),
        ("mine.yaml", "p: 7", ["config mine.yaml is no Python module", ".py"]),
        ("mine", "p = 7", ["config mine is no Python module", ".py"]),
    ],
)
@pytest.mark.parametrize("script", ["main", "train"])
def test_a_wrong_config_module(place, script, name, text, words):
    if text is not None:
        (place / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    before = snapshot(place)
    assert_refused(call(script, f"--config={name}", size=()), *words)
    assert snapshot(place) == before


def test_a_config_module_that_is_a_folder(place):
    (place / "mine.py").mkdir()
    assert_refused(call("train", "--config=mine.py", size=()), "config mine.py is not there")


def test_a_config_for_another_script(place):
    """prune.py needs a ticket's config."""
    for script in ("prune", "main"):
        outcome = call(script, "--config=configs/config.py", size=())
        assert_refused(outcome, "config configs/config.py describes a dense run", "configs/config_pruning.py")
    assert not list(place.iterdir())


# ---- checkpoints


class Payload:
    """Unpickled carelessly, it makes a file."""

    def __reduce__(self):
        return os.mkdir, ("executed",)


def write_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps({"model": {}, "epoch": 20, "payload": Payload()}))


def write_zip(path: Path) -> None:
    torch.save({"model": {}, "epoch": 20, "payload": Payload()}, path)


def write_model(path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), path)


def write_state_dict(path: Path) -> None:
    torch.save(load(path)["model"], path)


def write_other_model(path: Path) -> None:
    torch.save({"model": {"W_E": torch.zeros(3, 4)}, "epoch": 20}, path)


def write_other_shapes(path: Path) -> None:
    value = load(path)
    value["model"]["W_E"] = value["model"]["W_E"][:, :-1]
    torch.save(value, path)


def write_not_finite(path: Path) -> None:
    value = load(path)
    value["model"]["W_E"][0, 0] = float("nan")
    torch.save(value, path)


def write_no_tensors(path: Path) -> None:
    torch.save({"model": {"W_E": "a text"}, "epoch": 20}, path)


def write_epoch_as_text(path: Path) -> None:
    torch.save({**load(path), "epoch": "20"}, path)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def write_text(path: Path) -> None:
    path.write_text("These are not the weights you are looking for.\n")


def write_noise(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 9)


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def write_as(change):
    """The weights as ``change`` makes them."""

    def damage(path: Path) -> None:
        value = load(path)
        torch.save(value | {"model": {name: change(weight) for name, weight in value["model"].items()}}, path)

    return damage


NOT_PLAIN = {
    "sparse": write_as(lambda weight: weight.to_sparse()),
    "complex": write_as(lambda weight: weight.to(torch.complex64)),
    "whole numbers": write_as(lambda weight: weight.to(torch.int64)),
    "eight bits": write_as(lambda weight: weight.to(torch.float8_e4m3fn)),
    "float64": write_as(lambda weight: weight.double()),
    "on no device": write_as(lambda weight: weight.to("meta")),
}
UNREADABLE = [truncate, empty, write_text, write_noise, write_pickle, write_zip, write_model, make_folder]
FOREIGN = [write_state_dict, write_other_model, write_no_tensors, write_epoch_as_text]


def test_the_malicious_files_are_malicious(place):
    write_pickle(place / "file")
    pickle.loads((place / "file").read_bytes())
    assert (place / "executed").exists()
    (place / "executed").rmdir()
    write_zip(place / "file")
    torch.load(place / "file", weights_only=False)
    assert (place / "executed").exists()


DAMAGED = [*UNREADABLE, *FOREIGN, write_other_shapes, write_not_finite, *NOT_PLAIN.values()]


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_checkpoint_of_the_dense_run(runs, place, damage):
    dense, _, _ = runs
    damage(dense / "20.pth")
    before = snapshot(place)
    assert_refused(call("main", "--prune_at=20", "--pruning_rate=0.5"), "20.pth")
    after = snapshot(place)
    assert before.items() <= after.items()
    assert not [name for name in after if "executed" in name or ("magnitude0.5" in name and name.endswith(".json"))]


def write_sparse_mask(path: Path) -> None:
    value = load(path)
    torch.save(value | {"mask": {name: kept.to_sparse() for name, kept in value["mask"].items()}}, path)


def write_float_mask(path: Path) -> None:
    value = load(path)
    torch.save(value | {"mask": {name: kept.float() for name, kept in value["mask"].items()}}, path)


def write_shorter_mask(path: Path) -> None:
    value = load(path)
    del value["run"]  # else it would be another run's
    torch.save(value | {"mask": {name: kept[1:] for name, kept in value["mask"].items()}}, path)


@pytest.mark.parametrize("damage", [*UNREADABLE, *FOREIGN[:1], write_sparse_mask, write_float_mask, write_shorter_mask])
def test_a_mask_that_is_none(runs, place, damage):
    _, ticket, _ = runs
    given = shutil.copy(ticket / "mask.pth", place / "given.pth")
    if damage is write_state_dict:
        torch.save(load(ticket / "20.pth"), given)
    else:
        damage(Path(given))
    assert_refused(call("prune", "--mask=given.pth"), "" if damage is write_shorter_mask else "given.pth")
    assert not (place / "executed").exists()


@pytest.mark.parametrize("damage", [Path.unlink, truncate, write_zip, write_other_model, write_not_finite])
def test_a_damaged_init_of_the_dense_run(runs, place, damage):
    dense, _, _ = runs
    damage(dense / "init.pth")
    before = snapshot(place)
    what = "rewind_to 0: it was not saved" if damage is Path.unlink else "init.pth"
    assert_refused(call("prune", "--prune_at=20", "--pruning_rate=0.5"), what)
    after = snapshot(place)
    assert before.items() <= after.items()
    assert "executed" not in after
    assert not [name for name in after if "magnitude0.5" in name and "summary" in name]


@pytest.mark.parametrize("flags", [["--pruning_rate=0.3"], ["--prune_at=20", "--pruning_rate=0.3"]])
def test_a_finished_run_without_its_last_checkpoint_is_damaged(runs, place, flags):
    """An earlier checkpoint must not pass for the last one."""
    dense, _, _ = runs
    (dense / "final.pth").unlink()
    before = snapshot(place)
    assert_refused(call("main", "--stage=prune", *flags), "final.pth of epoch 30 is not there", dense.name)
    assert snapshot(place) == before


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status", 1),
        ("weights", "many"),
        ("seconds", None),
        ("best_test_acc", "high"),
        ("kept_per_matrix", []),
        ("epochs", "30"),
        ("kept_per_matrix", {"W_E": 5}),
        ("kept_per_matrix", {"W_E": [5, 3]}),
        ("kept_per_matrix", {"W_E": [1.5, "3"]}),
    ],
)
def test_a_summary_with_a_value_of_the_wrong_type(runs, place, name, value):
    dense, _, _ = runs
    path = dense / "summary.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
    assert_refused(call("train"), "summary.json is damaged", f"{name} is ")


def test_a_checkpoint_that_is_missing(runs, place):
    dense, _, _ = runs
    (dense / "20.pth").unlink()
    before = snapshot(place)
    outcome = call("prune", "--prune_at=20", "--pruning_rate=0.5")
    assert_refused(outcome, "epoch 20 was not saved", "saved are 0, 10, 30")
    assert snapshot(place) == before


# ---- state.pth


def write_state_without_rows(path: Path) -> None:
    value = load(path)
    del value["rows"]
    torch.save(value, path)


def write_rows_as_text(path: Path) -> None:
    torch.save({**load(path), "rows": "none"}, path)


def write_other_optimizer(path: Path) -> None:
    value = load(path)
    value["optimizer"]["exp_avg"] = value["optimizer"]["exp_avg"][:-1]
    torch.save(value, path)


STATES = [truncate, write_pickle, make_folder, write_state_dict, write_no_tensors, write_other_shapes]
STATES += [write_state_without_rows, write_rows_as_text, write_other_optimizer]


@pytest.mark.parametrize("damage", STATES)
def test_a_damaged_state_is_refused_and_rerun_or_deleting_it_helps(runs, place, damage):
    _, _, unfinished = runs
    whole = shutil.copytree(unfinished, place / "whole")
    damage(unfinished / "state.pth")
    before = snapshot(place)
    assert_refused(call("train", "--seed=1"), "optimizer" if damage is write_other_optimizer else "state.pth")
    assert snapshot(place) == before
    other = shutil.copytree(place / "runs", place / "other")
    succeed("train", "--seed=1", "--rerun")
    assert_same_run(unfinished, whole)
    state = other / unfinished.name / "state.pth"
    state.rmdir() if state.is_dir() else state.unlink()
    succeed("train", "--seed=1", "--root=other")
    assert_same_run(other / unfinished.name, whole)


# ---- config.json, summary.json, metrics.csv


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def write_list(path: Path) -> None:
    path.write_text("[1, 2]")


def write_empty_object(path: Path) -> None:
    path.write_text("{}")


def write_deep(path: Path) -> None:
    path.write_text("[" * 100_000)


TEXT_DAMAGE = [half, empty, write_list, write_noise, write_deep]


@pytest.mark.parametrize("damage", [*TEXT_DAMAGE, write_empty_object])
@pytest.mark.parametrize(
    ("name", "script"), [("summary.json", "train"), ("summary.json", "prune"), ("config.json", "train")]
)
def test_a_damaged_json_file(runs, place, name, script, damage):
    dense, _, _ = runs
    damage(dense / name)
    before = snapshot(place)
    is_no_run = damage is write_empty_object and name == "config.json"
    words = ["a run of an earlier format"] if is_no_run else [name]
    outcome = call(script, *(["--prune_at=10"] if script == "prune" else []))
    assert_refused(outcome, *words, str(dense.relative_to(place)))
    assert snapshot(place) == before


@pytest.mark.parametrize("damage", [*TEXT_DAMAGE, write_empty_object])
def test_a_damaged_config_of_an_unfinished_run(runs, place, damage):
    _, _, unfinished = runs
    damage(unfinished / "config.json")
    before = snapshot(place)
    assert_refused(call("train", "--seed=1"), unfinished.name)
    assert snapshot(place) == before


@pytest.mark.parametrize(
    "values",
    [
        {"content": {}},
        {"content": {"data": None}},
        {"content": 5},
        {"asked_for": []},
        {"asked_for": [5]},
        {"asked_for": [{"task": "modular"}, None]},
        {"id": 7},
        {"code": None},
        {"machine": []},
        {"population": "no"},
        {"threads": "1"},
        {"training": []},
        {"mask_weights": 1},
        {"config": "none"},
    ],
)
def test_a_config_json_with_a_value_of_the_wrong_shape(runs, place, values):
    dense, _, _ = runs
    path = dense / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    before = snapshot(place)
    assert_refused(call("train"), "config.json is damaged")
    assert_refused(call("prune", "--prune_at=10"), "config.json is damaged")
    assert snapshot(place) == before


def test_a_damaged_neighbour_stops_no_other_run(runs):
    half(runs[0] / "config.json")
    succeed("train", "--seed=2")


def test_a_run_of_an_earlier_format_or_another_program(runs, place):
    dense, _, _ = runs
    for foreign in ({"identity": {}, "config": {}}, {"format": 1}, {"format": 3}, {"learning_rate": 0.1}):
        (dense / "config.json").write_text(json.dumps(foreign))
        assert_refused(call("train"), f"{dense.relative_to(place)} is a run of an earlier format", "use another --root")


def shorten_a_row(path: Path) -> None:
    path.write_text(path.read_text().rstrip()[:-30] + "\n")


def write_words(path: Path) -> None:
    path.write_text(path.read_text().replace("0", "o"))


def cut_at_a_line(path: Path) -> None:
    """As after a copy that was cut short: every row that is left is whole."""
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-5]))


def drop_a_middle_row(path: Path) -> None:
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:9] + lines[10:]))


def drop_header(path: Path) -> None:
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))


def write_long_cell(path: Path) -> None:
    path.write_text("x" * 200_000)


@pytest.mark.parametrize(
    "damage",
    [
        cut_at_a_line,
        drop_a_middle_row,
        shorten_a_row,
        empty,
        write_noise,
        write_words,
        drop_header,
        write_long_cell,
        make_folder,
    ],
)
@pytest.mark.parametrize("script", ["train", "prune"])
def test_a_damaged_metrics_csv(runs, place, script, damage):
    dense, _, _ = runs
    damage(dense / "metrics.csv")
    before = snapshot(place)
    flags = [] if script == "train" else ["--prune_at=20"]
    assert_refused(call(script, *flags), str(dense.relative_to(place) / "metrics.csv"))
    after = snapshot(place)
    assert before.items() <= after.items()


# ---- folders


@pytest.mark.parametrize("flags", [[], ["--rerun"]])
def test_a_folder_that_holds_something_else(place, flags):
    succeed("train", "--root=clean")
    name = run_folders("clean")[0][0].name
    folder = place / "runs" / name
    folder.mkdir(parents=True)
    (folder / "thesis.tex").write_text("years of work")
    before = snapshot(folder)
    assert_refused(call("train", *flags), f"{name} holds something that is no run; move it away")
    assert snapshot(folder) == before
    assert [path.name for path in (place / "runs").iterdir()] == [name]


def test_a_file_where_the_folder_or_the_root_should_be(place):
    succeed("train", "--root=clean")
    name = run_folders("clean")[0][0].name
    (place / "runs").mkdir()
    (place / "runs" / name).write_text("a file")
    assert_refused(call("train"), name)
    assert_refused(call("train", f"--root=runs/{name}"), name)
    assert (place / "runs" / name).read_text() == "a file"


# ---- disks


def test_a_full_disk_while_training(place, undisturbed_bytes):
    """The disk takes no byte more from some moment on: what was saved stays readable, and the run goes on later."""
    whole, size = undisturbed_bytes
    for limit in (0, 100, size // 2, size - 1):
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            outcome = call("train", f"--root=limit{limit}")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert outcome.status == 2, (limit, outcome)
        assert len(outcome.err.strip().splitlines()) == 1, outcome.err
        assert not list(Path(f"limit{limit}").rglob("*.tmp")), "a file that could not be written is taken away"
        succeed("train", f"--root=limit{limit}")
        ((folder,), _) = run_folders(f"limit{limit}")
        assert_same_run(folder, whole)


@pytest.fixture
def undisturbed_bytes(place):
    succeed("train", "--root=undisturbed")
    ((folder,), _) = run_folders("undisturbed")
    return folder, (folder / "state.pth").stat().st_size


@pytest.mark.parametrize("function", ["fsync", "replace", "chmod"])
@pytest.mark.parametrize("after", [0, 3])
def test_a_disk_that_fails(place, monkeypatch, function, after, undisturbed_bytes):
    whole, _ = undisturbed_bytes
    calls = iter(range(10**9))
    real = getattr(os, function)

    def fail(*args, **kwargs):
        if next(calls) >= after:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(files.os, function, fail)
        assert_refused(call("train"), "cannot write runs/", "no space left on device", "the same command goes on")
    assert not list(Path("runs").rglob("*.tmp"))
    for path in Path("runs").glob("*/*.pth"):
        load(path)
    succeed("train")
    assert_same_run(run_folders("runs")[0][0], whole)


def test_a_full_disk_as_torch_reports_it(place, monkeypatch):
    def fail(value, file):
        file.write(b"half a fi")
        raise RuntimeError("[enforce fail at inline_container.cc:664] . unexpected pos 64 vs 0\nmore lines")

    monkeypatch.setattr(files.torch, "save", fail)
    assert_refused(call("train"), "init.pth", "is the disk full?")
    assert not list(Path("runs").rglob("*.tmp"))


def test_a_full_disk_loses_no_finished_run(runs, place, monkeypatch):
    monkeypatch.setattr(files.os, "fsync", lambda _: _raise(OSError(errno.ENOSPC, "No space left on device")))
    before = snapshot(place)
    assert_refused(call("prune", "--prune_at=20", "--pruning_rate=0.5"), "config.json", "no space left on device")
    after = snapshot(place)
    assert before.items() <= after.items()
    assert "is finished and is reused" in call("train").out


def test_a_read_only_folder(runs, place, monkeypatch):
    """A process with root's rights may write anywhere, so it is the calls that are refused here."""
    for folder in ("runs", "readonly"):
        Path(folder).mkdir(exist_ok=True)

    def fail(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system", "runs")

    before = snapshot(place)
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "mkstemp", fail)
        patch.setattr(Path, "mkdir", fail)
        patch.setattr(Path, "open", fail)
        assert_refused(call("train", "--seed=3"), "Read-only file system")
        assert_refused(call("train", "--seed=1"), "Read-only file system")
    assert snapshot(place) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere; the test above stands in")
def test_a_folder_without_permission(place):
    (place / "runs").mkdir(mode=0o555)
    assert_refused(call("train"), "Permission denied", "runs")


def test_the_flags_all_above_differ_from_are_fine(place):
    assert succeed("train").err == ""


# ---- what a process is given to print to


def as_process(*command: str, **env) -> subprocess.CompletedProcess:
    line = " ".join([shlex.quote(sys.executable), *command])
    env = {**os.environ, "OMP_NUM_THREADS": "1", **env}
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=120, env=env)


TRAIN = f"{REPOSITORY}/train.py {' '.join(TINY)}"


@pytest.mark.slow
def test_streams_that_are_closed_or_lack_a_letter_end_no_training(place):
    for number, closed in enumerate(("2>&-", ">&-", ">&- 2>&-")):
        done = as_process(TRAIN, f"--root=closed{number}", closed)
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), done
        assert len(list(place.glob(f"closed{number}/*/summary.json"))) == 1
    done = as_process(TRAIN, "--root=dé", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert "run folder: d\\xe9/" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("script", ["train", "main", "prune", "sweep", "report"])
def test_help_without_docstrings(place, script):
    done = as_process("-OO", f"{REPOSITORY}/{script}.py", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "--root" in done.stdout or script == "sweep"
