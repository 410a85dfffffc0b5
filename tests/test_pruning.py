"""Masks against a slow sort in plain Python: counts, ties, nesting; scores; and what a mask must be to enter training."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import build, weights_of

from common.errors import UserError
from pruning.masks import check_mask, count_kept, emptied, make_mask
from pruning.scores import SCORERS, Network, score
from training.optimizer import AdamW

pytestmark = pytest.mark.numerics

SCOPES = ("global", "local")
FEW_VALUES = st.sampled_from((0.0, -0.0, 0.25, 0.5, 1.0))  # so that ties are the rule
RATES = st.floats(0, 1, allow_subnormal=False)  # training takes subnormals for 0, for as long as the process lives
SHAPES = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 5)), min_size=1, max_size=4)


@st.composite
def score_sets(draw):
    """Scores of a few matrices, full of ties, in an order that is not that of the alphabet."""
    values = draw(st.sampled_from((FEW_VALUES, st.floats(-1e3, 1e3, width=32, allow_subnormal=False))))
    names = draw(st.permutations(["b", "a", "d.0", "c"]))
    scores = {}
    for name, (rows, columns) in zip(names, draw(SHAPES), strict=False):
        count = rows * columns
        flat = draw(st.lists(values, min_size=count, max_size=count))
        scores[name] = torch.tensor(flat, dtype=torch.float32).view(rows, columns)
    return scores


def slow_mask(scores, rate, scope):
    """``{name: flat list of kept}``: sort (score, place of the name, flat index) and drop the first round(rate * N)."""
    entries = [
        (value, place, index, name)
        for place, (name, matrix) in enumerate(scores.items())
        for index, value in enumerate(matrix.flatten().tolist())
    ]
    groups = [entries] if scope == "global" else [[e for e in entries if e[3] == name] for name in scores]
    kept = {name: [True] * matrix.numel() for name, matrix in scores.items()}
    for group in groups:
        for _, _, index, name in sorted(group)[: round(rate * len(group))]:
            kept[name][index] = False
    return kept


def flat_lists(mask):
    return {name: kept.flatten().tolist() for name, kept in mask.items()}


@settings(deadline=None, max_examples=150)
@given(scores=score_sets(), rate=RATES, scope=st.sampled_from(SCOPES))
def test_the_mask_is_that_of_a_slow_sort(scores, rate, scope):
    mask = make_mask(scores, rate, scope)
    assert flat_lists(mask) == slow_mask(scores, rate, scope)
    assert list(mask) == list(scores)
    assert {name: (kept.dtype, kept.shape) for name, kept in mask.items()} == {
        name: (torch.bool, matrix.shape) for name, matrix in scores.items()
    }


@settings(deadline=None, max_examples=60)
@given(scores=score_sets(), rates=st.tuples(RATES, RATES), scope=st.sampled_from(SCOPES))
def test_a_higher_rate_keeps_a_subset(scores, rates, scope):
    fewer, more = make_mask(scores, max(rates), scope), make_mask(scores, min(rates), scope)
    assert all(bool((kept <= more[name]).all()) for name, kept in fewer.items())


@pytest.mark.parametrize("rate", [0.2, 0.4, 0.6, 0.8, 0.9])
def test_counts_are_exact_at_the_paper_s_size_where_all_scores_tie(rate):
    shapes = {"W_E": (500, 67), "W_inproj": (48, 500), "W_outproj": (500, 48), "W_U": (500, 67)}
    counts = count_kept(make_mask({name: torch.ones(shape) for name, shape in shapes.items()}, rate))
    removed = [total - kept for kept, total in counts.values()]
    goes, expected = round(rate * 115_000), []
    for rows, columns in shapes.values():
        expected.append(min(goes, rows * columns))
        goes -= expected[-1]
    assert removed == expected, "the first names first"


def test_a_tie_is_broken_by_the_order_of_names_and_then_by_place():
    mask = make_mask({"z": torch.tensor([[1.0, 0.0], [0.0, 1.0]]), "a": torch.zeros(1, 2)}, 0.5)
    assert mask["z"].tolist() == [[True, False], [False, True]]
    assert mask["a"].tolist() == [[False, True]]


def test_scores_without_a_contiguous_layout_are_ranked_in_their_own_order():
    matrix = torch.arange(6.0).view(2, 3)
    mask = make_mask({"w": matrix.mT, "v": matrix + 0.5}, 0.5)
    assert torch.equal(mask["w"], matrix.mT >= 3)
    assert torch.equal(mask["v"], matrix >= 3)


def test_random_scores_come_from_the_generator_alone():
    weights = weights_of(build("mlp"))

    def scores(seed, weights=weights):
        return score("random", Network(weights), torch.Generator().manual_seed(seed))

    torch.manual_seed(0)
    before = torch.get_rng_state()
    first = scores(0)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(1)
    other_weights = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    for name, matrix in first.items():
        assert torch.equal(scores(0)[name], matrix)
        assert torch.equal(scores(0, other_weights)[name], matrix), "the weights do not matter"
        assert not torch.equal(scores(1)[name], matrix)
        assert matrix.shape == weights[name].shape
    flat = torch.cat([matrix.flatten() for matrix in first.values()])
    assert len(flat.unique()) > 0.99 * len(flat), "each weight has its own number"


def test_random_masks_are_spread_over_all_of_a_matrix():
    mask = make_mask(score("random", Network({"w": torch.zeros(100, 100)}), torch.Generator().manual_seed(0)), 0.6)["w"]
    for axis in (0, 1):
        assert abs(mask.double().mean(axis) - 0.4).max() < 5 * (0.24 / 100) ** 0.5


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("rate", [0.0, 0.5])
def test_scores_that_are_not_finite_are_refused(bad, scope, rate):
    scores = {"v": torch.ones(2, 2), "w": torch.ones(2, 2)}
    scores["w"][1, 0] = bad
    with pytest.raises(UserError, match="not finite"):
        make_mask(scores, rate, scope)


def test_a_rate_a_scope_or_a_pruner_that_is_none_is_refused():
    for rate in (-0.1, 1.5, float("nan")):
        with pytest.raises(UserError, match="pruning_rate"):
            make_mask({"w": torch.ones(2, 2)}, rate)
    with pytest.raises(UserError, match=r"scope.*layer"):
        make_mask({"w": torch.ones(2, 2)}, 0.5, "layer")
    with pytest.raises(UserError, match=f"magnitud.*{', '.join(SCORERS)}"):
        score("magnitud", Network({"w": torch.ones(2, 2)}), torch.Generator())


def test_an_emptied_matrix_is_named():
    scores = {"small": torch.full((2, 2), 0.1), "large": torch.arange(1.0, 9.0).view(2, 4), "tiny": torch.zeros(1, 2)}
    assert emptied(make_mask(scores, 0.5)) == ["small", "tiny"]
    assert emptied(make_mask(scores, 5 / 14)) == ["tiny"]
    assert emptied(make_mask(scores, 0.5, "local")) == []
    assert emptied(make_mask(scores, 1)) == list(scores)


def whole_mask(model):
    return {name: torch.ones(weight.shape, dtype=torch.bool) for name, weight in model.named_parameters()}


def spoil(mask, how):
    if how == "a name too few":
        del mask["W_U"]
    elif how == "a name too many":
        mask["W_V"] = mask["W_U"]
    elif how == "another name":
        mask["W_u"] = mask.pop("W_U")
    elif how == "transposed":
        mask["W_E"] = mask["W_E"].T
    elif how == "flat":
        mask["W_E"] = mask["W_E"].flatten()
    else:
        mask["W_E"] = mask["W_E"].to(getattr(torch, how))
    return mask


SPOILED = {
    "a name too few": "W_U",
    "a name too many": "W_V",
    "another name": "W_U, W_u",
    "transposed": r"W_E.*\(7, 9\).*\(9, 7\)",
    "flat": r"W_E.*\(63,\)",
    "float32": "W_E.*float32",
    "uint8": "W_E.*uint8",
}


@pytest.mark.parametrize("how", SPOILED)
def test_a_mask_that_does_not_fit_is_refused(how):
    model = build("mlp")
    with pytest.raises(UserError, match=SPOILED[how]):
        check_mask(spoil(whole_mask(model), how), model.state_dict())
    with pytest.raises(UserError, match=SPOILED[how]):  # where it enters training
        AdamW(model, 1e-3, 1.0, (0.9, 0.98), spoil(whole_mask(model), how))


def test_a_mask_that_fits_is_accepted_in_any_order_and_beside_weights_with_one_axis():
    model = build("mlp")
    mask = whole_mask(model)
    check_mask(mask, model.state_dict())
    check_mask(dict(reversed(mask.items())), {**model.state_dict(), "bias": torch.ones(3)})
    with pytest.raises(UserError, match="bias"):
        check_mask({**mask, "bias": torch.ones(3, dtype=torch.bool)}, {**model.state_dict(), "bias": torch.ones(3)})
