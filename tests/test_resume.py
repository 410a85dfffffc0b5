"""Runs that are killed, interrupted, locked: nothing is lost, and the numbers are those of a run left alone."""

import fcntl
import itertools
import os
import random
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from scripts import (
    Spawned,
    assert_readable,
    assert_refused,
    assert_same_run,
    call,
    config_of,
    load,
    progress,
    rows_of,
    run_folders,
    signalled,
    snapshot,
    succeed,
    summary_of,
)

import training.metrics
from experiments.folder import Busy, RunFolder
from experiments.reader import read_metrics
from training.signals import STOPPING, catch_signals

pytestmark = pytest.mark.numerics

# Large enough that torch really divides the work between two threads.
STORY = (
    *("--device=cpu", "--threads=2", "--p=23", "--frac_train=0.5", "--d_emb=700", "--d_model=32"),
    *("--num_epochs=90", "--save_every=20", "--prune_at=80", "--retrain_num_epochs=70"),
)
TINY_ENDLESS = ("--device=cpu", "--threads=1", "--p=7", "--d_emb=8", "--d_model=6", "--num_epochs=90")


def assert_same_story(root, undisturbed):
    (dense,), (ticket,) = run_folders(root)
    (left_alone,), (ticket_left_alone,) = run_folders(undisturbed)
    assert_same_run(dense, left_alone)
    assert_same_run(ticket, ticket_left_alone)


# Asked to stop


def test_asked_to_stop_a_run_saves_and_says_how_to_go_on(place):
    """Ctrl-C, SIGTERM and SIGUSR1, the first two in the dense run, the last in the ticket, and then to the end."""
    succeed("main", "--root=undisturbed")
    for number, status, rows in ((signal.SIGINT, 130, 8), (signal.SIGTERM, 143, 12), (signal.SIGUSR1, 143, 25)):
        with signalled(number, rows):
            outcome = call("main")
        assert outcome.status == status
        dense, tickets = run_folders("runs")
        folder = (tickets or dense)[0]
        epoch = load(folder / "state.pth")["epoch"]
        assert 0 < epoch < 30
        assert f"stopped at epoch {epoch}, saved; run the same command again" in outcome.err
        assert not (folder / "summary.json").exists()
        assert rows_of(folder)[-1][0] == epoch
        assert_readable("runs")
    assert len(run_folders("runs")[1]) == 1, "the last signal came in the ticket"
    assert f"goes on from epoch {epoch}" in succeed("main").out
    assert_same_story("runs", "undisturbed")


def test_a_signal_that_comes_while_another_is_caught_is_not_lost():
    with catch_signals() as outer:
        with catch_signals() as inner:
            signal.raise_signal(signal.SIGTERM)
        assert inner.received == signal.SIGTERM
        signal.raise_signal(inner.received)
        assert outer.received == signal.SIGTERM
    assert all(signal.getsignal(number) is not None for number in STOPPING)


def test_leftovers_of_a_killed_process_do_not_hurt(dense, place):
    folder, clean = dense, dense.rename(place / "clean")
    folder.mkdir()
    for name in ("lock", ".config.json.a1b2c3.tmp"):  # killed while it wrote config.json
        (folder / name).write_text('{"kin')
    succeed("train")
    assert_same_run(folder, clean)
    (folder / "summary.json").unlink()  # killed before it wrote summary.json, having written a lot
    for name in ("state.pth.a1", "10.pth.b2", "final.pth.c3", "summary.json.d4", "metrics.csv.e5"):
        (folder / f".{name}.tmp").write_bytes(b"PK\x03\x04 half a fi")
    with (folder / "metrics.csv").open("a") as file:
        file.write("30,0.1,0.")
    assert "goes on from epoch 30" in succeed("train").out
    assert_same_run(folder, clean)
    assert (folder / "summary.json").exists()


