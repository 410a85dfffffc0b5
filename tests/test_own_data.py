"""Data of one's own: README's example word for word, what a file may hold, and whatever can be wrong with it."""

import json
import re
import shlex
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from scripts import REPOSITORY, assert_refused, call, lines, load, run_folders, snapshot, succeed
from test_bad_input import Payload

from common.errors import UserError
from configs.base import OwnConfig
from configs.flags import load_config
from configs.ticket import ticket_of
from data.modular import Modular
from data.own import own_task
from data.own_files import read_own

SIZE = ("--device=cpu", "--threads=1", "--d_model=8", "--num_epochs=20", "--save_every=10", "--lr=0.01")
PAIRS = (*SIZE, "--d_emb=8")
X = np.random.default_rng(0).normal(size=(20, 6))
Y = np.arange(20) % 3


def works(script, *flags, size=SIZE):
    return succeed(script, *flags, size=size).out


def runs():
    return [len(folders) for folders in run_folders("runs")]


def table(p=5, **more):
    """Subtraction as a table."""
    a, b = (grid.ravel() for grid in np.meshgrid(range(p), range(p), indexing="ij"))
    return {"x": np.stack([a, b], 1), "y": (a - b) % p, "p": p} | more


@pytest.fixture
def file(place):
    np.savez("own.npz", x=X, y=Y)
    return Path("own.npz")


# ---- what works


@pytest.mark.slow
def test_readme_word_for_word(place):
    text = (REPOSITORY / "README.md").read_text().partition("**Your own data**")[2].partition("\n## ")[0]
    program, *commands = re.findall(r"(?:^    .*\n)+", text, re.MULTILINE)
    program = [line[4:] for line in program.splitlines()]
    assert len(program) == 3
    exec("\n".join(program))
    commands = [shlex.split(line, comments=True) for block in commands for line in block.splitlines()]
    assert commands[0][:2] == ["python", "main.py"]
    for _, script, *flags in commands:
        works(script.removesuffix(".py"), *flags, size=("--device=cpu", "--threads=1", "--d_model=8"))
    (dense,), (ticket,) = run_folders("runs")
    stored = json.loads((dense / "config.json").read_text())["config"]
    assert stored["data_file"] == "mine.npz"
    assert load(ticket / "final.pth")["model"]["W_in"].shape == (8, 20)
    assert len(json.dumps(stored)) < 1500, "what wandb is given: where the data are, not the data"


def test_the_same_run_wherever_and_however_the_numbers_lie(file):
    works("main", "--dataset=own.npz")
    (dense,), (ticket,) = run_folders("runs")
    rows = np.column_stack([X, Y])
    Path("elsewhere").mkdir()
    moved = file.rename("elsewhere/Other Name (1).npz")
    for name, header in (
        ("plain.csv", ""),
        ("named.csv", "a,b,c,d,e,f,label"),
        ("quoted.csv", '"a","","1","2","3","4","y"'),
    ):
        np.savetxt(name, rows, delimiter=",", fmt="%.17g", header=header, comments="")
    Path("marked.csv").write_bytes(b"\xef\xbb\xbf" + Path("named.csv").read_bytes())
    np.savez("flat.npz", x=X.reshape(20, 2, 3), y=Y.astype(np.float32))
    for name in ("plain.csv", "named.csv", "quoted.csv", "marked.csv", "flat.npz"):
        assert read_own(name).hash == read_own(moved).hash, name
    for script in ("train", "prune", "main"):
        assert "is reused" in works(script, f"--dataset={moved}"), script
    assert run_folders("runs") == ([dense], [ticket])


def test_a_changed_file_is_another_run_and_gives_no_ticket_of_the_old_one(file):
    works("train", "--dataset=own.npz")
    changed = X.copy()
    changed[7, 3] += 1e-3
    np.savez(file, x=changed, y=Y)
    before = snapshot(Path("runs"))
    assert_refused(call("prune", "--dataset=own.npz", size=SIZE), "has learned other data", "python main.py")
    assert snapshot(Path("runs")) == before
    works("main", "--dataset=own.npz")
    assert runs() == [2, 1]


