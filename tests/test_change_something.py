"""What README's "Change something" promises: each choice is a few lines in one file, a name in a table, and a flag that trains."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from scripts import REPOSITORY, TINY, assert_refused, call, load, rows_of, run_folders, succeed

from configs.flags import load_config
from experiments.populations import train_population

README = (REPOSITORY / "README.md").read_text()
CHANGE = (REPOSITORY / "docs" / "change.md").read_text()
(LINES,) = re.findall(r"^A task, whole: (?:.*\n)+?\n((?:    .*\n|\n)+)", CHANGE, re.MULTILINE)
TASK = textwrap.dedent(LINES)  # word for word
COMMAND = re.search(r"^`(python main.py .*?)`", CHANGE, re.MULTILINE).group(1)
MODEL = '''
"""A table of the logits of each token, added up."""

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import nn

from common.ranges import Positive
from models.model import Model, normal


@dataclass(frozen=True, kw_only=True)
class Lookup(Model):
    """A table of logits."""

    name: ClassVar[str] = "lookup"
    sees_order: ClassVar[bool] = False

    std: Positive = 0.1
    """Standard deviation of the init."""

    def build(self, num_inputs, num_classes, generator):
        return Table(self, num_inputs, num_classes, generator)


class Table(nn.Module):
    def __init__(self, sizes, p, num_classes, generator):
        super().__init__()
        self.p = p
        self.W = normal(num_classes, p, std=sizes.std, generator=generator)

    def encode(self, x):
        return F.one_hot(x, self.p).sum(-2).to(self.W.dtype)

    def forward(self, x):
        counts = x if x.is_floating_point() else self.encode(x)
        return counts @ self.W.mT
'''
OPTIMIZER = '''
class Sign(Optimizer):
    """Descent along the sign of a momentum, whose decay is the first of betas."""

    moments = ("momentum",)

    def update(self) -> None:
        self.state["step"].add_(1)
        momentum = self.state["momentum"].mul_(self.betas[0]).add_(self.grad)
        lr, decay = (torch.as_tensor(value, dtype=self.flat.dtype) for value in (self.lr, self.lr * self.weight_decay))
        self.flat.mul_(1 - decay).sub_(lr * momentum.sign())


# An optimizer is'''
LISTED = {
    "data": (
        "(Modular, Mnist,",
        "(Majority, Modular, Mnist,",
        "from data.mnist ",
        "from data.majority import Majority\n",
    ),
    "models": ("(MLP, ImageMLP,", "(Lookup, MLP, ImageMLP,", "from models.mlp ", "from models.lookup import Lookup\n"),
}
# choice: (file, what stands there, None for a new file, what is to stand there, flags)
CHANGES = {
    "operation": (
        "data/modular.py",
        '    "rand": Operation(',
        '    "x2y": Operation(lambda a, b, p: (a**2 + b) % p, False),\n    "rand": Operation(',
        ["--fn_name=x2y"],
    ),
    "task": ("data/majority.py", None, TASK, ["--task=majority", "--model=image_mlp", "--num_bits=6"]),
    "model": ("models/lookup.py", None, MODEL, ["--model=lookup", "--std=0.2"]),
    "activation": ("models/model.py", '"gelu": F.gelu}', '"gelu": F.gelu, "silu": F.silu}', ["--act_type=silu"]),
    "pruner": (
        "pruning/scores.py",
        '    "random": random,\n',
        '    "random": random,\n    "smallest": lambda network, generator: {n: -w.abs() for n, w in network.prunable.items()},\n',
        ["--pruner=smallest"],
    ),
    "optimizer": (
        "training/optimizer.py",
        ('\n# An optimizer is', '"sgd": SGD}'),
        (OPTIMIZER, '"sgd": SGD, "sign": Sign}'),
        ["--optimizer=sign"],
    ),
    "measure": (
        "training/metrics.py",
        '    "l1norm": lambda',
        '    "test_margin": lambda seen: seen.test.logits.double().amax(-1).mean(-1),\n    "l1norm": lambda',
        [],
    ),
}  # fmt: skip
PROGRAM = """
import contextlib, importlib, io, json, sys
for script, *flags in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            status = importlib.import_module(script).main(flags)
        except SystemExit as stop:
            status = stop.code
    print(json.dumps([status, out.getvalue()]))
