"""The hash of what a run executes: it changes with each edit of that, and with no other."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from configs.base import MLPConfig, MnistConfig, TransformerConfig
from configs.ticket import MLPTicketConfig
from experiments import source_hash, source_modules
from experiments.code_state import code_of, how_executed, measure_hash, standing

REPOSITORY = Path(source_hash.__file__).parents[1]
HOW = {"population": False, "cuda": False}
MEASURES = ("train_loss", "train_acc", "test_acc", "l1norm", "l2norm")  # as they were when this was written
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
    "stops": (MLPConfig(stop_after_gen=True), HOW),
    "decayed": (MLPTicketConfig(weight_decay=0.0, retrain_weight_decay=3.0), HOW),
}
ALL = set(RUNS)
MLPS = ALL - {"transformer", "mnist", "batches"}
TICKETS = {"ticket", "random", "decayed"}


def hashes() -> dict[str, str]:
    source_hash._hash.cache_clear()
    source_modules.find_module.cache_clear()
    found = {name: code_of(config, how) for name, (config, how) in RUNS.items()}
    return found | {name: measure_hash(name, MLPConfig()) for name in MEASURES}


@pytest.fixture(scope="module")
def before():
    yield hashes()
    hashes()  # whoever asks next gets no hash of an edited file


@pytest.fixture
def edit(monkeypatch):
    """Edits a file, as far as the hash sees it; gives the hashes after that."""

    def edited(file: str, old: str, new: str) -> dict[str, str]:
        path = str(REPOSITORY / file)
        text = Path(path).read_text()
        assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in {file}"
        with monkeypatch.context() as patch:
            patch.setattr(source_modules, "sources", lambda: {path: text.replace(old, new)})
            return hashes()

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
        ("models/model.py", '"gelu": F.gelu', '"gelu": F.silu', set()),
        ("training/losses.py", "(logits - target).square()", "(logits - target).abs()", {"mnist", "batches"}),
        ("training/losses.py", "nll.view(y.shape).mean(-1)", "nll.view(y.shape).sum(-1)", ALL - {"mnist", "batches"}),
        ("training/losses.py", "lp_alpha * torch.stack", "2 * lp_alpha * torch.stack", {"lp"}),
        ("training/optimizer.py", "eps = 1e-8", "eps = 1e-7", ALL),
        ("training/optimizer.py", "self.fused.step()", "self.fused.step(None)", ALL),
        ("training/optimizer.py", "lerp_(adamw.grad, 1 - beta1)", "lerp_(adamw.grad, 1)", {"population"}),
        ("training/loop.py", "objective.sum().backward()", "(2 * objective).sum().backward()", ALL),
        ("training/loop.py", "objective + lp_penalty(", "objective - lp_penalty(", {"lp"}),
        ("training/loop.py", "for _ in range(3):", "for _ in range(4):", {"cuda"}),
        ("training/loop.py", "batches of epoch {epoch}", "batch of epoch {epoch}", {"batches"}),
        ("training/population.py", "if not any(masks):", "if not all(masks):", {"population"}),
        ("training/metrics.py", "seen.flat.double().abs()", "seen.flat.abs()", {"l1norm"}),
        ("training/metrics.py", "accuracy(seen.train)", "accuracy(seen.test)", {"train_acc"}),
        ("training/metrics.py", "(seen.logits.argmax(-1) == seen.y)", "(seen.logits.argmin(-1) == seen.y)", {"train_acc", "test_acc"}),
        ("training/loop.py", "(0, 100, 200, 500, 1000)", "(0, 100, 200, 500, 2000)", ALL),
        ("experiments/components.py", 'dense / "init.pth"', 'dense / "100.pth"', TICKETS | {"control"}),
        ("experiments/components.py", "model.load_state_dict(load_weights(init, model))", "load_weights(init, model)", ALL),
        ("experiments/components.py", 'return state["optimizer"] if epoch else None', "return None", ALL),
        ("configs/ticket.py", "getattr(self, name) if value is None else value for", "value for", TICKETS | {"control"}),
        ("training/population.py", "torch.stack([member[name].data for", "torch.stack([2 * member[name].data for", {"population"}),
        ("training/loop.py", "import functools\n", "import functools\n\ntorch.set_float32_matmul_precision('medium')\n", ALL),
        ("training/loop.py", "and test_loss < self.stopping_thresh", "and test_loss <= self.stopping_thresh", set()),
        ("training/generalization.py", "if max(test_acc) < threshold", "if max(test_acc) <= threshold", {"stops"}),
        ("pruning/scores.py", "weight.abs()", "weight", {"ticket", "decayed"}),
        ("pruning/scores.py", "torch.rand(weight.shape", "torch.randn(weight.shape", {"random"}),
        ("pruning/masks.py", "round(rate * scores.numel())", "int(rate * scores.numel())", TICKETS),
        ("experiments/components.py", "torch.set_flush_denormal(True)", "torch.set_flush_denormal(False)", ALL),
        # How it is explained, said, recorded, shown and kept.
        ("training/loop.py", "objective.sum().backward()", "objective.sum().backward()  # of all networks", set()),
        ("training/loop.py", "The loop, once:", "The loop:", set()),
        ("training/losses.py", "def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:", "def cross_entropy(logits, y):", set()),
        ("pruning/masks.py", "a score is not finite: the weights", "a score is nan: the weights", set()),
        ("training/loop.py", "objective = loss(model(x), y)", "objective: Tensor = loss(model(x), y)\n        print(x)", set()),
        ("training/loop.py", "    train_set =", "    if x < 0:\n        raise ValueError\n    train_set =", set()),
        ("experiments/recording.py", "self.last_saved = epoch", "self.last_saved = int(epoch)", set()),
        ("training/signals.py", "state.received = number", "state.received = int(number)", set()),
        ("data/mnist_files.py", "content = response.read()", "content = bytes(response.read())", set()),
        ("data/mnist_files.py", "torch.frombuffer(body,", "255 - torch.frombuffer(body,", {"mnist", "batches"}),
        ("data/mnist.py", ".div_(255)", ".div_(256)", {"mnist", "batches"}),
        ("figures/curves.py", '"font.size": 9', '"font.size": 8', set()),
    ],
)  # fmt: skip
def test_what_an_edit_makes_another_run(before, edit, file, old, new, others):
    after = edit(file, old, new)
    assert {name for name in before if after[name] != before[name]} == others


# Replacing ``old`` by the one or the other must give different hashes of the MLP's run on a + b (or of its ticket).


@pytest.mark.parametrize(
    ("file", "old", "one", "other"),
    [
        ("data/modular.py", "Operation(lambda a, b, p: (a + b) % p, True)", "Operation(_divide, True)", "Operation(max, True)"),
        ("data/modular.py", "Operation(lambda a, b, p: (a + b) % p, True)", "Operation(power(2), True)", "Operation(power(3), True)"),
        ("models/model.py", '"relu": F.relu', '"relu": nn.LeakyReLU(0.1)', '"relu": nn.LeakyReLU(0.3)'),
        ("models/model.py", '"relu": F.relu', '"relu": functools.partial(F.relu, 1)', '"relu": functools.partial(F.relu, 2)'),
        ("training/loop.py", "@torch.no_grad()\ndef measure", "torch.set_x(1)\n@torch.no_grad()\ndef measure",
         "torch.set_x(2)\n@torch.no_grad()\ndef measure"),
        ("training/losses.py", "def cross_entropy(", "def cross_entropy(", "import torch.x\n\n\ndef cross_entropy("),
        ("training/optimizer.py", "    eps = 1e-8", "    eps: float = 1e-8", "    eps: float = 1e-3"),
        ("training/optimizer.py", "# An optimizer is a class", "class AdamW(AdamW):\n    x = 1\n\n\n# An optimizer is a class",
         "class AdamW(AdamW):\n    x = 2\n\n\n# An optimizer is a class"),
        ("training/optimizer.py", "class AdamW(Optimizer):", "class AdamW(nn.Module):", "class AdamW(Tensor):"),
        ("experiments/components.py", "return config.task.split(config.seed)", "config.kind", "config.identity()"),
        ("experiments/components.py", "def build_loss(config: Dense) -> Loss:",
         "GAIN = {'relu': 1.0}\n\ndef build_loss(config, g=GAIN):",
         "GAIN = {'relu': 2.0}\n\ndef build_loss(config, g=GAIN):"),
        ("experiments/components.py", "def build_loss(config: Dense) -> Loss:", "EPS = [1e-8]\n\ndef build_loss(config, e=EPS):",
         "EPS = [1e-7]\n\ndef build_loss(config, e=EPS):"),
        ("experiments/components.py", "    return LOSSES[config.loss or config.task.loss]",
         "    from training.losses import lp_penalty as f\n    return f",
         "    from training.losses import squared_error as f\n    return f"),
        ("experiments/components.py", "    return LOSSES[config.loss or config.task.loss]", "    if config.x.lp_alpha:\n        y = 1",
         "    if config.x.lp_alpha:\n        y = 2"),
        ("experiments/components.py", "return dense / ", "return dense / ", "return dense.parent / "),
    ],
)  # fmt: skip
def test_what_is_reached_through_names_is_seen(edit, file, old, one, other):
    named = "ticket" if "dense" in old else "add"
    is_other = edit(file, old, one)[named] != edit(file, old, other)[named]
    assert is_other != ("import torch.x" in other), "an import alone changes nothing"


def test_what_a_factory_makes_is_seen_with_the_factory_itself(edit):
    text = "def _sum(n):\n    return lambda a, b, p: (n * a + b) % p\n\n\n{}OPERATIONS: dict = {{'add': Operation(_sum({}), True)}}\n"
    table = "OPERATIONS: dict[str, Operation] = {"
    found = [
        edit("data/modular.py", table, text.format(*how) + "LATER = {")["add"]
        for how in (("", 1), ("", 2), ("# why\n", 1))
    ]
    assert found[0] != found[1]
    assert found[0] == found[2]


def test_a_measure_that_is_gone_or_new_says_nothing_about_a_run(monkeypatch):
    stored = {"code": code_of(MLPConfig(), HOW), "executed": how_executed(MLPConfig(), False, False)}
    assert standing(stored, MLPConfig()) == "current"
    more = stored["executed"]["measures"] | {"gone": "2:0123"}
    assert standing(stored | {"executed": HOW | {"measures": more}}, MLPConfig()) == "current"
    assert standing(stored | {"executed": HOW | {"measures": {"test_acc": more["test_acc"]}}}, MLPConfig()) == "current"
    assert standing(stored | {"executed": HOW | {"measures": {"test_acc": "2:0123"}}}, MLPConfig()) == "other"


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
SAY = "import sys; sys.path.insert(0, 'tests'); from test_source_hash import hashes; print(hashes())"


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
        "pruning/scores.py",
        '    "random": random,',
        '    "random": random,\n    "smallest": lambda network, generator: network,',
    )
    replace(
        "training/metrics.py",
        '    "l1norm": lambda',
        '    "train_squared": lambda seen: seen.train.loss**2,\n    "l1norm": lambda',
    )
    whole = (copy / "training/losses.py").read_text()
    start, end = whole.index("def squared_error"), whole.index("def regression_error")
    (copy / "training/losses.py").write_text(
        whole[:start] + "from training.moved import squared_error\n\n\n" + whole[end:]
    )
    (copy / "training/moved.py").write_text("import torch\n" + MOVED)
    replace(
        "training/loop.py",
        "from training.metrics import MEASURES, ",
        "import training.metrics\nfrom training.metrics import ",
    )
    replace("training/loop.py", "in MEASURES.values()", "in training.metrics.MEASURES.values()")
    said = subprocess.run(
        [sys.executable, "-c", SAY],
        cwd=copy,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": "."},
    )
    assert not said.stderr
    found = eval(said.stdout)
    assert found == hashes()
