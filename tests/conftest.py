"""No test sees or touches what is the user's: the home folder, the wandb account, the runs."""

import functools
import inspect
import os
import shutil
from pathlib import Path

import pytest
import torch
import tyro
from scripts import change_json, run_folders, succeed

from experiments import ingredients, trainer

TESTS = Path(__file__).resolve().parent


@pytest.fixture(scope="session", autouse=True)
def sealed(tmp_path_factory):
    """A home folder of the tests' own, wandb switched off. A test of wandb sets WANDB_MODE itself."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith(("WANDB_", "XDG_")):
                patch.delenv(name)
        patch.setenv("HOME", str(home))
        patch.setenv("MPLCONFIGDIR", str(home / "matplotlib"))
        patch.setenv("WANDB_MODE", "disabled")
        patch.setenv("OMP_WAIT_POLICY", "passive")  # threads that spin while they wait starve each other
        patch.setenv("PYTHONPATH", os.pathsep.join([str(TESTS.parent), str(TESTS)]))  # for processes of their own
        yield home


@pytest.fixture(scope="session", autouse=True)
def quick():
    """What takes a fifth of the time of each call of a script, and what no test is about: it waits for the disk, and it reads
    the texts of the same classes again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda file: None)
        patch.setattr(inspect, "getsource", functools.cache(inspect.getsource))
        tokens = tyro._docstrings._ClassTokenization
        patch.setattr(tokens, "make", staticmethod(functools.cache(tokens.make)))
        yield


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty folder, which is the working directory; run folders go to ``place / "runs"``."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """The root of a tiny dense run and its ticket from epoch 20; a test works on a copy, ``runs`` or ``dense``."""
    root = tmp_path_factory.mktemp("tiny") / "runs"
    succeed("main", "--prune_at=20", f"--root={root}")
    return root


@pytest.fixture
def runs(tiny, place):
    """The folders of a dense run and its ticket from epoch 20, in ``place / "runs"``."""
    shutil.copytree(tiny, "runs")
    (dense,), (ticket,) = run_folders("runs")
    change_json(ticket / "config.json", dense_run=str(dense))
    return dense, ticket


@pytest.fixture
def dense(runs):
    """The folder of the dense run, which is alone in ``place / "runs"``."""
    shutil.rmtree(runs[1])
    return runs[0]


@pytest.fixture
def in_float64(monkeypatch):
    """Runs train float64 weights: two computations that round differently are compared, and training amplifies the difference
    without limit, in float32 on some CPUs to more than any tolerance that still says something."""
    build_model = trainer.build_model
    for module in (ingredients, trainer):
        monkeypatch.setattr(module, "build_model", lambda *given: build_model(*given).double())


@pytest.fixture(autouse=True)
def denormals():
    """A run takes denormal floats for 0 in the whole process; the next test, and hypothesis, shall find them as they were."""
    yield
    torch.set_flush_denormal(False)
