"""The scripts as a user calls them: the whole story, what is recommended next, --help, and how rooms import each other."""

import ast
import inspect
import itertools
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scripts import REPOSITORY, TINY, TINY_TRANSFORMER, call, load, readings, rows_of, run_folders, succeed

from configs.base import Dense, MLPConfig
from configs.ticket import MLPTicketConfig, TransformerTicketConfig

CUT_MNIST = REPOSITORY / "tests" / "fixtures" / "mnist"


def run(command: str, size: tuple[str, ...] = TINY, draw: bool = False):
    """The same in this process, with the flags that make it tiny."""
    script, *flags = shlex.split(command, comments=True)[1:]
    return succeed(script.removesuffix(".py"), *flags, size=size, draw=draw)


def test_main_tells_the_whole_story(place):
    outcome = run("python main.py --dataset=modular_addition --pruning_rate=0.6 --seed=42", draw=True)
    (dense,), (ticket,) = run_folders("runs")
    tables = [row.split("|") for row in readings(outcome.out)]
    heads = [row for row in tables if row[0] in ("run", "matrix")]
    assert [len(head) for head in heads] == [10, 5]
    assert "t_mem (train acc >= 0.99)" in heads[0]
    assert "t_gen (test acc >= 0.95)" in heads[0]
    by_name = {row[0]: dict(zip(heads[0] if len(row) == 10 else heads[1], row, strict=True)) for row in tables}
    assert by_name["dense"]["t_gen (test acc >= 0.95)"] == "> 30"
    assert by_name["dense"]["final test acc"] == f"{rows_of(dense)[-1][4]:.3f}"
    assert by_name["ticket"]["final test acc"] == f"{rows_of(ticket)[-1][4]:.3f}"
    assert (by_name["dense"]["kept"], by_name["dense"]["removed"]) == ("208", "0")
    assert (by_name["ticket"]["kept"], by_name["ticket"]["removed"]) == ("83", "125")
    mask = load(ticket / "mask.pth")["mask"]
    for name, kept in mask.items():
        assert by_name[name]["kept"] == str(int(kept.sum()))
        assert by_name[name]["removed"] == str(int((~kept).sum()))
    assert "no speedup: neither has a t_gen at test acc 0.95 (dense > 30, ticket > 30); train longer" in outcome.out
    picture = ticket / "comparison.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    for text in (f"{dense} (dense)", f"{ticket} (ticket)", f"picture       {picture}"):
        assert text in outcome.out


MNIST = (
    "--device=cpu",
    f"--data_root={CUT_MNIST}",
    "--train_size=20",
    "--d_model=9",
    "--num_epochs=30",
    "--save_every=10",
)
OWN = tuple(flag for flag in TINY if flag.partition("=")[0] not in ("--fn_name", "--p", "--frac_train"))


@pytest.mark.parametrize(
    ("flags", "size"),
    [
        ([], TINY),
        (["--config=configs/config_pruning_transformer.py"], TINY_TRANSFORMER),
        (["--dataset=mnist"], MNIST),
        (["--use_mask=False"], TINY),
        (["--dataset=my table.npz", "--num_layers=1"], OWN),
    ],
    ids=["mlp", "transformer", "mnist", "no mask", "own pairs"],
)
def test_what_main_recommends_fits_that_kind_of_run(place, flags, size):
    """The pictures, with paths that are there; and another mask, by the same command."""
    pairs = np.stack(np.meshgrid(range(7), range(7)), -1).reshape(-1, 2)
    np.savez("my table.npz", x=pairs, y=pairs.max(1), p=7)
    told = succeed("main", *flags, size=size).out.partition("Next:")[2].replace("\\\n", " ")
    look = shlex.split(next(line for line in told.splitlines() if "python visualize.py" in line))[2:]
    paths = dict(zip(look[::2], look[1::2], strict=True))
    assert Path(paths["--grok_weight_path"]).name == "final.pth"
    for name in ("--grok_weight_path", "--weight_folder", "--ticket_folder"):
        assert Path(paths[name]).exists()
    other = re.search(r"another mask, with the same command and (--prune_at=\w+), or", told)
    assert (other is None) == ("--use_mask=False" in flags)
    if other:
        before = run_folders("runs")
        succeed("main", *[flag for flag in flags if "prune_at" not in flag], other[1], size=size)
        after = run_folders("runs")
        assert (after[0], len(after[1])) == (before[0], len(before[1]) + 1)


