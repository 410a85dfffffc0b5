"""The table of results: a row a run, what stands in it, and what tables over seeds make of it."""

import csv
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pandas
import pytest
from scripts import REPOSITORY, run_folders, succeed
from slow_rule import slow_rule

from reporting.columns import NOT_LOOKED_AT, dense_and_ticket, generalization_columns, pair_columns, t_gen
from reporting.results import BESIDE, CUT, T_GEN, Levels, frame, read_result, read_results, records, row_of, write_csv
from reporting.tables import results_table, seeds_table, winner
from training.generalization import Generalization

LEVELS = Levels((0.1, 0.6), 0.5)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Dense runs of two seeds with a ticket each, and a control without a mask."""
    root = tmp_path_factory.mktemp("results")
    for seed in (0, 1):
        succeed("main", f"--seed={seed}", f"--root={root}", "--lr=0.03")
    succeed("prune", "--seed=0", "--use_mask=False", "--retrain_weight_decay=0", f"--root={root}", "--lr=0.03")
    return root


def changed(path: Path, **values) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_a_row_is_a_run_with_its_settings_and_measures(trained):
    results = read_results(trained, gen=LEVELS.gen, mem=LEVELS.mem)
    assert len(results) == 5
    assert set(results["run"]) == {path.parent.name for path in trained.glob("*/summary.json")}
    for row in records(results):
        folder = trained / row["run"]
        stored, summary = (json.loads((folder / name).read_text()) for name in ("config.json", "summary.json"))
        for name in ("seed", "lr", "d_emb", "fn_name", "retrain_weight_decay"):
            assert row[name] == stored["config"].get(name)
        for name in ("status", "final_test_acc", "best_test_acc", "weights_kept", "seconds"):
            assert row[name] == summary[name]
        with (folder / "metrics.csv").open() as file:
            rows = list(csv.DictReader(file))
        epochs, test_acc = [int(one["epoch"]) for one in rows], [float(one["test_acc"]) for one in rows]
        for threshold in LEVELS.gen:
            told = [row[f"{name} (test acc >= {threshold})"] for name in T_GEN]
            *wanted, share = slow_rule(epochs, test_acc, threshold)
            assert told[:4] == list(wanted)
            assert told[4] == (share if share is None else pytest.approx(share, abs=1e-4))
        assert row["t_mem (train acc >= 0.5)"] == next(
            (int(one["epoch"]) for one in rows if float(one["train_acc"]) >= 0.5), None
        )
        assert (row["last_epoch"], row["budget"]) == (30, 30)


def test_settings_are_those_that_differ_in_the_seed_alone(trained):
    results = read_results(trained, gen=LEVELS.gen, mem=LEVELS.mem)
    seeds = {setting: sorted(rows["seed"]) for setting, rows in results.groupby("setting")}
    assert sorted(seeds.values()) == [[0], [0, 1], [0, 1]]
    assert {setting.count("seed") for setting in seeds} == {0}


def test_a_folder_with_another_settings_name_is_no_seed_of_it(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "runs")
    (control,) = (tmp_path / "runs").glob("*no_mask*")
    (ticket,) = (tmp_path / "runs").glob("*seed0_*magnitude*")
    control.rename(ticket.with_name(ticket.name.replace("_seed0", "")))
    results = read_results(tmp_path / "runs", gen=LEVELS.gen, mem=LEVELS.mem)
    assert sorted(len(rows) for _, rows in results.groupby("setting")) == [1, 2, 2]


def test_a_ticket_has_its_dense_runs_measures_beside_its_own(trained):
    rows = {row["run"]: row for row in records(read_results(trained, gen=LEVELS.gen, mem=LEVELS.mem))}
    dense, tickets = ([path.name for path in folders] for folders in run_folders(trained))
    for name in tickets:
        beside = {
            column.removeprefix(BESIDE): value for column, value in rows[name].items() if column.startswith(BESIDE)
        }
        own = rows[name.split("__")[0]]
        assert beside == {column: own[column] for column in beside}
        assert len(beside) > 20
    assert all(rows[name]["dense run"] is None for name in dense)


def test_a_control_without_a_mask_has_no_settings_of_a_mask(trained):
    results = read_results(trained, gen=LEVELS.gen, mem=LEVELS.mem)
    control = results[results["use_mask"] == False]  # noqa: E712
    assert len(control) == 1
    assert control[["pruner", "pruning_rate", "prune_at", "scope"]].isna().all(axis=None)
    assert results[results["use_mask"] == True]["pruning_rate"].tolist() == [0.6, 0.6]  # noqa: E712


def test_a_csv_holds_numbers_and_statuses_that_come_back_as_they_were(trained, tmp_path):
    results = read_results(trained, gen=LEVELS.gen, mem=LEVELS.mem)
    write_csv(results, tmp_path / "new" / "results.csv")
    back = pandas.read_csv(tmp_path / "new" / "results.csv")
    for old, new in zip(records(results), records(back), strict=True):
        assert {name: str(value) if isinstance(value, tuple) else value for name, value in old.items()} == new
    with (tmp_path / "new" / "results.csv").open() as file:
        for row in csv.DictReader(file):
            for name in row:
                if name.startswith(
                    ("t_gen (", "t_gen_first", "t_gen_known", "dense t_gen (", "t_mem", "mask_epoch", "last")
                ):
                    assert row[name] == "" or row[name].isdecimal(), (name, row[name])
            assert row["t_gen_status (test acc >= 0.1)"] in ("holds", "does not hold", "too short", "never")


def test_a_run_that_was_cut_short_tells_its_t_gen_and_nothing_that_only_long_runs_show(trained):
    """As it is called by summary.json's status."""
    (folder, *_), _ = run_folders(trained)
    before = row_of(read_result(folder), LEVELS)
    summary = (folder / "summary.json").read_text()
    try:
        changed(folder / "summary.json", status=CUT)
        result = read_result(folder)
    finally:
        (folder / "summary.json").write_text(summary)
    row = row_of(result, LEVELS)
    assert before["below_after (test acc >= 0.1)"] is not None
    different = {name for name in row if row[name] != before[name]}
    assert different == {
        "status",
        "final_train_acc",
        "final_test_acc",
        "best_test_acc",
        "below_after (test acc >= 0.1)",
    } | ({"below_after (test acc >= 0.6)"} if before["below_after (test acc >= 0.6)"] is not None else set())
    assert all(row[name] is None for name in different - {"status"})
    text = results_table({"a": result}, 0.5, 0.1)
    assert text.count(NOT_LOOKED_AT) == 3
    assert "unstable" not in text
    assert "| a  " in text, "it is a normal end"


