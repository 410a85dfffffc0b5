"""What a user can get wrong: one short message, exit status 2, and nothing lost or overwritten."""

import errno
import itertools
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
import sweeps
import torch
from scripts import (
    REPOSITORY,
    TINY,
    TINY_TRANSFORMER,
    assert_refused,
    assert_same_run,
    call,
    change_json,
    config_of,
    lines,
    load,
    run_folders,
    snapshot,
    succeed,
)

pytestmark = pytest.mark.filterwarnings("error")  # a warning would be more than one short message


@pytest.fixture
def unfinished(runs):
    """The folder of a run with seed 1 that is to be gone on with, beside the others."""
    succeed("train", "--seed=1")
    (folder,) = Path("runs").glob("*seed1*")
    (folder / "summary.json").unlink()
    return folder


# ---- flags

WRONG_FLAGS = """
    # unknown
    train --bogus=1: --bogus
    train bogus: bogus
    train --num_heads=2: --num_heads
    prune --stage=all: --stage
    main --weight-deca=2: Unrecognized options: --weight-deca=2 ... perhaps you meant --weight_decay
    # of the wrong type, or without a value
    train --p=seven: --p ... 'seven'
    train --p: --p
    train --lr=fast: --lr ... 'fast'
    train --is_symmetric_input=maybe: --is_symmetric_input
    prune --generalization_epoch=late: --generalization_epoch: it must be INT|{auto}, not ['late']
    prune --rewind_to=abc: --rewind_to: it must be INT|{prune_at}, not ['abc']; see prune.py --help
    prune --retrain_save_at x: --retrain_save_at ... 'x'
    # out of range
    train --p=1: p must be ... at least 2 ... 1
    train --frac_train=0: frac_train must be ... above 0 ... below 1
    train --frac_train=0.99999999999999999: frac_train must be ... above 0 ... below 1
    train --frac_train=0.03: frac_train 0.03 leaves the training set of 28 rows empty
    train --fn_name=divide --p=9: prime ... 9
    train --lr=nan: lr must be a finite number ... nan
    train --lr=-0.1: lr must be ... at least 0
    train --weight_decay=-inf: weight_decay must be a finite number
    train --weight_scale=0: weight_scale must be ... above 0
    train --lp=0.5: lp must be ... at least 1
    train --stopping_thresh=0: stopping_thresh must be ... above 0
    train --num_epochs=0: num_epochs must be ... at least 1
    train --save_every=0: save_every must be ... at least 1
    train --seed=-1: seed must be ... at least 0
    train --threads=-1: threads must be
    train --d_model=0: d_model must be
    train --num_layers=-1: num_layers must be
    train --gen_threshold=95: gen_threshold must be ... at most 1
    main --pruning_rate=60: pruning_rate must be ... at most 1 ... 60
    prune --retrain_lr=nan: retrain_lr must be
    prune --memorization_epoch=-1: memorization_epoch must be
    prune --pruning_iterations=0: pruning_iterations must be ... at least 1
    prune --pruning_iterations=5000: pruning_iterations must be ... at most 100
    # no such operation, pruner, stage ...
    train --fn_name=plus: 'plus' ... 'add', 'subtract', 'multiply'
    train --fn_name=: 'add', 'subtract', 'multiply'
    train --act_type=tanh: tanh ... relu
    prune --pruner=biggest: biggest ... magnitude ... random
    prune --scope=layer: layer ... global ... local
    prune --prune_at=late: 'late' ... init, memorization, generalization or an epoch
    prune --checkpoint=-5: -5
    prune --checkpoint=1e3: '1e3' ... init, memorization, generalization or an epoch
    main --stage=test: test ... train_full
    main --dataset=cifar: cifar ... modular_addition
    # no such device
    train --device=cuda: device cuda is not there ... --device cpu
    main --device=nonsense: device nonsense is not there ... --device cpu
    train --device=meta: device meta is not there ... --device cpu
    train --device=: --device cpu
    # no such dense run
    prune --seed=5: there is no finished dense run ... python main.py
    main --stage=retrain --seed=5: there is no finished dense run
    prune --prune_at=11: epoch 11 was not saved ... saved are 0, 10, 20, 30
    main --prune_at=11: epoch 11 was not saved ... saved are 0, 10, 20, 30
    prune --prune_at=99999999999999999999: was not saved
    prune --rewind_to=11: rewind_to 11: it was not saved ... saved are 0, 10, 20, 30
    # empty
    train --root=: --root is empty
    main --config=: --config is empty
    prune --mask=: mask must be a mask.pth or the folder of a ticket
    # two names of one setting
    main --prune_at=init --checkpoint=generalization: --prune_at ... --checkpoint ... two names of one setting
    prune --checkpoint=generalization --prune-at init: --prune_at ... --checkpoint ... two names of one setting
    # the Transformer
    train --config=configs/config_transformer.py --num_heads=4: d_model 6 is not divisible by num_heads 4
    train --config=configs/config_transformer.py --num_heads=0: num_heads must be
    train --config=configs/config_transformer.py --num_layers=0: num_layers must be
    train --config=configs/config_transformer.py --d_emb=5: --d_emb
    # sweeps
    sweep --config=my_sweep.py --list --num_tasks=0: --num_tasks is 1 or more
    sweep --config=my_sweep.py --list --index=-1: --index and --workers are 0 or more
    sweep --config=my_sweep.py --list --workers=-1: --index and --workers are 0 or more
    sweep --config=my_sweep.py --list --workers=two: --workers ... 'two'
    sweep --config=my_sweep.py --list --seeds: at least one seed
    sweep --config=my_sweep.py --list --output=: --output is empty
    sweep --config=my_sweep.py --list --bogus: --bogus
"""
SIZES = {"sweep": (), "--config=configs/config_transformer.py": TINY_TRANSFORMER}


