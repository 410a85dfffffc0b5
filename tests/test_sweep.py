"""Sweeps: the plan, workers that share none, populations that equal single runs, and what is collected."""

import contextlib
import csv
import errno
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import weakref
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import scripts
import torch
from matplotlib.figure import Figure
from scripts import assert_refused, assert_same_run, call, run_folders, snapshot, succeed
from slow_rule import slow_rule

import experiments.recording
import sweep
from common.errors import UserError
from common.files import load_tensors, save_tensors
from configs.base import MLPConfig, TransformerConfig
from configs.sweep import Sweep
from configs.ticket import MLPTicketConfig
from experiments import members, train_jobs, worker
from experiments.components import build_split
from experiments.folder import RunFolder
from experiments.jobs import job_of
from experiments.provenance import usable_cores
from experiments.source_hash import SCHEME
from experiments.train_jobs import run_job, run_population
from figures.sweeps import plot_sweep
from reporting.tables import read_result

BASE = {"device": "cpu", "threads": 1, "p": 7, "frac_train": 0.5, "fn_name": "multiply"}
SMALL = BASE | {"d_emb": 8, "d_model": 6, "lr": 0.01, "num_epochs": 30, "save_every": 10}
MODULE = """
from configs.ticket import MLPTicketConfig
from configs.sweep import Sweep

sweep = Sweep(base=MLPTicketConfig(**{small!r}), axes={axes!r}, seeds=(0, 1))
"""


@pytest.fixture(autouse=True)
def without_pictures(monkeypatch):
    """They take longer than everything else."""
    monkeypatch.setattr(members, "plot_curves", lambda metrics, title, path: path.touch())


@pytest.fixture
def module(place, monkeypatch):
    """A sweep of two seeds, two rates and two weight decays: 2 dense runs and 8 tickets."""
    monkeypatch.setitem(scripts.SCRIPTS, "sweep", sweep.main)
    monkeypatch.setattr(worker, "POLL_SECONDS", 0.05)
    return write(place, {"pruning_rate": [0.3, 0.6], "retrain_weight_decay": [1.0, 0.0]})


def write(place: Path, axes: dict) -> Path:
    path = place / "my_sweep.py"
    path.write_text(MODULE.format(small=SMALL, axes=axes))
    return path


def run_sweep(module: Path, *flags):
    return call("sweep", f"--config={module}", *flags, size=())


def done(root="runs") -> set[str]:
    return {path.parent.name for path in Path(root).glob("*/summary.json")}


def test_configs_are_the_grid_seed_by_seed():
    made = Sweep(MLPTicketConfig(), {"pruning_rate": [0.1, 0.2], "scope": ["global", "local"]}, seeds=(5, 6)).configs()
    told = [(config.seed, config.pruning_rate, config.scope) for config in made]
    grid = [(0.1, "global"), (0.1, "local"), (0.2, "global"), (0.2, "local")]
    assert told == [(5, *point) for point in grid] + [(6, *point) for point in grid]


def test_settings_spell_out_what_is_no_grid():
    made = Sweep(MLPTicketConfig(), settings=[{"prune_at": "init"}, {"pruner": "random"}], seeds=(0,)).configs()
    assert [(config.prune_at, config.pruner) for config in made] == [
        ("init", "magnitude"),
        ("generalization", "random"),
    ]


@pytest.mark.parametrize("axes", [{"seed": [1]}, {"num_heads": [1]}])
def test_an_axis_is_a_field_but_not_the_seed(axes):
    with pytest.raises(UserError, match="no axis"):
        Sweep(MLPTicketConfig(), axes)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"base": MLPTicketConfig}, "MLPTicketConfig()"),
        ({"axes": {"pruning_rate": 0.3}}, "axes are"),
        ({"axes": {"prune_at": "10"}}, "axes are"),
        ({"settings": {"prune_at": "10"}}, "settings are"),
        ({"settings": ["pruning_rate"]}, "settings are"),
        ({"axes": {"pruning_rate": [0.3]}, "settings": [{}]}, "not both"),
        ({"seeds": 3}, "seeds are"),
        ({"axes": {"root": ["a", "b"]}}, "root is no axis"),
        ({"axes": {"gen_threshold": [0.3, 0.6]}}, "gen_threshold is no axis"),
        ({"axes": {"dense_run": ["runs/a"]}}, "dense_run is no axis"),
    ],
)
def test_a_sweep_that_is_written_wrong_says_what_it_should_be(arguments, told):
    with pytest.raises(UserError, match=re.escape(told)):
        Sweep(**{"base": MLPTicketConfig()} | arguments)


def test_what_is_given_twice_is_one_run():
    base = MLPTicketConfig()
    assert len(Sweep(base, axes={"pruning_rate": [0.3, 0.3, 0.6]}, seeds=(0, 0, 1)).configs()) == 4
    assert len(Sweep(base, settings=[{}, {"pruning_rate": base.pruning_rate}], seeds=(0,)).configs()) == 1


def test_a_sweep_trains_each_dense_run_once_and_every_ticket(module):
    listed = run_sweep(module, "--list")
    assert listed.out.count("ready") == 2
    assert listed.out.count("waits") == 8
    assert not Path("runs").exists()
    outcome = run_sweep(module, "--workers=1")
    assert outcome.status == 0, outcome
    assert "10 of 10 runs are done, 0 failed" in outcome
    dense, tickets = run_folders(Path("runs"))
    assert (len(dense), len(tickets)) == (2, 8)
    before = snapshot(Path("runs"))
    assert "10 of 10" in run_sweep(module, "--list")
    assert run_sweep(module, "--workers=1").status == 0
    assert snapshot(Path("runs")) == before


