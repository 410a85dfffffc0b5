"""What a user can get wrong: one short message, exit status 2, and nothing lost or overwritten."""

import errno
import json
import os
import pickle
import resource
import shutil
import tempfile
from pathlib import Path

import pytest
import torch
from scripts import TINY_TRANSFORMER, assert_refused, assert_same_run, call, load, run_folders, snapshot, succeed

import visualize
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
        ("train", ["--d_mlp=2"], ["--d_mlp"]),
        ("train", ["--pruning_rate=0.5"], ["--pruning_rate"]),
        ("prune", ["--stage=all"], ["--stage"]),
        ("main", ["--num_heads=2"], ["--num_heads"]),
        ("main", ["--weight-deca=2"], ["--weight"]),
        # of the wrong type, or without a value
        ("train", ["--p=seven"], ["--p", "'seven'"]),
        ("train", ["--p"], ["--p"]),
        ("train", ["--num_epochs=2.5"], ["--num_epochs", "'2.5'"]),
        ("train", ["--lr=fast"], ["--lr", "'fast'"]),
        ("train", ["--seed=1.5"], ["--seed"]),
        ("train", ["--betas=0.9"], ["--betas"]),
        ("train", ["--is_symmetric_input=maybe"], ["--is_symmetric_input"]),
        ("train", ["--stopping_thresh=low"], ["--stopping_thresh"]),
        ("prune", ["--use_mask=2"], ["--use_mask"]),
        ("prune", ["--global_pruning=2"], ["--global_pruning"]),
        ("prune", ["--retrain_lr=fast"], ["--retrain_lr"]),
        ("prune", ["--generalization_epoch=late"], ["--generalization_epoch"]),
        # out of range
        ("train", ["--p=1"], ["p must be", "at least 2", "1"]),
        ("train", ["--p=-7"], ["p must be", "at least 2"]),
        ("train", ["--frac_train=0"], ["frac_train must be", "above 0", "below 1"]),
        ("train", ["--frac_train=1"], ["frac_train must be", "above 0", "below 1"]),
        ("train", ["--frac_train=0.03"], ["frac_train 0.03 leaves the training set of 28 pairs empty"]),
        ("train", ["--frac_train=0.99999999999999999"], ["frac_train must be"]),
        ("train", ["--fn_name=divide", "--p=9"], ["prime", "9"]),
        ("train", ["--lr=nan"], ["lr must be a finite number", "nan"]),
        ("train", ["--lr=inf"], ["lr must be a finite number", "inf"]),
        ("train", ["--lr=-0.1"], ["lr must be", "at least 0"]),
        ("train", ["--weight_decay=-inf"], ["weight_decay must be a finite number"]),
        ("train", ["--weight_decay=-1"], ["weight_decay must be", "at least 0"]),
        ("train", ["--betas", "0.9", "1"], ["betas must be", "below 1"]),
        ("train", ["--betas", "nan", "0.9"], ["betas must be"]),
        ("train", ["--weight_scale=0"], ["weight_scale must be", "above 0"]),
        ("train", ["--lp=0.5"], ["lp must be", "at least 1"]),
        ("train", ["--lp_alpha=-1"], ["lp_alpha must be"]),
        ("train", ["--stopping_thresh=0"], ["stopping_thresh must be", "above 0"]),
        ("train", ["--stopping_thresh=nan"], ["stopping_thresh must be"]),
        ("train", ["--num_epochs=0"], ["num_epochs must be", "at least 1"]),
        ("train", ["--save_every=0"], ["save_every must be", "at least 1"]),
        ("train", ["--seed=-1"], ["seed must be", "at least 0"]),
        ("train", ["--threads=-1"], ["threads must be"]),
        ("train", ["--d_model=0"], ["d_model must be"]),
        ("train", ["--d_emb=-1"], ["d_emb must be"]),
        ("train", ["--num_layers=-1"], ["num_layers must be"]),
        ("train", ["--gen_threshold=95"], ["gen_threshold must be", "at most 1"]),
        ("prune", ["--pruning_rate=1.5"], ["pruning_rate must be", "at most 1", "1.5"]),
        ("prune", ["--pruning_rate=-0.1"], ["pruning_rate must be", "at least 0"]),
        ("prune", ["--pruning_rate=nan"], ["pruning_rate must be", "nan"]),
        ("main", ["--pruning_rate=60"], ["pruning_rate must be"]),
        ("prune", ["--retrain_lr=nan"], ["retrain_lr must be"]),
        ("prune", ["--retrain_num_epochs=0"], ["retrain_num_epochs must be"]),
        ("prune", ["--memorization_epoch=-1"], ["memorization_epoch must be"]),
        # no such operation, pruner, stage ...
        ("train", ["--fn_name=plus"], ["'plus'", "'add', 'subtract', 'multiply'"]),
        ("train", ["--fn_name=../../plus"], ["'add', 'subtract', 'multiply'"]),
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
        ("train", ["--device=cuda:7"], ["device cuda:7 is not there", "--device cpu"]),
        ("prune", ["--device=cuda:7"], ["--device cpu"]),
        ("main", ["--device=nonsense"], ["device nonsense is not there", "--device cpu"]),
        ("train", ["--device=meta"], ["device meta is not there", "--device cpu"]),
        ("train", ["--device=mps"], ["device mps is not there", "--device cpu"]),
        ("train", ["--device="], ["--device cpu"]),
        # no such dense run
        ("prune", ["--seed=5"], ["there is no finished dense run", "python train.py --config"]),
        ("prune", ["--seed=1"], ["there is no finished dense run", "python train.py --config"]),
        ("prune", ["--dense_run=nowhere"], ["nowhere/config.json is not there"]),
        ("prune", ["--dense_run=runs"], ["runs/config.json is not there"]),
        ("main", ["--stage=retrain", "--seed=5"], ["there is no finished dense run"]),
        ("prune", ["--prune_at=11"], ["epoch 11 was not saved", "saved are 0, 10, 20, 30"]),
        ("main", ["--prune_at=11"], ["epoch 11 was not saved", "saved are 0, 10, 20, 30"]),
        ("prune", ["--prune_at=99999999999999999999"], ["was not saved"]),
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
        ("mine.py", "", ["config mine.py defines no `config`"]),
        ("mine.py", "config = {'p': 7}", ["`config` in mine.py is a dict"]),
        ("mine.py", "config = 1 / 0", ["config mine.py raises ZeroDivisionError: division by zero"]),
        ("mine.py", "config = (", ["config mine.py raises SyntaxError"]),
        ("mine.py", "import no_such_module", ["config mine.py raises ModuleNotFoundError"]),
        ("mine.py", "raise SystemExit(0)", ["config mine.py raises SystemExit"]),
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
@pytest.mark.parametrize("script", ["main", "train", "prune"])
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


