"""Does a ticket still win when the dense network is tuned?

The paper compares both at one learning rate and one weight decay. Here the dense network and the paper's ticket are trained at twenty
settings each.
"""

from itertools import product

from configs.base import MLPConfig
from configs.sweep import Sweep
from configs.ticket import MLPTicketConfig
from figures.dots import Dots
from reporting.columns import dense_and_ticket, generalization_columns, generalizing_seeds, median_t_gen, speedup, t_gen
from reporting.tables import beside, dots_of, groups_of, seeds_table, soonest_first, threshold_of, winner
from reporting.verdicts import Claim, Verdict, epochs_of, how_many, judged, median_of_setting, runs_of

GRID = {
    f"learning rate {lr:g}, weight decay {weight_decay:g}": (lr, weight_decay)
    for lr, weight_decay in product((1e-3, 3e-3, 1e-2, 3e-2, 1e-1), (1.0, 3.0, 8.0, 16.0))
}
DENSE, TICKET = "the dense network", "the ticket"
PAPERS = "learning rate 0.001, weight decay 1"

runs = {
    DENSE: Sweep(
        MLPConfig(num_epochs=10_000), {name: {"lr": lr, "weight_decay": decay} for name, (lr, decay) in GRID.items()}
    ),
    TICKET: Sweep(
        MLPTicketConfig(retrain_num_epochs=10_000),
        {name: {"retrain_lr": lr, "retrain_weight_decay": decay} for name, (lr, decay) in GRID.items()},
    ),
}


def best(results) -> str:
    """The setting at which the most seeds generalize, and of those the one with the smallest median t_gen."""
    for name in GRID:
        runs_of(results, name)
    return winner(results, ["setting"], threshold_of(results))[0]["setting"]


def tuned_dense_beats_the_papers_ticket(rows) -> Verdict:
    """It holds if the dense network's median t_gen at its best setting is below that of the ticket at the paper's setting. The best
    setting is the one at which the most seeds generalize, and of those the soonest."""
    name = best(rows[DENSE])
    is_right = median_of_setting(rows[DENSE], name) < median_of_setting(rows[TICKET], PAPERS)
    return judged([is_right]), f"{epochs_of(rows[DENSE], name)} ({name}) against {epochs_of(rows[TICKET], PAPERS)}."


def tuned_alike_the_ticket_wins(rows) -> Verdict:
    """At each setting at which at least three dense seeds generalize, the claim is right if the ticket's median t_gen is at most half
    of the dense network's. It holds if that is right at all of these settings, and in part if at some."""
    names = [name for name in GRID if how_many(rows[DENSE], name) >= 3]
    speed = [median_of_setting(rows[DENSE], name) / median_of_setting(rows[TICKET], name) for name in names]
    own = {part: best(results) for part, results in rows.items()}
    bests = f"{epochs_of(rows[TICKET], own[TICKET])} against {epochs_of(rows[DENSE], own[DENSE])}"
    return judged(one >= 2 for one in speed), (
        f"At {len(names)} settings the ticket's median is {min(speed):.1f} to {max(speed):.0f} times smaller; at their best, {bests}."
    )


def ticket_is_the_more_stable(rows) -> Verdict:
    """It holds if there are more settings at which all five tickets generalize than settings at which all five dense networks do."""
    counts = {part: sum(how_many(own, name) == own["seed"].nunique() for name in GRID) for part, own in rows.items()}
    told = (
        f"All seeds generalize at {counts[TICKET]} of {len(GRID)} settings; of the dense network, at {counts[DENSE]}."
    )
    return judged([counts[TICKET] > counts[DENSE]]), told


claims = [
    Claim("A tuned dense network beats the ticket at the paper's setting.", tuned_dense_beats_the_papers_ticket, rank=40),
    Claim("Tuned alike, the ticket generalizes sooner.", tuned_alike_the_ticket_wins, rank=41),
    Claim("The ticket generalizes at more settings.", ticket_is_the_more_stable, rank=42),
]  # fmt: skip


def pairs_of(rows):
    """Each ticket with the dense network of its own setting and seed in the columns ``dense ...``."""
    place = ["lr", "weight_decay"]
    tickets = rows[TICKET].drop(columns=place).rename(columns={f"retrain_{name}": name for name in place})
    return beside(rows[DENSE], tickets, [*place, "seed"])


def tables(rows) -> dict[str, str]:
    level, pairs = threshold_of(rows[TICKET]), pairs_of(rows)
    learned = {
        name
        for own in rows.values()
        for (name,), group in groups_of(own, ["setting"])
        if median_t_gen(group, level) < float("inf")
    }
    short = dense_and_ticket(t_gen(level) | generalizing_seeds(level)) | speedup(level)
    whole = dense_and_ticket(generalization_columns(level)) | speedup(level)
    return {
        "tuned": seeds_table(pairs[pairs["setting"].isin(learned)], ["setting"], short),
        "whole": seeds_table(pairs, ["setting"], whole),
    }


def pictures(rows) -> dict[str, Dots]:
    level = threshold_of(rows[TICKET])
    panels = {part: dots_of(soonest_first(own), level) for part, own in rows.items()}
    title = "Where both generalize the ticket is sooner, and it generalizes at more settings."
    return {"tuned.png": Dots(title, panels, f"t_gen, epochs (test acc >= {level:g})")}