def test_a_ticket_of_a_sweep_is_the_ticket_of_main(module):
    run_sweep(module, "--workers=1", "--seeds", "1")
    flags = [f"--{name}={value}" for name, value in SMALL.items()]
    succeed("main", *flags, "--root=alone", "--seed=1", "--pruning_rate=0.3", "--retrain_weight_decay=0", size=())
    for name in done("alone"):
        assert_same_run(Path("alone") / name, Path("runs") / name)


def test_flags_override_the_base_and_the_seeds_but_not_an_axis(module):
    outcome = run_sweep(module, "--seeds", "3", "--num_epochs=12", "--list")
    assert "seed3_num_epochs12" in outcome
    assert "of 5 runs" in outcome
    for flag in ("--pruning_rate=0.5", "--pruning_rate=0.6", "--pruning-rate=0.5"):  # 0.6 is what the base has
        assert_refused(run_sweep(module, flag), "pruning_rate", "axis")
    for seed in (1, MLPTicketConfig().seed):
        assert_refused(run_sweep(module, f"--seed={seed}"), "--seeds")
    assert_refused(run_sweep("configs/config.py"), "`sweep`")


def test_two_sweeps_at_once_train_every_run_once(module):
    command = [sys.executable, str(scripts.REPOSITORY / "sweep.py"), f"--config={module}", "--workers=1"]
    both = [subprocess.Popen([*command, f"--index={start}"], stdout=subprocess.PIPE, text=True) for start in (0, 7)]
    said = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert len(done()) == 10
    run_sweep(module, "--workers=1", "--root=alone")
    for name in done():
        assert_same_run(Path("alone") / name, Path("runs") / name)


def test_workers_report_what_they_did(module):
    command = [sys.executable, str(scripts.REPOSITORY / "sweep.py"), f"--config={module}", "--workers=2"]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert finished.returncode == 0, finished
    assert "no run failed" in finished.stdout
    assert "10 of 10 runs are done, 0 are left" in finished.stdout


def test_there_are_no_more_workers_than_cores(module):
    command = [sys.executable, str(scripts.REPOSITORY / "sweep.py"), f"--config={module}", "--workers=9999"]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert finished.returncode == 0, finished
    assert "--workers 9999 is more than" in finished.stdout
    assert len(list(Path("runs").glob("worker*.log"))) == usable_cores()


def test_a_run_that_fails_is_reported_and_stops_no_other(place, module):
    module = write(place, {"prune_at": ["init", "17"]})
    outcome = run_sweep(module, "--workers=1")
    assert outcome.status == 1
    assert "epoch 17 was not saved" in outcome
    assert "4 of 6 runs are done, 2 failed" in outcome
    assert len(done()) == 4


def test_tickets_of_a_dense_run_that_fails_are_not_waited_for(module, monkeypatch):
    whole = worker.run_job

    def broken(job):
        if job.config.seed == 0 and job.job_type == "dense":
            raise OSError("no space left")
        return whole(job)

    monkeypatch.setattr(worker, "run_job", broken)
    outcome = run_sweep(module, "--workers=1")
    assert outcome.status == 1
    assert "no space left" in outcome
    assert "5 of 10 runs are done, 5 failed" in outcome


@pytest.mark.parametrize("population", [False, True])
def test_a_ticket_whose_mask_has_changed_is_not_trained(module, population, monkeypatch):
    module = write(module.parent, {"pruning_rate": [0.3]})
    run_sweep(module, "--workers=1", "--seeds", "0")
    dense, ticket = (Path("runs") / name for name in sorted(done()))
    (ticket / "summary.json").unlink()  # as if it had been interrupted
    weights = load_tensors(dense / "final.pth", ("model", "epoch"))
    weights["model"] = {name: weight.flip(-1) for name, weight in weights["model"].items()}
    save_tensors(weights, dense / "final.pth")
    outcome = run_sweep(module, "--workers=1", "--seeds", "0", "--gen_threshold=0.6", f"--population={population}")
    assert outcome.status == 1
    assert "failed: " in outcome.out
    assert "1 of 2 runs are done, 1 failed" in outcome.out
    assert not (ticket / "summary.json").exists()


@pytest.mark.parametrize("population", [False, True])
@pytest.mark.parametrize(
    ("settings", "trained"),
    [
        ([{"weight_decay": 2, "pruning_rate": 0.3}, {"weight_decay": 2.0, "pruning_rate": 0.6}], 3),
        ([{"prune_at": "10"}, {"prune_at": "generalization", "generalization_epoch": 10}], 2),
    ],
)
def test_settings_that_mean_one_run_train_it_once(module, settings, trained, population, monkeypatch):
    module.write_text(module.read_text().split("axes=")[0] + f"settings={settings!r}, seeds=(0,))")
    rounds, whole = [], worker.save_mask

    def counted(job):
        rounds.append(job)
        assert len(rounds) < 20, "it goes round and round"
        whole(job)

    monkeypatch.setattr(worker, "save_mask", counted)
    outcome = run_sweep(module, "--workers=1", f"--population={population}")
    assert outcome.status == 0, outcome
    assert len(done()) == trained
    outcome = run_sweep(module, "--collect", "--output=out")
    assert ("settings mean one and the same run" in outcome) == (trained == 2)