@pytest.mark.parametrize("case", lines(WRONG_FLAGS))
def test_a_wrong_flag(runs, place, case, monkeypatch):
    command, words = case.split(": ", 1)
    script, *flags = command.split()
    size = SIZES.get(script, SIZES.get(flags[0], TINY))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    sweeps.write()
    before = snapshot(place)
    assert_refused(call(script, *flags, size=size), *words.split(" ... "))
    assert snapshot(place) == before


def test_a_gpu_that_cannot_be_used(place, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("No CUDA GPUs are available")

    monkeypatch.setattr(torch, "zeros", fail)
    assert_refused(call("train", "--device=cuda:7"), "--device cpu")
    assert not list(place.iterdir())


def test_a_chain_of_the_most_rounds_is_planned_and_walked(place):
    """A hundred rounds of iterative pruning, each of which needs the one before."""
    assert_refused(call("prune", "--pruning_iterations=100"), "there is no finished dense run")


# ---- config modules


def test_a_config_of_ones_own(place):
    Path("mine.py").write_text(
        "from configs.ticket import MLPTicketConfig\n"
        "width = 3 + 3\n"
        "config = MLPTicketConfig(p=7, d_emb=8, d_model=width, num_epochs=12, fn_name='x2y2', pruning_rate=0.25,\n"
        "                         device='cpu', threads=1, prune_at='12')\n"
    )
    succeed("main", "--config=mine.py", "--seed=7", size=())
    (dense,), (ticket,) = run_folders("runs")
    assert load(ticket / "mask.pth")["pruning_rate"] == 0.25
    assert load(dense / "final.pth")["model"]["W_inproj"].shape == (6, 8)
    stored = config_of(dense)["config"]
    assert (stored["fn_name"], stored["seed"]) == ("x2y2", 7)
    # The same by flags alone, and train.py takes the dense part of a ticket's config.
    flags = ("--p=7", "--d_emb=8", "--d_model=6", "--num_epochs=12", "--fn_name=x2y2", "--seed=7", "--device=cpu")
    assert "is finished and is reused" in call("train", *flags, size=())
    assert "is finished and is reused" in call("train", f"--config={place / 'mine.py'}", "--seed=7", size=())


MLP = "from configs.base import MLPConfig\nconfig = MLPConfig"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "config mine.py is not there"),
        ("settings = 1", "config mine.py defines no `config`"),
        ("config = {'p': 7}", "`config` in mine.py is a dict"),
        ("config = 1 / 0", "config mine.py raises ZeroDivisionError: division by zero"),
        ("config = (", "config mine.py raises SyntaxError"),
        ("raise SystemExit(0)", "config mine.py raises SystemExit"),
        ("class Odd(BaseException): pass\nraise Odd('boo')", "config mine.py raises Odd: boo"),
        ("def deeper(): deeper()\ndeeper()", "config mine.py raises RecursionError"),
        ("import sys\nsys.stdout = None", "config mine.py closes or replaces sys.stdout"),
        ("raise ValueError('two\\nlines')", "config mine.py raises ValueError: two lines"),
        (b"\xff\xfe\x00", "config mine.py raises"),
        (f"{MLP}(p=1)", "config mine.py: p must be a whole number at least 2"),
        (f"{MLP}(p='7')", "config mine.py: p must be a whole number"),
        (f"{MLP}(num_heads=2)", "config mine.py raises TypeError"),
        (f"{MLP}(is_symmetric_input=1)", "is_symmetric_input must be True or False"),
    ],
)
def test_a_wrong_config_module(place, text, words):
    if text is not None:
        Path("mine.py").write_bytes(text if isinstance(text, bytes) else text.encode())
    before = snapshot(place)
    assert_refused(call("main", "--config=mine.py", size=()), words)
    assert snapshot(place) == before


