"""The studies: their pages say what their rows say, their rows are all that they ask for, and a study can be copied and changed."""

import re

import numpy as np
import pandas
import pytest
import scipy.stats

from common.errors import UserError
from reporting.pages import INDEX, README, pages
from reporting.results import T_GEN, records
from reporting.study import Study, all_studies, filled
from reporting.study_rows import read_rows, write_rows
from reporting.verdicts import DOES_NOT, HOLDS, IN_PART, TOO_FEW, judged

STUDIES = {study.name: study for study in all_studies()}
PAGES = [*(study.folder / "README.md" for study in STUDIES.values()), INDEX, README]
OF_SCRIPTS = {"edge_popup": {"scores learned"}}  # parts that no sweep makes


@pytest.fixture(params=STUDIES)
def study(request) -> Study:
    return STUDIES[request.param]


@pytest.fixture(scope="module")
def written() -> dict:
    """Every page as it should be."""
    return pages([*STUDIES.values()])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: "/".join(page.parts[-2:]))
def test_every_page_is_the_one_that_the_csvs_give(written, page):
    assert written.keys() == {*PAGES}
    assert page.read_text() == written[page], "run `make results`"


def test_rows_are_the_runs_that_the_study_asks_for_by_names_in_words(study):
    assert set(study.rows) == set(study.runs) | OF_SCRIPTS.get(study.name, set())
    for part, sweep in study.runs.items():
        asked = [(config.seed, label) for config, label in sweep.labels.items()]
        assert sorted(zip(study.rows[part]["seed"], study.rows[part]["setting"], strict=True)) == sorted(asked)
        assert not [label for _, label in asked if "_" in label], "a reader's word, no field"


def test_a_csv_has_at_most_forty_columns_and_comes_back_as_it_was(study, tmp_path):
    assert len(pandas.read_csv(study.csv, skiprows=1).columns) <= 40
    text = study.csv.read_text()
    short = {"t_mem": "mem_threshold"} | dict.fromkeys(T_GEN, "gen_threshold")
    parts = {}
    for part, rows in study.rows.items():
        names = {}
        for name in rows:
            word, _, rest = name.removeprefix("dense ").partition(" (")
            if word in short and rest.endswith(f">= {rows[short[word]].iloc[0]:g})"):
                names[name] = name.partition(" (")[0]
        parts[part] = rows.rename(columns=names).drop(columns="part")
    write_rows(parts, tmp_path / "results.csv")
    again = read_rows(tmp_path / "results.csv")
    for part, rows in study.rows.items():
        assert records(again[part][list(rows.drop(columns="part"))]) == records(rows.drop(columns="part"))
    assert text.startswith("# {")


def test_a_page_has_few_small_tables_and_the_rest_in_details(study):
    shown = re.sub(r"<details>.*?</details>", "", study.page, flags=re.DOTALL)
    tables = re.findall(r"(?:^\|.*\n)+", shown, flags=re.MULTILINE)
    assert tables
    for table in tables:
        lines = table.splitlines()
        assert lines[0].count("|") - 1 <= 7, lines[0]
        assert len(lines) - 2 <= 12, lines[0]


def test_every_marker_is_filled_and_every_text_has_one(study):
    assert sorted(re.findall(r"<!-- (?!end)(\w+) -->", study.page)) == sorted(study.texts)
    assert set(re.findall(r"\]\((\w+\.png)\)", study.page)) == set(study.pictures())
    assert all((study.folder / name).exists() for name in study.pictures())


def test_claims_say_their_rule_and_are_numbered_once():
    claims = [claim for study in STUDIES.values() for claim in study.claims]
    assert all(claim.rule.__doc__ for claim in claims)
    assert all((claim.paper is None) != (claim.rank is None) for claim in claims), "the paper's or ours"
    for numbers in ([claim.paper for claim in claims if claim.paper], [claim.rank for claim in claims if claim.rank]):
        assert len(set(numbers)) == len(numbers)


def test_a_verdict_needs_three_runs(study):
    assert {word for word, _ in study.verdicts.values()} <= {HOLDS, IN_PART, DOES_NOT, TOO_FEW}
    short = Study(study.name)
    short.rows = {part: rows[rows["seed"] == rows["seed"].min()] for part, rows in study.rows.items()}
    assert {word for word, _ in short.verdicts.values()} <= {TOO_FEW}


@pytest.mark.parametrize(
    ("answers", "word"), [([True, True], HOLDS), ([True, False], IN_PART), ([False, False], DOES_NOT)]
)
def test_a_claim_that_is_asked_several_times(answers, word):
    assert judged(answers) == word


def test_the_index_is_short():
    assert len(INDEX.read_text().splitlines()) <= 150


def test_a_changed_table_is_made_anew_and_an_unknown_one_is_refused():
    page = "before\n<!-- one -->\n| wrong |\n<!-- end -->\nafter\n"
    assert filled(page, {"one": "| right |"}) == "before\n<!-- one -->\n| right |\n<!-- end -->\nafter\n"
    with pytest.raises(UserError, match="<!-- one -->, but its study makes other"):
        filled(page, {"other": ""})


def test_a_study_that_is_not_there_is_named():
    with pytest.raises(UserError, match=r"studies/nothing/study\.py is not there; there are .*controls"):
        Study("nothing")


def cells(text: str) -> dict[str, list[str]]:
    """The lines of a table by their first cells."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()[2:]]
    return {line[0]: line[1:] for line in lines}


def test_the_medians_of_a_table_are_scipys():
    """Read from the CSV without the project's code."""
    controls = STUDIES["controls"]
    runs = pandas.read_csv(controls.csv, skiprows=1)
    runs = runs[runs["part"] == "MLP, faster setting"]
    told = cells(controls.texts["mlp_faster"])
    assert set(told) == set(runs["setting"])
    for setting, own in runs.groupby("setting"):
        reached = own["t_gen"].dropna().to_numpy()
        censored = own["t_gen_known_until"][own["t_gen"].isna()].to_numpy()
        curve = scipy.stats.ecdf(scipy.stats.CensoredData(uncensored=reached, right=censored)).sf
        half = next((t for t in np.sort(reached) if curve.evaluate(t) <= 0.5 + 1e-9), None)
        middle = sorted(own["t_gen_known_until"])[(len(own) - 1) // 2]
        assert told[setting][1].split(" (")[0] == (f"> {middle:,.0f}" if half is None else f"{half:,.0f}")
        assert told[setting][3].startswith(f"{len(reached)} of {len(own)} (")


def test_a_table_of_settings_has_the_soonest_first():
    medians = [line[0].split(" (")[0] for line in cells(STUDIES["controls"].texts["controls"]).values()]
    numbers = [float(text.strip("> ").replace(",", "")) for text in medians]
    assert numbers == sorted(numbers)
