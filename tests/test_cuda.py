"""A GPU does what a CPU does. The same tests run on the CPU, so that what they call is not forgotten where there is no GPU."""

import itertools
import weakref
from pathlib import Path

import pytest
import torch
from networks import build, stack, weights_of
from scripts import call, dying, load
from test_populations import assert_close, together, without_pictures  # noqa: F401

from configs.base import Dense, MLPConfig, TransformerConfig
from configs.ticket import MLPTicketConfig
from experiments import populations, trainer
from experiments.build import choose_device
from experiments.ingredients import gather
from experiments.parents import folder_of
from experiments.populations import how_many_fit
from experiments.reader import read_config, read_metrics
from experiments.same_run import claim
from experiments.trainer import prepare, train_one
from training.loop import capture
from training.losses import cross_entropy
from training.optimizer import AdamW

gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
several = pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
CUDA = pytest.param("cuda", marks=gpu)
DEVICES = pytest.mark.parametrize("device", ["cpu", CUDA])
BETAS = (0.9, 0.98)
TOLERANCE = 1e-3
SMALL = {"p": 11, "frac_train": 0.5, "num_epochs": 60, "save_every": 40, "lr": 3e-3}
CONFIGS = {
    "mlp": MLPConfig(**SMALL, d_emb=24, d_model=12),
    "transformer": TransformerConfig(**SMALL, d_model=16, d_mlp=16, num_heads=2),
}


def train(config: Dense, root: Path, device: str) -> Path:
    return train_one(config.but(device=device, root=str(root))).path


@pytest.mark.parametrize(
    ("device", "graphed"),
    [("cpu", False), pytest.param("cuda:0", True, marks=gpu), pytest.param("cuda:1", True, marks=several)],
)
@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("kind", ["mlp", "transformer"])
def test_the_graph_is_the_step(kind, size, device, graphed):
    """In float64, for one network and for a population; the steps that make the graph are undone. On a CPU the same without it."""
    trained = []
    for is_graph in (False, graphed):
        model = build(kind).double() if size == 1 else stack([build(kind, seed).double() for seed in range(size)])
        lr, weight_decay = (
            value if size == 1 else torch.full((size,), value, dtype=torch.float64, device=device)
            for value in (1e-2, 1.0)
        )
        before = weights_of(model)
        optimizer = AdamW(model.to(device), lr, weight_decay, BETAS, None, capturable=is_graph)
        source = torch.Generator().manual_seed(0)
        x = model.encode(torch.randint(7, (12, 2), generator=source).to(device))
        y = torch.randint(7, (12,), generator=source).to(device)

        def step(model=model, optimizer=optimizer, x=x, y=y):
            cross_entropy(model(x), y).sum().backward()
            optimizer.step()

        step = capture(step, optimizer) if is_graph else step
        assert all(torch.equal(weight.cpu(), before[name]) for name, weight in weights_of(model).items())
        for _ in range(30):
            step()
        assert not any(torch.equal(weight.cpu(), before[name]) for name, weight in weights_of(model).items())
        trained.append(weights_of(model))
    for name, weight in trained[0].items():
        torch.testing.assert_close(trained[1][name], weight, rtol=1e-9, atol=1e-9)


@gpu
def test_a_graph_of_another_device_is_not_taken_for_a_step():
    """A step that does nothing on the weights' device gives an empty graph; a run with it would never move."""
    optimizer = AdamW(build("mlp").cuda(), 1e-2, 1.0, BETAS, None, capturable=True)
    with pytest.raises(RuntimeError, match="empty"):
        capture(lambda: None, optimizer)


@DEVICES
@pytest.mark.parametrize("kind", CONFIGS)
def test_a_run_is_the_run_on_the_cpu(kind, device, tmp_path):
    one, other = (train(CONFIGS[kind], tmp_path / root, where) for root, where in (("a", "cpu"), ("b", device)))
    assert_close(one, other, TOLERANCE)
    assert read_config(other)["device"].startswith(device)


