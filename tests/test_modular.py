"""The modular split against its published procedure, and every operation against whole numbers in plain Python."""

import random
from dataclasses import fields

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import UserError
from data.modular import OPERATIONS, Modular, modular_split, num_classes

PRIMES = (2, 3, 5, 7, 11, 13)
FORMULAS = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "x2y2": lambda a, b: a * a + b * b,
    "x2xyy2": lambda a, b: a * a + a * b + b * b,
    "x2xyy2x": lambda a, b: a * a + a * b + b * b + a,
    "x3xy": lambda a, b: a * a * a + a * b,
    "x3xy2y": lambda a, b: a * a * a + a * b * b + b,
}


def slow_split(p, frac_train, is_symmetric_input, seed, without=()):
    """The published procedure, written down once more: the pairs of both sets."""
    pairs = []
    for a in range(p):
        for b in range(p):
            if (b >= a or not is_symmetric_input) and (a, b) not in without:
                pairs.append((a, b))
    random.Random(seed).shuffle(pairs)
    return pairs[: int(frac_train * len(pairs))], pairs[int(frac_train * len(pairs)) :]


def pairs_of(x):
    return [tuple(pair) for pair in x.tolist()]


def table_of(split):
    """``{(a, b): label}`` of both sets."""
    pairs = pairs_of(split.train_x) + pairs_of(split.test_x)
    return dict(zip(pairs, split.train_y.tolist() + split.test_y.tolist(), strict=True))


def table(fn_name, p, seed=0):
    """``{(a, b): label}`` of all ordered pairs."""
    return table_of(modular_split(p, fn_name, 0.5, False, seed))


def tensors_of(split):
    return [getattr(split, field.name) for field in fields(split) if field.name not in ("num_classes", "num_inputs")]


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(tensors_of(one), tensors_of(other), strict=True))


def test_the_literal_split_for_p_5_and_seed_0():
    split = modular_split(5, "add", 0.4, True, 0)
    assert split.train_x.tolist() == [[0, 1], [2, 3], [2, 2], [1, 1], [2, 4], [0, 2]]
    assert split.train_y.tolist() == [1, 0, 4, 2, 1, 2]
    assert split.test_x.tolist() == [[0, 3], [1, 3], [1, 4], [0, 4], [0, 0], [4, 4], [3, 3], [1, 2], [3, 4]]
    assert split.test_y.tolist() == [3, 4, 0, 4, 0, 3, 1, 3, 2]
    ordered = modular_split(5, "subtract", 0.2, False, 0)
    assert ordered.train_x.tolist() == [[2, 4], [0, 0], [4, 3], [3, 3], [1, 1]]
    assert ordered.train_y.tolist() == [3, 0, 1, 0, 0]
    assert ordered.test_x.tolist()[:4] == [[1, 0], [1, 2], [2, 0], [4, 2]]


@settings(deadline=None, max_examples=60)
@given(
    p=st.sampled_from((5, 7, 11, 13)),
    fn_name=st.sampled_from(tuple(OPERATIONS)),
    frac_train=st.floats(0.1, 0.9),
    is_symmetric_input=st.booleans(),
    seed=st.integers(0, 10_000),
)
def test_the_split_is_the_published_one_and_a_partition(p, fn_name, frac_train, is_symmetric_input, seed):
    split = modular_split(p, fn_name, frac_train, is_symmetric_input, seed)
    without = [(a, 0) for a in range(p)] if fn_name == "divide" else []
    train, test = slow_split(p, frac_train, is_symmetric_input, seed, without)
    assert pairs_of(split.train_x) == train
    assert pairs_of(split.test_x) == test
    allowed = {(a, b) for a in range(p) for b in range(p) if a <= b or not is_symmetric_input} - set(without)
    assert not set(train) & set(test)
    assert len(train) + len(test) == len(allowed)
    assert set(pairs_of(split.train_x)) | set(pairs_of(split.test_x)) == allowed
    assert {tensor.dtype for tensor in tensors_of(split)} == {torch.int64}
    assert split.train_y.shape == split.train_x.shape[:1]
    assert split.test_y.shape == split.test_x.shape[:1]


def test_the_paper_s_setting_has_2278_pairs_and_911_train():
    split = modular_split(67, "add", 0.4, True, 42)
    assert (len(split.train_y), len(split.train_y) + len(split.test_y)) == (911, 2278)
    assert split.num_classes == 67
    ordered = modular_split(67, "add", 0.4, False, 42)
    assert (len(ordered.train_y), len(ordered.train_y) + len(ordered.test_y)) == (1795, 4489)


