"""Everything on the pages that is made from the studies' CSVs: studies/*/README.md, RESULTS.md, and README.md's table.

python -m reporting.pages        # or: make results
"""

import json
import sys
from pathlib import Path

from common.errors import run_script
from experiments.origin import changed_files
from reporting.study import REPOSITORY, Study, all_studies, filled
from reporting.tables import table

INDEX, README = REPOSITORY / "RESULTS.md", REPOSITORY / "README.md"


def index(studies: list[Study]) -> dict[str, str]:
    """What stands between the markers of RESULTS.md and README.md."""
    claims = [(claim, study) for study in studies for claim in study.claims]
    paper = sorted((pair for pair in claims if pair[0].paper), key=lambda pair: pair[0].paper)
    own = sorted((pair for pair in claims if not pair[0].paper), key=lambda pair: pair[0].rank)
    lines = [[f"{_link(study)}: {study.title}", str(sum(map(len, study.rows.values())))] for study in studies]
    return {
        "paper": _claims(paper),
        "own": _claims(own),
        "code": _note_of_code(studies),
        "studies": table(["study", "runs"], lines),
        "headline": next(study.texts["headline"] for study in studies if study.name == "headline"),
    }


def _codes(study: Study) -> list[str]:
    """What the study's CSV says of the code that trained each run."""
    return [text for rows in study.rows.values() if "code" in rows for text in rows["code"].dropna()]


def _note_of_code(studies: list[Study]) -> str:
    """Of which studies it is not known which version of the code trained their runs."""
    unknown = ", ".join(_link(study) for study in studies if not _codes(study))
    return f"The CSVs of these studies do not say which version of the code trained their runs: {unknown}."


def say_older_code(study: Study) -> None:
    """One line where files have changed since they trained runs of a study."""
    changed = [changed_files({"code": json.loads(text)}) for text in _codes(study)]
    if number := sum(map(bool, changed)):
        files = ", ".join(sorted({name for names in changed for name in names}))
        print(f"older versions of {files} have trained {number} of {len(changed)} runs of {study.name}")


def _claims(pairs: list) -> str:
    lines = []
    for claim, study in pairs:
        word, found = study.verdicts[claim]
        number = f"{claim.paper}. " if claim.paper else ""
        lines.append(f"| {number}{claim.sentence} | {word} | {found} | {_link(study)} |")
    return "\n".join(["| claim | verdict | found here | study |", "| --- | --- | --- | --- |", *lines])


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
