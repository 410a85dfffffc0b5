"""report.py: every ticket beside its dense run, paired by settings and data; medians over seeds; who is left out, and why."""

import csv
import json
import shutil
from pathlib import Path

import pytest
from scripts import assert_refused, call, run_folders, succeed
from slow_rule import slow_rule
from sweeps import building_fails

THRESHOLDS = (0.3, 0.6, 1.0)
FIELDS = ("t_gen", "t_gen_first", "t_gen_status", "t_gen_known_until", "below_after")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Dense runs of three seeds with a ticket each, and one ticket at another rate."""
    root = tmp_path_factory.mktemp("report")
    for seed in (0, 1, 2):
        succeed("main", f"--seed={seed}", f"--root={root}")
    succeed("main", "--seed=1", "--pruning_rate=0.3", f"--root={root}")
    return root


@pytest.fixture
def pairs(trained, place):
    """A copy of a test's own; the tickets' config.json says that their dense runs are below ``runs``."""
    shutil.copytree(trained, place / "runs")
    for path in Path("runs").glob("*__*/config.json"):
        path.write_text(path.read_text().replace(f"{trained}/", "runs/"))
    return place


def records(folder: Path) -> tuple[list[int], list[float]]:
    """Epochs and test accuracies, read without the project's code."""
    with (folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [int(row["epoch"]) for row in rows], [float(row["test_acc"]) for row in rows]


def told(*flags: str):
    return call("report", *flags, size=())


def written(*flags: str) -> list[dict]:
    outcome = told("--csv=report.csv", "--gen_thresholds", *map(str, THRESHOLDS), *flags)
    assert outcome.status == 0, outcome
    with open("report.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_the_csv_says_what_metrics_csv_says(pairs):
    rows = written()
    assert len(rows) == 4
    for row in rows:
        assert row["run"].split("__")[0] == row["dense run"]
        for side in ("dense ", ""):
            folder = Path("runs") / row[f"{side}run"]
            assert json.loads(row[f"{side}code"]) == json.loads((folder / "config.json").read_text())["code"]
            for threshold in THRESHOLDS:
                found = [row[f"{side}{name} (test acc >= {threshold:g})"] for name in FIELDS]
                *wanted, share = slow_rule(*records(folder), threshold)
                assert found[:4] == ["" if value is None else str(value) for value in wanted]
                assert (float(found[4]) == pytest.approx(share, abs=1e-4)) if found[4] else share is None


def test_the_table_has_a_row_a_seed_and_their_median(pairs):
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in told("--gen_thresholds", "1").out.splitlines()]
    by_seed = {row[1]: row for row in rows if "magnitude0.6" in row[0]}
    assert list(by_seed) == ["0", "1", "2", "median (range)"]
    for seed in "012":
        folder = next(Path("runs").glob(f"*seed{seed}_*d_model6"))
        first = slow_rule(*records(folder), 1.0)[1]
        assert by_seed[seed][2] == ("> 30" if first is None else f"{first} at first, too short to tell")
    assert by_seed["median (range)"][2].startswith("> ")


def test_only_the_tickets_that_are_asked_for(pairs):
    (row,) = written("--tickets=*magnitude0.3*")
    assert (row["seed"], "magnitude0.3" in row["run"]) == ("1", True)
    assert [row["seed"] for row in written("--seeds", "0", "2")] == ["0", "2"]
    assert_refused(told("--tickets=*magnitude0.7*"), "no finished ticket")
    assert_refused(told("--kind=cnn"), "no finished ticket of kind cnn")
    assert_refused(told("--gen_thresholds", "1.5"), "gen_thresholds")
    assert told("--kind=mlp", "--seeds", "1").status == 0


def folders(rate: str = "0.6", seed: int = 0) -> tuple[Path, Path]:
    ticket = next(Path("runs").glob(f"*seed{seed}_*magnitude{rate}*"))
    return ticket.with_name(ticket.name.split("__")[0]), ticket


def test_a_dense_run_is_found_under_any_name_and_anywhere(pairs):
    dense, ticket = folders()
    before = written()
    dense.rename("runs/renamed")
    rows = written()
    assert len(rows) == 4
    assert {row["run"]: row["dense run"] for row in rows}[ticket.name] == "renamed"
    moved = Path("elsewhere").absolute()
    Path("runs/renamed").rename(moved)
    config = json.loads((ticket / "config.json").read_text())
    (ticket / "config.json").write_text(json.dumps(config | {"dense_run": str(moved)}))
    assert [row | {"dense run": ""} for row in written()] == [row | {"dense run": ""} for row in before]


def test_another_run_under_the_dense_runs_name_is_not_put_beside_the_ticket(pairs):
    dense, ticket = folders()
    shutil.rmtree(dense)
    shutil.copytree(folders(seed=1)[0], dense)
    outcome = told()
    assert f"left out: {ticket.name}: its dense run {dense} holds another run" in outcome.err
    assert len(written()) == 3


@pytest.mark.parametrize(
    ("name", "damage", "reason"),
    [
        ("summary.json", lambda path: path.write_text("{"), "damaged"),
        ("summary.json", lambda path: path.write_text(path.read_text().replace('"weights": 208', '"weights": "many"')), "'many'"),
        ("metrics.csv", lambda path: path.write_text("".join(path.read_text().splitlines(True)[:-3])), "not what this run wrote"),
        ("metrics.csv", lambda path: path.write_text("epoch\\n1\\n"), "damaged"),
        ("metrics.csv", lambda path: path.unlink(), "not there"),
        ("final.pth", lambda path: path.unlink(), "final.pth is not there"),
    ],
)  # fmt: skip
def test_one_damaged_run_is_named_and_stops_no_other(pairs, name, damage, reason):
    _, ticket = folders()
    damage(ticket / name)
    outcome = told()
    assert outcome.status == 0
    assert "Traceback" not in outcome.err
    (line,) = [line for line in outcome.err.splitlines() if line.startswith("left out")]
    assert ticket.name in line
    assert reason in line
    assert len(written()) == 3


CONFIG_DAMAGE = [
    lambda stored: stored | {"config": {}},
    lambda stored: stored | {"asked_for": []},
    lambda stored: stored | {"content": {}},
    lambda stored: stored | {"config": stored["config"] | {"seed": "1"}},
    lambda stored: stored | {"dense_run": 5},
    lambda stored: [],
]


@pytest.mark.parametrize("number", range(len(CONFIG_DAMAGE)))
@pytest.mark.parametrize("side", [0, 1])
def test_a_damaged_config_is_named_and_stops_no_other(pairs, number, side):
    path = folders()[side] / "config.json"
    path.write_text(json.dumps(CONFIG_DAMAGE[number](json.loads(path.read_text()))))
    outcome = told()
    assert outcome.status == 0, outcome
    assert "Traceback" not in outcome.err
    assert 3 <= len(written()) <= 4


def test_a_copy_of_a_ticket_is_no_other_seed(pairs):
    _, ticket = folders()
    shutil.copytree(ticket, ticket.with_name(f"copy_of_{ticket.name}"))
    outcome = told()
    assert "it is a copy of" in outcome.err
    assert len(written()) == 4


def test_a_copied_root_is_read_from_itself(pairs):
    """The tickets of the copy name dense runs that are still where they were, and may have changed since."""
    for path in Path("runs").glob("*__*/config.json"):
        path.write_text(path.read_text().replace('"runs/', f'"{Path("runs").absolute()}/'))
    shutil.copytree("runs", "copied")
    for path in Path("runs").glob("*/metrics.csv"):
        path.write_text("changed since")
    rows = written("--root=copied")
    assert len(rows) == 4
    for row in rows:
        *wanted, _ = slow_rule(*records(Path("copied") / row["dense run"]), 0.3)
        assert [row[f"dense {name} (test acc >= 0.3)"] for name in FIELDS[:4]] == [
            "" if v is None else str(v) for v in wanted
        ]


@pytest.mark.parametrize("name", ["gen_thresholds", "seeds"])
def test_a_flag_without_its_values_is_a_mistake(pairs, name):
    assert_refused(told(f"--{name}"), f"--{name} is empty")


def test_nothing_is_built_for_it(pairs, monkeypatch):
    with building_fails(monkeypatch):
        assert len(written()) == 4


def test_two_spellings_of_one_mask_are_one_group(pairs):
    """--prune_at 30 for one seed, and generalization for the others, whose last checkpoint is that of epoch 30."""
    shutil.rmtree(folders()[1])
    succeed("prune", "--seed=0", "--prune_at=30")
    lines = [line for line in told().out.splitlines() if "median" in line]
    assert len(lines) == 1
    assert len(run_folders("runs")[1]) == 4
