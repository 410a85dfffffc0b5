"""Does a ticket still win when the dense network is tuned?

The paper compares both at one learning rate and one weight decay. Here the dense network and the paper's ticket are trained at twenty
settings each.
"""

from itertools import product
from math import inf

from configs.base import MLPConfig
from configs.sweep import Sweep
from configs.ticket import MLPTicketConfig
from figures.dots import Dots
from reporting.columns import dense_and_ticket, generalization_columns, median_t_gen, seeds_of_pairs, speedup
from reporting.tables import DENSE, beside, dots_of, groups_of, seeds_table, soonest_first, threshold_of, winner
from reporting.verdicts import Verdict, claim, enough, epochs_of, how_many, judged, median_of_setting

TICKET, PAPERS = "the ticket", "learning rate 0.001, weight decay 1"
OF_DENSE, OF_TICKET = {}, {}
for lr, decay in product((1e-3, 3e-3, 1e-2, 3e-2, 1e-1), (1.0, 3.0, 8.0, 16.0)):
    name = f"learning rate {lr:g}, weight decay {decay:g}"
    OF_DENSE[name] = {"lr": lr, "weight_decay": decay}
    OF_TICKET[name] = {"retrain_lr": lr, "retrain_weight_decay": decay}

runs = {
    DENSE: Sweep(MLPConfig(num_epochs=10_000), OF_DENSE),
    TICKET: Sweep(MLPTicketConfig(retrain_num_epochs=10_000), OF_TICKET),
}


def best(results) -> str:
    """The setting at which the most seeds generalize, and of those the one with the smallest median t_gen."""
    return winner(enough(results))[0]["setting"]


@claim("A tuned dense network beats the ticket at the paper's setting.", rank=40)
def tuned_dense_beats_the_papers_ticket(rows) -> Verdict:
    """It holds if the dense network's median t_gen at its best setting is below that of the ticket at the paper's setting. The best
    setting is the one at which the most seeds generalize, and of those the soonest."""
    name = best(rows[DENSE])
    is_right = median_of_setting(rows[DENSE], name) < median_of_setting(rows[TICKET], PAPERS)
    return judged([is_right]), f"{epochs_of(rows[DENSE], name)} ({name}) against {epochs_of(rows[TICKET], PAPERS)}."


@claim("Tuned alike, the ticket generalizes sooner.", rank=41)
def tuned_alike_the_ticket_wins(rows) -> Verdict:
    """At each setting at which at least three dense seeds generalize, the claim is right if the ticket's median t_gen is at most half
    of the dense network's. It holds if that is right at all of these settings, and in part if at some."""
    dense, ticket = rows[DENSE], rows[TICKET]
    names = [name for name in OF_DENSE if how_many(dense, name) >= 3]
    speed = [median_of_setting(dense, name) / median_of_setting(ticket, name) for name in names]
    bests = f"{epochs_of(ticket, best(ticket))} against {epochs_of(dense, best(dense))}"
    told = f"the ticket's median is {min(speed):.1f} to {max(speed):.0f} times smaller"
    return judged(one >= 2 for one in speed), f"At {len(names)} settings {told}; at their best, {bests}."


@claim("The ticket generalizes at more settings.", rank=42)
def ticket_is_the_more_stable(rows) -> Verdict:
    """It holds if there are more settings at which all five tickets generalize than settings at which all five dense networks do."""
    counts = {part: sum(how_many(own, name) == 5 for name in OF_DENSE) for part, own in rows.items()}
    told = f"All seeds generalize at {counts[TICKET]} of {len(OF_DENSE)} settings"
    return judged([counts[TICKET] > counts[DENSE]]), f"{told}; of the dense network, at {counts[DENSE]}."


def tables(rows) -> dict[str, str]:
    level, place = threshold_of(rows[TICKET]), ["lr", "weight_decay"]
    tickets = rows[TICKET].drop(columns=place).rename(columns={f"retrain_{name}": name for name in place})
    pairs = beside(rows[DENSE], tickets, [*place, "seed"])  # the dense network of the ticket's own setting
    groups = [group for own in rows.values() for group in groups_of(own)]
    learned = [name for name, group in groups if median_t_gen(group) < inf]
    return {
        "tuned": seeds_table(pairs[pairs["setting"].isin(learned)], seeds_of_pairs(level)),
        "whole": seeds_table(pairs, dense_and_ticket(generalization_columns(level)) | speedup(level)),
    }


def pictures(rows) -> dict[str, Dots]:
    panels = {part: dots_of(soonest_first(own)) for part, own in rows.items()}
    title = "Where both generalize the ticket is sooner, and it generalizes at more settings."
    return {"tuned.png": Dots(title, panels, f"t_gen, epochs (test acc >= {threshold_of(rows[TICKET]):g})")}
