"""What README's "Change something" promises: each choice is added by touching one file, and is a flag that trains."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap

import pytest
from scripts import REPOSITORY, TINY, load, rows_of, run_folders

README = (REPOSITORY / "README.md").read_text()
(LINES,) = re.findall(r"^A task, whole: .*?\n\n((?:    .*\n|\n)+)", README, re.MULTILINE)
TASK = textwrap.dedent(LINES)  # word for word
COMMAND = re.search(r"^A task, whole: .*`(python main.py .*?)`", README, re.MULTILINE).group(1)
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
    "loss": (
        "training/losses.py",
        '"regression_error": regression_error,',
        '"regression_error": regression_error,\n    "doubled": lambda logits, y: 2 * cross_entropy(logits, y),',
        ["--loss=doubled"],
    ),
    "measure": (
        "training/metrics.py",
        '    "l1norm": lambda',
        '    "test_margin": lambda seen: seen.test.logits.double().amax(-1).mean(-1),\n    "l1norm": lambda',
        [],
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    names = shutil.ignore_patterns(".*", "runs", "assets", "tests", "raw", "__pycache__")
    return shutil.copytree(REPOSITORY, tmp_path_factory.mktemp("original") / "copy", ignore=names)


@pytest.fixture
def script(place, original):
    """Runs a script of a copy of the repository in which something has been changed."""
    copy = shutil.copytree(original, place / "copy")

    def changed(file: str, old, new) -> None:
        if old is None:
            (copy / file).write_text(new.lstrip())
            return
        text = (copy / file).read_text()
        for before, after in [(old, new)] if isinstance(old, str) else zip(old, new, strict=True):
            assert text.count(before) == 1, before
            text = text.replace(before, after)
        (copy / file).write_text(text)

    def called(name: str, *flags: str) -> str:
        environment = {**os.environ, "PYTHONPATH": ""}
        done = subprocess.run(
            [sys.executable, str(copy / f"{name}.py"), *flags], capture_output=True, text=True, env=environment
        )
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout

    called.changed = changed
    return called


def size_for(flags: list[str]) -> list[str]:
    """Tiny, without the flags of a task or model that is not used."""
    unused = ("fn_name", "--p=", "frac_train") if any("--task" in flag for flag in flags) else ()
    unused += ("d_emb",) if any("--model" in flag for flag in flags) else ()
    unused += ("d_model",) if "--model=lookup" in flags else ()
    return [flag for flag in TINY if not any(name in flag for name in unused)]


def test_readme_s_task_word_for_word(script):
    script.changed("data/majority.py", None, TASK)
    program, name, *flags = shlex.split(COMMAND)
    assert program == "python"
    said = script(name.removesuffix(".py"), *flags, "--num_epochs=30", "--save_every=10", "--device=cpu")
    assert "(ticket)" in said
    assert "majority_seed42" in said


@pytest.mark.parametrize("choice", CHANGES)
def test_one_file_is_touched_and_it_trains(script, choice):
    file, old, new, flags = CHANGES[choice]
    script.changed(file, old, new)
    said = script("main", *size_for(flags), *flags, "--retrain_num_epochs=20")
    (dense,), (ticket,) = run_folders("runs")
    assert f"{ticket} (ticket)" in said
    name = [flag.partition("=")[2] for flag in flags][:1]
    for run in (dense, ticket):
        assert (run / "summary.json").exists()
        assert not name or f'"{name[0]}"' in (run / "config.json").read_text() or choice == "pruner"
    assert dense.name.startswith(
        {"task": "image_mlp_majority_seed42", "model": "lookup_modular_multiply_seed42"}.get(choice, "mlp_")
    )
    assert ("smallest0.6" in ticket.name) == (choice == "pruner")
    assert ("test_margin" in (dense / "metrics.csv").read_text()) == (choice == "measure")
    # Another flag's value is refused by the same table, and --help lists it.
    if name:
        assert name[0] in script(
            "train" if choice != "pruner" else "prune",
            *[flag for flag in flags if "--task" in flag or "--model" in flag],
            "--help",
        )
    if choice in ("task", "model"):
        assert "is reused" in script("prune", *size_for(flags), *flags, "--retrain_num_epochs=20")
        lines = script("prune", *size_for(flags)[:2], f"--dense_run={dense}", "--prune_at=10", "--retrain_num_epochs=5")
        assert "test acc" in lines, "the dense run's folder says what its task and model are"


def test_an_optimizer_is_one_for_a_run_and_for_a_population_and_keeps_its_whole_state(script):
    file, old, new, _ = CHANGES["optimizer"]
    script.changed(file, old, new)
    size = [*TINY, "--optimizer=sign", "--save_every=10"]
    for root, lengths in (("alone", (250,)), ("parts", (137, 250))):
        for length in lengths:
            script("train", *size, f"--num_epochs={length}", f"--root={root}")
    (alone,), parts = run_folders("alone")[0], run_folders("parts")[0]
    (longer,) = [run for run in parts if "epochs250" in run.name]
    assert (alone / "metrics.csv").read_text() == (longer / "metrics.csv").read_text(), "the momentum has been kept"
    assert bool(load(alone / "state.pth")["optimizer"]["momentum"].any())
    (alone.parents[1] / "copy" / "my_sweep.py").write_text(
        "from configs.base import MLPConfig\nfrom configs.sweep import Sweep\n"
        "sweep = Sweep(MLPConfig(optimizer='sign', num_epochs=250), {'lr': [0.01, 0.05]}, seeds=(42,))\n"
    )
    # Without --lr, which is an axis.
    sweep = ["--config=copy/my_sweep.py", *(flag for flag in TINY if "--lr" not in flag and "epochs" not in flag)]
    script("sweep", *sweep, "--population=True", "--workers=1", "--root=together")
    (of_population,) = [run for run in run_folders("together")[0] if "lr0.05" not in run.name]
    for one, other in zip(rows_of(alone)[:60], rows_of(of_population)[:60], strict=True):
        assert one == pytest.approx(other, rel=1e-3)


def test_what_a_new_task_calls_is_part_of_the_code_that_trained_a_run(script):
    """A method, a constant and the class above it: a run of the task as it was is not one of the task as it is."""
    task = (
        TASK.replace("y = (2 * x.sum(1) > self.num_bits).long()\n", "y = self.count(x) % self.CLASSES\n")
        + """
    CLASSES: ClassVar[int] = 2

    def count(self, x):
        return x[:, :3].sum(1)