@pytest.mark.parametrize("population", [False, True])
def test_a_run_that_another_command_made_elsewhere_is_done(module, population):
    """It was looked up where it is to be made, before the other command made it under another name."""
    run_sweep(module, "--workers=1", "--seeds=0")
    units = worker.plan(Sweep(MLPTicketConfig(**SMALL, pruning_rate=0.3), seeds=(0,)))
    ticket = units[1].find()
    elsewhere = ticket.path.rename(ticket.path.with_name("elsewhere"))
    assert not units[1].is_done
    before = snapshot(elsewhere)
    assert worker.work(units, 0, population) == []
    assert units[1].folder.path == elsewhere
    assert snapshot(elsewhere) == before


@pytest.mark.parametrize("where", ["metrics.csv", "final.pth"])
def test_a_member_that_cannot_be_written_does_not_stop_the_others(module, where):
    flags = ("--workers=1", "--seeds=0", "--population=True")
    run_sweep(module, *flags)
    tickets = sorted(Path("runs").glob("*__*"))
    for ticket in tickets:
        shutil.rmtree(ticket)
    save = {"metrics.csv": "save_text", "final.pth": "save_tensors"}[where]
    whole = getattr(experiments.recording, save)

    def full(content, path):
        if Path(path) == tickets[1] / where:
            raise OSError("no space left")
        whole(content, path)

    with patch.object(experiments.recording, save, full):
        outcome = run_sweep(module, *flags)
    assert outcome.status == 1, outcome
    assert f"failed: {tickets[1].name}: no space left" in outcome
    assert "4 of 5 runs are done, 1 failed" in outcome
    assert "5 of 5 runs are done, 0 failed" in run_sweep(module, *flags)


def test_a_population_whose_step_fails_is_reported_for_every_member(module, monkeypatch):
    def broken(members):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(train_jobs, "train_members", broken)
    outcome = run_sweep(module, "--workers=1", "--population=True")
    assert outcome.status == 1
    assert outcome.out.count("out of memory") == 4, "two dense runs, told at once and at the end"
    assert "0 of 10 runs are done, 10 failed" in outcome


def test_the_seconds_of_a_population_are_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(train_jobs, "members_that_fit", lambda member: 1)
    start = time.perf_counter()
    folders = run_population([job_of(config) for config in settings("mlp", tmp_path)])
    assert sum(folder.summary()["seconds"] for folder in folders) < time.perf_counter() - start
    assert [folder.summary()["population"] for folder in folders] == [1, 1, 1]
    assert len(folders) == 3


def test_a_damaged_dense_run_stops_no_other_seed(module):
    run_sweep(module, "--workers=1", "--num_epochs=12")
    folder = next(Path("runs").glob("mlp_multiply_seed1*12"))
    (folder / "config.json").write_text("{")
    for rest in Path("runs").glob("mlp*seed0*"):
        shutil.rmtree(rest)
    outcome = run_sweep(module, "--workers=1", "--num_epochs=12")
    assert outcome.status == 1
    assert "config.json" in outcome.out
    assert sum("seed0" in name for name in done()) == 5
    assert "cannot " in run_sweep(module, "--num_epochs=12", "--list").out


def test_workers_stop_with_the_sweep_that_started_them(module):
    command = [sys.executable, str(scripts.REPOSITORY / "sweep.py"), f"--config={module}", "--workers=2"]
    with subprocess.Popen([*command, "--num_epochs=2000000"], stdout=subprocess.PIPE, text=True) as parent:
        end = time.monotonic() + 60
        while not (children := workers_of(parent.pid)):  # the very moment at which the first is there
            assert time.monotonic() < end
            time.sleep(0.01)
        parent.send_signal(signal.SIGTERM)
        parent.communicate(timeout=60)
    assert parent.returncode == 143
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]


def workers_of(pid: int) -> list[str]:
    """The worker processes of a sweep; it starts others too, such as git."""

    def is_worker(child: str) -> bool:
        with contextlib.suppress(OSError):
            return b"--workers=1" in Path(f"/proc/{child}/cmdline").read_bytes()
        return False

    return [child for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split() if is_worker(child)]


def test_workers_end_and_save_when_the_sweep_that_started_them_is_killed(module):
    command = [sys.executable, str(scripts.REPOSITORY / "sweep.py"), f"--config={module}", "--workers=2"]
    with subprocess.Popen([*command, "--num_epochs=2000000"], stdout=subprocess.PIPE, text=True) as parent:
        end = time.monotonic() + 60
        while len(list(Path("runs").glob("*/100.pth"))) < usable_cores():
            assert time.monotonic() < end
            time.sleep(0.05)
        children = workers_of(parent.pid)
        parent.kill()
    while any(Path(f"/proc/{child}/cmdline").exists() for child in children):
        assert time.monotonic() < end
        time.sleep(0.05)
    for folder in Path("runs").glob("*/metrics.csv"):
        recorded = int(folder.read_text().splitlines()[-1].split(",")[0])
        saved = load_tensors(folder.with_name("state.pth"), ("epoch",))["epoch"]
        assert saved >= recorded > 100, "it was saved where it stood"