def test_the_split_is_seeded_and_leaves_no_row_out(file):
    splits = [OwnConfig("own.npz", frac_train=0.3).task.split(seed) for seed in (0, 0, 1)]
    first, again, other = ([row.tolist() for row in split.train_x] for split in splits)
    assert first == again != other
    assert len(first) == 6
    expected = {(*np.float32(x).tolist(), int(y)) for x, y in zip(X, Y, strict=True)}
    for split in splits:
        found = [
            (*x.tolist(), y.item())
            for rows, labels in ((split.train_x, split.train_y), (split.test_x, split.test_y))
            for x, y in zip(rows, labels, strict=True)
        ]
        assert len(found) == 20
        assert set(found) == expected
        assert (split.num_classes, split.num_inputs) == (3, 6)


@pytest.mark.parametrize(("frac_train", "num_train"), [(None, 20), (0.5, 10), (1.0, 20)])
def test_a_test_set_of_its_own(place, frac_train, num_train):
    np.savez("own.npz", x=X, y=Y, x_test=X[:4] + 1, y_test=[0, 1, 2, 4])
    split = OwnConfig("own.npz", frac_train=frac_train).task.split(3)
    assert len(split.train_x) == num_train
    assert split.test_x.equal(torch.tensor(X[:4] + 1, dtype=torch.float32))
    assert split.num_classes == 5


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (Y, ""),
        (Y + 1, "note: the classes in the file are 1, 2, 3; the network has an output for each number from 0 to 3,"),
        (Y * 5, "note: the classes in the file are 0, 5, 10; the network has an output for each number from 0 to 10,"),
    ],
)
def test_classes_that_never_occur_are_told(place, capsys, labels, said):
    np.savez("own.npz", x=X, y=labels)
    task = own_task("own.npz")
    own_task("own.npz")
    told = capsys.readouterr().out
    assert told.startswith(said)
    assert told.count("\n") == bool(said)
    assert task.sizes() == (20, 6, 1 + labels.max())


def test_labels_that_are_no_whole_numbers_are_learned_as_numbers(place, capsys):
    y = (X @ np.arange(6)).astype(np.float32)
    np.savez("own.npz", x=X, y=y)
    said = works("main", "--dataset=own.npz")
    assert "note: not all labels are whole, so numbers are learned" in said
    (dense,), (ticket,) = run_folders("runs")
    assert load(ticket / "final.pth")["model"]["W_out"].shape == (1, 8)
    split = own_task("own.npz").split(0)
    assert (split.num_classes, split.train_y.dtype) == (1, torch.float32)
    assert sorted(torch.cat([split.train_y, split.test_y]).tolist()) == sorted(y.tolist())
    losses = [float(line.split(",")[1]) for line in (dense / "metrics.csv").read_text().splitlines()[1:]]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("flags", [["--num_layers=1"], ["--model=transformer", "--d_mlp=4"]])
def test_a_table_of_pairs_goes_to_the_models_of_modular_arithmetic(place, flags):
    np.savez("minus.npz", **table(x=table()["x"].astype(float)))
    size = PAIRS if "transformer" not in flags[0] else SIZE
    said = works("main", "--dataset=minus.npz", *flags, size=size)
    assert ("cannot tell (a, b) from (b, a)" in said) == (size == PAIRS)
    assert runs() == [1, 1]
    split, modular = (
        task.split(42)
        for task in (OwnConfig("minus.npz").task, Modular(p=5, fn_name="subtract", is_symmetric_input=False))
    )
    assert (split.num_classes, split.num_inputs, len(split.train_x)) == (5, 5, len(modular.train_x))
    rows = [
        sorted((*x, y) for part in ("train", "test") for x, y in zip(
            getattr(one, f"{part}_x").tolist(), getattr(one, f"{part}_y").tolist(), strict=True))
        for one in (split, modular)
    ]  # fmt: skip
    assert rows[0] == rows[1]


def test_settings_of_a_config_and_of_flags_hold_for_a_file(file):
    Path("mine.py").write_text(
        "from configs.base import OwnConfig\nfrom configs.ticket import ticket_of\n"
        "config = ticket_of(OwnConfig('own.npz', frac_train=0.6, d_model=8, num_epochs=20, lr=0.01, device='cpu'), prune_at='init')\n"
    )
    works("main", "--config=mine.py", size=())
    said = works(
        "main", "--dataset=own.npz", "--frac_train=0.6", *SIZE, "--save_every=2000", "--prune_at=init", size=()
    )
    assert said.count("is reused") == 2
    # What it recommends makes another mask of the same run.
    (other,) = re.findall(r"another mask, with the same command and (--prune_at=\w+)", said)
    works("main", "--config=mine.py", other, size=())
    assert runs() == [1, 2]
    assert load_config("mine.py") == ticket_of(
        OwnConfig("own.npz", frac_train=0.6, d_model=8, num_epochs=20, lr=0.01, device="cpu"), prune_at="init"
    )