def test_a_config_that_is_no_module_or_for_another_script(place):
    for name in ("mine.yaml", "mine"):
        Path(name).write_text("p: 7")
    Path("folder.py").mkdir()
    for name, words in (
        ("mine.yaml", "config mine.yaml is no Python module"),
        ("mine", "config mine is no Python module"),
        ("folder.py", "config folder.py is not there"),
        ("configs/config.py", "config configs/config.py describes a dense run"),
    ):
        assert_refused(call("prune", f"--config={name}", size=()), words)


# ---- checkpoints


class Payload:
    """Unpickled carelessly, it makes a file."""

    def __reduce__(self):
        return os.mkdir, ("executed",)


def saved(change):
    """A damage: the file holds what ``change`` makes of what it held."""
    return lambda path: torch.save(change(load(path)), path)


def saved_model(change):
    """The same for the weights, each by itself."""
    return saved(lambda value: value | {"model": {name: change(weight) for name, weight in value["model"].items()}})


def saved_mask(change):
    """The same for a mask, which is then of nobody's run."""
    return saved(lambda value: {"mask": {name: change(kept) for name, kept in value["mask"].items()}})


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def without_the_last_column(value: dict) -> dict:
    return value | {"model": value["model"] | {"W_E": value["model"]["W_E"][:, :-1]}}


MALICIOUS = {"model": {}, "epoch": 20, "payload": Payload()}
UNREADABLE = {
    "cut": half,
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("These are not the weights you are looking for.\n"),
    "noise": lambda path: path.write_bytes(bytes(range(256)) * 9),
    "pickle": lambda path: path.write_bytes(pickle.dumps(MALICIOUS)),
    "zip": lambda path: torch.save(MALICIOUS, path),
    "module": lambda path: torch.save(torch.nn.Linear(2, 2), path),
    "folder": make_folder,
}
MODELS = {
    "state dict": saved(lambda value: value["model"]),
    "other matrices": saved(lambda value: {"model": {"W_E": torch.zeros(3, 4)}, "epoch": 20}),
    "other shapes": saved(without_the_last_column),
    "no tensors": saved(lambda value: {"model": {"W_E": "a text"}, "epoch": 20}),
    "epoch as text": saved(lambda value: value | {"epoch": "20"}),
    "not finite": saved_model(lambda weight: weight / 0),
    "sparse": saved_model(lambda weight: weight.to_sparse()),
    "complex": saved_model(lambda weight: weight.to(torch.complex64)),
    "whole numbers": saved_model(lambda weight: weight.to(torch.int64)),
    "eight bits": saved_model(lambda weight: weight.to(torch.float8_e4m3fn)),
    "float64": saved_model(lambda weight: weight.double()),
    "on no device": saved_model(lambda weight: weight.to("meta")),
}
MASKS = {
    "sparse": saved_mask(lambda kept: kept.to_sparse()),
    "float": saved_mask(lambda kept: kept.float()),
    "shorter": saved_mask(lambda kept: kept[1:]),
}


