"""What tells a ticket beforehand and when one pays: cases worked out by hand, and the pictures of them."""

from math import inf

import pandas
import pytest

from figures.findings import Dot, plot_dots
from reporting.findings import alignment_table, choices_table, cost, costs_table, masks_table, predictors_table
from reporting.results import NORM, T_GEN, t_gen_column

LEVEL = 0.9


def generalizes(t_gen: int | None, known_until: int, beside: str = "") -> dict:
    values = {"t_gen": t_gen, "t_gen_first": t_gen, "t_gen_status": "holds" if t_gen is not None else "never"}
    values |= {"t_gen_known_until": known_until, "below_after": None}
    return {f"{beside}{t_gen_column(LEVEL, name)}": values[name] for name in T_GEN} | {f"{beside}status": "completed"}


def run(t_gen: int | None, known_until: int | None = None, **more) -> dict:
    row = {"setting": "a", "seed": 0, "lr": 0.1, "weight_decay": 1.0, "rewind_to": 0, "pruner": "magnitude"}
    row |= {"control": None, "use_mask": True, "prune_at": "t_gen-50", "mask_epoch": 100, "mask_test_acc": 0.95}
    row |= dict.fromkeys(("cosine", "cosine_kept", "same_signs_kept", "mask_l2norm", NORM), 0.5)
    row |= {"dense last_epoch": 450}
    return (
        row | generalizes(t_gen, t_gen if known_until is None else known_until) | generalizes(200, 200, "dense ") | more
    )


def cells(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()[2:]]


@pytest.mark.parametrize(
    ("row", "bounds"),
    [
        (run(20), (0.6, 0.6)),
        (run(150), (1.25, 1.25)),
        (run(None, 300), (2.0, inf)),
        (run(0, mask_epoch=0), (0.0, 0.0)),
        (run(20) | generalizes(None, 240, "dense "), (0.0, 0.5)),
        (run(None, 300) | generalizes(None, 200, "dense "), (0.0, inf)),
    ],
)
def test_the_cost_is_the_masks_epoch_and_what_comes_after_it(row, bounds):
    assert cost(row, LEVEL) == bounds


def test_costs_by_distance_and_start():
    rows = [
        run(20, seed=0),
        run(None, 300, seed=1),
        run(50, seed=0, rewind_to="prune_at"),
        run(10, seed=1, rewind_to="prune_at"),
    ]
    rewound, kept = cells(costs_table(pandas.DataFrame(rows), LEVEL))
    assert rewound[:2] == ["rewound to the init", "t_gen-50"]
    assert rewound[-2:] == ["0.6 (0.6 to > 2)", "1 of 2"]
    assert kept[0] == "kept, trained on"
    assert kept[-2:] == ["0.55 (0.55 to 0.75)", "2 of 2"]


def test_rules_that_choose_a_checkpoint():
    rows = [
        run(None, 60, prune_at="t_gen-150", mask_epoch=50, mask_test_acc=0.2),
        run(60, prune_at="t_gen-100", mask_epoch=100, mask_test_acc=0.5),
        run(20, prune_at="t_gen-50", mask_epoch=150, mask_test_acc=0.8),
        run(10, prune_at="t_gen+10", mask_epoch=210, mask_test_acc=0.95),
    ]
    cheapest, first, known = cells(choices_table({"MLP": (pandas.DataFrame(rows), LEVEL)}))
    assert [line[-2:] for line in (cheapest, first, known)] == [
        ["0.8 (0.8 to 0.8)", "1 of 1"],
        ["0.8 (0.8 to 0.8)", "1 of 1"],
        ["2.3 (2.3 to 2.3)", "0 of 1"],
    ]
    late = [rows[0], rows[3]]
    assert cells(choices_table({"MLP": (pandas.DataFrame(late), LEVEL)}))[0][-2:] == ["1.1 (1.1 to 1.1)", "0 of 1"]


def test_a_predictor_that_always_tells_and_one_that_never_does():
    rows = [run(100 * number, cosine=-number, mask_l2norm=-number, lr=0.1 * (number % 2)) for number in (1, 2, 3, 4)]
    rows[3] |= generalizes(None, 900) | {"mask_test_acc": 0.5}
    head, _, *lines = (
        line.split("|") for line in predictors_table({"MLP": (pandas.DataFrame(rows), LEVEL)}).splitlines()
    )
    columns = zip(*lines, strict=True)
    by_name = {name.strip(): [cell.strip() for cell in column] for name, column in zip(head, columns, strict=True)}
    assert by_name["pairs of masks"] == ["MLP: all pairs", "MLP: of weights that generalize", "MLP: of one dense run"]
    assert by_name["cosine"] == ["1.00", "1.00", "1.00"]
    assert by_name["mask_l2norm"] == ["0.00", "0.00", "0.00"], "the smaller norm is taken for the better one"
    assert by_name["cosine_kept"] == ["0.50", "0.50", "0.50"]
    assert by_name["mask_test_acc"] == ["0.75", "0.50", "0.75"]


def test_masks_by_the_cosine_of_their_start():
    rows = [run(900, cosine=0.01), run(None, 5000, cosine=-0.2), run(20, cosine=0.4), run(30, cosine=0.3)]
    rows += [run(700, cosine=0.5, mask_test_acc=0.3), run(5, cosine=0.5, control="signs")]
    by_bin = {line[0]: line[1] for line in cells(alignment_table({"MLP": (pandas.DataFrame(rows), LEVEL)}))}
    assert by_bin["below 0.05"] == "900 (900 to > 5,000), 1 of 2"
    assert by_bin["0.05 to 0.1"] == ""
    assert by_bin["0.3 or more"] == "20 (20 to 30), 2 of 2"
    assert by_bin["the weights do not generalize yet"] == "700 (700 to 700), 1 of 1"


def test_controls_stand_in_the_table_of_masks_and_not_among_the_tickets():
    rows = [run(10), run(500, control="shuffled", cosine=0.9), run(700, use_mask=False, mask_epoch=None, cosine=None)]
    results = pandas.DataFrame(rows)
    assert [line[4] for line in cells(masks_table(results, LEVEL))] == ["", "shuffled", "no mask"]
    assert {line[1] for line in cells(predictors_table({"MLP": (results, LEVEL)}))} == {"none"}


@pytest.mark.parametrize("wait", [None, 1.0])
def test_dots_are_drawn(tmp_path, wait):
    dots = [Dot(0.1, 20, True, "a"), Dot(0.2, 500, False, "b", is_pale=True)]
    plot_dots({"one": dots, "other": dots[:1]}, "x", "y", tmp_path / "dots.png", "Pale: b.", wait)
    assert (tmp_path / "dots.png").stat().st_size > 5_000
