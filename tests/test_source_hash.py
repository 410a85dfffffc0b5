"""The hash of what a run executes: it changes with each edit of that, and with no other."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import source_hash
import training.metrics
from configs.base import MLPConfig, MnistConfig, TransformerConfig
from configs.ticket import MLPTicketConfig
from experiment import code_of
from training.metrics import MEASURES

REPOSITORY = Path(source_hash.__file__).parent
HOW = {"measures": list(MEASURES), "population": False, "cuda": False}
RUNS = {
    "add": (MLPConfig(), HOW),
    "multiply": (MLPConfig(fn_name="multiply"), HOW),
    "transformer": (TransformerConfig(), HOW),
    "mnist": (MnistConfig(), HOW),
    "batches": (MnistConfig(batch_size=100), HOW),
    "lp": (MLPConfig(lp_alpha=0.1), HOW),
    "ticket": (MLPTicketConfig(), HOW),
    "random": (MLPTicketConfig(pruner="random"), HOW),
    "control": (MLPTicketConfig(use_mask=False), HOW),
    "population": (MLPConfig(), HOW | {"population": True}),
    "cuda": (MLPConfig(), HOW | {"cuda": True}),
    "fewer": (MLPConfig(), HOW | {"measures": ["train_loss", "test_loss", "train_acc", "test_acc"]}),
}
ALL = set(RUNS)
MLPS = ALL - {"transformer", "mnist", "batches"}
TICKETS = {"ticket", "random"}


def hashes() -> dict[str, str]:
    source_hash._hash.cache_clear()
    source_hash._tree.cache_clear()
    return {name: code_of(config, how) for name, (config, how) in RUNS.items()}


@pytest.fixture(scope="module")
def before():
    yield hashes()
    hashes()  # whoever asks next gets no hash of an edited file


@pytest.fixture
def edit(before, monkeypatch):
    """Edits a file, as far as the hash sees it; the lines must stay where they are. Gives which runs are others after that."""

    def edited(file: str, old: str, new: str) -> set[str]:
        path = str(REPOSITORY / file)
        text = Path(path).read_text()
        assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in {file}"
        assert old.count("\n") == new.count("\n")
        with monkeypatch.context() as patch:
            patch.setattr(source_hash, "_sources", lambda: {path: text.replace(old, new)})
            after = hashes()
        return {name for name in RUNS if after[name] != before[name]}

    return edited


@pytest.mark.parametrize(
    ("file", "old", "new", "others"),
    [
        ("data/modular.py", "a * b % p, True", "b * a % p, True", {"multiply"}),
        ("data/modular.py", "(a - b) % p", "(b - a) % p", set()),
        ("data/modular.py", "random.Random(seed).shuffle(pairs)", "random.Random(0).shuffle(pairs)", ALL - {"mnist", "batches"}),
        ("models/mlp.py", "counts @ (self.W_inproj @ self.W_E).mT", "counts @ (self.W_inproj @ self.W_E).mT * 2", MLPS),
        ("models/mlp.py", "return hidden @ self.W_out.mT", "return 2 * hidden @ self.W_out.mT", {"mnist", "batches"}),
        ("models/transformer.py", "return scores.softmax(-1)", "return scores.softmax(-2)", {"transformer"}),
        ("models/mlp.py", '"gelu": F.gelu', '"gelu": F.silu', set()),
        ("training/losses.py", "(logits - target).square()", "(logits - target).abs()", {"mnist", "batches"}),
        ("training/losses.py", "nll.view(y.shape).mean(-1)", "nll.view(y.shape).sum(-1)", ALL - {"mnist", "batches"}),
        ("training/losses.py", "lp_alpha * torch.stack", "2 * lp_alpha * torch.stack", {"lp"}),
        ("training/optimizer.py", "betas, 1e-8", "betas, 1e-7", ALL),
        ("training/optimizer.py", "self.fused.step()", "self.fused.step(None)", ALL),
        ("training/optimizer.py", "lerp_(adamw.grad, 1 - beta1)", "lerp_(adamw.grad, 1)", {"population"}),
        ("training/loop.py", "objective.sum().backward()", "(2 * objective).sum().backward()", ALL),
        ("training/loop.py", "objective + lp_penalty(", "objective - lp_penalty(", {"lp"}),
        ("training/loop.py", "for _ in range(3):", "for _ in range(4):", {"cuda"}),
        ("training/loop.py", "batches of epoch {epoch}", "batch of epoch {epoch}", {"batches"}),
        ("training/population.py", "if not any(masks):", "if not all(masks):", {"population"}),
        ("training/metrics.py", "seen.flat.double().abs()", "seen.flat.abs()", ALL - {"fewer"}),
        ("training/metrics.py", "accuracy(seen.train)", "accuracy(seen.test)", ALL),
        ("training/metrics.py", "if test_loss < stopping_thresh", "if test_loss <= stopping_thresh", set()),
        ("pruning/scores.py", "weight.abs()", "weight", {"ticket"}),
        ("pruning/scores.py", "torch.rand(weight.shape", "torch.randn(weight.shape", {"random"}),
        ("pruning/masks.py", "round(rate * scores.numel())", "int(rate * scores.numel())", TICKETS),
        ("build.py", "torch.set_flush_denormal(True)", "torch.set_flush_denormal(False)", ALL),
        # How it is explained, said, recorded, shown and kept.
        ("training/loop.py", "objective.sum().backward()", "objective.sum().backward()  # of all networks", set()),
        ("training/loop.py", "The loop, once:", "The loop:", set()),
        ("training/losses.py", "def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:", "def cross_entropy(logits, y):", set()),
        ("pruning/masks.py", "a score is not finite: the weights", "a score is nan: the weights", set()),
        ("training/recording.py", "self.last_saved = epoch", "self.last_saved = int(epoch)", set()),
        ("training/signals.py", "state.received = number", "state.received = int(number)", set()),
        ("data/mnist.py", "blob += chunk", "blob = blob + chunk", set()),
        ("data/mnist.py", ".div_(255)", ".div_(256)", {"mnist", "batches"}),
        ("figures.py", '"font.size": 9', '"font.size": 8', set()),
    ],
)  # fmt: skip
def test_what_an_edit_makes_another_run(edit, file, old, new, others):
    assert edit(file, old, new) == others


def test_two_measures_that_change_places_are_seen(edit):
    """The same formulas under each other's names."""
    l1, l2 = "seen.flat.double().abs().sum(-1)", "seen.flat.double().square().sum(-1).sqrt()"
    lines = '"l1norm": lambda seen: {},\n    "l2norm": lambda seen: {},'
    old, new = lines.format(l1, l2), lines.format(l2, l1)
    assert edit("training/metrics.py", old, new) == ALL - {"fewer"}


