"""Every command line of README that calls a script, as it stands there, at a tiny size."""

import os
import re
import shlex
from pathlib import Path

import pytest
import scripts
from scripts import REPOSITORY, TINY, TINY_TRANSFORMER, run_folders, succeed

import prune_mnist
import report
import sweep
import train_mnist
import visualize

TINY_MNIST = ("--device=cpu", "--threads=1", "--train_size=20", "--d_model=9", "--num_epochs=30", "--save_every=10")
TINY_PARITY = ("--device=cpu", "--num_bits=6", "--num_train=40", "--d_model=9", "--num_epochs=30", "--save_every=10")
OTHERS = {
    "train_mnist": train_mnist,
    "prune_mnist": prune_mnist,
    "sweep": sweep,
    "report": report,
    "visualize": visualize,
}


def commands(page: str) -> list[str]:
    """The indented lines that begin with ``python``, with those that go on after a backslash, without comments."""
    text = (REPOSITORY / page).read_text().replace("\\\n", " ")
    return [line.partition(" #")[0].strip() for line in re.findall(r"^    (python \w+\.py.*)$", text, re.MULTILINE)]


def size_of(command: str) -> tuple[str, ...]:
    if "mnist" in command:
        return TINY_MNIST
    if "parity" in command:
        return TINY_PARITY
    return TINY_TRANSFORMER if "transformer" in command else TINY


@pytest.fixture
def everything(place, monkeypatch):
    monkeypatch.setenv("MNIST_ROOT", str(REPOSITORY / "tests" / "fixtures" / "mnist"))
    for name, module in OTHERS.items():
        monkeypatch.setitem(scripts.SCRIPTS, name, module.main)
    return place


def link(view: Path, flags: list[str]) -> None:
    """Put the tiny runs where a command of README expects those of the full size."""
    for flag in ("--weight_folder", "--ticket_folder"):
        wanted = view / flags[flags.index(flag) + 1]
        start, is_ticket = re.match(r"[a-z]+", wanted.name)[0], "__" in wanted.name
        made = next(run for run in run_folders(view.parent / "runs")[is_ticket] if run.name.startswith(start))
        wanted.parent.mkdir(parents=True, exist_ok=True)
        if not wanted.exists():
            wanted.symlink_to(made)


def test_the_commands_of_readme_work_as_they_stand_there(everything):
    called = set()
    for command in commands("README.md"):
        if "$small" in command or "digits.npz" in command:
            continue  # tests/test_grokking.py, tests/test_own_data.py
        script, *flags = shlex.split(command)[1:]
        name = script.removesuffix(".py")
        called.add(name)
        if name == "visualize":
            view = everything / "view"
            link(view, flags)
            os.chdir(view)
            assert "wrote" in succeed(name, *flags, size=()).out, command
            os.chdir(everything)
        elif name == "sweep" and "--collect" in flags:
            continue  # nothing is trained at these settings; tests/test_sweep.py collects
        elif name == "sweep":
            said = succeed(name, *flags, "--list", size=()).out
            assert re.search(r"0 of \d+ runs are done", said), command
        elif name == "analyze":
            assert "wrote" in succeed(name, *flags, size=()).out
        elif name == "report":
            assert "| mlp_multiply" in succeed(name, *flags, size=()).out
        else:
            succeed(name, *flags, size=size_of(command))
    assert called == {"train", "prune", "main", "visualize", "train_mnist", "prune_mnist", "report", "analyze", "sweep"}


def test_every_sweep_that_comes_with_it_can_be_listed(everything):
    for path in sorted((REPOSITORY / "configs").glob("sweep_*.py")):
        said = succeed("sweep", f"--config={path}", "--list", size=()).out
        assert re.search(r"0 of \d+ runs are done", said), path
        assert path.stem in (REPOSITORY / "README.md").read_text() + (REPOSITORY / "RESULTS.md").read_text(), path
