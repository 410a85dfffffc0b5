"""Everything on the pages that is made from the studies' CSVs: studies/*/README.md, RESULTS.md, and README.md's table.

python -m reporting.pages        # or: make results
"""

import json
import sys
from math import inf
from pathlib import Path
from textwrap import fill

from common.errors import run_script
from experiments.origin import changed_files
from reporting.study import REPOSITORY, Study, all_studies, filled
from reporting.verdicts import Claim

WIDTH = 120  # characters of a line
INDEX, README = REPOSITORY / "RESULTS.md", REPOSITORY / "README.md"


def index(studies: list[Study]) -> dict[str, str]:
    """What stands between the markers of RESULTS.md and README.md."""
    paper = {claim.paper: (claim, study) for study in studies for claim in study.claims if claim.paper}
    return {
        "paper": "\n".join(_of_paper(*paper[number]) for number in sorted(paper)),
        "own": "\n".join(map(_of_study, sorted(studies, key=_best_rank))),
        "code": _note_of_code(studies),
        "headline": next(study.texts["headline"] for study in studies if study.name == "headline"),
    }


def _best_rank(study: Study) -> float:
    return min((claim.rank for claim in study.claims if claim.rank), default=inf)


def _of_paper(claim: Claim, study: Study) -> str:
    """A claim of the paper: its verdict, and the numbers that decide."""
    word, found = study.verdicts[claim]
    found = found.replace("> ", "more than ")  # at the head of a line, > would be a quotation
    return _lines(f"**{claim.sentence}** *{word.capitalize()}* ({_link(study)}). {found}", f"{claim.paper}. ")


def _of_study(study: Study) -> str:
    """A study, its question, and our own claims that it judges; the numbers are on its page."""
    runs = sum(map(len, study.rows.values()))
    own = [_lines(f"*{study.verdicts[claim][0]}*: {claim.sentence}", "  - ") for claim in study.claims if claim.rank]
    return "\n".join([_lines(f"{_link(study)}: {study.title} ({runs} runs)", "- "), *own])


def _lines(text: str, start: str) -> str:
    """An entry of a list, in lines that fit into an editor."""
    how = {"initial_indent": start, "subsequent_indent": " " * len(start)}
    return fill(text, WIDTH, break_long_words=False, break_on_hyphens=False, **how)


def _codes(study: Study) -> list[str]:
    """What the study's CSV says of the code that trained each run."""
    return [text for rows in study.rows.values() if "code" in rows for text in rows["code"].dropna()]


def _note_of_code(studies: list[Study]) -> str:
    """Of which studies it is not known which version of the code trained their runs."""
    unknown = ", ".join(study.name for study in studies if not _codes(study))
    return _lines(f"The CSVs of these studies do not say which version of the code trained their runs: {unknown}.", "")


def say_older_code(study: Study) -> None:
    """One line where files have changed since they trained runs of a study."""
    changed = [changed_files({"code": json.loads(text)}) for text in _codes(study)]
    if number := sum(map(bool, changed)):
        files = ", ".join(sorted({name for names in changed for name in names}))
        print(f"older versions of {files} have trained {number} of {len(changed)} runs of {study.name}")


def _link(study: Study) -> str:
    return f"[{study.name}](studies/{study.name}/README.md)"


def pages(studies: list[Study]) -> dict[Path, str]:
    """Every page as it should be."""
    texts = index(studies)
    own = {study.folder / "README.md": study.filled() for study in studies}
    return own | {page: filled(page.read_text(), texts) for page in (INDEX, README)}


def write_all() -> None:
    studies = all_studies()
    for study in studies:
        study.write()
        print(f"written: studies/{study.name}")
        say_older_code(study)
    for page, text in pages(studies).items():
        page.write_text(text)
    print(f"written: {INDEX.name}, {README.name}")


if __name__ == "__main__":
    sys.exit(run_script(write_all))