@pytest.mark.parametrize(
    "lost", [["state.pth"], ["state.pth", "init.pth", "10.pth"], ["metrics.csv"], ["final.pth", "20.pth"]]
)
def test_an_unfinished_run_that_lost_files_still_gets_the_same_numbers(dense, lost):
    folder, whole = dense, shutil.copytree(dense, Path("whole"))
    for name in ("summary.json", *lost):
        (folder / name).unlink()
    outcome = succeed("train")
    assert ("goes on" in outcome.out) == ("state.pth" not in lost)
    if "20.pth" in lost:  # a checkpoint before the saved state is not made again
        (whole / "20.pth").unlink()
    assert_same_run(folder, whole)


def test_a_run_that_goes_on_after_a_measure_was_added_lacks_it_before_and_has_it_after(place, monkeypatch):
    flags = ("--save_every=30", "--num_epochs=60")
    succeed("train", "--root=alone", *flags)
    ((alone,), _) = run_folders("alone")
    with signalled(signal.SIGTERM, rows=50):
        assert call("train", *flags).status == 143
    measures = {"train_squared": lambda seen: seen.train.loss**2, **training.metrics.METRICS}
    monkeypatch.setattr(training.metrics, "METRICS", measures)
    succeed("train", *flags)
    ((folder,), _) = run_folders("runs")
    metrics, wanted = read_metrics(folder), read_metrics(alone)
    for name, column in wanted.items():
        assert metrics[name].tolist() == column.tolist(), name
    known = ~np.isnan(metrics["train_squared"])
    assert known.tolist() == [False] * 50 + [True] * 11
    assert metrics["train_squared"][known].tolist() == (wanted["train_loss"][known] ** 2).tolist()
    free = {"seconds": 0, "run": "", "metrics_sha256": ""}
    assert summary_of(folder) | free == summary_of(alone) | free
    # The run from before is whole, too, and is read; what it lacks is missing.
    assert "is reused" in succeed("train", "--root=alone", *flags).out
    assert "train_squared" not in read_metrics(alone)


def test_progress_is_told_now_and_then_where_there_is_no_terminal(place, monkeypatch):
    import training.progress

    ticks = itertools.count(0, 0.5)
    monkeypatch.setattr(training.progress.time, "perf_counter", lambda: float(next(ticks)))
    outcome = succeed("train")
    lines = [line for line in outcome.out.splitlines() if line.startswith("dense mlp: epoch ")]
    assert 1 <= len(lines) < 10
    assert "of 30, train_acc" in lines[0]
    assert "\r" not in outcome.out + outcome.err


# Locked


def test_a_folder_in_use_is_refused_and_others_beside_it_are_free(place):
    with signalled(signal.SIGTERM, rows=5):
        assert call("main").status == 143
    ((dense,), _) = run_folders("runs")
    with RunFolder(dense, {}).lock():
        before = snapshot("runs")
        for flags in ((), ("--rerun",)):
            assert_refused(call("train", *flags), "is being trained by another process", f"pid {os.getpid()}")
        assert_refused(call("prune", "--prune_at=0"), "there is no finished dense run")
        assert_refused(call("main", "--prune_at=0"), "is being trained by another process")
        assert snapshot("runs") == before
        succeed("train", "--seed=1")
    succeed("main")
    _, (ticket,) = run_folders("runs")
    (ticket / "summary.json").unlink()
    with RunFolder(ticket, {}).lock():
        before = snapshot(ticket)
        for script in ("prune", "main"):
            assert_refused(call(script), f"{ticket} is being trained by another process")
        assert snapshot(ticket) == before
    assert "goes on from epoch 30" in succeed("prune").out


def test_a_lock_that_was_moved_aside_while_somebody_waited_for_it_is_not_the_runs_any_more(tmp_path):
    """The waiter has opened the file; its holder moves the folder aside and lets go; the waiter must not train in it."""
    run = RunFolder(tmp_path / "run", {})
    real = fcntl.flock

    def moved_first(file, how):
        fcntl.flock = real
        run.move_aside()
        return real(file, how)

    run.path.mkdir()
    fcntl.flock = moved_first
    try:
        with run.lock():
            assert (run.path / "lock").read_text().startswith("pid ")
            assert not (tmp_path / "run.old1" / "lock").read_text()
            with pytest.raises(Busy), run.lock():
                pass
    finally:
        fcntl.flock = real


