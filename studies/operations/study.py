"""Does a ticket work for other operations than a + b?

The MLP adds the two embeddings, so it can only learn operations that are symmetric in a and b. The Transformer gets all of them; where
an operation is not symmetric, on all ordered pairs.
"""

from configs.sweep import Sweep
from configs.ticket import MLPTicketConfig, TransformerTicketConfig
from data.modular import OPERATIONS
from figures.dots import Dot, Dots
from reporting.columns import dense_and_ticket, generalizing_seeds, median_and_range, median_t_gen, speedup, t_gen
from reporting.results import dense_of_rows, found_in, records
from reporting.tables import groups_of, seeds_table, table, threshold_of
from reporting.verdicts import Claim, Verdict, judged, runs_of

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

runs = {
    "MLP": Sweep(
        MLPTicketConfig(**STOPS),
        {name: {"fn_name": field} for field, name in NAMES.items() if OPERATIONS[field].symmetric},
        seeds=(0, 1, 2),
    ),
    "Transformer": Sweep(
        TransformerTicketConfig(retrain_num_epochs=15_000, **STOPS),
        {name: {"fn_name": field, "is_symmetric_input": OPERATIONS[field].symmetric} for field, name in NAMES.items()}
        | {"a + b without the modulus, on 80 % of the pairs": {"fn_name": "only_add"} | MORE_PAIRS},
        seeds=(0,),
        reads=("cosine",),
    ),
}


def early_for_others(rows) -> Verdict:
    """Asked of the MLP, which has three seeds, and of its four operations besides a + b. For an operation the claim is right if the
    ticket's median t_gen is at most half of the dense network's. It holds if it is right for all, and in part if for some."""
    own, answers, told = rows["MLP"], [], []
    for name in list(runs["MLP"].named)[1:]:
        tickets = runs_of(own, name)
        sides = dense_of_rows(tickets), tickets
        dense, ticket = (median_t_gen(side, threshold_of(own)) for side in sides)
        answers.append(dense > ticket and ticket <= dense / 2)
        dense, ticket = (median_and_range([found_in(row, threshold_of(own)) for row in side])[0] for side in sides)
        told.append(f"{name}: {dense} and {ticket}")
    return judged(answers), f"Dense network and ticket of the MLP: {'; '.join(told)}."


def no_ticket_without_generalization(rows) -> Verdict:
    """Asked of all runs of both models whose dense run has no t_gen. The claim holds if no ticket of these has one."""
    mlp = [row for name in runs["MLP"].named for row in runs_of(rows["MLP"], name)]
    tickets = [*mlp, *records(rows["Transformer"])]
    asked = [row for row in tickets if not generalizes(dense_of_rows([row])[0], row["gen_threshold"])]
    count = sum(generalizes(row, row["gen_threshold"]) for row in asked)
    told = f"In {len(asked)} of {len(tickets)} runs the dense network has no t_gen"
    return judged([count == 0]), f"{told}, and in {count} of these the ticket has one."


def generalizes(row: dict, level: float) -> bool:
    return found_in(row, level).t_gen is not None


claims = [
    Claim("Tickets generalize early for other operations than a + b as well.", early_for_others, paper=10),
    Claim(
        "Where the dense network does not generalize, its mask is no ticket.", no_ticket_without_generalization, rank=70
    ),
]


def tables(rows) -> dict[str, str]:
    whole = {}
    for part, own in rows.items():
        level = threshold_of(own)
        columns = dense_and_ticket(t_gen(level) | generalizing_seeds(level)) | speedup(level)
        whole[part.lower()] = seeds_table(own, ["setting"], columns)
    return {"operations": side_by_side(rows)} | whole


def side_by_side(rows) -> str:
    """One line an operation: dense network, ticket and speedup of both models."""
    cells, head = {}, ["operation"]
    for part, own in rows.items():
        columns = dense_and_ticket(t_gen(threshold_of(own))) | speedup(threshold_of(own))
        head += [f"{part}, {what}" for what in ("dense", "ticket", "speedup")]
        cells[part] = {
            name: [cell(group) for cell in columns.values()] for (name,), group in groups_of(own, ["setting"])
        }
    lines = [[name, *cells["MLP"].get(name, ["", "", ""]), *own] for name, own in cells["Transformer"].items()]
    return table(head, lines)


def pictures(rows) -> dict[str, Dots]:
    title = (
        "Wherever a dense network learns an operation at the paper's setting, the ticket is 7.6 to 80 times as early."
    )
    panels = {}
    for part, own in rows.items():
        panels[f"{part}, dense"] = dots([(row["setting"], dense_of_rows([row])[0]) for row in records(own)], own)
        panels[f"{part}, ticket"] = dots([(row["setting"], row) for row in records(own)], own)
    return {"operations.png": Dots(title, panels, "t_gen, epochs (test acc: MLP >= 0.95, Transformer >= 0.8)")}


def dots(runs_of_names: list[tuple[str, dict]], own) -> list[Dot]:
    found = [(name, found_in(row, threshold_of(own))) for name, row in runs_of_names]
    return [Dot(name, one.known_until, one.t_gen is not None) for name, one in found]
