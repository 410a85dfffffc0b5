"""Verdicts: a claim, the rule that judges it, and what rules ask of a study's rows."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from common.errors import UserError
from reporting.columns import mean_t_gen, median_and_range, median_t_gen
from reporting.results import found_in, records
from reporting.tables import threshold_of

HOLDS, IN_PART, DOES_NOT, TOO_FEW = "holds", "holds in part", "does not hold", "too few runs"
LEAST_RUNS = 3

Rows = dict  # {part: pandas.DataFrame}
Verdict = tuple[str, str]  # the word, and the sentence with the numbers that decide


class TooFewRuns(UserError):
    """A verdict would need more runs than there are."""


@dataclass(frozen=True)
class Claim:
    """A sentence, and the rule that judges it, a function from rows to a Verdict. The rule's docstring stands on the page.

    ``paper``: which of the paper's ten claims it is. ``rank``: of our own findings, its place on the index, the strongest first.
    """

    sentence: str
    rule: Callable[[Rows], Verdict]
    paper: int | None = None
    rank: int | None = None


def runs_of(results, setting: str) -> list[dict]:
    """The runs of a setting. Raises TooFewRuns where there are fewer than LEAST_RUNS."""
    rows = records(results[results["setting"] == setting])
    if len(rows) < LEAST_RUNS:
        raise TooFewRuns(f"There are {len(rows)} runs of {setting!r}, and a verdict needs {LEAST_RUNS}")
    return rows


def median_of_setting(results, setting: str) -> float:
    """The median t_gen of a setting at its part's threshold; infinite where half of the runs have none."""
    return median_t_gen(runs_of(results, setting), threshold_of(results))


def soonest(results, settings: Iterable[str]) -> str:
    """Which of the settings has the smallest median t_gen, and of equal ones the smallest restricted mean."""
    level = threshold_of(results)
    runs = {name: runs_of(results, name) for name in settings}
    return min(runs, key=lambda name: (median_t_gen(runs[name], level), mean_t_gen(runs[name], level)))


def how_many(results, setting: str) -> int:
    """How many runs of a setting generalize."""
    return sum(found_in(row, threshold_of(results)).t_gen is not None for row in runs_of(results, setting))


def epochs_of(results, setting: str) -> str:
    """The median t_gen of a setting as tables have it: ``476``, or ``> 30,000``."""
    return median_and_range([found_in(row, threshold_of(results)) for row in runs_of(results, setting)])[0]


def judged(is_right: Iterable[bool]) -> str:
    """The word for a claim that was asked several times: it holds where it is right each time, in part where it is sometimes."""
    answers = list(is_right)
    return HOLDS if all(answers) else IN_PART if any(answers) else DOES_NOT
