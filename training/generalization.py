"""When a run generalizes: the one rule for t_gen.

The paper's t_gen is the first recorded epoch with test accuracy at or above a threshold. Where training is unstable, which is just
where tuned settings lie, that misleads: such runs cross the threshold, fall back and may end below it. To stay above it strictly,
on the other hand, is too much to ask: one record of a stable run may dip. And without a least window a run that happens to be up
at its very end would count.

So t_gen is the first recorded epoch t at or above the threshold such that over the next W = max(t // 4, 1,000) epochs at least
95 % of the epochs are so as well. A record stands for the epochs until the next one. The window t ... t + W - 1 is cut at the last
record, which must be at t + 1,000 or later; before that, t is refuted once more than 5 % of W lie below, and undecided until then.
After a divergence every epoch to the budget counts as below.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEAST_WINDOW = 1_000  # epochs
ONE_IN = 20  # epochs of the window may lie below; of all later epochs, else the run is called unstable


@dataclass(frozen=True)
class Generalization:
    """What is known of a run's t_gen at one threshold.

    ``status``: "holds"; "does not hold" (some crossing was refuted); "too short" (crossed, nothing refuted, the run ends too early to
    tell); "never". All but the first are censored. ``known_until``: t_gen where it holds, else the epoch before which it is
    known not to be: the earliest undecided crossing, else the end of the run. ``below_after``: the share of the epochs after
    t_gen (else after the first crossing) that lie below the threshold; None for "never".
    """

    t_gen: int | None
    first: int | None
    status: str
    known_until: int
    below_after: float | None

    def as_dict(self) -> dict:
        """As summaries and CSVs hold it."""
        share = None if self.below_after is None else round(self.below_after, 4)
        return {
            "t_gen": self.t_gen,
            "t_gen_first": self.first,
            "t_gen_status": self.status,
            "t_gen_known_until": self.known_until,
            "below_after": share,
        }

    @property
    def is_unstable(self) -> bool:
        return self.below_after is not None and ONE_IN * self.below_after > 1

    def __str__(self) -> str:
        if self.status == "holds":
            return f"{self.t_gen:,}"
        if self.status == "never":
            return f"> {self.known_until:,}"
        return (
            f"{self.first:,} at first, too short to tell"
            if self.status == "too short"
            else f"crosses at {self.first:,}, does not hold"
        )


def generalization(
    epochs: np.ndarray, test_acc: np.ndarray, threshold: float, diverged_of: int | None = None
) -> Generalization:
    """The rule above for recorded ``epochs (records,)``, increasing, and their ``test_acc (records,)``.

    ``diverged_of``: the budget in epochs of a run that diverged; None for one that did not.
    """
    epochs, is_below = np.asarray(epochs, dtype=np.int64), ~(np.asarray(test_acc) >= threshold)
    end = int(epochs[-1]) + 1 if len(epochs) else 0  # one past the last epoch of which something is known
    if diverged_of is not None and diverged_of >= end:
        epochs, is_below, end = np.append(epochs, end), np.append(is_below, True), diverged_of + 1
    borders = np.append(epochs, end)  # a record stands from its epoch to the next border
    below_before = np.append(0, np.cumsum(np.diff(borders) * is_below))  # epochs below the threshold before each border

    def epochs_below(start: np.ndarray, stop: np.ndarray) -> np.ndarray:
        return np.interp(stop, borders, below_before) - np.interp(start, borders, below_before)

    t = epochs[~is_below]  # the crossings, and all else at or above the threshold
    window = np.maximum(t // 4, LEAST_WINDOW)
    stop = np.minimum(t + window, end)
    is_seen = t + LEAST_WINDOW < end
    is_refuted = ONE_IN * epochs_below(t, stop) > np.where(is_seen, stop - t, window)
    t_gen, undecided, first = (_first(t[which]) for which in (is_seen & ~is_refuted, ~is_seen & ~is_refuted, t >= 0))
    after = first if t_gen is None else t_gen
    if t_gen is not None:
        status = "holds"
    elif is_refuted.any():
        status = "does not hold"
    else:
        status = "never" if first is None else "too short"
    known_until = next((epoch for epoch in (t_gen, undecided) if epoch is not None), max(end - 1, 0))
    below_after = None if after is None else float(epochs_below(after, end) / (end - after))
    return Generalization(t_gen, first, status, known_until, below_after)


def is_certain(epochs: Sequence[float], test_acc: Sequence[float], threshold: float) -> bool:
    """Whether a run that is recorded so far has a t_gen that it keeps, however it goes on: its whole window has been seen.

    The windows of all earlier crossings end before that one, so that they have been refuted for good.
    """
    if max(test_acc) < threshold:
        return False
    t_gen = generalization(epochs, test_acc, threshold).t_gen
    return t_gen is not None and t_gen + max(t_gen // 4, LEAST_WINDOW) <= epochs[-1] + 1


def _first(epochs: np.ndarray) -> int | None:
    return int(epochs[0]) if len(epochs) else None
