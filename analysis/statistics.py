"""Statistics over seeds of which some are censored: known to be later than an epoch, and nothing else."""

from collections.abc import Sequence
from math import sqrt

import numpy as np


def kaplan_meier(times: Sequence[float], is_event: Sequence[bool]) -> tuple[np.ndarray, np.ndarray]:
    """The share of runs for which it has not happened yet (Kaplan and Meier 1958), ``(n), (n) -> (k), (k)``.

    ``times``: when it happened, or, where ``is_event`` is False, until when it had not. Gives the k different times of events, in
    order, and the curve from each of them on; before the first it is 1.
    """
    times, is_event = np.asarray(times, dtype=np.float64), np.asarray(is_event, dtype=bool)
    events = np.unique(times[is_event])
    at_risk = (times >= events[:, None]).sum(1)
    happened = (times[is_event] == events[:, None]).sum(1)
    return events, np.cumprod(1 - happened / at_risk)


def censored_median(times: Sequence[float], is_event: Sequence[bool]) -> float | None:
    """The first time at which the Kaplan-Meier curve is at or below one half; None where it never gets there: censored."""
    events, curve = kaplan_meier(times, is_event)
    reached = events[curve <= 0.5 + 1e-12]  # 1/2 as a product of fractions is rounded
    return float(reached[0]) if len(reached) else None


def restricted_mean(times: Sequence[float], is_event: Sequence[bool], budget: float) -> float:
    """The area below the Kaplan-Meier curve from 0 to ``budget``: the mean of min(time, budget), censoring accounted for.

    A number for every setting, also where fewer than half get there. After the last known time the curve stays as it is.
    """
    events, curve = kaplan_meier(times, is_event)
    borders = np.minimum(np.concatenate([[0.0], events, [budget]]), budget)
    return float(np.sum(np.diff(borders) * np.append(1.0, curve)))


def wilson_interval(count: int, total: int) -> tuple[float, float]:
    """The 95 % interval of a share of which ``count`` of ``total`` were seen (Wilson 1927)."""
    z = 1.959963984540054  # of the normal distribution lies 2.5 % above
    share, weight = count / total, z**2 / total
    middle, half = share + weight / 2, z * sqrt(share * (1 - share) / total + weight / total / 4)
    return max(0.0, (middle - half) / (1 + weight)), min(1.0, (middle + half) / (1 + weight))


def bounded_median(low: Sequence[float], high: Sequence[float]) -> tuple[float, float]:
    """Between which bounds the median of n values lies of which each is known to lie in ``low[i] ... high[i]``.

    The median is the least value that at least half of the values do not exceed, as with ``censored_median``.
    """
    middle = (len(low) - 1) // 2
    return float(np.sort(low)[middle]), float(np.sort(high)[middle])


def concordance(scores: Sequence[float], times: Sequence[float], is_event: Sequence[bool]) -> tuple[float, int]:
    """How well a score tells which of two runs is the earlier (Harrell 1982), as two counts: of how many pairs that is known,
    the second, and in how many of them the higher score is the earlier one, the first, equal scores as one half.

    Their ratio is 0.5 by chance, 1 where the score always tells, 0 where it is always the other way.
    """
    scores, times, is_event = np.asarray(scores), np.asarray(times, dtype=np.float64), np.asarray(is_event, dtype=bool)
    # Run i is known to be earlier than j: i got there, and j later, or is known not to be there by then.
    earlier = is_event[:, None] & ((times[:, None] < times) | ((times[:, None] == times) & ~is_event))
    right = (scores[:, None] > scores) + 0.5 * (scores[:, None] == scores)
    return float(right[earlier].sum()), int(earlier.sum())