def test_named_datasets_and_help(file, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    assert "--fn_name" in works("train", "--dataset=modular_addition", "--help", size=())
    assert "--balanced" in works("train", "--dataset=mnist", "--help", size=())
    told = works("prune", "--dataset=own.npz", "--help", size=())
    for words in ("Fraction of x that trains", "a file of your own, .npz or .csv", "--pruning_rate"):
        assert words in " ".join(told.replace("│", " ").split())
    assert "data_hash" not in told


# ---- what does not


def npz(**arrays):
    return lambda path: np.savez(path, **arrays)


def text(content):
    return lambda path: path.write_bytes(content if isinstance(content, bytes) else content.encode())


def pickled(path):
    np.savez(path, x=np.array([Payload()] * 3, dtype=object), y=Y)


def truncated(path):
    np.savez(path, x=X, y=Y)
    path.write_bytes(path.read_bytes()[:300])


def one_array(path):
    with path.open("wb") as stream:
        np.save(stream, X)


def no_array(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x", "abc")
        np.savez(path.with_suffix(".other.npz"), y=Y)
        archive.writestr("y.npy", zipfile.ZipFile(path.with_suffix(".other.npz")).read("y.npy"))


def put(array, value, place=3):
    return np.where(np.arange(array.size).reshape(array.shape) == place, value, array)


WRONG = {
    "x missing": ("a.npz", npz(y=Y), "x missing"),
    "y missing": ("a.npz", npz(x=X, label=Y), "y missing"),
    "y_test missing": ("a.npz", npz(x=X, y=Y, x_test=X), "go together"),
    "x (n,)": ("a.npz", npz(x=X[:, 0], y=Y), "x has shape (20,)"),
    "x (n, h, w, c)": ("a.npz", npz(x=np.zeros((20, 2, 2, 3)), y=Y), "(n, h, w)"),
    "y (n, 1)": ("a.npz", npz(x=X, y=Y[:, None]), "y has shape (20, 1)"),
    "y is shorter": ("a.npz", npz(x=X, y=Y[:-1]), "one label a row"),
    "x_test is narrower": ("a.npz", npz(x=X, y=Y, x_test=X[:, 1:], y_test=Y), "x has shape (6,), and one of x_test (5,)"),
    "images of another form": ("a.npz", npz(x=X.reshape(20, 2, 3), y=Y, x_test=X, y_test=Y), "x has shape (2, 3), and"),
    "x_test is empty": ("a.npz", npz(x=X, y=Y, x_test=X[:0], y_test=Y[:0]), "too few rows"),
    "nan": ("a.npz", npz(x=put(X, np.nan), y=Y), "x has nan"),
    "inf": ("a.npz", npz(x=put(X, -np.inf), y=Y), "infinite"),
    "too large for float32": ("a.npz", npz(x=put(X, 1e300), y=Y), "infinite"),
    "text": ("a.npz", npz(x=X.astype(str), y=Y), "no numbers"),
    "labels are text": ("a.npz", npz(x=X, y=Y.astype(str)), "no numbers; number the classes 0, 1, 2"),
    "labels are pickled": ("a.npz", npz(x=X, y=Y.astype(object)), "cannot be read"),
    "one class": ("a.npz", npz(x=X, y=Y * 0 + 2), "all labels in y are 2"),
    "one row": ("a.npz", npz(x=X[:1], y=Y[:1]), "too few rows"),
    "two rows": ("a.npz", npz(x=X[:2], y=Y[:2]), "leaves the training set of 2 rows empty"),
    "negative label": ("a.npz", npz(x=X, y=Y - 1), "y has -1; it must hold whole numbers from 0"),
    "half a label of a table": ("a.npz", npz(**table() | {"y": table()["y"] + 0.5}), "y has 0.5"),
    "no array": ("a.npz", no_array, "x has shape ()"),
    "label nan": ("a.npz", npz(x=X, y=put(Y, np.nan)), "y has nan"),
    "p = 1": ("a.npz", npz(x=table()["x"] * 0, y=table()["y"], p=1), "p must be one whole number"),
    "p is a half": ("a.npz", npz(**table() | {"p": 5.5}), "p has 5.5"),
    "p is large": ("a.npz", npz(**table() | {"p": 10**9}), "p has 1000000000"),
    "triples": ("a.npz", npz(x=np.zeros((25, 3), int), y=table()["y"], p=5), "pairs (n, 2)"),
    "pairs above p": ("a.npz", npz(**table() | {"p": 4}), "x has 4; it must hold whole numbers from 0 to 3"),
    "a pickle": ("a.npz", pickled, "cannot be read"),
    "cut": ("a.npz", truncated, "cannot be read"),
    "one array": ("a.npz", one_array, "it holds one array"),
    "no npz": ("a.npz", text("x,y\n1,2\n"), "cannot be read"),
    "another ending": ("a.txt", text("1,0\n2,1\n"), "neither .npz nor .csv"),
    "empty csv": ("a.csv", text(""), "too few rows"),
    "one column": ("a.csv", text("0\n1\n0\n1\n"), "x has shape (4, 0)"),
    "ragged": ("a.csv", text("1,2,0\n1,2,1\n1,1\n"), "row 3 has 2 columns, and those before have 3"),
    "semicolons": ("a.csv", text("1;2;0\n1;2;1\n"), "cannot be read"),
    "words": ("a.csv", text("1,2,0\n1,two,1\n"), "row 2, column 2: 'two' is no number"),
    "words below a header": ("a.csv", text("a,b,y\n1,2,0\ntwo,1,1\n"), "row 3, column 1: 'two' is no number"),
    "labels are words": ("a.csv", text("1,2,cat\n1,2,dog\n"), "row 2, column 3: 'dog' is no number"),
    "empty cell": ("a.csv", text("1,2,0\n1,,1\n"), "row 2, column 2: '' is no number"),
    "no label in the first row of a csv": ("a.csv", text("1,2,nan\n1,3,1\n1,1,0\n"), "y has nan"),
    "a folder": ("a.npz", Path.mkdir, "is not there"),
    "nothing": ("a.npz", lambda path: None, "is not there"),
}  # fmt: skip


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_file_is_one_line(place, what):
    name, make, words = WRONG[what]
    make(place / name)
    with pytest.raises(UserError, match=re.escape(words)) as caught:
        own_task(name).split(0)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value) or what == "two rows"


def test_a_wrong_file_stops_a_script_before_it_writes(place):
    np.savez("own.npz", x=put(X, np.nan), y=Y)
    before = snapshot(place)
    for script in ("train", "prune", "main"):
        assert_refused(call(script, "--dataset=own.npz", "--device=cpu", size=()), "own.npz: x has nan")
    assert snapshot(place) == before


WRONG_FLAGS = """
    --dataset=own.npz --task=mnist: --task mnist describes another dense run
    --dataset=own.npz --model=mlp: the model mlp takes tokens ... own gives vectors
    --dataset=own.npz --frac_train=0.01: leaves the training set of 20 rows empty
    --dataset=own.npz --frac_train=1: leaves the test set of 20 rows empty
    --dataset=own.npz --frac_train=1.5: frac_train must be ... at most 1
    --dataset=own.npz --fn_name=add: --fn_name
    --dataset=own.npz --data_hash=0: --data_hash
    --dataset=cifar: cifar is neither modular_addition nor mnist
    --dataset=: --dataset is empty
    --dataset: --dataset
    --task=own --model=image_mlp: give it with --dataset
"""


@pytest.mark.parametrize("case", lines(WRONG_FLAGS))
def test_wrong_flags(file, place, case):
    flags, words = case.split(": ", 1)
    before = snapshot(place)
    assert_refused(call("train", *flags.split(), size=()), *words.split(" ... "))
    assert snapshot(place) == before


def test_a_file_is_read_once(file, place):
    first = read_own("own.npz")
    assert read_own("own.npz") is first
    shutil.copy(file, "copy.npz")
    assert read_own("copy.npz").hash == first.hash
