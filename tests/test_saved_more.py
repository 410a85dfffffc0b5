"""A run that is to be saved at more epochs is no other run: what was missing is added, once it is shown to be the same."""

import signal
from pathlib import Path

import pytest
import torch
from scripts import (
    assert_refused,
    assert_same_run,
    call,
    config_of,
    load,
    rows_of,
    run_folders,
    signalled,
    snapshot,
    succeed,
    summary_of,
)

from experiments.reader import list_checkpoints

pytestmark = pytest.mark.numerics
REUSED = "is finished and is reused"
AGAIN = "is trained again, as 2 more epochs are to be saved, from 5 on"
MORE = ("--save_at", "5", "17")


def assert_just_one_run() -> None:
    assert [path.name for path in Path("runs").iterdir() if "__" not in path.name] == [run_folders("runs")[0][0].name]


def test_what_was_missing_is_added_and_nothing_else_changes(dense):
    before = snapshot(dense)
    said = succeed("train", *MORE).out
    assert f"{dense} {AGAIN}" in said
    after = snapshot(dense)
    assert after.keys() - before.keys() == {"5.pth", "17.pth"}
    assert {name for name in before if after[name] != before[name]} <= {"config.json", "state.pth", "summary.json"}
    assert config_of(dense)["config"]["save_at"] == [5, 17]
    assert config_of(dense)["asked_for"] == config_of(Path("runs") / dense.name)["asked_for"]
    assert_just_one_run()
    succeed("train", *MORE, "--root=at once")
    assert_same_run(dense, run_folders("at once")[0][0])
    for flags in ([], MORE, ["--save_at", "5"], ["--save_every=15", *MORE]):
        said = succeed("train", *flags).out
        assert f"{dense} {REUSED}" in said
        assert ("trained again" in said) == ("--save_every=15" in flags)


def test_epochs_that_are_not_on_the_grid_of_records_are_recorded_as_well(place):
    flags = ("--num_epochs=250", "--save_every=100")
    succeed("train", *flags)
    (dense,), _ = run_folders("runs")
    rows = rows_of(dense)
    succeed("train", *flags, "--save_at", "211")
    assert [row[0] for row in rows_of(dense) if row not in rows] == [211]
    assert "reused" in succeed("train", *flags).out, "summary.json knows the new metrics.csv"
    assert list(list_checkpoints(dense)) == [0, 100, 200, 211, 250]


def test_a_ticket_and_a_longer_run_begin_where_it_was_added(dense):
    assert_refused(call("prune", "--prune_at=17"), "epoch 17 was not saved", "--save_at 17")
    succeed("main", "--prune_at=17", "--save_at", "17")
    _, (ticket,) = run_folders("runs")
    assert ticket.name.endswith("_at17")
    assert list(list_checkpoints(ticket)) == [0, 10, 17, 20, 30], "None: as dense"
    before = snapshot(dense)
    succeed("prune", "--prune_at=17", "--retrain_save_at", "17", "25")
    assert list(list_checkpoints(ticket)) == [0, 10, 17, 20, 25, 30]
    assert (load(ticket / "mask.pth")["run"], snapshot(dense)) == (config_of(ticket)["id"], before)
    assert config_of(ticket)["config"]["retrain_save_at"] == [17, 25]
    assert "goes on from epoch 30" in succeed("train", "--num_epochs=40", "--save_at", "17").out


def test_what_a_stage_means_does_not_depend_on_what_else_was_saved(dense):
    """Else a ticket that was made before would be another one afterwards."""
    stage = ("--prune_at=memorization", "--memorization_epoch=19")
    succeed("prune", *stage)
    succeed("train", *MORE)
    assert succeed("prune", *stage).out.count(REUSED) == 1
    assert "_at17" in succeed("main", *stage, *MORE).out


def test_interrupted_in_the_middle_it_goes_on(dense):
    before = snapshot(dense)
    with signalled(signal.SIGTERM, rows=12):
        assert call("train", *MORE).status == 143
    assert snapshot(dense) == before, "it is whole, and stays a finished run"
    assert f"{dense} {REUSED}" in succeed("train").out
    assert "goes on from epoch 11" in succeed("train", *MORE).out
    assert list(list_checkpoints(dense)) == [0, 5, 10, 17, 20, 30]
    assert_just_one_run()
    succeed("train", *MORE, "--root=at once")
    assert_same_run(dense, run_folders("at once")[0][0])


@pytest.mark.parametrize("rerun", [False, True])
def test_what_an_interrupted_one_left_is_used_for_the_same_run_and_epochs_alone(dense, rerun):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("experiments.taken_over.take_over", lambda *given: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            call("train", "--save_at", "3")
    assert (Path("runs") / f".{dense.name}.again" / "3.pth").exists()
    if rerun:
        succeed("train", "--rerun")
    succeed("train", *MORE)
    assert {5, 17} <= set(list_checkpoints(dense))
    assert f"{dense} {REUSED}" in succeed("train").out
    assert not list(Path("runs").glob(".*"))


def test_where_the_bits_differ_it_becomes_a_run_of_its_own(dense):
    path = dense / "20.pth"
    value = load(path)
    value["model"]["W_E"][0, 0] += 1e-6
    torch.save(value, path)
    before = snapshot(dense)
    said = succeed("train", *MORE).out
    assert f"{dense}: trained again it is not the same bit for bit" in said
    assert (after := snapshot(dense)) == before, after.keys()
    (other,) = [path for path in run_folders("runs")[0] if path.name != dense.name]
    assert f"run folder: {other}" in said
    assert other.name.startswith(f"{dense.name}_")
    assert list(list_checkpoints(other)) == [0, 5, 10, 17, 20, 30]
    assert summary_of(other)["run"] == config_of(other)["id"] != config_of(dense)["id"]
    # From now on it is that one, and the other without them.
    said = succeed("train", *MORE).out
    assert f"{other} is the same run, not bit for bit, and has what was to be saved" in said
    assert f"run folder: {other}" in said
    assert "trained again" not in said
    assert f"{dense} {REUSED}" in succeed("train").out


def test_a_run_that_ended_early_lacks_nothing_after_its_end(place):
    for flags, status in ((["--stopping_thresh=100"], "stopped"), (["--lr=1e20"], "diverged")):
        succeed("train", *flags)
        said = succeed("train", *flags, "--save_at", "17", "25").out
        assert f"is finished ({status}) and is reused" in said
        assert "trained again" not in said


def test_killed_while_it_takes_over_the_run_is_finished_once_more(dense):
    with pytest.MonkeyPatch.context() as patch:
        unlink = Path.unlink

        def killed(path, *given, **named):
            unlink(path, *given, **named)
            if path.name == "summary.json":
                raise KeyboardInterrupt

        patch.setattr(Path, "unlink", killed)
        assert call("train", *MORE).status == 130
    assert not (dense / "summary.json").exists()
    assert "goes on from epoch 30" in succeed("train", *MORE).out
    assert list(list_checkpoints(dense)) == [0, 5, 10, 17, 20, 30]
    succeed("train", *MORE, "--root=at once")
    assert_same_run(dense, run_folders("at once")[0][0])
