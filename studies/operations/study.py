"""Does a ticket work for other operations than a + b?

The MLP adds the two embeddings, so it can only learn operations that are symmetric in a and b. The Transformer gets all of them; where
an operation is not symmetric, on all ordered pairs.
"""

from configs.sweep import Sweep
from configs.ticket import MLPTicketConfig, TransformerTicketConfig
from data.modular import OPERATIONS
from figures.dots import Dots
from reporting.columns import generalizing, median_t_gen, pair_columns, seeds_of_pairs
from reporting.results import BESIDE, dense_of_rows, found_in, records
from reporting.tables import cells_of, dot_of, seeds_table, table, threshold_of
from reporting.verdicts import Verdict, claim, judged, median_text, runs_of

NAMES = {
    "add": "a + b",
    "subtract": "a - b",
    "multiply": "a * b",
    "divide": "a / b",
    "x2y2": "a^2 + b^2",
    "x2xyy2": "a^2 + ab + b^2",
    "x2xyy2x": "a^2 + ab + b^2 + a",
    "x3xy": "a^3 + ab",
    "x3xy2y": "a^3 + ab^2 + b",
    "only_add": "a + b without the modulus",
}
MORE_PAIRS = {"frac_train": 0.8, "lr": 0.003, "num_epochs": 10_000, "prune_at": "8000"}
STOPS = {"retrain_stop_after_gen": True}

MORE = {"a + b without the modulus, on 80 % of the pairs": {"fn_name": "only_add"} | MORE_PAIRS}
IS_SYMMETRIC = {field: OPERATIONS[field].symmetric for field in NAMES}
OF_MLP = {name: {"fn_name": field} for field, name in NAMES.items() if IS_SYMMETRIC[field]}
OF_ALL = {name: {"fn_name": field, "is_symmetric_input": IS_SYMMETRIC[field]} for field, name in NAMES.items()}
LARGE = TransformerTicketConfig(retrain_num_epochs=15_000, **STOPS)

runs = {
    "MLP": Sweep(MLPTicketConfig(**STOPS), OF_MLP, seeds=(0, 1, 2)),
    "Transformer": Sweep(LARGE, OF_ALL | MORE, seeds=(0,), reads=("cosine",)),
}


@claim("Tickets generalize early for other operations than a + b as well.", paper=10)
def early_for_others(rows) -> Verdict:
    """Asked of the MLP, which has three seeds, and of its four operations besides a + b. For an operation the claim is right if the
    ticket's median t_gen is at most half of the dense network's. It holds if it is right for all, and in part if for some."""
    answers, told = [], []
    for name in list(OF_MLP)[1:]:
        tickets = runs_of(rows["MLP"], name)
        dense = dense_of_rows(tickets)
        answers.append(median_t_gen(dense) / median_t_gen(tickets) >= 2)
        told.append(f"{name}: {median_text(dense)} and {median_text(tickets)}")
    return judged(answers), f"Dense network and ticket of the MLP: {'; '.join(told)}."


@claim("Where the dense network does not generalize, its mask is no ticket.", rank=70)
def no_ticket_without_generalization(rows) -> Verdict:
    """Asked of all runs of both models whose dense run has no t_gen. The claim holds if no ticket of these has one."""
    mlp = [row for name in OF_MLP for row in runs_of(rows["MLP"], name)]
    tickets = [*mlp, *records(rows["Transformer"])]
    asked = [row for row in tickets if found_in(row, side=BESIDE).t_gen is None]
    count = generalizing(asked)
    told = f"In {len(asked)} of {len(tickets)} runs the dense network has no t_gen"
    return judged([count == 0]), f"{told}, and in {count} of these the ticket has one."


def tables(rows) -> dict[str, str]:
    whole = {part.lower(): seeds_table(own, seeds_of_pairs(threshold_of(own))) for part, own in rows.items()}
    mlp, transformer = (cells_of(own, pair_columns(threshold_of(own))) for own in rows.values())
    head = [f"{part}, {what}" for part in rows for what in ("dense", "ticket", "speedup")]
    lines = [[name, *mlp.get(name, ["", "", ""]), *cells] for name, cells in transformer.items()]
    return {"operations": table(["operation", *head], lines)} | whole


def pictures(rows) -> dict[str, Dots]:
    title = (
        "Wherever a dense network learns an operation at the paper's setting, the ticket is 7.6 to 80 times as early."
    )
    panels = {}
    for part, own in rows.items():
        for name, side in (("dense", BESIDE), ("ticket", "")):
            panels[f"{part}, {name}"] = [dot_of(found_in(row, side=side), row["setting"]) for row in records(own)]
    return {"operations.png": Dots(title, panels, "t_gen, epochs (test acc: MLP >= 0.95, Transformer >= 0.8)")}
