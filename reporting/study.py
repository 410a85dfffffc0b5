"""A study: one question in one folder, studies/<name>/.

``study.py`` has the question as its docstring, the rules of its claims (reporting/verdicts.py), and ``runs``, ``tables`` and
``pictures``. README.md is the page, results.csv has a row a run. Everything else that studies need is here, so that all are alike.
Where a script of the study's own makes runs that no sweep makes (edge_popup), ``completed`` adds their rows to those that sweep.py has
collected.
"""

import importlib.util
import re
from collections import Counter
from functools import cached_property
from pathlib import Path

from common.errors import UserError
from configs.sweep import Sweep
from figures.dots import Dots
from reporting.study_rows import kept_columns, read_rows, write_rows
from reporting.tables import legend
from reporting.verdicts import TOO_FEW, Claim, TooFewRuns, Verdict

REPOSITORY = Path(__file__).resolve().parents[1]
STUDIES = REPOSITORY / "studies"
LR, DECAY, EPOCHS = "learning rate {:g}", "weight decay {:g}", "{:,.0f} epochs"
# What a page says of a part's runs, where it is the same for all of them.
TOLD = {
    "dense run": {"fn_name": "{}", "lr": LR, "weight_decay": DECAY, "num_epochs": EPOCHS},
    "mask": {"pruner": "{}", "pruning_rate": "pruning rate {:g}", "prune_at": "from {}"},
    "retraining": {"retrain_lr": LR, "retrain_weight_decay": DECAY, "retrain_num_epochs": f"at most {EPOCHS}"},
}


class Study:
    """The study of that name. Raises UserError where there is none."""

    def __init__(self, name: str):
        self.name, self.folder = name, STUDIES / name
        self.output = self.folder  # where results.csv, the page and the pictures go
        if not (self.folder / "study.py").is_file():
            known = ", ".join(path.parent.name for path in sorted(STUDIES.glob("*/study.py")))
            raise UserError(f"studies/{name}/study.py is not there; there are {known}")
        spec = importlib.util.spec_from_file_location(f"studies.{name}.study", self.folder / "study.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        if missing := [one for one in ("runs", "tables", "pictures") if not hasattr(module, one)]:
            raise UserError(f"studies/{name}/study.py defines no `{missing[0]}`; see studies/controls/study.py")
        self.runs: dict[str, Sweep] = module.runs
        self.claims = [one for one in vars(module).values() if isinstance(one, Claim)]
        self._tables, self._pictures = module.tables, module.pictures
        self._completed = getattr(module, "completed", lambda results: results)

    @property
    def csv(self) -> Path:
        return self.output / "results.csv"

    @property
    def page(self) -> str:
        return (self.folder / "README.md").read_text()

    @property
    def title(self) -> str:
        return self.page.splitlines()[0].removeprefix("# ")

    @cached_property
    def rows(self) -> dict:
        """``{part: pandas.DataFrame}``."""
        return read_rows(self.csv)

    @cached_property
    def verdicts(self) -> dict[Claim, Verdict]:
        """What the rule of each claim says of the rows."""
        return {claim: self._verdict(claim) for claim in self.claims}

    def _verdict(self, claim: Claim) -> Verdict:
        try:
            return claim.rule(self.rows)
        except TooFewRuns as reason:
            return TOO_FEW, f"{reason}."

    def pictures(self) -> dict[str, Dots]:
        return self._pictures(self.rows)

    @cached_property
    def texts(self) -> dict[str, str]:
        """What stands between the page's markers, ``{marker: Markdown}``."""
        own = {"verdicts": self._verdicts(), "settings": self._settings(), "again": self._again()}
        return own | self._tables(self.rows)

    def filled(self) -> str:
        """The page with everything between its markers made anew."""
        return filled(self.page, self.texts)

    def write(self) -> None:
        """Write the page and its pictures from results.csv."""
        (self.output / "README.md").write_text(self.filled())
        for name, dots in self.pictures().items():
            dots.draw(self.output / name)

    def collect(self, results: dict) -> None:
        """Write results.csv, the page and its pictures. ``results``: for each part all that is known of its runs."""
        results = self._completed(results)
        kept = {part: kept_columns(results[part], sweep) for part, sweep in self.runs.items()}
        write_rows(kept | {part: rows for part, rows in results.items() if part not in kept}, self.csv)
        for name in ("rows", "verdicts", "texts"):  # these may be of what was there before
            self.__dict__.pop(name, None)
        self.write()

    def _verdicts(self) -> str:
        blocks = []
        for claim, (word, found) in self.verdicts.items():
            whose = f"The paper's claim {claim.paper}" if claim.paper else "Our finding"
            rule = " ".join(claim.rule.__doc__.split())
            blocks.append(f"**{whose}:** {claim.sentence}\\\n**Verdict: {word}.** {found}\\\n*The rule:* {rule}")
        return "\n\n".join(blocks)

    def _settings(self) -> str:
        """What is the same in all runs of a part."""
        lines = []
        for part, rows in self.rows.items():
            same = {name: rows[name].iloc[0] for name in rows if rows[name].nunique(dropna=False) == 1}
            told = [f"- **{part}**, {rows['seed'].nunique()} seeds"]
            for what, texts in TOLD.items():
                words = [text.format(same[name]) for name, text in texts.items() if same.get(name) is not None]
                told += [f"{what}: {', '.join(words)}"] if words else []
            lines.append("; ".join(told) + ".")
        return "\n".join(lines)

    def _again(self) -> str:
        """The commands that make the page again, and what they cost."""
        rows = list(self.rows.values())
        trained = sum((one["seconds"] / one["population"]).sum() for one in rows)
        cost = f"{sum(map(len, rows))} runs: {hours(trained)} of one core"
        dense = [one[["seed", "dense seconds"]] for one in rows if "dense seconds" in one]
        dense = {pair for one in dense for pair in one.itertuples(index=False, name=None)}
        if dense:
            cost += f", and {hours(sum(own for _, own in dense))} for their {len(dense)} dense runs"
        commits = ", ".join(f"{commit} ({count} runs)" for commit, count in self._counts("git_commit", 10).items())
        return (
            f"    python sweep.py {self.name}              # trains what is missing\n"
            f"    python sweep.py {self.name} --collect    # results.csv, this page and its pictures\n\n"
            f"{cost} ({', '.join(self._counts('hardware', 40))}). Trained by the code of commit {commits}."
        )

    def _counts(self, column: str, length: int) -> dict[str, int]:
        """How many runs have each value of a column."""
        return Counter(str(value)[:length] for rows in self.rows.values() for value in rows[column].dropna())


def hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours" if seconds >= 5400 else f"{max(seconds / 60, 1):.0f} minutes"


def all_studies() -> list[Study]:
    return [Study(path.parent.name) for path in sorted(STUDIES.glob("*/study.py"))]


def filled(page: str, texts: dict[str, str]) -> str:
    """A page whose ``<!-- NAME -->`` ... ``<!-- end -->`` hold these texts. Raises UserError for a marker without a text."""

    def make(match: re.Match) -> str:
        if match[1] not in texts:
            raise UserError(f"the page has a marker <!-- {match[1]} -->, but its study makes {', '.join(texts)}")
        meanings = "".join(f"\n\n*{line}*" for line in legend(texts[match[1]]))
        return f"<!-- {match[1]} -->\n{texts[match[1]]}{meanings}\n<!-- end -->"

    return re.sub(r"<!-- (\w+) -->\n.*?<!-- end -->", make, page, flags=re.DOTALL)
