"""Runs that stop once their t_gen is certain: the same t_gen in fewer epochs, and nothing claimed about what was not looked at."""

import pytest
from scripts import assert_refused, call, run_folders, succeed, summary_of

# Nothing changes, and the init has two of 14 test examples right: t_gen is 0, and the record of epoch 1,000 makes it certain.
AT_ONCE = ("--lr=0", "--seed=0", "--gen_threshold=0.05", "--num_epochs=1500", "--save_every=500")
STOPS = "--stop_after_gen=True"


@pytest.mark.numerics
def test_it_is_the_full_run_cut_where_t_gen_is_certain(place):
    flags = (*AT_ONCE, "--num_epochs=1020")
    full, cut = (succeed("train", *flags, *more) and run_folders("runs")[0] for more in ([], [STOPS]))
    (cut,), (full,) = set(cut) - set(full), full
    assert (summary_of(cut)["status"], summary_of(cut)["epochs"]) == ("generalized", 1000)
    assert summary_of(cut)["t_gen"] == summary_of(full)["t_gen"] == 0
    rows = (full / "metrics.csv").read_text().splitlines()
    assert (cut / "metrics.csv").read_text().splitlines() == rows[
        : [row.split(",")[0] for row in rows].index("1000") + 1
    ]
    assert cut.name.count("stop_after_gen0.05") == 1


@pytest.mark.slow
def test_a_run_that_never_generalizes_is_trained_to_its_end(place):
    succeed("train", "--num_epochs=1100", "--gen_threshold=1", STOPS)
    assert summary_of(run_folders("runs")[0][0])["status"] == "completed"


@pytest.mark.slow
def test_plain_it_is_the_dense_runs_and_retrain_the_tickets(place):
    succeed("main", *AT_ONCE, "--prune_at=100", "--retrain_stop_after_gen=True")
    (dense,), (ticket,) = run_folders("runs")
    assert (summary_of(dense)["epochs"], summary_of(ticket)["epochs"]) == (1500, 1000)
    succeed("main", *AT_ONCE, "--prune_at=100", STOPS)
    # None: as dense. Of weights that have not changed it is the same mask, and so the same ticket.
    assert run_folders("runs")[1] == [ticket]
    succeed("main", *AT_ONCE, "--prune_at=100", STOPS, "--retrain_stop_after_gen=False")
    assert sorted(summary_of(folder)["epochs"] for folder in run_folders("runs")[1]) == [1000, 1500]


@pytest.mark.slow
def test_a_stage_beyond_the_stop_is_refused_and_one_before_it_is_not(place):
    succeed("train", *AT_ONCE, STOPS)
    flags = (*AT_ONCE, STOPS, "--retrain_num_epochs=5")
    outcome = call("prune", *flags)
    assert_refused(
        outcome, "prune_at generalization", "stopped at epoch 1,000", "t_gen was certain", "28,000", "--stop_after_gen"
    )
    assert_refused(call("prune", *flags, "--prune_at=1500"), "epoch 1500 was not saved")
    for fits in (
        "--prune_at=init",
        "--generalization_epoch=auto",
        "--generalization_epoch=1000",
        "--generalization_epoch=500",
    ):
        succeed("prune", *flags, fits)
