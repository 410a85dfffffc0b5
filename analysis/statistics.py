"""Statistics over seeds of which some are censored: known to be later than an epoch, and nothing else."""

from collections.abc import Sequence

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