def made(
    seed: int, found: Generalization, status: str = "completed", setting: str = "s", final: float | None = 1.0
) -> dict:
    row = {"run": f"{setting}{seed}", "setting": setting, "seed": seed, "status": status, "budget": 10_000}
    row |= {f"{name} (test acc >= 0.95)": value for name, value in found.as_dict().items()}
    return row | {"final_test_acc": final}


def at(epoch: int | None, below_after: float | None = 0.0) -> Generalization:
    if epoch is None:
        return Generalization(None, None, "never", 10_000, None)
    return Generalization(epoch, epoch, "holds", epoch, below_after)


def cells(rows: list[dict], columns: dict) -> list[str]:
    return [cell(records(frame(rows))) for cell in columns.values()]


def test_what_a_table_says_of_seeds_worked_out_by_hand():
    rows = [made(seed, at(epoch)) for seed, epoch in enumerate((300, 400, 0, None))]
    assert cells(rows, generalization_columns(0.95)) == ["300 (0 to > 10,000)", "2,675", "3 of 4 (30 to 95 %)", "1.000"]
    assert cells(rows[2:3], t_gen(0.95)) == ["0"], "a t_gen of 0 is a number"
    rows[1] = made(1, at(400, below_after=0.2), final=0.5)
    assert cells(rows, generalization_columns(0.95))[2:] == ["3 of 4 (30 to 95 %), 1 unstable", "1.000"]


