"""Do other tasks than modular arithmetic have tickets?

A parity, a regression whose labels are numbers, and two operations in one network also grok. Is a mask from late in training a
ticket there, and is it early for the same reason?
"""

from configs.base import paper
from configs.sweep import Sweep
from configs.ticket import ticket_of
from figures.dots import Dots
from reporting.columns import brief_columns, median_of, seeds_of_pairs
from reporting.tables import DENSE, cells_of, dots_of, seeds_table, soonest_first, table, with_dense
from reporting.verdicts import Verdict, against, claim, judged

TICKET = "the ticket"
OTHERS = {
    "mask from memorization": {"prune_at": "memorization"},
    "random mask": {"pruner": "random"},
    "mask at shuffled positions": {"control": "shuffled"},
}
OTHER_MASKS = {"pruning rate 0.4": {"pruning_rate": 0.4}, "mask from epoch 3,000": {"prune_at": "3000"}}
SEVERAL, LEVEL = "two operations at once", 0.95
READS = {"reads": ("cosine",)}
THREE = {"seeds": (0, 1, 2)} | READS

runs = {
    "sparse parity": Sweep(ticket_of(paper("parity", "image_mlp")), {TICKET: {}} | OTHERS, **THREE),
    "polynomial regression": Sweep(ticket_of(paper("regression", "image_mlp")), {TICKET: {}} | OTHERS, **THREE),
    SEVERAL: Sweep(ticket_of(paper("operations", "mlp")), {TICKET: {}} | OTHER_MASKS | OTHERS, seeds=(0,), **READS),
}
NAMES = dict(zip(runs, ("parity", "regression", "two_operations"), strict=True))  # of the whole tables


def singles(rows) -> dict:
    """The parts in which a network learns one task."""
    return {part: own for part, own in rows.items() if part != SEVERAL}


@claim("Sparse parity and polynomial regression have tickets.", rank=75)
def two_tasks_have_tickets(rows) -> Verdict:
    """For a task the claim is right if the ticket's median t_gen is at most half of the dense network's."""
    times, told = against(singles(rows), [TICKET])
    return judged(number <= 0.5 for number in times), f"The ticket against the dense network: {told}."


@claim("There, too, a sparse network that is not the ticket is slower than the dense network.", rank=76)
def only_the_ticket(rows) -> Verdict:
    """For a task the claim is right if a mask from memorization, a random mask and a mask at shuffled positions all take longer
    than the dense network, in their median."""
    times, told = against(singles(rows), OTHERS)
    return judged(number > 1 for number in times), f"The soonest of these networks, against the dense one: {told}."


@claim("A network that learns two operations at once has a ticket.", rank=77)
def several_have_a_ticket(rows) -> Verdict:
    """The claim is right if the ticket's median t_gen is at most half of the dense network's."""
    times, told = against({SEVERAL: rows[SEVERAL]}, [TICKET])
    return judged(number <= 0.5 for number in times), f"The ticket against the dense network: {told}."


def tables(rows) -> dict[str, str]:
    final = median_of("final_test_acc")
    brief = brief_columns(LEVEL) | final
    lines = []
    for part, own in rows.items():
        cells = cells_of(soonest_first(with_dense(own)), brief)
        shown = (TICKET, DENSE) if part == SEVERAL else cells
        lines += [[part, name, *line] for name, line in cells.items() if name in shown]
    whole = seeds_of_pairs(LEVEL) | final
    whole |= median_of("cosine", 2, "cosine of the init and the weights that gave the mask")
    own = {NAMES[part]: seeds_table(soonest_first(rows[part]), whole) for part in rows}
    return {"other_tasks": table(["task", "setting", *brief], lines)} | own


def pictures(rows) -> dict[str, Dots]:
    panels = {part: dots_of(soonest_first(with_dense(own)), LEVEL) for part, own in rows.items()}
    title = "Parity and regression have tickets, and two operations at once have none."
    return {"other_tasks.png": Dots(title, panels, "t_gen, epochs (test acc, or explained variance, >= 0.95)")}