def test_a_worker_that_is_killed_is_told(module):
    command = [sys.executable, str(scripts.REPOSITORY / "sweep.py"), f"--config={module}", "--workers=2"]
    with subprocess.Popen([*command, "--num_epochs=2000000"], stdout=subprocess.PIPE, text=True) as parent:
        end = time.monotonic() + 60
        while len(children := workers_of(parent.pid)) < usable_cores():
            assert time.monotonic() < end
            time.sleep(0.05)
        for child in children:
            os.kill(int(child), signal.SIGKILL)
        said = parent.communicate(timeout=60)[0]
    assert parent.returncode == 1
    assert "a worker ended with status -9" in said
    assert "no run failed" not in said


def test_a_killed_sweep_goes_on_where_it_was(module):
    command = [sys.executable, str(scripts.REPOSITORY / "sweep.py"), f"--config={module}", "--workers=1"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while len(done()) < 3:
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    assert 3 <= len(done()) < 10
    assert run_sweep(module, "--workers=1").status == 0
    run_sweep(module, "--workers=1", "--root=alone")
    for name in done("alone"):
        assert_same_run(Path("alone") / name, Path("runs") / name)


@pytest.fixture
def no_locks(monkeypatch):
    """A file system on which no lock can be taken."""

    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    monkeypatch.setattr(RunFolder, "needs_lock", True)  # put back after the test


@pytest.mark.parametrize("population", [False, True])
def test_without_locks_the_tasks_share_by_index_and_miss_nothing(module, no_locks, population):
    flags = ("--workers=1", "--no_locks", "--num_tasks=3", f"--population={population}")
    for index, seed in ((1, 1), (0, 0)):
        outcome = run_sweep(module, *flags, f"--index={index}")
        assert outcome.status == 0
        assert "5 of 5 runs are done, 0 failed" in outcome
        assert sum(f"seed{seed}" in name for name in done()) == 5
    assert len(done()) == 10
    assert "0 of 0 runs are done" in run_sweep(module, *flags, "--index=2"), "more tasks than dense runs"


def test_a_lock_that_cannot_be_taken_is_one_line_that_names_the_flag(module, no_locks):
    for outcome in (run_sweep(module), run_sweep(module, "--workers=1"), call("train")):
        assert_refused(outcome, "no lock can be taken on this file system (No locks available)", "--no_locks", "--root")
    assert not done()


def test_without_locks_a_task_is_one_process(module, monkeypatch):
    monkeypatch.setattr(RunFolder, "needs_lock", True)
    assert_refused(run_sweep(module, "--no_locks", "--workers=2"), "--workers=1", "--index", "--num_tasks")
    assert "10 of 10 runs are done" in run_sweep(module, "--no_locks")


def settings(kind: str, root: Path) -> list:
    """Three dense configs that share shapes, and differ in seed, learning rate and weight decay."""
    common = BASE | {"root": str(root), "num_epochs": 100, "save_every": 40}
    if kind == "mlp":
        base = MLPConfig(d_emb=12, d_model=8, lr=3e-3, **common)
    else:
        base = TransformerConfig(d_model=8, d_mlp=8, num_heads=2, num_layers=2, lr=3e-3, **common)
    return [base, base.but(seed=1, lr=1e-2), base.but(seed=2, weight_decay=0.0)]


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
@pytest.mark.parametrize("kind", ["mlp", "transformer"])
@pytest.mark.parametrize("fits", [3, 2])
def test_a_population_leaves_what_single_runs_leave(kind, fits, tmp_path, monkeypatch, in_float64):
    monkeypatch.setattr(train_jobs, "members_that_fit", lambda member: fits)
    for config in settings(kind, tmp_path / "alone"):
        run_job(job_of(config))
    together = run_population([job_of(config) for config in settings(kind, tmp_path / "together")])
    assert len(together) == 3
    for folder in together:
        assert_close(tmp_path / "alone" / folder.path.name, folder.path)


def ticket_configs(root: Path) -> list[MLPTicketConfig]:
    base = MLPTicketConfig(**SMALL | {"num_epochs": 100}, root=str(root))
    return [
        base,
        base.but(pruning_rate=0.3, retrain_weight_decay=0.0),
        base.but(use_mask=False, retrain_lr=1e-3),
    ]


@pytest.mark.numerics
def test_members_may_have_masks_of_their_own_or_none(tmp_path, in_float64):
    for root in ("alone", "together"):
        run_job(job_of(ticket_configs(tmp_path / root)[0].dense()))
    for config in ticket_configs(tmp_path / "alone"):
        run_job(job_of(config))
    for folder in run_population([job_of(config) for config in ticket_configs(tmp_path / "together")]):
        assert_close(tmp_path / "alone" / folder.path.name, folder.path)


@pytest.mark.numerics
def test_members_stop_by_the_rule_of_a_single_run_and_the_stack_shrinks(tmp_path, monkeypatch, in_float64):
    sizes = []
    whole = members.train

    def counted(model, *more, **named):
        sizes.append(len(more[3]))
        return whole(model, *more, **named)

    monkeypatch.setattr(members, "train", counted)
    configs = [
        settings("mlp", tmp_path)[0].but(seed=seed, lr=lr, stopping_thresh=2.0, num_epochs=400)
        for seed, lr in ((0, 0.03), (1, 0.01), (2, 1e-5), (3, 0.003))
    ]
    for config in configs:
        run_job(job_of(config.but(root=str(tmp_path / "alone"))))
    sizes.clear()
    folders = run_population([job_of(config.but(root=str(tmp_path / "together"))) for config in configs])
    assert {read_result(folder.path).summary["status"] for folder in folders} >= {"stopped", "completed"}
    assert sizes == [4, 2]
    for folder in folders:
        assert_close(tmp_path / "alone" / folder.path.name, folder.path)


@pytest.mark.numerics
def test_a_member_that_diverges_does_not_disturb_the_others(tmp_path, in_float64):
    good = settings("mlp", tmp_path / "together")[:2]
    bad = good[0].but(seed=7, lr=1e30)
    for config in good:
        run_job(job_of(config.but(root=str(tmp_path / "alone"))))
    folders = run_population([job_of(config) for config in (good[0], bad, good[1])])
    told = [read_result(folder.path).summary["status"] for folder in folders]
    assert told == ["completed", "diverged", "completed"]
    for folder in (folders[0], folders[2]):
        assert_close(tmp_path / "alone" / folder.path.name, folder.path)


@pytest.mark.numerics
def test_an_interrupted_member_goes_on_in_a_population_and_alone(tmp_path, monkeypatch, in_float64):
    for config in settings("mlp", tmp_path / "alone"):
        run_job(job_of(config))
    observe = experiments.recording.Recorder.observe

    def dies(recorder, epoch, *more):
        observe(recorder, epoch, *more)
        if epoch == 55:
            raise KeyboardInterrupt

    configs = settings("mlp", tmp_path / "together")
    jobs = [job_of(config) for config in configs]
    with monkeypatch.context() as patch:
        patch.setattr(experiments.recording.Recorder, "observe", dies)
        with pytest.raises(KeyboardInterrupt):
            run_population(jobs)
    assert not done(tmp_path / "together")
    run_job(job_of(configs[0]))
    run_population([job_of(config) for config in configs])
    assert len(done(tmp_path / "together")) == 3
    for name in done(tmp_path / "together"):
        assert_close(tmp_path / "alone" / name, tmp_path / "together" / name)


def test_what_another_process_holds_is_left_out(tmp_path):
    configs = settings("mlp", tmp_path)
    held = job_of(configs[1]).folder
    command = f"import sys; sys.path.insert(0, {str(scripts.REPOSITORY)!r})\n" + (
        f"from experiments.folder import RunFolder; from pathlib import Path\n"
        f"with RunFolder(Path({str(held.path)!r}), {{}}).lock(): print('held', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "held\n"
        trained = run_population([job_of(config) for config in configs])
        other.communicate("\n")
    assert held.path.name not in [folder.path.name for folder in trained]
    assert len(trained) == 2


@pytest.mark.numerics
@pytest.mark.parametrize("when", ["at once", "later"])
def test_a_population_that_does_not_fit_goes_on_with_half_and_frees_what_it_held(module, monkeypatch, when, in_float64):
    """Stacks of three and more run out of memory; what they held is gone before the next is made."""
    whole, stacks = members.train, []

    def too_large(model, split, loss, optimizer, recorders, *more, **named):
        assert not [stack for stack in stacks if stack() is not None], "the stack that failed is still in memory"
        if len(recorders) < 3:
            return whole(model, split, loss, optimizer, recorders, *more, **named)
        stacks.append(weakref.ref(model))
        if when == "later":
            whole(model, split, loss, optimizer, recorders, replace(more[0], num_epochs=17), **named)
        raise torch.OutOfMemoryError("no memory left")

    observe = experiments.recording.Recorder.observe

    def observed(recorder, epoch, values, get_state, schedule):
        observe(recorder, epoch, values, get_state, replace(schedule, num_epochs=30))  # the stack that fails ends at 17

    with monkeypatch.context() as patched:
        patched.setattr(experiments.recording.Recorder, "observe", observed)
        patched.setattr(members, "train", too_large)
        outcome = run_sweep(module, "--workers=1", "--population=True")
    assert "10 of 10 runs are done, 0 failed" in outcome, outcome
    assert "out of memory with 8 networks at once; going on with 4" in outcome
    assert "out of memory with 4 networks at once; going on with 2" in outcome
    run_sweep(module, "--workers=1", "--root=alone")
    for name in done("alone"):
        assert_close(Path("alone") / name, Path("runs") / name)


def test_one_network_that_does_not_fit_fails_alone(module, monkeypatch):
    def too_large(*_, **__):
        raise torch.OutOfMemoryError("no memory left")

    monkeypatch.setattr(members, "train", too_large)
    outcome = run_sweep(module, "--workers=1", "--population=True")
    assert outcome.status == 1
    assert outcome.out.count("too little memory for this network") == 4, "two dense runs, told at once and at the end"
    assert_refused(call("train"), "no memory left", "--device cpu")


def test_array_tasks_share_what_populations_train(module, monkeypatch):
    """Of eight tickets each of two tasks takes four, whichever comes first."""
    run_sweep(module, "--workers=1")
    for ticket in run_folders(Path("runs"))[1]:
        shutil.rmtree(ticket)
    sizes, whole = [], worker.run_population

    def counted(jobs, report):
        sizes.append(len(jobs))
        return whole(jobs, report)

    monkeypatch.setattr(worker, "run_population", counted)
    run_sweep(module, "--workers=1", "--population=True", "--num_tasks=2")
    assert sizes[0] == 4
    assert sum(sizes) == 8


def test_the_memory_of_a_member_is_counted_not_guessed():
    config = settings("mlp", Path("nowhere"))[0]
    jobs = [job_of(one) for one in (config, config.but(d_model=800))]
    small, wide = (members.prepare(job, build_split(job.config)) for job in jobs)
    counted = [
        members.bytes_of_member(member.model, member.split, members.build_loss(config)) for member in (small, wide)
    ]
    weights = [sum(weight.nbytes for weight in member.model.parameters()) for member in (small, wide)]
    assert counted[0] > 6 * weights[0]
    activations = 2 * 800 * 4 * len(wide.split.train_y)  # the hidden units and what relu saves of them, at the least
    assert counted[1] - counted[0] > 6 * (weights[1] - weights[0]) + activations / 2
    assert members.members_that_fit(small) > 1


def test_collect_writes_one_tidy_row_for_each_ticket(module):
    assert_refused(run_sweep(module, "--collect"), "no run of this sweep is finished")
    run_sweep(module, "--workers=1")
    outcome = run_sweep(module, "--collect", "--output=results", "--gen_threshold=0.6")
    assert outcome.status == 0, outcome
    with (Path("results") / "my_sweep" / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8
    for row in rows:
        result = read_result(Path("runs") / row["run"])
        assert float(row["pruning_rate"]) == result.settings["config"]["pruning_rate"]
        assert int(row["weights_kept"]) == result.summary["weights_kept"]
        dense = read_result(Path(result.settings["dense_run"]))
        for prefix, run, thresholds in (("", result, (0.5, 0.9, 0.95, 0.99)), ("dense ", dense, (0.6,))):
            records = run.metrics["epoch"].astype(int).tolist(), run.metrics["test_acc"].tolist()
            for threshold in thresholds:
                names = ("t_gen", "t_gen_first", "t_gen_status", "t_gen_known_until")
                found = [row[f"{prefix}{name} (test acc >= {threshold})"] for name in names]
                assert found == ["" if value is None else str(value) for value in slow_rule(*records, threshold)[:4]]
        assert row["hardware"]
        assert (row["code"], row["git_commit"]) == (result.settings["code"], result.settings["git_commit"])
        weights = load_tensors(result.path / "init.pth", ("model",))["model"].values()
        norm = sum(weight.double().square().sum().item() for weight in weights) ** 0.5
        assert float(row["l2norm at epoch 0"]) == pytest.approx(norm, abs=1e-3)
        for name, kept in load_tensors(result.path / "mask.pth", ("mask",))["mask"].items():
            assert float(row[f"kept of {name}"]) == pytest.approx(kept.double().mean().item(), abs=1e-4)
    assert (Path("results") / "my_sweep" / "t_gen.png").stat().st_size > 10_000
    assert "0.3, 1.0" in outcome


def test_collect_writes_below_the_root_unless_it_is_told_otherwise(module):
    run_sweep(module, "--workers=1", "--root=mine")
    assert run_sweep(module, "--collect", "--root=mine").status == 0
    assert (Path("mine") / "my_sweep" / "results.csv").exists()
    assert not Path("assets").exists()
    assert run_sweep(module, "--collect", "--root=mine", "--output=assets/results").status == 0
    assert (Path("assets") / "results" / "my_sweep" / "results.csv").exists()


def made_by_other_code(folder: Path, code: str = f"{SCHEME}:other") -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"code": code}))