def test_a_constant_is_seen(before, monkeypatch):
    monkeypatch.setattr(training.metrics, "EARLY_CHECKPOINTS", (0, 100, 200, 500, 2000))
    assert all(after != before[name] for name, after in hashes().items())


def test_the_seed_and_the_sizes_are_no_code():
    assert code_of(MLPConfig(seed=0), HOW) == code_of(MLPConfig(seed=7, p=11, lr=0.1), HOW)


def test_it_says_its_scheme():
    for value in hashes().values():
        assert value.startswith(f"{source_hash.SCHEME}:")
        assert len(value.split(":")[1]) == 64


MOVED = """
def squared_error(logits, y):
    target = torch.zeros_like(logits).scatter_(-1, y.expand(logits.shape[:-1]).unsqueeze(-1), 1.0)
    # A comment, and no docstring.
    return (logits - target).square().mean((-2, -1))
"""
SAY = "import sys; sys.path.insert(0, 'tests'); import test_source_hash as t; t.HOW['measures'][:] = {}; print(t.hashes())"


def test_new_choices_and_moved_code_leave_every_run_as_good_as_it_was(tmp_path):
    """In a copy of the repository: an operation, a pruner and a measure more, and a loss that moves to a file of its own."""
    names = shutil.ignore_patterns(".*", "runs", "assets", "data/raw", "__pycache__")
    copy = shutil.copytree(REPOSITORY, tmp_path / "copy", ignore=names)

    def replace(file: str, old: str, new: str) -> None:
        text = (copy / file).read_text()
        assert text.count(old) == 1, old
        (copy / file).write_text(text.replace(old, new))

    replace(
        "data/modular.py",
        '    "rand": Operation',
        '    "x2y": Operation(lambda a, b, p: (a**2 + b) % p, False),\n    "rand": Operation',
    )
    replace(
        "pruning/scores.py", '"random": random}', '"random": random, "smallest": lambda weights, generator: weights}'
    )
    replace(
        "training/metrics.py",
        '    "l1norm": lambda',
        '    "train_squared": lambda seen: seen.train.loss**2,\n    "l1norm": lambda',
    )
    whole = (copy / "training/losses.py").read_text()
    start, end = whole.index("def squared_error"), whole.index("def lp_penalty")
    (copy / "training/losses.py").write_text(
        whole[:start] + "from training.moved import squared_error\n\n\n" + whole[end:]
    )
    (copy / "training/moved.py").write_text("import torch\n" + MOVED)
    replace(
        "training/loop.py",
        "from training.metrics import MEASURES, ",
        "import training.metrics\nfrom training.metrics import MEASURES, ",
    )
    replace("training/loop.py", "if last or is_due(epoch) or", "if last or training.metrics.is_due(epoch) or")
    said = subprocess.run(
        [sys.executable, "-c", SAY.format(list(MEASURES))],
        cwd=copy,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": "."},
    )
    assert not said.stderr
    found = eval(said.stdout)
    assert found == hashes()