@DEVICES
@pytest.mark.parametrize("kind", CONFIGS)
def test_a_population_is_its_single_runs(kind, device, tmp_path):
    configs = [CONFIGS[kind].but(seed=seed, lr=lr, device=device) for seed, lr in enumerate((1e-3, 3e-3, 1e-2))]
    for config in configs:
        train(config, tmp_path / "alone", device)
    folders = together([config.but(root=str(tmp_path / "together")) for config in configs])
    assert len(folders) == 3
    for folder in folders:
        assert_close(tmp_path / "alone" / folder.path.name, folder.path, TOLERANCE)


@DEVICES
def test_tickets_of_a_population_keep_their_masks(device, tmp_path):
    config = MLPTicketConfig(**SMALL, d_emb=24, d_model=12, root=str(tmp_path), device=device)
    train_one(config.dense())
    folders = together([config.but(pruning_rate=rate) for rate in (0.3, 0.6)])
    assert len(folders) == 2
    for folder in folders:
        final, mask = load(folder.path / "final.pth")["model"], load(folder.path / "mask.pth")["mask"]
        assert all(not bool(final[name][~kept].any()) for name, kept in mask.items())


@several
def test_a_run_on_the_second_gpu_moves(tmp_path):
    one, other = (train(CONFIGS["mlp"], tmp_path / device, device) for device in ("cuda:0", "cuda:1"))
    assert_close(one, other, 1e-6)
    assert read_metrics(other)["l2norm"][-1] != read_metrics(other)["l2norm"][0]


@pytest.mark.parametrize(
    ("first", "second"),
    [("cpu", "cpu"), *(pytest.param(*pair, marks=gpu) for pair in itertools.permutations(("cpu", "cuda")))],
)
def test_a_run_goes_on_on_the_other_device(first, second, tmp_path):
    config = CONFIGS["mlp"].but(save_every=20)
    one = train(config, tmp_path / "alone", second)
    with dying(epoch=33):
        train(config, tmp_path / "moved", first)
    assert_close(one, train(config, tmp_path / "moved", second), TOLERANCE)


@DEVICES
def test_out_of_memory_halves_the_population_and_frees_what_failed(device, tmp_path, monkeypatch):
    whole, failed = trainer.train, []

    def greedy(model, split, loss, optimizer, recorders, *more, **named):
        assert not [held for held in failed if held() is not None]
        if len(recorders) > 1:
            failed.append(weakref.ref(model))
            if device == "cpu":
                raise torch.OutOfMemoryError("no memory left")
            torch.empty(2**60, device=device)  # more than there is
        return whole(model, split, loss, optimizer, recorders, *more, **named)

    monkeypatch.setattr(trainer, "train", greedy)
    monkeypatch.setattr(populations, "how_many_fit", lambda training: 4)
    configs = [CONFIGS["mlp"].but(num_epochs=20, seed=seed, root=str(tmp_path), device=device) for seed in range(4)]
    assert len(together(configs)) == 4
    assert len(failed) == 2, "four, then two; from then on one by one"
    assert len(list(tmp_path.glob("*/summary.json"))) == 4


@gpu
def test_memory_that_the_allocator_keeps_counts_as_free(tmp_path):
    config = CONFIGS["mlp"].but(device="cuda", root=str(tmp_path))
    folder, made = folder_of(config), gather(config)
    with folder.lock():
        claim(folder, made)
    training = prepare(folder, made)
    held = torch.empty(2**30, dtype=torch.uint8, device="cuda")
    del held  # the allocator keeps it
    with_cache = how_many_fit(training)
    torch.cuda.empty_cache()
    assert with_cache == pytest.approx(how_many_fit(training), rel=0.01)


@DEVICES
def test_a_network_that_does_not_fit_is_one_line(device, tmp_path, monkeypatch):
    def greedy(*_, **__):
        if device == "cpu":
            raise torch.OutOfMemoryError("no memory left\nand more")
        torch.empty(2**60, device=device)

    monkeypatch.setattr(trainer, "train", greedy)
    outcome = call("train", f"--device={device}", f"--root={tmp_path}")
    assert outcome.status == 2
    assert "--device cpu" in outcome.message
    assert outcome.err.count("\n") == 1


def test_a_device_that_is_not_there_is_said(monkeypatch):
    assert choose_device(CONFIGS["mlp"].but(device="cpu")) == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device(CONFIGS["mlp"].but(device="auto")) == torch.device("cpu")