def test_runs_of_other_code_are_counted_and_not_mixed_with_those_of_now(module):
    run_sweep(module, "--workers=1")
    for flags in (["--workers=1"], ["--list"], ["--collect"]):
        assert "code" not in run_sweep(module, *flags).out.replace("git_code", ""), (
            "where all are current nothing is said"
        )
    tickets = sorted(Path("runs").glob("*__*"))
    made_by_other_code(tickets[0])
    made_by_other_code(tickets[1], "0123456789abcdef" * 4)  # a hash from before the schemes
    counts = "10 finished runs, trained were 8 by the code of now, 1 by other code, 1 by code that cannot be compared"
    for flags in (["--workers=1"], ["--list"]):
        assert counts in run_sweep(module, *flags)
    outcome = run_sweep(module, "--collect", "--output=out")
    assert "8 finished runs, trained were 6 by the code of now, 1 by other code, 1 by code that cannot" in outcome
    assert f"left out, since other code trained them (--rerun trains again): {tickets[0].name}" in outcome
    with (Path("out") / "my_sweep" / "results.csv").open() as file:
        assert {row["run"] for row in csv.DictReader(file)} == {ticket.name for ticket in tickets[1:]}


@pytest.mark.parametrize("population", [False, True])
def test_a_sweep_trains_runs_of_other_code_again_and_no_others(module, population):
    run_sweep(module, "--workers=1")
    dense, tickets = run_folders(Path("runs"))
    made_by_other_code(tickets[0])
    made_by_other_code(tickets[1], "0123456789abcdef" * 4)
    before = {folder.name: snapshot(folder) for folder in tickets[1:] + dense}
    outcome = run_sweep(module, "--workers=1", "--rerun", f"--population={population}")
    assert "10 of 10 runs are done, 0 failed" in outcome, outcome
    assert [path.name for path in Path("runs").glob("*.old1")] == [f"{tickets[0].name}.old1"]
    assert json.loads((tickets[0] / "config.json").read_text())["code"] != f"{SCHEME}:other"
    assert {folder.name: snapshot(folder) for folder in tickets[1:] + dense} == before