def test_the_malicious_files_are_malicious(place):
    UNREADABLE["pickle"](place / "file")
    pickle.loads((place / "file").read_bytes())
    assert (place / "executed").exists()
    (place / "executed").rmdir()
    UNREADABLE["zip"](place / "file")
    torch.load(place / "file", weights_only=False)
    assert (place / "executed").exists()


@pytest.mark.parametrize("how", UNREADABLE | MODELS)
def test_a_damaged_checkpoint_of_the_dense_run(runs, place, how):
    dense, _ = runs
    (UNREADABLE | MODELS)[how](dense / "20.pth")
    before = snapshot(place)
    assert_refused(call("prune", "--prune_at=20", "--pruning_rate=0.5"), "20.pth")
    after = snapshot(place)
    assert before.items() <= after.items()
    assert not [name for name in after if "executed" in name or ("magnitude0.5" in name and name.endswith(".json"))]


@pytest.mark.parametrize("how", UNREADABLE | MASKS)
def test_a_mask_that_is_none(runs, place, how):
    given = shutil.copy(runs[1] / "mask.pth", place / "given.pth")
    (UNREADABLE | MASKS)[how](Path(given))
    assert_refused(call("prune", "--mask=given.pth"), "" if how == "shorter" else "given.pth")
    assert not (place / "executed").exists()


INITS = {"lost": Path.unlink, "cut": half} | {how: MODELS[how] for how in ("other matrices", "not finite")}


@pytest.mark.parametrize("how", INITS)
def test_a_damaged_init_of_the_dense_run(runs, place, how):
    INITS[how](runs[0] / "init.pth")
    before = snapshot(place)
    what = "rewind_to 0: it was not saved" if how == "lost" else "init.pth"
    assert_refused(call("prune", "--prune_at=20", "--pruning_rate=0.5"), what)
    after = snapshot(place)
    assert before.items() <= after.items()
    assert not [name for name in after if "executed" in name or ("magnitude0.5" in name and "summary" in name)]


def test_a_finished_run_that_lacks_a_checkpoint(runs, place):
    """An earlier checkpoint must not pass for the last one."""
    dense, _ = runs
    for name, flags, words in (
        ("20.pth", ["--prune_at=20"], ["epoch 20 was not saved", "saved are 0, 10, 30"]),
        ("final.pth", [], ["final.pth of epoch 30 is not there", dense.name]),
        ("final.pth", ["--prune_at=10"], ["final.pth of epoch 30 is not there", dense.name]),
    ):
        (dense / name).unlink(missing_ok=True)
        before = snapshot(place)
        assert_refused(call("main", "--stage=prune", "--pruning_rate=0.3", *flags), *words)
        assert snapshot(place) == before


# ---- state.pth


def of_a_smaller_network(value: dict) -> dict:
    return value | {"optimizer": value["optimizer"] | {"exp_avg": value["optimizer"]["exp_avg"][:-1]}}


STATES = {how: UNREADABLE[how] for how in ("cut", "pickle", "folder")}
STATES |= {how: MODELS[how] for how in ("state dict", "no tensors", "other shapes")}
STATES |= {
    "without rows": saved(lambda value: {name: content for name, content in value.items() if name != "rows"}),
    "rows as text": saved(lambda value: value | {"rows": "none"}),
    "other optimizer": saved(of_a_smaller_network),
}


@pytest.mark.parametrize("how", STATES)
def test_a_damaged_state_is_refused_and_rerun_or_deleting_it_helps(unfinished, place, how):
    whole = shutil.copytree(unfinished, place / "whole")
    STATES[how](unfinished / "state.pth")
    before = snapshot(place)
    assert_refused(call("train", "--seed=1"), "optimizer" if how == "other optimizer" else "state.pth")
    assert snapshot(place) == before
    other = shutil.copytree("runs", place / "other") / unfinished.name
    succeed("train", "--seed=1", "--rerun")
    assert_same_run(unfinished, whole)
    state = other / "state.pth"
    state.rmdir() if state.is_dir() else state.unlink()
    succeed("train", "--seed=1", "--root=other")
    assert_same_run(other, whole)


