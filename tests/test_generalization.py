"""The rule for t_gen against a slow one of its own, on cases that were worked out by hand, and what a reader is told."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_rule import slow_rule

from training.generalization import generalization, is_certain

pytestmark = pytest.mark.numerics


def fields_of(found):
    return found.t_gen, found.first, found.status, found.known_until, found.below_after


def records(*levels, step=1):
    """Epochs and accuracies of ``(accuracy, number of epochs)`` one after another, a record every ``step`` epochs."""
    accuracy = np.concatenate([[level] * length for level, length in levels])
    return np.arange(len(accuracy))[::step], accuracy[::step]


@settings(deadline=None, max_examples=300)
@given(
    steps=st.lists(st.integers(1, 400), max_size=60),
    bits=st.lists(st.sampled_from((0.0, 1.0, 1.0, 1.0)), min_size=61, max_size=61),
    start=st.integers(0, 6000),
    more=st.none() | st.integers(0, 3000),
)
def test_it_is_the_slow_rule(steps, bits, start, more):
    epochs = np.cumsum([start, *steps]).tolist()
    accuracies = bits[: len(epochs)]
    diverged_of = None if more is None else epochs[-1] + more
    found = generalization(epochs, accuracies, 0.95, diverged_of)
    wanted = slow_rule(epochs, accuracies, 0.95, diverged_of)
    assert fields_of(found)[:4] == wanted[:4]
    assert found.below_after == pytest.approx(wanted[4])


@settings(deadline=None, max_examples=60)
@given(
    steps=st.lists(st.integers(1, 400), min_size=5, max_size=60),
    bits=st.lists(st.sampled_from((0.0, 1.0, 1.0, 1.0, 1.0, 1.0)), min_size=61, max_size=61),
    start=st.integers(0, 6000),
    diverges=st.booleans(),
)
def test_a_certain_t_gen_is_kept_however_the_run_goes_on_and_is_found_as_soon_as_its_window_is_seen(
    steps, bits, start, diverges
):
    epochs = np.cumsum([start, *steps]).tolist()
    accuracies = bits[: len(epochs)]
    wanted = slow_rule(epochs, accuracies, 0.95, epochs[-1] + 5_000 if diverges else None)[0]
    certain = [is_certain(epochs[:n], accuracies[:n], 0.95) for n in range(1, len(epochs) + 1)]
    assert certain == sorted(certain), "once certain, always"
    for n, is_known in enumerate(certain, start=1):
        found = slow_rule(epochs[:n], accuracies[:n], 0.95)[0]
        if is_known:
            assert found == wanted
        elif found is not None:
            assert epochs[n - 1] + 1 < found + max(found // 4, 1000), "its window is not seen whole yet"


@pytest.mark.parametrize(
    ("levels", "t_gen", "status", "known_until", "told"),
    [
        ([(0.1, 220), (0.97, 2000)], 220, "holds", 220, "220"),
        ([(0.1, 10_001)], None, "never", 10_000, "> 10,000"),
        ([(0.1, 29), (0.97, 471)], None, "too short", 29, "29 at first, too short to tell"),
        ([(0.1, 327), (0.97, 100), (0.1, 5000)], None, "does not hold", 5426, "crosses at 327, does not hold"),
        # The window is 1,000 epochs: 50 below are 5 %, one more is too much, and the crossing after the dip counts.
        ([(0.1, 300), (0.97, 500), (0.1, 50), (0.97, 3000)], 300, "holds", 300, "300"),
        ([(0.1, 300), (0.97, 500), (0.1, 51), (0.97, 3000)], 851, "holds", 851, "851"),
        # The last record must be at t + 1,000 or later; before that nothing holds, though nothing speaks against it.
        ([(0.1, 300), (0.97, 1001)], 300, "holds", 300, "300"),
        ([(0.1, 300), (0.97, 1000)], None, "too short", 300, "300 at first, too short to tell"),
        # Above 4,000 the window grows with t, and is cut at the end of the run.
        ([(0.1, 8000), (0.97, 1000), (0.1, 100), (0.97, 900)], 8000, "holds", 8000, "8,000"),
        (
            [(0.1, 8000), (0.97, 1000), (0.1, 101), (0.97, 900)],
            None,
            "does not hold",
            9101,
            "crosses at 8,000, does not hold",
        ),
        ([(0.1, 8000), (0.97, 1000), (0.1, 90)], None, "does not hold", 8090, "crosses at 8,000, does not hold"),
    ],
)
def test_cases_worked_out_by_hand(levels, t_gen, status, known_until, told):
    found = generalization(*records(*levels), 0.95)
    assert (found.t_gen, found.status, found.known_until, str(found)) == (t_gen, status, known_until, told)
    assert found.first == next((int(e) for e, a in zip(*records(*levels), strict=True) if a >= 0.95), None)
    assert fields_of(found) == pytest.approx(slow_rule(*map(list, records(*levels)), 0.95))


def test_after_a_divergence_all_is_below():
    crossed = [0, 100, 200], [0.1, 0.99, 0.99]
    assert str(generalization(*crossed, 0.95)) == "100 at first, too short to tell"
    found = generalization(*crossed, 0.95, diverged_of=10_000)
    assert (found.status, found.known_until, str(found)) == ("does not hold", 10_000, "crosses at 100, does not hold")
    assert found.below_after == pytest.approx((10_000 - 200) / (10_001 - 100))
    assert str(generalization([], [], 0.95, diverged_of=500)) == "> 500"
    assert str(generalization([0, 10], [0.1, 0.2], 0.95, diverged_of=500)) == "> 500"


def test_what_is_marked_unstable():
    """More than 5 % of the epochs after t_gen, or after the first crossing, lie below."""
    stays = generalization(*records((0.1, 100), (0.97, 1900), (0.1, 100)), 0.95)
    assert (stays.t_gen, stays.is_unstable, stays.below_after) == (100, False, 0.05)
    falls = generalization(*records((0.1, 100), (0.97, 1900), (0.1, 101)), 0.95)
    assert (falls.t_gen, falls.is_unstable) == (100, True)
    assert generalization(*records((0.1, 100), (0.97, 10), (0.1, 3000)), 0.95).is_unstable
    assert not generalization(*records((0.1, 3000)), 0.95).is_unstable
