"""The tables in README and RESULTS are those of the CSVs, and the CSVs' rows are of one code."""

import csv
import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import pandas
import pytest
import scipy.stats

from common.errors import UserError
from configs import sweep_tuned_dense, sweep_tuned_dense_check, sweep_tuned_ticket, sweep_tuned_ticket_check
from reporting import published_csvs
from reporting.findings import ALIGNMENT, PAYS
from reporting.published import PAGES, PLACE, TABLES, TUNED, both_tuned, filled, headline, tuned
from reporting.published_csvs import REPOSITORY, RESULTS
from reporting.tables import winner


@pytest.mark.parametrize("name", PAGES)
def test_every_table_is_the_one_that_the_csvs_give(name):
    text = (REPOSITORY / name).read_text()
    assert filled(text) == text, "run `make results`"


def test_every_table_that_can_be_made_stands_somewhere_once():
    text = "".join((REPOSITORY / name).read_text() for name in PAGES)
    can_be_made = set()
    for name, make in TABLES.items():
        try:
            make()
            can_be_made.add(name)
        except UserError:
            continue
    assert can_be_made >= {"headline", "seeds_mlp", "seeds_transformer", "tuned"}
    for name in TABLES:
        assert text.count(f"<!-- table {name} -->") in ({1} if name in can_be_made else {0, 1}), name
    assert (
        text.count("<!-- table ")
        == text.count("<!-- end -->")
        == sum(f"<!-- table {name} -->" in text for name in TABLES)
    )


def test_a_changed_table_is_made_anew():
    text = "before\n<!-- table headline -->\n| wrong |\n<!-- end -->\nafter\n"
    assert filled(text) == f"before\n<!-- table headline -->\n{headline()}\n<!-- end -->\nafter\n"


@pytest.fixture
def csvs(tmp_path, monkeypatch):
    """The published CSVs, a test's own."""
    shutil.copytree(RESULTS, tmp_path / "results")
    monkeypatch.setattr(published_csvs, "RESULTS", tmp_path / "results")
    return tmp_path / "results"


def test_a_table_whose_csv_is_not_there_or_older_is_left_and_named(csvs, capsys):
    text = "<!-- table tuned -->\n| as it was |\n<!-- end -->\n"
    path = csvs / "sweep_tuned_ticket" / "results.csv"
    pandas.read_csv(path).drop(columns="below_after (test acc >= 0.95)").to_csv(path, index=False)
    assert filled(text) == text
    assert capsys.readouterr().out == (
        "left as it is: the table tuned: sweep_tuned_ticket/results.csv has no column 'below_after (test acc >= 0.95)': "
        "collect it again\n"
    )
    path.unlink()
    assert filled(text) == text
    assert capsys.readouterr().out == "left as it is: the table tuned: sweep_tuned_ticket/results.csv is not there\n"


def test_every_table_can_be_made_of_csvs_of_today(csvs):
    """Those that are older today are given the columns of a CSV that is not."""
    rows = pandas.read_csv(csvs / "sweep_tuned_ticket" / "results.csv")
    for path in csvs.glob("sweep_*/results.csv"):
        if "tuned" not in path.parent.name:
            rows.to_csv(path, index=False)
    of_settings = [
        make.args[0] for make in TABLES.values() if isinstance(make, partial) and make.args[0].startswith("sweep_")
    ]
    for sweep in (
        *(name for name, _ in (*ALIGNMENT.values(), *PAYS.values())),
        *of_settings,
    ):  # some are not collected yet
        (csvs / sweep).mkdir(exist_ok=True)
        rows.to_csv(csvs / sweep / "results.csv", index=False)
    rows.to_csv(csvs / "mnist.csv", index=False)
    for name, make in TABLES.items():
        lines = make().splitlines()
        assert len(lines) > 2, name
        assert len({line.count("|") for line in lines}) == 1, name
    first, *_ = TABLES["sweep_mnist"]().splitlines()[2:]
    assert "| the dense run" in first
    assert " 5 of 5 " in first, "five dense runs, each once, though each has twenty tickets"
    decays = [line.split("|")[1].strip() for line in TABLES["pruning_rate"]().splitlines()[2:]]
    assert decays == ["16", "8", "3", "1"]


def readings(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()[2:]]


