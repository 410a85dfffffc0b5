"""What a ticket costs against waiting (studies/cost): cases worked out by hand."""

from math import inf

import pandas
import pytest

from reporting.results import T_GEN, t_gen_column
from studies.cost.study import KEPT, REWOUND, at_half, cheapest, choices_table, cost, costs_table, once_known

LEVEL = 0.9


def generalizes(t_gen: int | None, known_until: int, beside: str = "") -> dict:
    values = {"t_gen": t_gen, "t_gen_first": t_gen, "t_gen_status": "holds" if t_gen is not None else "never"}
    values |= {"t_gen_known_until": known_until, "below_after": None}
    return {f"{beside}{t_gen_column(LEVEL, name)}": values[name] for name in T_GEN} | {f"{beside}status": "completed"}


def run(t_gen: int | None, known_until: int | None = None, **more) -> dict:
    row = {"setting": f"{REWOUND}, 50 epochs before generalization", "seed": 0, "gen_threshold": LEVEL}
    row |= {"prune_at": "t_gen-50", "mask_epoch": 100, "mask_test_acc": 0.95, "dense last_epoch": 450}
    own = generalizes(t_gen, t_gen if known_until is None else known_until)
    return row | own | generalizes(200, 200, "dense ") | more


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
    assert cost(row) == bounds


def test_costs_by_distance_and_start():
    kept_too = {"setting": f"{KEPT}, 50 epochs before generalization"}
    rows = [run(20), run(None, 300, seed=1), run(50, **kept_too), run(10, seed=1, **kept_too)]
    rewound, kept = cells(costs_table(pandas.DataFrame(rows)))
    assert rewound[0].startswith(REWOUND)
    assert rewound[-2:] == ["0.6 (0.6 to > 2)", "1 of 2"]
    assert kept[0].startswith(KEPT)
    assert kept[-2:] == ["0.55 (0.55 to 0.75)", "2 of 2"]


def test_rules_that_choose_a_checkpoint():
    rows = [
        run(None, 60, prune_at="t_gen-150", mask_epoch=50, mask_test_acc=0.2),
        run(60, prune_at="t_gen-100", mask_epoch=100, mask_test_acc=0.5),
        run(20, prune_at="t_gen-50", mask_epoch=150, mask_test_acc=0.8),
        run(10, prune_at="t_gen+10", mask_epoch=210, mask_test_acc=0.95),
    ]
    assert cheapest(rows) == at_half(rows) == (0.8, 0.8)
    assert once_known(rows) == (2.3, 2.3)
    late = [rows[0], rows[3]]
    assert cheapest(late) == (1.1, 1.1)
    assert at_half(rows[:1]) is once_known(rows[:3]) is None
    (rewound, kept) = cells(choices_table({"MLP": pandas.DataFrame(rows)}))
    assert rewound[1:] == ["0.8 (0.8 to 0.8)", "1 of 1", "0.8 (0.8 to 0.8)", "1 of 1", "2.3 (2.3 to 2.3)", "0 of 1"]
    assert kept[1:] == [""] * 6