def test_a_mask_of_a_dense_run_of_other_code_is_refused_unless_it_is_asked_for(module):
    run_sweep(module, "--workers=1", "--seeds", "0")
    (dense,), tickets = run_folders(Path("runs"))
    made_by_other_code(dense)
    assert "5 finished runs, trained were 4 by the code of now, 1 by other code" in run_sweep(
        module, "--seeds", "0", "--list"
    )
    shutil.rmtree(tickets[0])
    outcome = run_sweep(module, "--workers=1", "--seeds", "0")
    assert outcome.status == 1
    assert "the code that trains has changed since the dense run" in outcome
    assert run_sweep(module, "--workers=1", "--seeds", "0", "--allow_other_code=True").status == 0
    assert "5 finished runs, trained were 3 by the code of now, 2 by other code" in run_sweep(
        module, "--seeds", "0", "--list"
    )


def test_to_train_a_ticket_again_takes_no_mask_of_other_code_either(place):
    succeed("main", "--retrain_num_epochs=10")
    (dense,), (ticket,) = run_folders(Path("runs"))
    made_by_other_code(dense)
    before = snapshot(ticket)
    assert "is reused" in succeed("prune", "--retrain_num_epochs=10").out
    refused = call("prune", "--retrain_num_epochs=10", "--rerun")
    assert_refused(refused, "the code that trains has changed since the dense run", "train.py")
    assert snapshot(ticket) == before, "it is not moved aside"