def test_splitting_leaves_the_global_generators_alone():
    random.seed(1)
    before, torch_before = random.getstate(), torch.get_rng_state()
    modular_split(7, "rand", 0.5, True, 0)
    assert random.getstate() == before
    assert torch.equal(torch.get_rng_state(), torch_before)


@pytest.mark.parametrize("fn_name", FORMULAS)
def test_polynomials_are_those_of_whole_numbers(fn_name):
    for p in (*PRIMES, 4, 9, 12):
        assert table(fn_name, p) == {(a, b): FORMULAS[fn_name](a, b) % p for a in range(p) for b in range(p)}
        assert num_classes(fn_name, p) == p


def test_division_multiplied_back_gives_the_dividend():
    for p in PRIMES:
        labels = table("divide", p)
        assert set(labels) == {(a, b) for a in range(p) for b in range(1, p)}
        for (a, b), quotient in labels.items():
            assert 0 <= quotient < p
            assert quotient * b % p == a


def test_only_add_is_the_sum_itself_in_2p_classes():
    split = modular_split(7, "only_add", 0.5, False, 0)
    assert table_of(split) == {(a, b): a + b for a in range(7) for b in range(7)}
    assert split.num_classes == num_classes("only_add", 7) == 14


def test_there_is_a_check_for_every_operation():
    assert set(OPERATIONS) == {*FORMULAS, "divide", "only_add", "rand"}


@pytest.mark.parametrize("fn_name", OPERATIONS)
def test_symmetric_says_whether_the_order_of_a_and_b_matters(fn_name):
    tables = [table(fn_name, p) for p in PRIMES]
    swaps = all(labels[b, a] == label for labels in tables for (a, b), label in labels.items() if (b, a) in labels)
    assert OPERATIONS[fn_name].symmetric == swaps


def test_random_labels_are_the_same_again_and_others_for_another_seed():
    labels = table("rand", 11, seed=5)
    torch.manual_seed(0)
    assert table("rand", 11, seed=5) == labels
    assert table_of(modular_split(11, "rand", 0.9, False, 5)) == labels, "the fraction does not change the function"
    in_order = [modular_split(11, "rand", 0.5, False, seed).train_y for seed in (5, 6)]
    assert not torch.equal(*in_order), "the labels themselves are drawn from the seed, not only the pairs they fall on"
    other = table("rand", 11, seed=6)
    assert sum(other[pair] != label for pair, label in labels.items()) > 80
    assert set(labels.values()) == set(range(11))
    assert num_classes("rand", 11) == 11


@pytest.mark.parametrize("p", [4, 6, 8, 9, 15, 25, 49])
def test_division_needs_a_prime(p):
    with pytest.raises(UserError, match=f"divide.*prime.*{p}"):
        modular_split(p, "divide", 0.5, False, 0)
    modular_split(p, "multiply", 0.5, False, 0)


@settings(deadline=None, max_examples=80)
@given(
    p=st.sampled_from((2, 3)),
    fn_name=st.sampled_from(("add", "divide")),
    frac_train=st.floats(0, 1, allow_subnormal=False),
    is_symmetric_input=st.booleans(),
)
def test_it_is_refused_exactly_where_a_set_is_empty(p, fn_name, frac_train, is_symmetric_input):
    without = [(a, 0) for a in range(p)] if fn_name == "divide" else []
    if all(slow_split(p, frac_train, is_symmetric_input, 0, without)):
        modular_split(p, fn_name, frac_train, is_symmetric_input, 0)
    else:
        with pytest.raises(UserError, match="frac_train"):
            modular_split(p, fn_name, frac_train, is_symmetric_input, 0)


@settings(deadline=None, max_examples=40)
@given(p=st.integers(2, 12), fn_name=st.sampled_from(("add", "divide", "only_add")), is_symmetric_input=st.booleans())
def test_the_sizes_are_those_of_the_split(p, fn_name, is_symmetric_input):
    fn_name = "add" if fn_name == "divide" and p not in PRIMES else fn_name
    task = Modular(p=p, fn_name=fn_name, frac_train=0.5, is_symmetric_input=is_symmetric_input)
    split = task.split(0)
    assert task.sizes() == (len(split.train_y) + len(split.test_y), split.num_inputs, split.num_classes)


def test_a_p_for_which_no_machine_has_the_time_is_refused_at_once():
    for p in (10_001, 1_000_000_000_000_000_003):
        with pytest.raises(UserError, match=r"p must be .* at most 10000"):
            Modular(p=p, fn_name="divide")


def test_moving_a_split_moves_all_of_it():
    split = modular_split(7, "only_add", 0.5, True, 0)
    assert same(split.to("cpu"), split)
    assert split.to("cpu").num_classes == 14
    assert all(tensor.is_meta for tensor in tensors_of(split.to("meta")))
