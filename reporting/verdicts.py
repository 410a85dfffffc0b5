"""Verdicts: a claim, the rule that judges it, and what rules ask of a study's rows."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from common.errors import UserError
from reporting.columns import generalizing, how_soon, median_and_range, median_t_gen
from reporting.results import found_in, records
from reporting.tables import DENSE, with_dense

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
    paper: int | None
    rank: int | None


def claim(sentence: str, *, paper: int | None = None, rank: int | None = None) -> Callable[[Callable], Claim]:
    """Above a rule, says which claim it judges."""
    return lambda rule: Claim(sentence, rule, paper, rank)


def runs_of(results, setting: str) -> list[dict]:
    """The runs of a setting. Raises TooFewRuns where there are fewer than LEAST_RUNS."""
    own = results[results["setting"] == setting]
    if len(own) < LEAST_RUNS:
        raise TooFewRuns(f"There are {len(own)} runs of {setting!r}, and a verdict needs {LEAST_RUNS}")
    return records(own)


def enough(results):
    """The same rows. Raises TooFewRuns where a setting has too few of them."""
    for name, count in results["setting"].value_counts(sort=False).items():
        if count < LEAST_RUNS:
            raise TooFewRuns(f"There are {count} runs of {name!r}, and a verdict needs {LEAST_RUNS}")
    return results


def median_of_setting(results, setting: str) -> float:
    """The median t_gen of a setting at its part's threshold; infinite where half of the runs have none."""
    return median_t_gen(runs_of(results, setting))


def soonest(results, settings: Iterable[str]) -> str:
    """Which of the settings has the smallest median t_gen, and of equal ones the smallest restricted mean."""
    runs = {name: runs_of(results, name) for name in settings}
    return min(runs, key=lambda name: how_soon(runs[name]))


def how_many(results, setting: str) -> int:
    """How many runs of a setting generalize."""
    return generalizing(runs_of(results, setting))


def median_text(rows: list[dict]) -> str:
    """The median t_gen of runs as tables have it: ``476``, or ``> 30,000``."""
    return median_and_range([found_in(row) for row in rows])[0]


def epochs_of(results, setting: str) -> str:
    """``median_text`` of a setting."""
    return median_text(runs_of(results, setting))


def against(rows: Rows, settings: Iterable[str], other: str = DENSE) -> tuple[list[float], str]:
    """How many times the median t_gen of the setting ``other`` the soonest of ``settings`` takes, part by part; and both in words.

    Where neither generalizes the number is nan, which no rule takes for right.
    """
    times, told = [], []
    for part, own in rows.items():
        own = with_dense(own)
        best = soonest(own, settings)
        times.append(median_of_setting(own, best) / median_of_setting(own, other))
        told.append(f"{epochs_of(own, best)} against {epochs_of(own, other)} ({part})")
    return times, ", ".join(told)


def judged(is_right: Iterable[bool]) -> str:
    """The word for a claim that was asked several times: it holds where it is right each time, in part where it is sometimes."""
    answers = list(is_right)
    return HOLDS if all(answers) else IN_PART if any(answers) else DOES_NOT
