"""The tables in README and RESULTS are those of the CSVs, and the CSVs' rows are of one code."""

import csv

import pytest

from reporting import published
from reporting.published import PAGES, REPOSITORY, RESULTS, TABLES, best, filled, found_in, tuned_settings
from training.generalization import Generalization


@pytest.mark.parametrize("name", PAGES)
def test_every_table_is_the_one_that_the_csvs_give(name):
    text = (REPOSITORY / name).read_text()
    assert filled(text) == text, "run `make results`"


def test_every_table_stands_somewhere_once():
    text = "".join((REPOSITORY / name).read_text() for name in PAGES)
    for name in TABLES:
        assert text.count(f"<!-- table {name} -->") == 1


def test_a_changed_table_is_made_anew():
    text = "before\n<!-- table seeds -->\n| wrong |\n<!-- end -->\nafter\n"
    assert filled(text) == f"before\n<!-- table seeds -->\n{published.seeds()}\n<!-- end -->\nafter\n"


@pytest.mark.parametrize("path", ["seeds.csv", "sweep_tuned_dense/results.csv", "sweep_tuned_ticket/results.csv"])
def test_a_published_csv_is_of_one_commit_and_one_code_a_kind(path):
    with (RESULTS / path).open() as file:
        rows = list(csv.DictReader(file))
    kinds = {row.get("kind") or row["ticket"].split("_")[0] for row in rows}
    for name in rows[0]:
        if name.endswith("git_commit"):
            assert len({row[name] for row in rows}) == 1
            assert not any(row[name].endswith("+") for row in rows), "of a clean checkout"
        if name.endswith("code"):
            assert len({row[name] for row in rows}) <= len(kinds)


def test_a_row_says_what_the_csv_says():
    row = {"t_gen (test acc >= 0.95)": "", "t_gen_first (test acc >= 0.95)": "116", "t_gen_status (test acc >= 0.95)": "does not hold",
           "t_gen_known_until (test acc >= 0.95)": "9191", "below_after (test acc >= 0.95)": "0.3957"}  # fmt: skip
    assert found_in(row, 0.95) == Generalization(None, 116, "does not hold", 9191, 0.3957)


def test_the_best_setting_holds_for_most_seeds_before_it_is_early():
    def seeds(*epochs):
        return [Generalization(e, e, "holds" if e else "never", e or 10_000, 0.0) for e in epochs]

    settings = {(1, 1): seeds(5, 5, None), (2, 2): seeds(90, 80, 100), (3, 3): seeds(70, 200, 300)}
    assert best(settings) is settings[2, 2]
    assert {one.t_gen for one in best(tuned_settings("sweep_tuned_dense"))} == {312, 248, 220, 399, 303}
