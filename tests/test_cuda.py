"""What only a GPU can show; skipped where there is none."""

import itertools
import json
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import build, stack, weights_of
from scripts import call, run_folders

from configs.base import MLPConfig, TransformerConfig
from configs.ticket import MLPTicketConfig
from experiments import members, train_jobs
from experiments.jobs import job_of
from experiments.reading import read_metrics
from experiments.train_jobs import run_job, run_population
from training.loop import capture
from training.losses import cross_entropy
from training.optimizer import AdamW

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
BETAS = (0.9, 0.98)
SMALL = {
    "p": 11,
    "frac_train": 0.5,
    "fn_name": "add",
    "num_epochs": 120,
    "save_every": 40,
    "lr": 3e-3,
    "device": "cuda",
}
CONFIGS = {
    "mlp": MLPConfig(**SMALL, d_emb=24, d_model=12),
    "transformer": TransformerConfig(**SMALL, d_model=16, d_mlp=16, num_heads=2),
}
several = pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")


@pytest.fixture(autouse=True)
def without_pictures(monkeypatch):
    monkeypatch.setattr(members, "plot_curves", lambda metrics, title, path: path.touch())


def assert_close(one: Path, other: Path, tolerance: float) -> None:
    mine, theirs = read_metrics(one), read_metrics(other)
    for column in mine:
        bound = tolerance * max(1.0, np.abs(mine[column]).max())
        np.testing.assert_allclose(theirs[column], mine[column], rtol=0, atol=bound, err_msg=column)


@pytest.mark.parametrize("device", ["cuda:0", pytest.param("cuda:1", marks=several)])
@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("kind", ["mlp", "transformer"])
def test_the_graph_is_the_step(kind, size, device):
    """In float64, for one network and for a population, on whichever device; the steps that make the graph are undone."""
    trained = []
    for graphed in (False, True):
        model = build(kind).double() if size == 1 else stack([build(kind, seed).double() for seed in range(size)])
        lr, weight_decay = (
            value if size == 1 else torch.full((size,), value, dtype=torch.float64, device=device)
            for value in (1e-2, 1.0)
        )
        before = weights_of(model)
        optimizer = AdamW(model.to(device), lr, weight_decay, BETAS, None, capturable=graphed)
        source = torch.Generator().manual_seed(0)
        x = model.encode(torch.randint(7, (12, 2), generator=source).to(device))
        y = torch.randint(7, (12,), generator=source).to(device)

        def step(model=model, optimizer=optimizer, x=x, y=y):
            cross_entropy(model(x), y).sum().backward()
            optimizer.step()

        step = capture(step, optimizer) if graphed else step
        if graphed:
            assert all(torch.equal(weight.cpu(), before[name]) for name, weight in weights_of(model).items())
            assert optimizer.step_count == 0
        for _ in range(30):
            step()
        assert optimizer.step_count == 30
        trained.append(weights_of(model))
    for name, weight in trained[0].items():
        torch.testing.assert_close(trained[1][name], weight, rtol=1e-9, atol=1e-9)


def test_a_graph_of_another_device_is_not_taken_for_a_step():
    """A step that does nothing on the weights' device gives an empty graph; a run with it would never move."""
    optimizer = AdamW(build("mlp").cuda(), 1e-2, 1.0, BETAS, None, capturable=True)
    with pytest.raises(RuntimeError, match="empty"):
        capture(lambda: None, optimizer)


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_run_on_the_gpu_is_the_run_on_the_cpu(kind, tmp_path):
    config = CONFIGS[kind].but(num_epochs=40)
    for device in ("cpu", "cuda"):
        run_job(job_of(config.but(device=device, root=str(tmp_path / device))))
    (one,), (other,) = run_folders(tmp_path / "cpu")[0], run_folders(tmp_path / "cuda")[0]
    assert_close(one, other, 1e-3)
    assert json.loads((other / "config.json").read_text())["executed"]["cuda"] is True


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_population_on_the_gpu_is_its_single_runs(kind, tmp_path):
    configs = [CONFIGS[kind].but(num_epochs=60, seed=seed, lr=lr) for seed, lr in enumerate((1e-3, 3e-3, 1e-2))]
    for config in configs:
        run_job(job_of(config.but(root=str(tmp_path / "alone"))))
    together = run_population([job_of(config.but(root=str(tmp_path / "together"))) for config in configs])
    assert len(together) == 3
    for folder in together:
        assert_close(tmp_path / "alone" / folder.path.name, folder.path, 1e-3)