"""


def change(copy: Path, file: str, old, new) -> None:
    """Put something into a file of a copy of the repository."""
    if old is None:
        (copy / file).write_text(new.lstrip())
        room = file.partition("/")[0]
        old, new, before, line = LISTED[room]
        change(copy, f"{room}/__init__.py", (old, before), (new, line + before))
        return
    text = (copy / file).read_text()
    for before, after in [(old, new)] if isinstance(old, str) else zip(old, new, strict=True):
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    (copy / file).write_text(text)


def size_for(flags: list[str]) -> list[str]:
    """Tiny, without the flags of a task or model that is not used."""
    unused = ("fn_name", "--p=", "frac_train") if any("--task" in flag for flag in flags) else ()
    unused += ("d_emb",) if any("--model" in flag for flag in flags) else ()
    unused += ("d_model",) if "--model=lookup" in flags else ()
    return [flag for flag in TINY if not any(name in flag for name in unused)]


@pytest.mark.slow
def test_each_choice_is_added_in_one_place_and_is_a_flag_that_trains(place):
    names = shutil.ignore_patterns(".*", "runs", "assets", "tests", "raw", "__pycache__")
    copy = shutil.copytree(REPOSITORY, place / "copy", ignore=names)
    commands = []
    for choice, (file, old, new, flags) in CHANGES.items():
        change(copy, file, old, new)
        commands.append(["main", *size_for(flags), *flags, "--retrain_num_epochs=20", f"--root={choice}"])
        commands.append(["main", *[flag for flag in flags if "--task" in flag or "--model" in flag], "--help"])
    program, name, *flags = shlex.split(COMMAND)
    assert program == "python"
    commands.append([name.removesuffix(".py"), *flags, "--num_epochs=30", "--save_every=10", "--device=cpu"])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(commands)],
        cwd=place,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(copy)},
    )
    assert done.returncode == 0, done.stderr
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert [status for status, _ in said] == [0] * len(commands), (said, done.stderr)
    assert "majority_seed42" in said.pop()[1]
    for (choice, (_, _, _, flags)), (_, out), (_, shown) in zip(CHANGES.items(), said[::2], said[1::2], strict=True):
        (dense,), (ticket,) = run_folders(place / choice)
        assert f"{ticket.name} (ticket)" in out
        values = [flag.partition("=")[2] for flag in flags][:1]
        assert all(value in shown for value in values), choice
        assert all(f'"{value}"' in (ticket / "config.json").read_text() for value in values), choice
        start = {"task": "image_mlp_majority_seed42", "model": "lookup_modular_multiply_seed42"}.get(choice, "mlp_")
        assert dense.name.startswith(start)
        assert ("smallest0.6" in ticket.name) == (choice == "pruner")
        assert "test_margin" in (dense / "metrics.csv").read_text(), "the measure, of all runs of this copy"


@pytest.mark.slow
def test_an_optimizer_of_ones_own_keeps_its_whole_state_and_trains_a_population(place):
    head = "import torch\nfrom configs.base import MLPConfig\nfrom training.optimizer import Optimizer\n"
    text = head + OPTIMIZER.partition("\n\n\n#")[0] + "\n\nconfig = MLPConfig(optimizer=Sign)\n"
    Path("mine.py").write_text(text)
    for root, lengths in (("alone", (250,)), ("parts", (137, 250))):
        for length in lengths:
            succeed("train", "--config=mine.py", f"--num_epochs={length}", f"--root={root}")
    (alone,), parts = run_folders("alone")[0], run_folders("parts")[0]
    (longer,) = [run for run in parts if "epochs250" in run.name]
    assert (alone / "metrics.csv").read_text() == (longer / "metrics.csv").read_text(), "the momentum has been kept"
    assert bool(load(alone / "state.pth")["optimizer"]["momentum"].any())
    small = {"fn_name": "multiply", "p": 7, "frac_train": 0.5, "d_emb": 8, "d_model": 6, "num_epochs": 250}
    config = load_config("mine.py").but(**small, device="cpu", root="together")
    configs = [config.but(lr=lr) for lr in (0.01, 0.05)]
    folders = train_population(configs, lambda config, error: pytest.fail(str(error)))
    for one, other in zip(rows_of(alone)[:60], rows_of(folders[0].path)[:60], strict=True):
        assert one == pytest.approx(other, rel=1e-3)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("num_bits", "d_model", ["d_model: a field of task, model and config must have a name of its own"]),
        (
            "(2 * x.sum(1) > self.num_bits).long()",
            "x[:, :3].sum(1)",
            ["labels are torch.int64 from 0 to 1", "from 0 to 3"],
        ),
        ("(2 * x.sum(1) > self.num_bits).long()", "x[:, :3].sum(1) % 2.0", ["labels are torch.int64", "torch.float32"]),
    ],
)
def test_a_task_that_cannot_be_one_is_told(place, old, new, words):
    rest = "\nfrom configs.base import Dense\nfrom models.mlp import ImageMLP\nconfig = Dense(task=Majority(), model=ImageMLP())\n"
    Path("mine.py").write_text(TASK.replace(old, new) + rest)
    assert_refused(call("train", "--config=mine.py", size=("--device=cpu", "--num_epochs=5")), *words)
    assert not list(place.rglob("config.json"))
