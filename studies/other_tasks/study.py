"""Do other tasks than modular arithmetic have tickets?

A parity, a regression whose labels are numbers, and two operations in one network also grok. Is a mask from late in training a
ticket there, and is it early for the same reason?
"""

from configs.base import paper
from configs.sweep import Sweep
from configs.ticket import ticket_of
from figures.dots import Dots
from reporting.columns import dense_and_ticket, generalizing_seeds, median_of, speedup, t_gen
from reporting.tables import dots_of, groups_of, seeds_table, soonest_first, table, with_dense
from reporting.verdicts import Claim, Verdict, epochs_of, judged, median_of_setting, soonest

TICKET, DENSE = "the ticket", "the dense network"
OTHERS = {
    "mask from memorization": {"prune_at": "memorization"},
    "random mask": {"pruner": "random"},
    "mask at shuffled positions": {"control": "shuffled"},
}
OTHER_MASKS = {"pruning rate 0.4": {"pruning_rate": 0.4}, "mask from epoch 3,000": {"prune_at": "3000"}}
SEVERAL, LEVEL = "two operations at once", 0.95

runs = {
    "sparse parity": Sweep(
        ticket_of(paper("parity", "image_mlp")), {TICKET: {}} | OTHERS, seeds=(0, 1, 2), reads=("cosine",)
    ),
    "polynomial regression": Sweep(
        ticket_of(paper("regression", "image_mlp")), {TICKET: {}} | OTHERS, seeds=(0, 1, 2), reads=("cosine",)
    ),
    SEVERAL: Sweep(
        ticket_of(paper("operations", "mlp")), {TICKET: {}} | OTHER_MASKS | OTHERS, seeds=(0,), reads=("cosine",)
    ),
}
NAMES = dict(zip(runs, ("parity", "regression", "two_operations"), strict=True))  # of the whole tables
SINGLE = [part for part in runs if part != SEVERAL]


def is_at_most(share: float, rows, parts) -> Verdict:
    """Whether the ticket's median t_gen is at most this share of the dense network's, part by part."""
    rows = {part: with_dense(rows[part]) for part in parts}
    times = [median_of_setting(own, TICKET) <= share * median_of_setting(own, DENSE) for own in rows.values()]
    told = ", ".join(f"{epochs_of(own, TICKET)} against {epochs_of(own, DENSE)} ({part})" for part, own in rows.items())
    return judged(times), f"The ticket against the dense network: {told}."


def two_tasks_have_tickets(rows) -> Verdict:
    """For a task the claim is right if the ticket's median t_gen is at most half of the dense network's."""
    return is_at_most(0.5, rows, SINGLE)


def only_the_ticket(rows) -> Verdict:
    """For a task the claim is right if a mask from memorization, a random mask and a mask at shuffled positions all take longer
    than the dense network, in their median."""
    rows = {part: with_dense(rows[part]) for part in SINGLE}
    best = {part: soonest(own, OTHERS) for part, own in rows.items()}
    later = [median_of_setting(own, best[part]) > median_of_setting(own, DENSE) for part, own in rows.items()]
    told = [f"{epochs_of(own, best[part])} against {epochs_of(own, DENSE)} ({part})" for part, own in rows.items()]
    return judged(later), f"The soonest of these networks, against the dense one: {', '.join(told)}."


def several_have_a_ticket(rows) -> Verdict:
    """The claim is right if the ticket's median t_gen is at most half of the dense network's."""
    return is_at_most(0.5, rows, [SEVERAL])


claims = [
    Claim("Sparse parity and polynomial regression have tickets.", two_tasks_have_tickets, rank=75),
    Claim(
        "There, too, a sparse network that is not the ticket is slower than the dense network.",
        only_the_ticket,
        rank=76,
    ),
    Claim("A network that learns two operations at once has a ticket.", several_have_a_ticket, rank=77),
]


def tables(rows) -> dict[str, str]:
    final = median_of("final_test_acc", 3, "final test acc")
    brief = t_gen(LEVEL) | generalizing_seeds(LEVEL) | final
    lines = []
    for part, own in rows.items():
        own = soonest_first(with_dense(own))
        own = own if part in SINGLE else own[own["setting"].isin((TICKET, DENSE))]
        lines += [
            [part, name, *(cell(runs) for cell in brief.values())] for (name,), runs in groups_of(own, ["setting"])
        ]
    whole = dense_and_ticket(t_gen(LEVEL) | generalizing_seeds(LEVEL)) | speedup(LEVEL) | final
    whole |= median_of("cosine", 2, "cosine of the init and the weights that gave the mask")
    own = {NAMES[part]: seeds_table(soonest_first(rows[part]), ["setting"], whole) for part in rows}
    return {"other_tasks": table(["task", "setting", *brief], lines)} | own


def pictures(rows) -> dict[str, Dots]:
    panels = {part: dots_of(soonest_first(with_dense(own)), LEVEL) for part, own in rows.items()}
    title = "Parity and regression have tickets, and two operations at once have none."
    return {"other_tasks.png": Dots(title, panels, "t_gen, epochs (test acc, or explained variance, >= 0.95)")}