@pytest.mark.slow
@pytest.mark.parametrize("script", ["main", "train", "prune", "sweep", "report", "train_mnist", "prune_mnist"])
def test_ctrl_c_in_the_first_second_leaves_no_traceback(place, script):
    """While the imports run."""
    with subprocess.Popen(
        [sys.executable, "-X", "importtime", str(REPOSITORY / f"{script}.py"), "--help"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        for line in process.stderr:  # the names of modules as they are imported
            if "torch._C" in line or "numpy" in line:
                process.send_signal(signal.SIGINT)
                break
        rest = process.stderr.read()
    assert process.returncode in (-signal.SIGINT, 130)
    assert "Traceback" not in rest
    assert "KeyboardInterrupt" not in rest


def test_the_stages_one_after_another(place):
    outcome = run("python main.py --stage=train_full --dataset=modular_addition")
    assert [len(folders) for folders in run_folders("runs")] == [1, 0]
    assert "--stage=prune" in outcome.out
    run("python main.py --stage=prune --checkpoint=generalization --pruning_rate=0.6")
    (dense,), (ticket,) = run_folders("runs")
    assert sorted(path.name for path in ticket.iterdir()) == ["config.json", "lock", "mask.pth"]
    mask = (ticket / "mask.pth").read_bytes()
    outcome = run("python main.py --stage=retrain --use_mask=True")
    assert (ticket / "summary.json").exists()
    assert (ticket / "mask.pth").read_bytes() == mask
    assert "speedup" in outcome.out
    assert run_folders("runs") == ([dense], [ticket])


# ---- as processes, the way a user starts them


# Each room with those that it may import besides itself.
ROOMS = {
    "common": set(),
    "models": {"common"},
    "data": {"common"},
    "pruning": {"common", "models"},
    "analysis": {"common"},
    "training": {"common", "models", "data", "pruning"},
    "configs": {"common", "data", "models", "pruning", "training"},
    "experiments": {"common", "analysis", "models", "data", "pruning", "training", "configs", "figures"},
    "figures": {"common", "analysis", "training"},
    "measures": {
        "common",
        "analysis",
        "models",
        "data",
        "training",
        "pruning",
        "configs",
        "experiments",
        "figures",
        "reporting",
    },
    "reporting": {"common", "analysis", "data", "models", "training", "configs", "experiments", "figures"},
    "studies": {
        "common",
        "analysis",
        "models",
        "data",
        "pruning",
        "training",
        "configs",
        "experiments",
        "measures",
        "figures",
        "reporting",
    },
}


def test_imports_point_one_way_and_all_but_scripts_have_a_room():
    scripts_at_the_root = {
        "main",
        "train",
        "train_mnist",
        "prune",
        "prune_mnist",
        "visualize",
        "analyze",
        "sweep",
        "report",
    }
    assert {path.stem for path in REPOSITORY.glob("*.py")} == scripts_at_the_root
    for room, may_import in ROOMS.items():
        for path in (REPOSITORY / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                names = [node.module] if isinstance(node, ast.ImportFrom) else []
                names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                for name in names:
                    other = name.split(".")[0]
                    is_ours = other in ROOMS or other in scripts_at_the_root
                    assert not is_ours or other in {room, *may_import}, f"{path} imports {name}"


def test_importing_does_nothing(place):
    """No folder made, no argument parsed, nothing said, and wandb and matplotlib left alone until they are used."""
    rooms = ROOMS
    paths = [*REPOSITORY.glob("*.py"), *(path for room in rooms for path in (REPOSITORY / room).rglob("*.py"))]
    names = [".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__") for path in paths]
    assert {"main", "train", "prune", "visualize", "configs.config", "experiments.wandb_logger"} <= set(names)
    program = f"""
import importlib, sys
sys.argv = ["python", "--bogus"]
for name in {names}:
    importlib.import_module(name)
for name in ("wandb", "matplotlib", "imageio", "PIL"):
    if name in sys.modules:
        raise SystemExit(f"{{name}} is imported")
"""
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", program], cwd=place, capture_output=True, text=True, env=env)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not list(place.iterdir())


# ---- --help


def meanings(config: Dense) -> dict[str, str]:
    """The text below each field in the source of the classes of a config, its task and its model, and of those they inherit from."""
    found = {}
    for part in (config, config.task, config.model):
        for ancestor in reversed(type(part).__mro__[:-1]):
            (node,) = ast.parse(inspect.getsource(ancestor)).body
            for field, text in itertools.pairwise(node.body):
                if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
                    found[field.target.id] = " ".join(text.value.value.split())
    return found


def set_in_a_file_only(config: Dense) -> set[str]:
    """The fields whose annotation begins with Suppress."""
    ancestors = [cls for part in (config, config.task, config.model) for cls in type(part).__mro__[:-1]]
    return {name for cls in ancestors for name, hint in vars(cls).get("__annotations__", {}).items()
            if "Suppress" in str(hint)}  # fmt: skip


@pytest.mark.parametrize(
    ("script", "config", "usual"),
    [
        ("train", "configs/config.py", MLPConfig),
        ("prune", "configs/config_pruning.py", MLPTicketConfig),
        ("main", "configs/config_pruning.py", MLPTicketConfig),
        ("main", "configs/config_pruning_transformer.py", TransformerTicketConfig),
        ("sweep", "my_sweep.py", MLPTicketConfig),
    ],
)
def test_help_tells_what_every_field_means(place, monkeypatch, script, config, usual):
    monkeypatch.setenv("COLUMNS", "90")
    (place / "my_sweep.py").write_text("from configs.sweep import Sweep\nfrom configs.ticket import MLPTicketConfig\n"
                                       "sweep = Sweep(MLPTicketConfig())")  # fmt: skip
    outcome = call(script, f"--config={config}", "--help", size=())
    assert (outcome.status, outcome.err) == (0, "")
    text = " ".join("".join(" " if char in "│╭╮╰╯─|" else char for char in outcome.out).split())
    told, hidden = meanings(usual()), set_in_a_file_only(usual())
    assert {"task", "model"} < hidden
    shown = {name for name in told if f" --{name} " in f" {text}"}
    assert shown == {*told} - hidden
    for name in shown:
        assert " ".join(told[name].replace("|", " ").split()) in text, name
    assert 20 <= len(shown) <= 45, "about forty-five with those of the script"
    for name in ("task", "model"):
        assert f"--{name} {{" in text, name
    assert ("--checkpoint" in text) == ("prune_at" in told)


def test_help_sorts_the_flags_into_four_groups(place):
    text = call("main", "--help", size=()).out
    groups = re.findall(r"^\W*(\w+) options", text, re.MULTILINE)
    assert [name for name in groups if name in ("run", "ticket", "training", "where")] == [
        "run",
        "ticket",
        "training",
        "where",
    ]


# ---- what is said


@pytest.mark.parametrize(
    ("flags", "is_said"),
    [
        (("--fn_name=subtract", "--is_symmetric_input=False"), True),
        (("--fn_name=subtract",), False),
        (("--fn_name=x2y2", "--is_symmetric_input=False"), False),
    ],
)
def test_what_the_mlp_cannot_fit_is_said(place, flags, is_said):
    outcome = succeed("train", *flags, "--num_epochs=2")
    notes = [line for line in outcome.out.splitlines() if line.startswith("note: the MLP")]
    assert len(notes) == is_said
    transformer = "--config=configs/config_transformer.py"
    assert "note:" not in succeed("train", transformer, *flags, "--num_epochs=2", size=TINY_TRANSFORMER)