def test_the_dense_run_beside_a_ticket_is_the_one_that_gave_its_mask(module):
    """Not one that other code has trained again since."""
    run_sweep(module, "--workers=1", "--seeds", "0")
    (dense,), _ = run_folders(Path("runs"))
    made_by_other_code(dense)
    outcome = run_sweep(module, "--collect", "--seeds", "0", "--output=out", "--gen_threshold=0.6")
    assert outcome.out.count(f"{dense.name} has been trained again by other code") == 4
    with (Path("out") / "my_sweep" / "results.csv").open() as file:
        assert {row["dense t_gen_status (test acc >= 0.6)"] for row in csv.DictReader(file)} == {""}


def test_a_control_without_a_mask_has_no_mask_settings(module):
    module.write_text(
        module.read_text().split("axes=")[0]
        + """settings=[
        {"pruning_rate": 0.3}, {"use_mask": False, "retrain_weight_decay": 0.0}], seeds=(0,))"""
    )
    run_sweep(module, "--workers=1")
    assert run_sweep(module, "--collect", "--output=out").status == 0
    with (Path("out") / "my_sweep" / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["pruning_rate"] for row in rows] == ["0.3", ""]
    assert [row["retrain_weight_decay"] for row in rows] == ["", "0.0"]


def test_why_a_run_is_left_out_is_said(module):
    run_sweep(module, "--workers=1", "--seeds=0", "1")
    dense = next(path for path in Path("runs").glob("*seed1*") if "__" not in path.name)
    (dense / "10.pth").write_text("broken")
    outcome = run_sweep(module, "--collect")
    assert "4 of 8 runs are finished" in outcome
    assert outcome.out.count("10.pth cannot be read") == 4


def test_what_is_finished_is_listed_and_collected_without_data(module, monkeypatch):
    """The data of a cluster need not be on the laptop that makes the table, and a mask is not made again for it."""
    flags = ("--seeds=0", "--workers=1")
    assert run_sweep(module, *flags).status == 0

    def gone(config):
        raise OSError("no data here")

    monkeypatch.setattr("experiments.jobs.build_split", gone)
    assert "5 of 5 runs are done" in run_sweep(module, *flags, "--list")
    assert "4 of 4 runs are finished" in run_sweep(module, *flags, "--collect", "--output=out")
    assert len((Path("out") / module.stem / "results.csv").read_text().splitlines()) == 1 + 4