def test_tickets_of_a_population_keep_their_masks_on_the_gpu(tmp_path):
    config = MLPTicketConfig(**SMALL | {"num_epochs": 40}, d_emb=24, d_model=12, root=str(tmp_path))
    run_job(job_of(config.dense()))
    jobs = [job_of(config.but(pruning_rate=rate)) for rate in (0.3, 0.6)]
    for job, folder in zip(jobs, run_population(jobs), strict=True):
        final = torch.load(folder.path / "final.pth", weights_only=True)["model"]
        assert all(not bool(final[name][~kept].any()) for name, kept in job.mask.items())


@several
def test_a_run_on_the_second_gpu_moves(tmp_path):
    for device in ("cuda:0", "cuda:1"):
        run_job(job_of(CONFIGS["mlp"].but(device=device, num_epochs=40, root=str(tmp_path / device))))
    (one,), (other,) = (run_folders(tmp_path / name)[0] for name in ("cuda:0", "cuda:1"))
    assert_close(one, other, 1e-6)
    assert read_metrics(other)["l2norm"][-1] != read_metrics(other)["l2norm"][0]


@pytest.mark.parametrize(("first", "second"), list(itertools.permutations(("cpu", "cuda"))))
def test_a_run_goes_on_on_the_other_device(first, second, tmp_path, monkeypatch):
    config = CONFIGS["mlp"].but(num_epochs=60, save_every=20)
    run_job(job_of(config.but(device=second, root=str(tmp_path / "alone"))))
    whole = members.train

    def interrupted(*args, **named):
        whole(*args[:5], replace(args[5], num_epochs=25), **named)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(members, "train", interrupted)
        patch.setattr(
            members.Recorder,
            "observe",
            lambda self, e, v, g, s, real=members.Recorder.observe: real(self, e, v, g, replace(s, num_epochs=60)),
        )
        with pytest.raises(KeyboardInterrupt):
            run_job(job_of(config.but(device=first, root=str(tmp_path / "moved"))))
    run_job(job_of(config.but(device=second, root=str(tmp_path / "moved"))))
    (one,), (other,) = run_folders(tmp_path / "alone")[0], run_folders(tmp_path / "moved")[0]
    assert_close(one, other, 1e-3)
    assert json.loads((other / "config.json").read_text())["executed"]["cuda"] is True


def test_out_of_memory_halves_the_population_and_frees_what_failed(tmp_path, monkeypatch):
    whole, failed = members.train, []

    def greedy(model, split, loss, optimizer, recorders, *more, **named):
        assert not [held for held in failed if held() is not None]
        if len(recorders) > 1:
            failed.append(weakref.ref(model))
            torch.empty(2**60, device="cuda")  # more than there is
        return whole(model, split, loss, optimizer, recorders, *more, **named)

    monkeypatch.setattr(members, "train", greedy)
    configs = [CONFIGS["mlp"].but(num_epochs=20, seed=seed, root=str(tmp_path)) for seed in range(4)]
    assert len(run_population([job_of(config) for config in configs])) == 4
    assert len(failed) == 3, "four, then two and two"
    assert all((folder / "summary.json").exists() for folder in run_folders(tmp_path)[0])


def test_memory_that_the_allocator_keeps_counts_as_free():
    job = job_of(CONFIGS["mlp"])
    member = members.prepare(job, train_jobs.build_split(job.config))
    held = torch.empty(2**30, dtype=torch.uint8, device="cuda")
    del held  # the allocator keeps it
    with_cache = members.members_that_fit(member)
    torch.cuda.empty_cache()
    assert with_cache == pytest.approx(members.members_that_fit(member), rel=0.01)


def test_a_network_that_does_not_fit_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(members, "train", lambda *_, **__: torch.empty(2**60, device="cuda"))
    outcome = call("train", "--device=cuda", f"--root={tmp_path}")
    assert outcome.status == 2
    assert "--device cpu" in outcome.message
