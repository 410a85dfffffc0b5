"""Runs that are killed, interrupted, locked: nothing is lost, and the numbers are those of a run left alone."""

import fcntl
import itertools
import json
import os
import random
import shutil
import signal
import time

import numpy as np
import pytest
from scripts import (
    Spawned,
    assert_readable,
    assert_refused,
    assert_same_run,
    call,
    load,
    progress,
    rows_of,
    run_folders,
    snapshot,
    succeed,
)

import training.loop
import training.metrics
from experiments import code_state
from experiments.folder import Busy, RunFolder
from experiments.reading import read_metrics

pytestmark = pytest.mark.numerics

# Large enough that torch really divides the work between two threads.
STORY = (
    *("--device=cpu", "--threads=2", "--p=23", "--frac_train=0.5", "--d_emb=700", "--d_model=32"),
    *("--num_epochs=90", "--save_every=20", "--prune_at=80", "--retrain_num_epochs=70"),
)
PACE = 0.005
TINY_ENDLESS = ("--device=cpu", "--threads=1", "--p=7", "--d_emb=8", "--d_model=6", "--num_epochs=90")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The root of a dense run and its ticket, made by one process that nothing disturbs."""
    place = tmp_path_factory.mktemp("undisturbed")
    run = Spawned(place, "main", *STORY)
    assert run.status() == 0, run.output
    return place / "runs"


def assert_same_story(root, undisturbed):
    (dense,), (ticket,) = run_folders(root)
    (left_alone,), (ticket_left_alone,) = run_folders(undisturbed)
    assert_same_run(dense, left_alone)
    assert_same_run(ticket, ticket_left_alone)


def test_killed_at_random_points_a_run_ends_with_the_same_numbers(place, undisturbed):
    """kill -9 in the dense run, in the ticket, in the middle of saving: no file is unreadable and no number differs."""
    chance = random.Random(1)
    targets = sorted(chance.sample(range(2, 155), 5))
    kills = 0
    for target in targets:
        with Spawned(place, "main", *STORY, pace=PACE) as run:
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


def test_killed_while_it_saves_all_the_time_a_run_leaves_no_unreadable_file(place):
    chance = random.Random(2)
    flags = (*TINY_ENDLESS, "--num_epochs=100000", "--save_every=1")
    saved = -1
    for _ in range(6):
        with Spawned(place, "train", *flags) as run:
            assert run.wait(lambda: list(place.glob("runs/*/state.pth")))
            time.sleep(chance.uniform(0, 0.1))
            run.kill()
        assert_readable(place / "runs")
        ((folder,), _) = run_folders("runs")
        epoch = load(folder / "state.pth")["epoch"]
        assert epoch >= saved, "what was saved is not lost"
        saved = epoch
        assert not (folder / "summary.json").exists()
    assert saved > 0


def test_asked_to_stop_a_run_saves_and_says_how_to_go_on(place, undisturbed):
    """Ctrl-C, then SIGTERM, then SIGUSR1, each in the process that goes on, and then to the end."""
    asked = ((signal.SIGINT, 130, 25), (signal.SIGTERM, 143, 70), (signal.SIGUSR1, 143, 110))
    for number, status, rows in asked:
        with Spawned(place, "main", *STORY, pace=PACE) as run:
            assert run.wait(lambda: progress(place / "runs") >= rows), run.output  # noqa: B023
            os.kill(run.pid, number)
            assert run.status() == status
            assert "Traceback" not in run.output
            dense, tickets = run_folders("runs")
            folder = (tickets or dense)[0]
            epoch = load(folder / "state.pth")["epoch"]
            assert f"stopped at epoch {epoch}, saved; run the same command again" in run.output
            assert not (folder / "summary.json").exists()
            assert rows_of(folder)[-1][0] == epoch
        assert_readable(place / "runs")
    assert len(run_folders("runs")[1]) == 1, "the last signal came in the ticket"
    with Spawned(place, "main", *STORY) as run:
        assert run.status() == 0, run.output
        assert f"goes on from epoch {epoch}" in run.output
    assert_same_story(place / "runs", undisturbed)


def test_two_processes_get_the_same_numbers_and_another_seed_others(place, undisturbed):
    with Spawned(place, "train", *STORY[:-2]) as one, Spawned(place, "train", *STORY[:-2], "--seed=1") as other:
        assert one.status() == other.status() == 0, one.output + other.output
    by_seed = {
        json.loads((path / "config.json").read_text())["config"]["seed"]: path for path in run_folders("runs")[0]
    }
    assert_same_run(by_seed[42], run_folders(undisturbed)[0][0])
    pairs = list(zip(rows_of(by_seed[42]), rows_of(by_seed[1]), strict=True))
    assert all(row[1] != other[1] for row, other in pairs)


def test_leftovers_of_a_killed_process_do_not_hurt(place):
    succeed("train", "--root=clean")
    ((clean,), _) = run_folders("clean")
    folder = place / "runs" / clean.name
    folder.mkdir(parents=True)
    for name in ("lock", ".config.json.a1b2c3.tmp"):  # killed while it wrote config.json
        (folder / name).write_text('{"kin')
    succeed("train")
    assert_same_run(folder, clean)
    (folder / "summary.json").unlink()  # killed before it wrote summary.json, having written a lot
    for name in (
        ".state.pth.a1.tmp",
        ".10.pth.b2.tmp",
        ".final.pth.c3.tmp",
        ".summary.json.d4.tmp",
        ".metrics.csv.e5.tmp",
    ):
        (folder / name).write_bytes(b"PK\x03\x04 half a fi")
    with (folder / "metrics.csv").open("a") as file:
        file.write("30,0.1,0.")
    outcome = succeed("train")
    assert "goes on from epoch 30" in outcome.out
    assert_same_run(folder, clean)
    assert (folder / "summary.json").exists()


@pytest.mark.parametrize(
    "lost", [["state.pth"], ["state.pth", "init.pth", "10.pth"], ["metrics.csv"], ["final.pth", "20.pth"]]
)
def test_an_unfinished_run_that_lost_files_still_gets_the_same_numbers(place, lost):
    succeed("train")
    ((folder,), _) = run_folders("runs")
    whole = shutil.copytree(folder, place / "whole")
    (folder / "summary.json").unlink()
    for name in lost:
        (folder / name).unlink()
    outcome = succeed("train")
    assert ("goes on" in outcome.out) == ("state.pth" not in lost)
    if "20.pth" in lost:  # a checkpoint before the saved state is not made again
        (whole / "20.pth").unlink()
    assert_same_run(folder, whole)


def test_a_folder_in_use_is_refused_until_its_process_ends(place):
    with Spawned(place, "train", *TINY_ENDLESS, pace=0.05) as run:
        assert run.wait(lambda: progress(place / "runs") >= 3), run.output
        for flags in ((), ("--rerun",), ("--lr=1e-3",)):
            outcome = call("train", *flags, size=TINY_ENDLESS)
            assert_refused(outcome, "is being trained by another process", f"pid {run.pid}")
        assert_refused(call("prune", "--prune_at=0", size=TINY_ENDLESS), "there is no finished dense run")
        assert_refused(call("main", "--prune_at=0", size=TINY_ENDLESS), "is being trained by another process")
        # Other runs beside it are free, and the one in use goes on undisturbed.
        assert call("train", "--seed=1", size=TINY_ENDLESS).status == 0
        before = progress(place / "runs")
        assert run.wait(lambda: progress(place / "runs") > before)
        run.kill()
    assert call("train", size=TINY_ENDLESS).status == 0
    assert call("train", "--root=clean", size=TINY_ENDLESS).status == 0
    assert_same_run(place / "runs" / run_folders("clean")[0][0].name, run_folders("clean")[0][0])


def test_a_ticket_in_use_is_refused_as_well(place):
    flags = (*TINY_ENDLESS, "--prune_at=0")
    assert call("train", size=TINY_ENDLESS).status == 0
    with Spawned(place, "prune", *flags, pace=0.02) as run:
        assert run.wait(lambda: progress(place / "runs") >= 95), run.output
        _, (ticket,) = run_folders("runs")
        before = snapshot(ticket)["mask.pth"]
        for script in ("prune", "main"):
            assert_refused(call(script, *flags, size=()), "is being trained by another process", f"pid {run.pid}")
        assert snapshot(ticket)["mask.pth"] == before
        assert run.status() == 0
    assert "is finished and is reused" in call("prune", *flags, size=()).out


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


def test_progress_is_told_now_and_then_where_there_is_no_terminal(place, monkeypatch):
    import training.progress

    ticks = itertools.count(0, 0.5)
    monkeypatch.setattr(training.progress.time, "perf_counter", lambda: float(next(ticks)))
    outcome = succeed("train")
    lines = [line for line in outcome.out.splitlines() if line.startswith("dense mlp: epoch ")]
    assert 1 <= len(lines) < 10
    assert "of 30, train_acc" in lines[0]
    assert "\r" not in outcome.out + outcome.err


def test_a_run_that_goes_on_after_a_measure_was_added_lacks_it_before_and_has_it_after(place, monkeypatch):
    flags = (*TINY_ENDLESS, "--save_every=30")
    assert call("train", "--root=alone", size=flags).status == 0
    ((alone,), _) = run_folders("alone")
    with Spawned(place, "train", *flags, pace=PACE) as run:
        assert run.wait(lambda: progress(place / "runs") >= 50)
        os.kill(run.process.pid, signal.SIGTERM)
        assert run.status() == 143
    measures = {"train_squared": lambda seen: seen.train.loss**2, **training.metrics.MEASURES}
    for module in (training.metrics, training.loop, code_state):
        monkeypatch.setattr(module, "MEASURES", measures)
    outcome = call("train", size=flags)
    assert outcome.status == 0, outcome
    ((folder,), _) = run_folders("runs")
    metrics, wanted = read_metrics(folder), read_metrics(alone)
    for name, column in wanted.items():
        assert metrics[name].tolist() == column.tolist(), name
    known = ~np.isnan(metrics["train_squared"])
    assert not known[:50].any()
    assert known[-5:].all()
    assert metrics["train_squared"][known].tolist() == (wanted["train_loss"][known] ** 2).tolist()
    summary, other = (json.loads((path / "summary.json").read_text()) for path in (folder, alone))
    assert summary | {"seconds": 0} == other | {"seconds": 0}
    # The run from before is whole, too, and is read; what it lacks is missing.
    assert "is reused" in call("train", "--root=alone", size=flags).out
    assert "train_squared" not in read_metrics(alone)


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
