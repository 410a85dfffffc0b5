"""What tells a ticket beforehand (studies/alignment): cases worked out by hand."""

import pandas

from reporting.results import NORM, T_GEN, records, t_gen_column
from studies.alignment.study import alignment_table, predictors_table, tickets_of

LEVEL = 0.9


def run(t_gen: int | None, known_until: int | None = None, **more) -> dict:
    row = {
        "setting": "a",
        "seed": 0,
        "lr": 0.1,
        "weight_decay": 1.0,
        "control": None,
        "use_mask": True,
        "status": "completed",
    }
    row |= {"gen_threshold": LEVEL, "mask_test_acc": 0.95}
    row |= dict.fromkeys(("cosine", "cosine_kept", "same_signs_kept", "mask_l2norm", NORM), 0.5)
    values = {"t_gen": t_gen, "t_gen_first": t_gen, "t_gen_status": "holds" if t_gen is not None else "never"}
    values |= {"t_gen_known_until": t_gen if known_until is None else known_until, "below_after": None}
    return row | {t_gen_column(LEVEL, name): values[name] for name in T_GEN} | more


def cells(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]


def test_a_predictor_that_always_tells_and_one_that_never_does():
    rows = [run(100 * number, cosine=-number, mask_l2norm=-number, lr=0.1 * (number % 2)) for number in (1, 2, 3)]
    rows.append(run(None, 900, cosine=-4, mask_l2norm=-4, lr=0.0, mask_test_acc=0.5))
    head, _, *lines = cells(predictors_table({"MLP": pandas.DataFrame(rows)}))
    by_name = dict(zip(head, zip(*lines, strict=True), strict=True))
    assert by_name["pairs of masks"] == ("MLP: all pairs", "MLP: both generalized", "MLP: one dense run")
    assert by_name["cosine"] == ("1.00", "1.00", "1.00")
    assert by_name["L2 norm of the dense run"] == ("0.00", "0.00", "0.00"), "the smaller is taken as the better"
    assert by_name["cosine, kept weights"] == ("0.50", "0.50", "0.50")
    assert by_name["test acc of the dense run"] == ("0.75", "0.50", "0.75")


def test_masks_by_the_cosine_of_their_start():
    rows = [run(900, cosine=0.01), run(None, 5000, cosine=-0.2), run(20, cosine=0.4), run(30, cosine=0.3)]
    rows += [run(700, cosine=0.5, mask_test_acc=0.3), run(5, cosine=0.5, control="signs")]
    by_bin = {line[0]: line[1] for line in cells(alignment_table({"MLP": pandas.DataFrame(rows)}))}
    assert by_bin["below 0.05"] == "900 (900 to > 5,000), 1 of 2"
    assert by_bin["0.05 to 0.1"] == ""
    assert by_bin["0.3 or more"] == "20 (20 to 30), 2 of 2"
    assert by_bin["not generalized yet"] == "700 (700 to 700), 1 of 1"


def test_controls_are_no_tickets():
    rows = [run(10), run(500, control="shuffled", cosine=0.9), run(700, use_mask=False, cosine=None)]
    assert [row["cosine"] for row in records(tickets_of(pandas.DataFrame(rows)))] == [0.5]