@pytest.mark.parametrize(("side", "column"), [("dense", 2), ("ticket", 6)])
def test_the_medians_of_the_tuned_comparison_are_scipys(side, column):
    """Read from the CSV without the project's code."""
    seeds: dict[tuple[float, float], list] = {}
    with (RESULTS / f"sweep_tuned_{side}" / "results.csv").open(newline="") as file:
        prefix = "" if side == "dense" else "retrain_"
        for row in csv.DictReader(file):
            epoch, until = (row[f"{name} (test acc >= 0.95)"] for name in ("t_gen", "t_gen_known_until"))
            seeds.setdefault((float(row[f"{prefix}lr"]), float(row[f"{prefix}weight_decay"])), []).append(
                (epoch, int(until))
            )
    told = {(float(line[0]), float(line[1])): line[column : column + 3] for line in readings(tuned())}
    assert told.keys() == seeds.keys()
    for place, runs in seeds.items():
        reached = np.array([int(epoch) for epoch, _ in runs if epoch])
        censored = np.array([until for epoch, until in runs if not epoch])
        median, _, share = told[place]
        assert share.startswith(f"{len(reached)} of {len(runs)} (")
        if len(reached):
            curve = scipy.stats.ecdf(scipy.stats.CensoredData(uncensored=reached, right=censored)).sf
            half = next((t for t in sorted(reached) if curve.evaluate(t) <= 0.5 + 1e-9), None)
            wanted = f"> {sorted(until for _, until in runs)[(len(runs) - 1) // 2]:,}" if half is None else f"{half:,}"
        else:
            wanted = f"> {sorted(censored)[(len(runs) - 1) // 2]:,}"
        assert median.split(" (")[0] == wanted, place


@pytest.mark.parametrize("path", ["seeds.csv", "sweep_tuned_dense/results.csv", "sweep_tuned_ticket/results.csv"])
def test_a_published_csv_is_of_one_code_a_kind_from_clean_checkouts(path):
    """The hash says that the code is the same; commits may differ in what no run executes."""
    with (RESULTS / path).open() as file:
        rows = list(csv.DictReader(file))
    kinds = {row["kind"] for row in rows}
    for name in rows[0]:
        if name.endswith("git_commit"):
            assert not any(row[name].endswith("+") for row in rows), "of a clean checkout"
        if name.endswith("code"):
            assert len({row[name] for row in rows}) <= len(kinds)


# ---- the winner of a search, and the seeds that did not choose it

SEARCHES = [(sweep_tuned_dense, sweep_tuned_dense_check), (sweep_tuned_ticket, sweep_tuned_ticket_check)]


@pytest.mark.parametrize("side", [0, 1])
def test_the_checks_setting_is_the_winner_of_the_search_on_other_seeds(side):
    search, check = (module.sweep for module in SEARCHES[side])
    best = winner(both_tuned()[side], PLACE, TUNED)
    ((lr, weight_decay),) = {tuple(row[name] for name in PLACE) for row in best}
    names = search.axes
    assert check == replace(search, axes=dict(zip(names, ([lr], [weight_decay]), strict=True)), seeds=(5, 6, 7, 8, 9))
    assert not {*check.seeds} & {*search.seeds}
    assert len(check.configs()) == 5


def with_checks(csvs, **changes) -> list[str]:
    """The headline's last line once the winners have been trained on seeds 5 to 9, twice as slow."""
    for side, prefix in (("dense", ""), ("ticket", "retrain_")):
        rows = pandas.read_csv(csvs / f"sweep_tuned_{side}" / "results.csv")
        lr = 0.01 if side == "dense" else 0.03
        rows = rows[(rows[f"{prefix}lr"] == lr) & (rows[f"{prefix}weight_decay"] == 8)]
        for name in ("t_gen (test acc >= 0.95)", "t_gen_known_until (test acc >= 0.95)"):
            rows = rows.assign(**{name: 2 * rows[name]})
        rows = rows.assign(seed=rows["seed"] + 5, **{prefix + name: value for name, value in changes.items()})
        (csvs / f"sweep_tuned_{side}_check").mkdir(exist_ok=True)
        rows.to_csv(csvs / f"sweep_tuned_{side}_check" / "results.csv", index=False)
    return readings(headline())[-1]


def test_the_headline_comes_from_seeds_that_did_not_choose_where_there_are_such(csvs):
    for side in ("dense", "ticket"):
        shutil.rmtree(csvs / f"sweep_tuned_{side}_check", ignore_errors=True)
    chosen = readings(headline())[-1]
    assert chosen[:3] == [
        "MLP, lr and weight decay tuned for each (seeds 0 to 4, which chose)",
        "303 (220 to 399)",
        "33 (24 to 40)",
    ]
    fresh = with_checks(csvs)
    assert fresh[:3] == ["MLP, lr and weight decay tuned for each (seeds 5 to 9)", "606 (440 to 798)", "66 (48 to 80)"]
    assert fresh[3] == chosen[3], "both sides are twice as slow"


def test_a_check_of_another_setting_than_the_winner_is_no_headline(csvs):
    assert with_checks(csvs, lr=0.003)[0].endswith("(seeds 0 to 4, which chose)")
