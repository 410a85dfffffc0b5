"""Every command line of README that calls a script, as it stands there, at a tiny size."""

import os
import re
import shlex
from pathlib import Path

import pytest
from scripts import REPOSITORY, TINY, TINY_TRANSFORMER, run_folders, succeed

TINY_MNIST = ("--device=cpu", "--threads=1", "--train_size=20", "--d_model=9", "--num_epochs=30", "--save_every=10")
TINY_PARITY = ("--device=cpu", "--num_bits=6", "--num_train=40", "--d_model=9", "--num_epochs=30", "--save_every=10")


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


def ticket_like(name: str) -> Path:
    """The tiny run in the place of the ticket that a command of README names."""
    _, _, mask = name.partition("__")
    return next(run for run in run_folders("runs")[1] if run.name.endswith(mask.replace("28000", "30")))


@pytest.mark.slow
def test_the_commands_of_readme_work_as_they_stand_there(everything):
    called = set()
    for command in commands("README.md"):
        if "$small" in command or "mine.npz" in command or "mine.py" in command:
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
            if "--mask" in flags:  # that of the tiny ticket
                flags[flags.index("--mask") + 1] = str(ticket_like(flags[flags.index("--mask") + 1]))
            succeed(name, *flags, size=size_of(command))
    assert called == {"train", "prune", "main", "visualize", "train_mnist", "prune_mnist", "report", "analyze", "sweep"}