"""
    )
    script.changed("data/majority.py", None, task)
    flags = [*size_for(["--task", "--model"]), "--task=majority", "--model=image_mlp"]
    script("train", *flags)
    assert "is reused\n" in script("train", *flags)
    for old, new in (("x[:, :3].sum(1)", "x[:, :2].sum(1)"), ("ClassVar[int] = 2", "ClassVar[int] = 1")):
        script.changed("data/majority.py", None, task.replace(old, new))
        assert "the code that trains has changed since" in script("train", *flags), new
    script.changed("data/majority.py", None, task + "\n    def unused(self):\n        return 1\n")
    assert "is reused\n" in script("train", *flags)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            'name: ClassVar[str] = "majority"',
            'name: ClassVar[str] = "mnist"',
            ["Mnist in data.mnist has the name"],
        ),
        ('    name: ClassVar[str] = "majority"\n', "", ["Majority in data.majority has no name"]),
        ("num_bits", "d_model", ["d_model: a field of task, model and config must have a name of its own"]),
        (
            "(2 * x.sum(1) > self.num_bits).long()",
            "x[:, :3].sum(1)",
            ["labels are torch.int64 from 0 to 1", "from 0 to 3"],
        ),
        ("(2 * x.sum(1) > self.num_bits).long()", "x[:, :3].sum(1) % 2.0", ["labels are torch.int64", "torch.float32"]),
    ],
)
def test_a_task_that_cannot_be_one_is_told(script, old, new, words):
    script.changed("data/majority.py", None, TASK.replace(old, new))
    flags = [*size_for(["--task", "--model"]), "--task=majority", "--model=image_mlp"]
    with pytest.raises(AssertionError) as caught:
        script("train", *flags)
    for word in words:
        assert word in str(caught.value)
    assert not list(run_folders("runs")[0]) if os.path.exists("runs") else True
