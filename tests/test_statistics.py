"""Statistics with censoring: against scipy, and cases worked out by hand."""

from math import inf

import numpy as np
import pytest
import scipy.stats
from hypothesis import assume, given
from hypothesis import strategies as st

from analysis.statistics import (
    bounded_median,
    censored_median,
    concordance,
    kaplan_meier,
    restricted_mean,
    wilson_interval,
)
from reporting.columns import median_and_range, ratio_bounds, ratio_text, ratios_text
from training.generalization import Generalization

RUNS = st.lists(st.tuples(st.integers(1, 30), st.booleans()), min_size=1, max_size=12)


def scipys_curve(times, is_event):
    data = scipy.stats.CensoredData(uncensored=times[is_event], right=times[~is_event])
    return scipy.stats.ecdf(data).sf


@given(RUNS)
def test_the_curve_is_scipys(runs):
    times, is_event = map(np.array, zip(*runs, strict=True))
    assume(is_event.any())
    wanted = scipys_curve(times, is_event)
    events, curve = kaplan_meier(times, is_event)
    np.testing.assert_allclose(curve, wanted.evaluate(events), atol=1e-12)
    median = censored_median(times, is_event)
    below = [t for t in range(1, 31) if wanted.evaluate(t) <= 0.5 + 1e-9]
    assert median == (below[0] if below else None)


@given(RUNS, st.integers(1, 40))
def test_the_restricted_mean_is_the_area_below_scipys_curve(runs, budget):
    times, is_event = map(np.array, zip(*runs, strict=True))
    assume(is_event.any())
    curve = scipys_curve(times, is_event)
    area = sum(curve.evaluate(t) for t in range(budget))  # it changes at whole numbers only
    assert restricted_mean(times, is_event, budget) == pytest.approx(area)


@given(st.lists(st.integers(0, 30), min_size=1), st.integers(1, 40))
def test_without_censoring_the_restricted_mean_is_a_mean(times, budget):
    mean = restricted_mean(times, [True] * len(times), budget)
    assert mean == pytest.approx(np.minimum(times, budget).mean())
    assert restricted_mean(times, [False] * len(times), budget) == budget


@given(st.integers(1, 100), st.data())
def test_the_interval_of_a_share_is_scipys(total, data):
    count = data.draw(st.integers(0, total))
    wanted = scipy.stats.binomtest(count, total).proportion_ci(method="wilson")
    assert wilson_interval(count, total) == pytest.approx((wanted.low, wanted.high), abs=1e-9)


BOUNDS = st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100), st.floats(0, 1)), min_size=1, max_size=9)


@given(BOUNDS)
def test_the_median_lies_within_its_bounds_and_can_be_at_each(known):
    low, high = (np.array([pick(one[:2]) for one in known]) for pick in (min, max))
    values = low + (high - low) * np.array([place for *_, place in known])

    def median(values):
        return next(value for value in sorted(values) if 2 * sum(other <= value for other in values) >= len(values))

    least, most = bounded_median(low, high)
    assert least - 1e-9 <= median(values) <= most + 1e-9
    assert (least, most) == (median(low), median(high))


def found(value):
    """A run: an epoch, or "> epoch" for a censored one."""
    if isinstance(value, str):
        return Generalization(None, None, "never", int(value[1:]), None)
    return Generalization(value, value, "holds", value, 0.0)


@pytest.mark.parametrize(
    ("runs", "told"),
    [
        ([100, ">10000"], ("100", "100 to > 10,000")),
        ([4000, 9000, ">3000"], ("4,000", "4,000 to 9,000 or later")),
        ([1, 2, 3], ("2", "1 to 3")),
        ([1, 4], ("1", "1 to 4")),
        ([5, ">10", ">10"], ("> 10", "5 to > 10")),
        ([">29", ">31"], ("> 29", "")),
        ([">500", ">500", ">500", ">9000"], ("> 500", "")),
        ([100, 400, ">300"], ("400", "100 to 400 or later")),
        ([300, 400, ">10000"], ("400", "300 to > 10,000")),
        ([7], ("7", "7 to 7")),
        ([0, 0, ">5"], ("0", "0 to > 5")),
    ],
)
def test_medians_and_ranges_worked_out_by_hand(runs, told):
    assert median_and_range([found(run) for run in runs]) == told


@pytest.mark.parametrize(
    ("dense", "ticket", "bounds", "told"),
    [
        (19000, 476, (19000 / 476, 19000 / 476), "40"),
        (">10000", 432, (10000 / 432, inf), "> 23"),
        (500, ">1000", (0, 0.5), "< 0.5"),
        (">10000", ">10000", (0, inf), "none"),
        (300, 0, (inf, inf), "inf"),
        (">300", 0, (inf, inf), "inf"),
        (0, 20, (0, 0), "0"),
        (0, 0, (0, inf), "none"),
        (300, ">0", (0, inf), "none"),
        (">0", 300, (0, inf), "none"),
    ],
)
def test_ratios_worked_out_by_hand(dense, ticket, bounds, told):
    assert ratio_bounds(found(dense), found(ticket)) == bounds
    assert ratio_text(bounds) == told


@pytest.mark.parametrize(
    ("pairs", "told"),
    [
        ([(200, 10), (300, 10), (100, 10)], "20 (10 to 30)"),
        ([(200, 10), (">300", 10), (">100", 10)], "> 20 (> 10 to > 30)"),
        ([(200, 10), (">300", 10), (100, 10)], "20 (10 to > 30)"),
        ([(200, 10), (100, ">200"), (100, 10)], "10 (< 0.5 to 20)"),
        ([(">200", 10), (100, ">10"), (50, 10)], "5 to 10 (< 5 to > 20)"),
        ([(">200", ">200"), (50, 10)], "< 5 (< 5 to > 5)"),
        ([(">200", ">200"), (50, 10), (60, 10)], "5 to 6 (< 5 to > 6)"),
        ([(">9", ">9"), (">9", ">9")], "none"),
    ],
)
def test_medians_of_ratios_worked_out_by_hand(pairs, told):
    assert ratios_text([ratio_bounds(found(dense), found(ticket)) for dense, ticket in pairs]) == told


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.booleans()), max_size=8))
def test_concordance_counts_the_pairs_that_can_be_told_apart(runs):
    counts = []
    for score, time, is_event in runs:
        for other_score, other_time, other_is_event in runs:
            if is_event and (other_time > time or (other_time == time and not other_is_event)):
                counts.append(1 if score > other_score else 0.5 if score == other_score else 0)
    assert concordance(*(zip(*runs, strict=True) if runs else ([], [], []))) == (sum(counts), len(counts))