def test_a_run_that_was_cut_short_leaves_the_others_accuracies_unsaid():
    rows = [made(0, at(300, below_after=None), CUT, final=None), made(1, at(None), final=0.1)]
    assert cells(rows, generalization_columns(0.95)) == [
        "300 (300 to > 10,000)",
        "5,150",
        "1 of 2 (9 to 91 %)",
        NOT_LOOKED_AT,
    ]
    rows[1]["status"] = CUT  # at another threshold than that at which it was stopped
    share = "1 of 2 (9 to 91 %), 1 not looked at"
    assert cells(rows, generalization_columns(0.95)) == ["300 (300 to > 10,000)", NOT_LOOKED_AT, share, NOT_LOOKED_AT]


def test_a_diverged_run_never_gets_there(trained, tmp_path):
    """Not "later than the epoch at which it diverged"."""
    (folder, *_), _ = run_folders(trained)
    copy = tmp_path / "run"
    copy.mkdir()
    for name in ("config.json", "summary.json", "metrics.csv"):
        (copy / name).write_text((folder / name).read_text())
    header, *lines = (copy / "metrics.csv").read_text().splitlines(True)
    content = "".join([header, *lines[:5]])  # to epoch 4
    (copy / "metrics.csv").write_text(content)
    digest = hashlib.sha256(content.encode()).hexdigest()
    changed(copy / "summary.json", status="diverged", epochs=4, metrics_sha256=digest)
    diverged = row_of(read_result(copy), Levels((0.95,), 0.99))
    assert (diverged["last_epoch"], diverged["budget"]) == (4, 30)
    assert diverged["t_gen_known_until (test acc >= 0.95)"] == 30
    rows = [diverged, made(1, at(10)), made(2, at(20))]
    for row in rows:
        row["budget"] = 30
    assert cells(rows, generalization_columns(0.95))[:3] == ["20 (10 to > 30)", "20", "2 of 3 (21 to 94 %), 1 diverged"]
    text = results_table({"a": read_result(copy)}, 0.99, 0.95)
    assert "| a (diverged) |" in text
    assert text.count("> 30") == 2, "t_mem and t_gen"


def test_the_ratio_is_taken_seed_by_seed_and_may_be_a_bound():
    def pair(seed, dense, ticket):
        beside = {BESIDE + name: value for name, value in made(seed, at(dense)).items()}
        return made(seed, at(ticket)) | beside

    rows = [pair(0, 4000, 100), pair(1, None, 400), pair(2, 9000, 300)]
    assert cells(rows, pair_columns(0.95)) == [
        "9,000 (4,000 to > 10,000)",
        "300 (100 to 400)",
        "30 to 40 (> 25 to > 40)",
    ]
    del rows[1][f"{BESIDE}status"]  # its dense run is not known
    assert cells(rows, pair_columns(0.95)) == ["4,000 (4,000 to 9,000)", "300 (100 to 400)", "30 (30 to 40)"]
    assert cells(rows[1:2], dense_and_ticket(generalization_columns(0.95)))[:4] == [""] * 4


def test_the_winner_holds_for_most_seeds_before_it_is_early():
    settings = {"a": (5, 5, None), "b": (90, 80, 100), "c": (70, 200, 300), "d": (None, None, None)}
    rows = [
        made(seed, at(epoch), setting=name) for name, epochs in settings.items() for seed, epoch in enumerate(epochs)
    ]
    assert [row["run"] for row in winner(frame(rows), "setting", 0.95)] == ["b0", "b1", "b2"]
    text = seeds_table(frame(rows), t_gen(0.95), "which")
    assert [line.split("|")[1].strip() for line in text.splitlines()[2:]] == list("abcd")


@pytest.mark.slow
def test_whoever_trains_does_not_wait_for_pandas(trained):
    program = f"""
import sys
import main, prune, report, sweep, train, reporting.pages
from reporting.tables import matrices_table, print_results, read_result, speedup_text
dense, ticket = map(read_result, {[str(folders[0]) for folders in run_folders(trained)]})
print_results({{"dense": dense, "ticket": ticket}}, 0.99, 0.3)
print(matrices_table(ticket.summary["kept_per_matrix"]), speedup_text(dense, ticket, 0.3))
raise SystemExit("pandas" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