# ---- config.json, summary.json, metrics.csv


TEXTS = {how: UNREADABLE[how] for how in ("cut", "empty", "noise")}
JSONS = TEXTS | {
    "list": lambda path: path.write_text("[1, 2]"),
    "empty object": lambda path: path.write_text("{}"),
    "deep": lambda path: path.write_text("[" * 100_000),
}


@pytest.mark.parametrize("how", JSONS)
@pytest.mark.parametrize("name", ["summary.json", "config.json"])
def test_a_damaged_json_file(runs, place, name, how):
    dense, _ = runs
    JSONS[how](dense / name)
    before = snapshot(place)
    is_no_run = how == "empty object" and name == "config.json"
    assert_refused(call("train"), "a run of an earlier format" if is_no_run else name, str(dense))
    if name == "summary.json":
        assert_refused(call("prune", "--prune_at=10"), name, str(dense))
    assert snapshot(place) == before


@pytest.mark.parametrize("how", JSONS)
def test_a_damaged_config_of_an_unfinished_run(unfinished, place, how):
    JSONS[how](unfinished / "config.json")
    before = snapshot(place)
    assert_refused(call("train", "--seed=1"), unfinished.name)
    assert snapshot(place) == before


WRONG_VALUES = """
    config.json: {"content": {}}
    config.json: {"content": {"data": null}}
    config.json: {"asked_for": []}
    config.json: {"asked_for": [{"task": "modular"}, null]}
    config.json: {"id": 7}
    config.json: {"code": null}
    config.json: {"machine": []}
    config.json: {"population": "no"}
    config.json: {"threads": "1"}
    config.json: {"training": []}
    config.json: {"mask_weights": 1}
    config.json: {"config": "none"}
    summary.json: {"status": 1}
    summary.json: {"weights": "many"}
    summary.json: {"seconds": null}
    summary.json: {"best_test_acc": "high"}
    summary.json: {"epochs": "30"}
    summary.json: {"kept_per_matrix": {"W_E": 5}}
    summary.json: {"kept_per_matrix": {"W_E": [5, 3]}}
    summary.json: {"kept_per_matrix": {"W_E": [1.5, "3"]}}
"""


@pytest.mark.parametrize("case", lines(WRONG_VALUES))
def test_a_value_of_the_wrong_type(runs, place, case):
    file, value = case.split(": ", 1)
    change_json(runs[0] / file, **json.loads(value))
    before = snapshot(place)
    if file == "summary.json":
        assert_refused(call("train"), "summary.json is damaged", f"{next(iter(json.loads(value)))} is ")
    else:
        assert_refused(call("train"), "config.json is damaged")
        assert_refused(call("prune", "--prune_at=10"), "config.json is damaged")
    assert snapshot(place) == before


def test_a_damaged_neighbour_stops_no_other_run(runs):
    half(runs[0] / "config.json")
    succeed("train", "--seed=2")


def test_a_run_of_an_earlier_format_or_another_program(runs):
    for foreign in ({"identity": {}, "config": {}}, {"format": 1}, {"format": 3}, {"learning_rate": 0.1}):
        (runs[0] / "config.json").write_text(json.dumps(foreign))
        assert_refused(call("train"), f"{runs[0]} is a run of an earlier format", "use another --root")


def rows(change):
    """The same for the lines of a text."""
    return lambda path: path.write_text("".join(change(path.read_text().splitlines(keepends=True))))


METRICS = TEXTS | {
    "a copy that was cut short at a line": rows(lambda lines: lines[:-5]),
    "a row is shorter": rows(lambda lines: [*lines[:-1], lines[-1][:-30]]),
    "a row in the middle is lost": rows(lambda lines: lines[:9] + lines[10:]),
    "no header": rows(lambda lines: lines[1:]),
    "words": rows(lambda lines: [line.replace("0", "o") for line in lines]),
    "a long cell": rows(lambda lines: ["x" * 200_000]),
    "folder": make_folder,
}