@pytest.mark.parametrize("damage", [*UNREADABLE, *FOREIGN, write_other_shapes, write_not_finite])
@pytest.mark.parametrize("script", ["prune", "main"])
def test_a_damaged_checkpoint_of_the_dense_run(runs, place, script, damage):
    dense, _, _ = runs
    damage(dense / "20.pth")
    before = snapshot(place)
    assert_refused(call(script, "--prune_at=20", "--pruning_rate=0.5"), "20.pth")
    assert snapshot(place) == before, "nothing is made, nothing is lost, nothing in the file is executed"


@pytest.mark.parametrize("damage", [Path.unlink, *UNREADABLE, *FOREIGN, write_other_shapes, write_not_finite])
def test_a_damaged_init_of_the_dense_run(runs, place, damage):
    dense, _, _ = runs
    damage(dense / "init.pth")
    before = snapshot(place)
    assert_refused(call("prune", "--prune_at=20", "--pruning_rate=0.5"), "init.pth")
    after = snapshot(place)
    assert before.items() <= after.items()
    assert "executed" not in after
    assert not [name for name in after if "magnitude0.5" in name and "summary" in name]


@pytest.mark.parametrize("flags", [[], ["--prune_at=20", "--pruning_rate=0.3"], ["--prune_at=memorization"]])
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
    ],
)
def test_a_summary_with_a_value_of_the_wrong_type(runs, place, name, value):
    dense, _, _ = runs
    path = dense / "summary.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
    assert_refused(call("train"), "summary.json is damaged", f"{name} is {value!r}")


def test_a_checkpoint_that_is_missing(runs, place):
    dense, _, _ = runs
    (dense / "20.pth").unlink()
    before = snapshot(place)
    outcome = call("prune", "--prune_at=20", "--pruning_rate=0.5")
    assert_refused(outcome, "epoch 20 was not saved", "saved are 0, 10, 30")
    assert snapshot(place) == before


