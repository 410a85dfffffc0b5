"""Populations: each run ends as if it had been trained alone, whatever becomes of the others."""

import shutil
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scripts import dying, run_folders
from sweeps import SMALL, done, run_sweep, train_sweep, write

import experiments.recorder
from configs.base import Dense, MLPConfig, TransformerConfig
from configs.ticket import MLPTicketConfig, Ticket
from experiments import populations, queue, trainer
from experiments.build import build_loss
from experiments.folder import RunFolder
from experiments.ingredients import gather
from experiments.parents import folder_of
from experiments.populations import bytes_of_member, how_many_fit, train_population
from experiments.recorder import Recorder
from experiments.same_run import claim
from experiments.trainer import prepare, train_one
from reporting.results import read_result


@pytest.fixture(autouse=True)
def without_pictures(monkeypatch):
    """They take longer than everything else."""
    monkeypatch.setattr(trainer, "plot_curves", lambda metrics, title, path: path.touch())
    monkeypatch.setattr(queue, "POLL_SECONDS", 0.02)


def dense_configs(root: Path, kind: str = "mlp") -> list[Dense]:
    """Three that share shapes, and differ in seed, learning rate and weight decay."""
    common = SMALL | {"root": str(root), "num_epochs": 60, "save_every": 25, "lr": 3e-3}
    if kind == "transformer":
        del common["d_emb"]
        base = TransformerConfig(**common | {"d_model": 8, "d_mlp": 8, "num_heads": 2, "num_layers": 2})
    else:
        base = MLPConfig(**common)
    return [base, base.but(seed=1, lr=1e-2), base.but(seed=2, weight_decay=0.0)]


def ticket_configs(root: Path) -> list[Ticket]:
    """With masks of their own, or none, or logits that are multiplied."""
    base = MLPTicketConfig(**SMALL, root=str(root))
    more = (
        {"pruning_rate": 0.3, "retrain_weight_decay": 0.0},
        {"use_mask": False, "retrain_lr": 1e-3},
        {"control": "same_logits"},
    )
    return [base, *(base.but(**one) for one in more)]


def together(configs: list[Dense]) -> list[RunFolder]:
    """A population of which no run fails."""
    errors = []
    folders = train_population(configs, lambda config, error: errors.append(error))
    assert not errors
    return folders


def assert_close(one: Path, other: Path, tolerance: float = 1e-9) -> None:
    """Of runs in float64."""
    mine, theirs = read_result(one), read_result(other)
    for column in mine.metrics:
        bound = tolerance * max(1.0, np.abs(mine.metrics[column]).max())
        np.testing.assert_allclose(theirs.metrics[column], mine.metrics[column], rtol=0, atol=bound, err_msg=column)
    keys = ("status", "epochs", "weights_kept", "kept_per_matrix")
    assert {key: mine.summary[key] for key in keys} == {key: theirs.summary[key] for key in keys}
    assert sorted(path.name for path in one.glob("*.pth")) == sorted(path.name for path in other.glob("*.pth"))


@pytest.mark.numerics
@pytest.mark.parametrize(("kind", "fits"), [("mlp", 3), ("mlp", 2), ("transformer", 3)])
def test_a_population_leaves_what_single_runs_leave(kind, fits, tmp_path, monkeypatch, in_float64):
    monkeypatch.setattr(populations, "how_many_fit", lambda training: fits)
    for config in dense_configs(tmp_path / "alone", kind):
        train_one(config)
    folders = together(dense_configs(tmp_path / "together", kind))
    assert len(folders) == 3
    for folder in folders:
        assert_close(tmp_path / "alone" / folder.path.name, folder.path)


@pytest.mark.numerics
def test_members_may_have_masks_of_their_own_or_none(tmp_path, in_float64):
    for root in ("alone", "together"):
        train_one(ticket_configs(tmp_path / root)[0].dense())
    for config in ticket_configs(tmp_path / "alone"):
        train_one(config)
    folders = together(ticket_configs(tmp_path / "together"))
    assert len(folders) == 4
    for folder in folders:
        assert_close(tmp_path / "alone" / folder.path.name, folder.path)


@pytest.mark.numerics
def test_members_stop_by_the_rule_of_a_single_run_and_the_stack_shrinks(tmp_path, monkeypatch, in_float64):
    sizes, whole = [], trainer.train

    def counted(model, *more, **named):
        sizes.append(len(more[3]))
        return whole(model, *more, **named)

    monkeypatch.setattr(trainer, "train", counted)
    base = dense_configs(tmp_path)[0].but(stopping_thresh=1.7, num_epochs=100)
    configs = [base.but(seed=seed) for seed in (0, 1, 3, 6)]  # of these 3 and 6 get there, at epochs of their own
    for config in configs:
        train_one(config.but(root=str(tmp_path / "alone")))
    sizes.clear()
    folders = together([config.but(root=str(tmp_path / "together")) for config in configs])
    assert {folder.summary()["status"] for folder in folders} == {"stopped", "completed"}
    assert sizes == [4, 2]
    for folder in folders:
        assert_close(tmp_path / "alone" / folder.path.name, folder.path)