# Killed


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The root of a dense run and its ticket, made by one process that nothing disturbs."""
    place = tmp_path_factory.mktemp("undisturbed")
    run = Spawned(place, "main", *STORY)
    assert run.status() == 0, run.output
    return place / "runs"


@pytest.mark.slow
def test_killed_at_random_points_a_run_ends_with_the_same_numbers(place, undisturbed):
    """kill -9 in the dense run, in the ticket, in the middle of saving: no file is unreadable and no number differs."""
    chance = random.Random(1)
    targets = sorted(chance.sample(range(2, 155), 5))
    kills = 0
    for target in targets:
        with Spawned(place, "main", *STORY, pace=0.005) as run:
            if run.wait(lambda: progress(place / "runs") >= target):  # noqa: B023
                time.sleep(chance.uniform(0, 0.01))
                run.kill()
                kills += run.process.exitcode == -signal.SIGKILL
            assert_readable(place / "runs")
    assert kills >= 3, "a process may end before it is caught, but not all of them"
    with Spawned(place, "main", *STORY) as run:
        assert run.status() == 0, run.output
        assert "goes on from epoch" in run.output
    assert_readable(place / "runs")
    assert_same_story(place / "runs", undisturbed)


@pytest.mark.slow
def test_two_processes_get_the_same_numbers_and_another_seed_others(place, undisturbed):
    with Spawned(place, "train", *STORY[:-2]) as one, Spawned(place, "train", *STORY[:-2], "--seed=1") as other:
        assert one.status() == other.status() == 0, one.output + other.output
    by_seed = {config_of(path)["config"]["seed"]: path for path in run_folders("runs")[0]}
    assert_same_run(by_seed[42], run_folders(undisturbed)[0][0])
    pairs = list(zip(rows_of(by_seed[42]), rows_of(by_seed[1]), strict=True))
    assert all(row[1] != other[1] for row, other in pairs)


@pytest.mark.slow
def test_killed_in_the_middle_of_a_save_a_run_keeps_the_file_before(place):
    flags = (*TINY_ENDLESS, "--save_every=10", "--num_epochs=30")
    assert call("train", "--root=clean", size=flags).status == 0
    # A save each of init.pth, 10.pth, 20.pth and final.pth, and after each one of state.pth.
    fresh, resumed = ((1, None), (2, None), (4, None)), ((2, "0"), (3, "0"), (2, "10"), (4, "10"), (1, "20"))
    for last_save, goes_on in fresh + resumed:
        with Spawned(place, "train", *flags, last_save=last_save) as run:
            assert run.status() == -signal.SIGKILL, run.output
            assert ("goes on" in run.output) == (goes_on is not None)
            assert goes_on is None or f"goes on from epoch {goes_on}\n" in run.output
        assert_readable(place / "runs")
    assert call("train", size=flags).status == 0
    assert_same_run(run_folders("runs")[0][0], run_folders("clean")[0][0])


@pytest.mark.slow
def test_two_at_once_do_not_both_train(place):
    """Two started together: one trains, the other is refused, or reuses what the first has finished."""
    flags = (*TINY_ENDLESS, "--num_epochs=40")
    with Spawned(place, "train", *flags, pace=0.02) as one, Spawned(place, "train", *flags, pace=0.02) as other:
        statuses = sorted([one.status(), other.status()])
    said = one.output + other.output
    refused, reused = "is being trained by another process" in said, "is finished and is reused" in said
    assert (statuses, refused, reused) in (([0, 2], True, False), ([0, 0], False, True)), said
    ((folder,), _) = run_folders("runs")
    assert [int(row[0]) for row in rows_of(folder)] == list(range(41))
    assert not list(Path("runs").glob(".*"))
