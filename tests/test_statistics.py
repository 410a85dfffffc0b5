"""Statistics with censoring: against scipy, and cases worked out by hand."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import assume, given
from hypothesis import strategies as st

from analysis.statistics import censored_median, kaplan_meier
from reporting.tables import median_and_range
from training.generalization import Generalization

RUNS = st.lists(st.tuples(st.integers(1, 30), st.booleans()), min_size=1, max_size=12)


@given(RUNS)
def test_the_curve_is_scipys(runs):
    times, is_event = map(np.array, zip(*runs, strict=True))
    assume(is_event.any())
    data = scipy.stats.CensoredData(uncensored=times[is_event], right=times[~is_event])
    wanted = scipy.stats.ecdf(data).sf
    events, curve = kaplan_meier(times, is_event)
    np.testing.assert_allclose(curve, wanted.evaluate(events), atol=1e-12)
    median = censored_median(times, is_event)
    below = [t for t in range(1, 31) if wanted.evaluate(t) <= 0.5 + 1e-9]
    assert median == (below[0] if below else None)


def found(value):
    """A run: an epoch, or "> epoch" for a censored one."""
    if isinstance(value, str):
        return Generalization(None, None, "never", int(value[1:]), None)
    return Generalization(value, value, "holds", value, 0.0)


@pytest.mark.parametrize(
    ("runs", "told"),
    [
        ([100, ">10000"], ("100", "100 to > 10,000")),
        ([4000, 9000, ">3000"], ("4,000", "4,000 to 9,000")),
        ([1, 2, 3], ("2", "1 to 3")),
        ([1, 4], ("1", "1 to 4")),
        ([5, ">10", ">10"], ("> 10", "5 to > 10")),
        ([">29", ">31"], ("> 31", "")),
        ([300, 400, ">10000"], ("400", "300 to > 10,000")),
        ([7], ("7", "7 to 7")),
        ([0, 0, ">5"], ("0", "0 to > 5")),
    ],
)
def test_medians_and_ranges_worked_out_by_hand(runs, told):
    assert median_and_range([found(run) for run in runs]) == told