@pytest.mark.numerics
def test_a_member_that_diverges_does_not_disturb_the_others(tmp_path, in_float64):
    good = dense_configs(tmp_path / "together")[:2]
    for config in good:
        train_one(config.but(root=str(tmp_path / "alone")))
    folders = together([good[0], good[0].but(seed=7, lr=1e30), good[1]])
    assert [folder.summary()["status"] for folder in folders] == ["completed", "diverged", "completed"]
    for folder in (folders[0], folders[2]):
        assert_close(tmp_path / "alone" / folder.path.name, folder.path)


@pytest.mark.numerics
def test_an_interrupted_member_goes_on_in_a_population_and_alone(tmp_path, in_float64):
    for config in dense_configs(tmp_path / "alone"):
        train_one(config)
    configs = dense_configs(tmp_path / "together")
    with dying(epoch=33):
        together(configs)
    assert not done(tmp_path / "together")
    train_one(configs[0])
    together(configs)
    assert len(done(tmp_path / "together")) == 3
    for name in done(tmp_path / "together"):
        assert_close(tmp_path / "alone" / name, tmp_path / "together" / name)


def test_what_is_held_or_finished_is_left_out(tmp_path):
    finished, held, free = dense_configs(tmp_path)
    train_one(finished)
    with folder_of(held).lock():
        trained = together([finished, held, free])
    assert [folder.path for folder in trained] == [folder_of(free).path]


@pytest.mark.slow
@pytest.mark.numerics
@pytest.mark.parametrize("when", ["at once", "later"])
def test_a_population_that_does_not_fit_goes_on_with_half_and_frees_what_it_held(place, monkeypatch, when, in_float64):
    """Stacks of three and more run out of memory; what they held is gone before the next is made."""
    write()
    whole, stacks, observe = trainer.train, [], Recorder.observe

    def too_large(model, split, loss, optimizer, recorders, *more, **named):
        assert not [stack for stack in stacks if stack() is not None], "the stack that failed is still in memory"
        if len(recorders) < 3:
            return whole(model, split, loss, optimizer, recorders, *more, **named)
        stacks.append(weakref.ref(model))
        if when == "later":
            whole(model, split, loss, optimizer, recorders, replace(more[0], num_epochs=17), **named)
        raise torch.OutOfMemoryError("no memory left")

    def observed(recorder, epoch, values, get_state, schedule):
        observe(recorder, epoch, values, get_state, replace(schedule, num_epochs=30))  # the stack that fails ends at 17

    with monkeypatch.context() as patched:
        patched.setattr(Recorder, "observe", observed)
        patched.setattr(trainer, "train", too_large)
        outcome = train_sweep("--population=True")
    assert "10 of 10 runs are done, 0 failed" in outcome, outcome
    assert "out of memory with 8 networks at once; going on with 4" in outcome
    assert "out of memory with 4 networks at once; going on with 2" in outcome
    train_sweep("--root=alone")
    for name in done("alone"):
        assert_close(Path("alone") / name, Path("runs") / name)


@pytest.mark.slow
@pytest.mark.parametrize("where", ["metrics.csv", "final.pth"])
def test_a_member_that_cannot_be_written_does_not_stop_the_others(place, monkeypatch, where):
    write()
    flags = ("--workers=1", "--seeds=0", "--population=True")
    train_sweep(*flags)
    tickets = sorted(Path("runs").glob("*__*"))
    for ticket in tickets:
        shutil.rmtree(ticket)
    save = {"metrics.csv": "save_text", "final.pth": "save_tensors"}[where]
    whole = getattr(experiments.recorder, save)

    def full(content, path):
        if Path(path) == tickets[1] / where:
            raise OSError("no space left")
        whole(content, path)

    with monkeypatch.context() as patched:
        patched.setattr(experiments.recorder, save, full)
        outcome = run_sweep(*flags)
    assert outcome.status == 1, outcome
    assert f"failed: {tickets[1].name}: no space left" in outcome
    assert "4 of 5 runs are done, 1 failed" in outcome
    assert "5 of 5 runs are done, 0 failed" in run_sweep(*flags)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RuntimeError("the step fails"), "the step fails"),
        (torch.OutOfMemoryError("full"), "too little memory for this"),
    ],
)
def test_a_population_whose_step_fails_is_reported_for_every_member(place, monkeypatch, error, told):
    def broken(*_, **__):
        raise error

    write()
    monkeypatch.setattr(trainer, "train", broken)
    outcome = run_sweep("--workers=1", "--population=True")
    assert outcome.status == 1
    assert outcome.out.count(told) == 4, "two dense runs, told at once and at the end"
    assert "0 of 10 runs are done, 10 failed" in outcome


def test_the_memory_of_a_member_is_counted_not_guessed(tmp_path):
    config = dense_configs(tmp_path)[0]
    trainings = []
    for one in (config, config.but(d_model=800)):
        folder, made = folder_of(one), gather(one)
        folder.path.mkdir(parents=True)
        claim(folder, made)
        trainings.append(prepare(folder, made))
    small, wide = trainings
    counted = [bytes_of_member(one.model, one.made.split, build_loss(config)) for one in trainings]
    weights = [sum(weight.nbytes for weight in one.model.parameters()) for one in trainings]
    assert counted[0] > 6 * weights[0]
    activations = (
        2 * 800 * 4 * len(wide.made.split.train_y)
    )  # the hidden units and what relu saves of them, at the least
    assert counted[1] - counted[0] > 6 * (weights[1] - weights[0]) + activations / 2
    assert how_many_fit(small) > 1
    assert len(run_folders(tmp_path)[0]) == 2
