"""What --collect makes of the runs that are finished: a row a run, under the settings that asked for it."""

import json
import re
import shutil
from pathlib import Path

import pytest
from scripts import assert_refused, load, run_folders, snapshot, succeed
from slow_rule import slow_rule
from sweeps import SMALL, building_fails, changed, collected, done, made_by_older_code, run_sweep, train_sweep, write

from reporting.results import read_result


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The runs of the small sweep: 2 dense runs and 8 tickets."""
    place = tmp_path_factory.mktemp("sweep")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        write()
        train_sweep()
    return place / "runs"


@pytest.fixture
def runs(trained, place):
    """A copy of a test's own, in the working directory."""
    write()
    shutil.copytree(trained, "runs")
    return Path("runs")


def table_of(outcome) -> dict[str, str]:
    """The printed table, ``{setting: line}``."""
    return {line.split("|")[1].strip(): line for line in outcome.out.splitlines() if line.startswith("| ")}


def test_one_tidy_row_for_each_ticket(runs, monkeypatch):
    """Data of a cluster need not be on the laptop that makes the table, and no mask is made again for it."""
    with building_fails(monkeypatch):
        rows = collected("--gen_threshold=0.6")
    assert len(rows) == 8
    for row in rows:
        result = read_result(runs / row["run"])
        assert (
            row["setting"] == f"pruning rate {row['pruning_rate']}, retrain weight decay {row['retrain_weight_decay']}"
        )
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
        assert (json.loads(row["code"]), row["git_commit"]) == (result.settings["code"], result.settings["git_commit"])
        weights = load(result.path / "init.pth")["model"].values()
        norm = sum(weight.double().square().sum().item() for weight in weights) ** 0.5
        assert float(row["l2norm at epoch 0"]) == pytest.approx(norm, abs=1e-3)
        for name, kept in load(result.path / "mask.pth")["mask"].items():
            assert float(row[f"kept of {name}"]) == pytest.approx(kept.double().mean().item(), abs=1e-4)


def test_it_goes_below_the_root_unless_told_otherwise_and_changes_no_run(runs):
    runs.rename("mine")
    before = snapshot("mine")
    assert run_sweep("--collect", "--root=mine", "--output=here").status == 0
    assert snapshot("mine") == before
    assert run_sweep("--collect", "--root=mine").status == 0
    assert Path("mine/my_sweep/results.csv").read_bytes() == Path("here/my_sweep/results.csv").read_bytes()
    assert_refused(run_sweep("--collect"), "no run of this sweep is finished")
    assert_refused(run_sweep("--collect", "--root=mine", "--output="), "--output is empty")


def test_how_many_rows_older_code_has_trained_is_said(runs):
    assert "older versions" not in run_sweep("--collect", "--output=out").out
    for ticket in run_folders(runs)[1][:2]:
        made_by_older_code(ticket)
    outcome = run_sweep("--collect", "--output=out")
    assert "older versions of training/loop.py have trained 2 of 10 runs, such as " in outcome
    assert len(collected()) == 8, "they are rows like the others"


def test_a_row_stands_under_the_settings_that_asked_for_it(place):
    """Two settings that give one mask are one run, which has the first one's name in its folder and the row of the other sweep."""
    flags = [f"--{name}={value}" for name, value in SMALL.items()]
    succeed("main", *flags, "--seed=0", "--pruning_rate=0", size=())
    write(settings=[{"pruner": "random", "pruning_rate": 0.0, "scope": "local"}], seeds=(0,))
    assert "is the same run as" in train_sweep()
    assert len(done()) == 2
    (row,) = collected()
    assert "magnitude0.0_global" in row["run"]
    assert (row["setting"], row["pruner"], row["scope"]) == (
        "pruner random, pruning rate 0.0, scope local",
        "random",
        "local",
    )


def test_a_control_without_a_mask_has_no_mask_settings(place):
    write(
        settings={"pruned": {"pruning_rate": 0.3}, "dense": {"use_mask": False, "retrain_weight_decay": 0.0}},
        seeds=(0,),
    )
    train_sweep()
    told = [(row["setting"], row["pruning_rate"], row["retrain_weight_decay"]) for row in collected()]
    assert told == [("pruned", "0.3", ""), ("dense", "", "0.0")]


def test_networks_of_different_shapes_stand_in_one_table(place):
    write(axes={"num_layers": [0, 1], "pruning_rate": [0.3]}, seeds=(0,))
    train_sweep()
    assert [bool(row["kept of W_h.0"]) for row in collected()] == [False, True]
    line = table_of(run_sweep("--collect", "--output=out"))["num layers 0, pruning rate 0.3"]
    assert re.search(r"0\.\d\d / -", line) or re.search(r"- / 0\.\d\d", line)


# ---- what is left out, and how runs ended


def test_why_a_run_is_left_out_is_said(runs):
    (next(path for path in run_folders(runs)[0] if "seed1" in path.name) / "10.pth").write_text("broken")
    (damaged, *_) = (path for path in run_folders(runs)[1] if "seed0" in path.name)
    (damaged / "metrics.csv").write_text("x")
    outcome = run_sweep("--collect", "--output=out")
    assert outcome.status == 0
    assert "4 of 8 runs are finished" in outcome
    assert outcome.out.count("10.pth cannot be read") == 4
    assert f"left out: {damaged.name}: " in outcome.err
    assert len(collected()) == 3


def test_what_diverged_is_said(runs):
    changed(next(runs.glob("*seed0_*magnitude0.3*decay0.0")) / "summary.json", status="diverged")
    outcome = run_sweep("--collect", "--output=out", "--mem_threshold=0.7", "--seeds", "0")
    assert "4 of 4 runs are finished" in outcome.out
    assert "0 of 1 (0 to 79 %), 1 diverged |" in table_of(outcome)["pruning rate 0.3, retrain weight decay 0.0"]
    assert "t_mem (train acc >= 0.7)" in Path("out/my_sweep/results.csv").read_text()


def test_a_setting_whose_dense_run_diverged_keeps_its_row(runs):
    """Its ticket can never be, so it never generalizes, and counts as a seed."""
    lost = next(path for path in run_folders(runs)[0] if "seed1" in path.name)
    for path in runs.glob(f"{lost.name}__*"):
        shutil.rmtree(path)
    changed(lost / "summary.json", status="diverged")
    outcome = run_sweep("--collect", "--output=out", "--gen_threshold=0.1")
    assert "4 of 8 runs are finished" in outcome
    assert "left out" not in outcome
    lines = [line for name, line in table_of(outcome).items() if name.startswith("pruning rate")]
    assert len(lines) == 4
    assert all(" of 2 (" in line and "1 dense diverged" in line for line in lines)
    rows = [row for row in collected("--gen_threshold=0.1") if row["status"] == "dense diverged"]
    assert [(row["seed"], row["pruning_rate"]) for row in rows] == [("1", "0.3")] * 2 + [("1", "0.6")] * 2
    for row in rows:
        assert (row["run"], row["dense run"], row["dense status"], row["final_test_acc"]) == (
            "",
            lost.name,
            "diverged",
            "",
        )
        found = [row[f"{name} (test acc >= 0.1)"] for name in ("t_gen", "t_gen_status", "t_gen_known_until")]
        assert found == ["", "never", "30"]
