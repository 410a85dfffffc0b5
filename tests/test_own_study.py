"""A study of one's own: its folder is written, it is trained, collected, and its page says what came out."""

from pathlib import Path

import pandas
import pytest
from scripts import assert_refused, call

from reporting import study as studies
from reporting.study_rows import read_rows

STUDY = '''\
"""Is a smaller rate sooner?"""

from configs.sweep import Sweep
from configs.ticket import MLPTicketConfig
from figures.dots import Dots
from reporting.verdicts import HOLDS, claim, median_of_setting
from reporting.tables import dots_of, settings_table, threshold_of

BASE = MLPTicketConfig(
    device="cpu", threads=1, p=7, frac_train=0.5, fn_name="multiply", d_emb=8, d_model=6, lr=0.01, num_epochs=30,
    save_every=10, gen_threshold=0.2,
)
RATES = {"a third": {"pruning_rate": 0.3}, "most": {"pruning_rate": 0.6}}
runs = {
    "MLP": Sweep(BASE, RATES, seeds=(0, 1, 2)),
    "one": Sweep(BASE, {"a third": RATES["a third"]}, seeds=(0,), reads=(0.1, "kept of")),
}


@claim("A smaller rate is sooner.", rank=1)
def sooner(rows):
    """Holds always."""
    median_of_setting(rows["MLP"], "a third")
    return HOLDS, "It was looked at."


@claim("One run says it.", rank=2)
def too_few(rows):
    """Asks for more than one run."""
    return HOLDS, f"{median_of_setting(rows['one'], 'a third')}"


def tables(rows):
    return {"mlp": settings_table(rows["MLP"], brief=True)}


def pictures(rows):
    return {"t_gen.png": Dots("They are alike.", {"MLP": dots_of(rows["MLP"], threshold_of(rows["MLP"]))}, "t_gen")}
'''
PAGE = "# Is a smaller rate sooner?\n\n" + "".join(
    f"<!-- {name} -->\n<!-- end -->\n\n" for name in ("verdicts", "settings", "mlp", "again")
)


@pytest.mark.slow
def test_a_study_is_a_folder_that_is_copied_and_changed(place, monkeypatch):
    monkeypatch.setattr(studies, "STUDIES", place / "studies")
    folder = Path("studies") / "mine"
    folder.mkdir(parents=True)
    (folder / "study.py").write_text(STUDY)
    (folder / "README.md").write_text(PAGE)

    def run(*flags):
        return call("sweep", "mine", *flags, size=(), draw=True)

    assert_refused(run("--collect"), "no run of this sweep is finished")
    assert "0 of 9 runs are done" in run("--list"), (
        "three dense runs and six tickets: the second part has no run of its own"
    )
    outcome = run("--workers=1")
    assert outcome.status == 0, outcome
    assert "9 of 9 runs are done" in run("--list")
    outcome = run("--collect")
    assert outcome.status == 0, outcome
    table = pandas.read_csv(folder / "results.csv", skiprows=1)
    assert table["part"].tolist() == ["MLP"] * 6 + ["one"]
    assert len(table.columns) < 40
    rows = read_rows(folder / "results.csv")
    assert {"seed", "pruning_rate", "t_gen (test acc >= 0.2)", "dense t_gen (test acc >= 0.2)", "lr"} <= set(
        rows["MLP"]
    )
    assert {"kept of W_E", "t_gen (test acc >= 0.1)"} <= set(rows["one"])
    assert not [name for name in rows["MLP"] if "0.95" in name or name.startswith("kept")], "nobody reads these"
    page = (folder / "README.md").read_text()
    assert "**Verdict: holds.** It was looked at.\\\n*The rule:* Holds always." in page
    assert "**Verdict: too few runs.** There are 1 runs of 'a third', and a verdict needs 3." in page
    assert "| a third" in page
    assert "    python sweep.py mine  " in page
    assert (
        "- **MLP**, 3 seeds; dense run: multiply, learning rate 0.01, weight decay 1, 30 epochs; mask: magnitude"
        in page
    )
    assert (folder / "t_gen.png").stat().st_size > 5_000
    assert studies.Study("mine").filled() == page
    assert_refused(run("--collect", "--seeds", "0"), "these flags make other runs than the study's own; --output says")
    assert "9 of 9 runs" in run("--list", "--threads=2"), "where it is computed makes no other run"
    assert run("--collect", "--seeds", "0", "--output=try").status == 0
    assert "**Verdict: too few runs.** There are 1 runs of 'a third'" in Path("try/mine/README.md").read_text()
    assert studies.Study("mine").filled() == page
    (folder / "study.py").write_text(STUDY.replace("def tables", "def table"))
    assert_refused(run("--list"), "studies/mine/study.py defines no `tables`")
    assert_refused(call("sweep", size=()), "which study?")
    assert_refused(call("sweep", "yours", size=()), "studies/yours/study.py is not there; there are mine")