def test_collect_takes_networks_of_different_shapes(module):
    module = write(module.parent, {"num_layers": [0, 1], "pruning_rate": [0.3]})
    run_sweep(module, "--workers=1")
    outcome = run_sweep(module, "--collect", "--output=results", "--gen_threshold=0.6")
    assert outcome.status == 0, outcome
    with (Path("results") / "my_sweep" / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [bool(row["kept of W_h.0"]) for row in rows] == [False, True] * 2
    assert re.search(r"0, 0\.3 .*0\.\d\d / - \|", outcome.out)


def test_collect_says_what_ended_early_and_what_is_missing(module):
    run_sweep(module, "--workers=1", "--seeds", "0")
    path = next(Path("runs").glob("*magnitude0.3*decay0.0")) / "summary.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"status": "diverged"}))
    outcome = run_sweep(module, "--collect", "--output=results", "--mem_threshold=0.7")
    assert "4 of 8 runs are finished" in outcome.out
    (line,) = [line for line in outcome.out.splitlines() if line.startswith("| 0.3, 0.0 ")]
    assert "0 of 1 (0 to 79 %), 1 diverged |" in line
    assert "t_mem (train acc >= 0.7)" in (Path("results") / "my_sweep" / "results.csv").read_text()


def test_a_setting_whose_dense_run_diverged_keeps_its_row(module):
    """Its ticket can never be, so it never generalizes, and counts as a seed."""
    module = write(module.parent, {"lr": [0.01, 0.02], "pruning_rate": [0.3, 0.6]})
    run_sweep(module, "--workers=1")
    (lost,) = [path for path in run_folders("runs")[0] if "seed1" in path.name and "lr0.02" in path.name]
    for path in Path("runs").glob(f"{lost.name}__*"):
        shutil.rmtree(path)
    path = lost / "summary.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"status": "diverged"}))
    outcome = run_sweep(module, "--collect", "--output=results", "--gen_threshold=0.1")
    assert outcome.status == 0, outcome
    assert "6 of 8 runs are finished" in outcome
    assert "left out" not in outcome
    lines = {line.split("|")[1].strip(): line for line in outcome.out.splitlines() if line.startswith("| ")}
    for rate in (0.3, 0.6):
        assert " of 2 (" in lines[f"0.01, {rate}"]
        assert "diverged" not in lines[f"0.01, {rate}"]
        assert " of 2 (" in lines[f"0.02, {rate}"]
        assert "1 dense diverged" in lines[f"0.02, {rate}"]
    with (Path("results") / "my_sweep" / "results.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["status"] == "dense diverged"]
    assert [(row["seed"], row["lr"], row["pruning_rate"], row["setting"]) for row in rows] == [
        ("1", "0.02", "0.3", "0.02, 0.3"), ("1", "0.02", "0.6", "0.02, 0.6")]  # fmt: skip
    for row in rows:
        assert (row["run"], row["dense run"], row["dense status"], row["final_test_acc"]) == (
            "",
            lost.name,
            "diverged",
            "",
        )
        found = [row[f"{name} (test acc >= 0.1)"] for name in ("t_gen", "t_gen_status", "t_gen_known_until")]
        assert found == ["", "never", "30"]
    shutil.rmtree(Path("runs"))
    assert_refused(run_sweep(module, "--collect"), "no run of this sweep is finished")


def drawn(groups: dict, varying: list[str], path: Path):
    """What plot_sweep draws: ``{legend label: [(x, y), ...]}`` of its lines, and its tick labels."""
    with patch.object(Figure, "savefig", autospec=True) as save:
        plot_sweep(groups, "t", path, varying)
    axes = save.call_args.args[0].axes[0]
    lines = {
        line.get_label(): line.get_xydata().tolist() for line in axes.lines if not line.get_label().startswith("_")
    }
    return lines, [label.get_text() for label in axes.get_xticklabels()]


def test_a_sweep_is_drawn_setting_by_setting(tmp_path):
    def rows(prune_at: str, mask_epochs: list, epochs: list) -> list[dict]:
        return [
            {"prune_at": prune_at, "mask_epoch": mask, "t": t, "last_epoch": 100}
            for mask, t in zip(mask_epochs, epochs, strict=True)
        ]

    groups = {"m": rows("memorization", [60, 80], [20, 40]), "300": rows("300", [300, 300], [None, None])}
    lines, _ = drawn(groups, ["prune_at"], tmp_path / "t.png")
    (points,) = lines.values()
    assert [x for x, _ in points] == [70, 300], "one point a setting, at the median epoch of its masks"
    assert points[0][1] == 20, "the first epoch at which half have got there"
    assert points[1][1] > 100, "a censored median is above the last epoch"
    lines, ticks = drawn(groups | {"none": rows("init", [None, None], [5, 5])}, ["prune_at"], tmp_path / "t.png")
    assert ticks == ["memorization", "300", "init"]


def test_a_wide_axis_of_a_sweep_is_logarithmic(tmp_path):
    groups = {str(lr): [{"lr": lr, "t": 20, "last_epoch": 100}] for lr in (0.1, 0.001, 0.01)}
    lines, ticks = drawn(groups, ["lr"], tmp_path / "t.png")
    assert [x for x, _ in lines["median over seeds"]] == pytest.approx([-3, -2, -1])
    assert ticks == ["0.1", "0.001", "0.01"]


def test_settings_that_are_no_grid_are_named_by_what_differs(module):
    module.write_text(
        module.read_text().split("axes=")[0]
        + """settings=[
        {}, {"pruning_rate": 0.3}, {"prune_at": "init", "retrain_weight_decay": 0.0}], seeds=(1, 2))"""
    )
    listed = run_sweep(module, "--list")
    assert ", prune_at init, retrain_weight_decay 0.0" in listed
    assert ", the base" in listed
    assert "prune_at generalization" not in listed
    run_sweep(module, "--workers=1")
    outcome = run_sweep(module, "--collect", "--output=results", "--gen_threshold=0.6")
    lines = [line for line in outcome.out.splitlines() if line.startswith("| ")]
    assert [line.split(" | ")[0].strip("| ") for line in lines[2:]] == [
        "the base", "pruning_rate 0.3", "prune_at init, retrain_weight_decay 0.0"]  # fmt: skip
    assert all(" of 2 (" in line for line in lines[2:])
    assert "kept of W_E / W_inproj" in lines[0]
    assert (Path("results") / "my_sweep" / "t_gen.png").stat().st_size > 10_000


def test_every_sweep_in_configs_can_be_listed(place, monkeypatch):
    monkeypatch.setitem(scripts.SCRIPTS, "sweep", sweep.main)
    modules = sorted((scripts.REPOSITORY / "configs").glob("sweep_*.py"))
    assert len(modules) >= 4
    for path in modules:
        assert run_sweep(path, "--list").status == 0
    assert not os.listdir(place)


def test_a_damaged_run_is_left_out_of_what_is_collected(module):
    assert run_sweep(module, "--workers=1", "--seeds", "0").status == 0
    ticket = sorted(Path("runs").glob("*__*"))[0]
    (ticket / "metrics.csv").write_text("x")
    outcome = run_sweep(module, "--collect", "--seeds", "0", "--output=out")
    assert outcome.status == 0, outcome
    assert f"left out: {ticket.name}: " in outcome.out
    assert len((Path("out") / "my_sweep" / "results.csv").read_text().splitlines()) == 1 + 3