@pytest.mark.parametrize("how", METRICS)
def test_a_damaged_metrics_csv(runs, place, how):
    path = runs[0] / "metrics.csv"
    METRICS[how](path)
    before = snapshot(place)
    for command in (["train"], ["prune", "--prune_at=20"]):
        assert_refused(call(*command), str(path))
    assert before.items() <= snapshot(place).items()


# ---- folders


def test_a_folder_that_holds_something_else(dense, place):
    shutil.rmtree(dense)
    dense.mkdir()
    (dense / "thesis.tex").write_text("years of work")
    before = snapshot(place)
    for flags in ([], ["--rerun"]):
        assert_refused(call("train", *flags), f"{dense.name} holds something that is no run; move it away")
    assert snapshot(place) == before
    shutil.rmtree(dense)
    dense.write_text("a file")
    for root in ("runs", dense):
        assert_refused(call("train", f"--root={root}"), dense.name)
    assert dense.read_text() == "a file"


# ---- disks


def test_a_full_disk_while_training(dense, place):
    """The disk takes no byte more from some moment on: what was saved stays readable, and the run goes on later."""
    size = (dense / "state.pth").stat().st_size
    for limit in (100, size // 2, size - 1):
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            outcome = call("train", f"--root=limit{limit}")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert_refused(outcome)
        assert not list(Path(f"limit{limit}").rglob("*.tmp")), "a file that could not be written is taken away"
        succeed("train", f"--root=limit{limit}")
        ((folder,), _) = run_folders(f"limit{limit}")
        assert_same_run(folder, dense)


def failing(error: OSError, real=None, after: int = 0):
    """What raises, instead of doing what ``real`` does, after so many calls."""
    calls = itertools.count()

    def fail(*args, **kwargs):
        if next(calls) >= after:
            raise error
        return real(*args, **kwargs)

    return fail


FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("function", ["fsync", "replace", "chmod"])
@pytest.mark.parametrize("after", [0, 3])
def test_a_disk_that_fails(dense, monkeypatch, function, after):
    with monkeypatch.context() as patch:
        patch.setattr(os, function, failing(FULL, getattr(os, function), after))
        refused = call("train", "--root=again")
    assert_refused(refused, "cannot write again/", "no space left on device", "the same command goes on")
    assert not list(Path("again").rglob("*.tmp"))
    for path in Path("again").glob("*/*.pth"):
        load(path)
    succeed("train", "--root=again")
    assert_same_run(run_folders("again")[0][0], dense)


def test_a_full_disk_as_torch_reports_it(place, monkeypatch):
    def fail(value, file):
        file.write(b"half a fi")
        raise RuntimeError("[enforce fail at inline_container.cc:664] . unexpected pos 64 vs 0\nmore lines")

    monkeypatch.setattr(torch, "save", fail)
    assert_refused(call("train"), "init.pth", "is the disk full?")
    assert not list(Path("runs").rglob("*.tmp"))


def test_a_full_disk_loses_no_finished_run(runs, place, monkeypatch):
    monkeypatch.setattr(os, "fsync", failing(FULL))
    before = snapshot(place)
    assert_refused(call("prune", "--prune_at=20", "--pruning_rate=0.5"), "config.json", "no space left on device")
    assert before.items() <= snapshot(place).items()
    assert "is finished and is reused" in call("train").out


def test_a_read_only_folder(unfinished, place, monkeypatch):
    """A process with root's rights may write anywhere, so it is the calls that are refused here."""
    before = snapshot(place)
    with monkeypatch.context() as patch:
        for owner, name in ((tempfile, "mkstemp"), (Path, "mkdir"), (Path, "open")):
            patch.setattr(owner, name, failing(OSError(errno.EROFS, "Read-only file system", "runs")))
        for seed in (3, 1):
            assert_refused(call("train", f"--seed={seed}"), "Read-only file system")
    assert snapshot(place) == before


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
    (place / "mine.py").write_text("import sys\nsys.stdout.close()")
    done = as_process(f"{REPOSITORY}/train.py", "--config=mine.py")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "closes or replaces sys.stdout" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("script", ["train", "main", "prune", "sweep", "report"])
def test_help_without_docstrings(place, script):
    done = as_process("-OO", f"{REPOSITORY}/{script}.py", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "--root" in done.stdout or script == "sweep"