@pytest.mark.parametrize("damage", [*UNREADABLE, *FOREIGN, write_not_finite])
def test_a_damaged_file_for_visualize(runs, place, damage, capsys):
    dense, ticket, _ = runs
    damage(shutil.copy(dense / "20.pth", "weights.pth") and place / "weights.pth")
    flags = f"--grok_weight_path weights.pth --weight_folder {dense} --ticket_folder {ticket} --output_folder out"
    before = snapshot(place / "runs")
    assert visualize.main(flags.split()) == 2
    error = capsys.readouterr().err
    assert "weights.pth" in error
    assert len(error.strip().splitlines()) == 1
    assert snapshot(place / "runs") == before
    assert not (place / "executed").exists()


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


@pytest.mark.parametrize(
    "damage",
    [
        *UNREADABLE,
        *FOREIGN,
        write_other_shapes,
        write_state_without_rows,
        write_rows_as_text,
        write_other_optimizer,
    ],
)
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
    assert_refused(call(script, *(["--prune_at=20"] if script == "prune" else [])), name, str(dense.relative_to(place)))
    assert snapshot(place) == before


@pytest.mark.parametrize("damage", [*TEXT_DAMAGE, write_empty_object])
def test_a_damaged_config_of_an_unfinished_run(runs, place, damage):
    _, _, unfinished = runs
    damage(unfinished / "config.json")
    before = snapshot(place)
    assert_refused(call("train", "--seed=1"), unfinished.name)
    assert snapshot(place) == before


@pytest.mark.parametrize("damage", [half, write_empty_object, write_list])
def test_a_damaged_config_of_a_dense_run_that_is_named(runs, place, damage):
    dense, _, _ = runs
    damage(dense / "config.json")
    before = snapshot(place)
    assert_refused(call("prune", f"--dense_run={dense}", size=()), "config.json")
    assert snapshot(place) == before


def test_a_setting_in_config_json_that_is_out_of_range(runs, place):
    dense, _, _ = runs
    text = (dense / "config.json").read_text()
    (dense / "config.json").write_text(text.replace('"p": 7', '"p": 1'))
    assert_refused(call("prune", f"--dense_run={dense}", size=()), "p must be")


def test_a_damaged_neighbour_does_not_stop_a_run(runs):
    dense, _, _ = runs
    half(dense / "config.json")
    assert succeed("train", "--seed=2").status == 0


def shorten_a_row(path: Path) -> None:
    path.write_text(path.read_text().rstrip()[:-30] + "\n")


def write_words(path: Path) -> None:
    path.write_text(path.read_text().replace("0", "o"))


def cut_at_a_line(path: Path) -> None:
    """As after a copy that was cut short: every row that is left is whole."""
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-5]))


def drop_header(path: Path) -> None:
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))


def write_long_cell(path: Path) -> None:
    path.write_text("x" * 200_000)


@pytest.mark.parametrize(
    "damage", [cut_at_a_line, shorten_a_row, empty, write_noise, write_words, drop_header, write_long_cell, make_folder]
)
@pytest.mark.parametrize("script", ["train", "prune", "main"])
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
    outcome = call("train", *flags)
    if flags:  # moved aside, as it was
        assert outcome.status == 0
        assert snapshot(folder.with_name(f"{name}.old1")) == before
    else:
        assert_refused(outcome, f"{name} holds something that is no run")
        assert snapshot(folder) == before
        assert [path.name for path in (place / "runs").iterdir()] == [name]


@pytest.mark.parametrize("is_finished", [True, False])
def test_a_folder_that_holds_another_run(place, is_finished):
    succeed("train")
    succeed("train", "--seed=1", "--root=other")
    ((mine,), _), ((other,), _) = run_folders("runs"), run_folders("other")
    shutil.rmtree(mine)
    shutil.copytree(other, mine)
    if not is_finished:
        (mine / "summary.json").unlink()
    before = snapshot(place)
    assert_refused(call("train"), f"{mine.relative_to(Path())} holds another run", "--root")
    assert snapshot(place) == before
    assert_refused(call("prune", "--prune_at=20"), mine.name)
    assert snapshot(place) == before


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
@pytest.mark.parametrize("after", [0, 1, 3, 7])
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
    ((folder,), _) = run_folders("runs")
    for path in folder.glob("*.pth"):
        load(path)
    succeed("train")
    assert_same_run(folder, whole)


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
