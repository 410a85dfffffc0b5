"""How much should be pruned?

A ticket with too many weights is close to the dense network, and one with too few cannot represent the solution. We remove 20 to 95 %
of the weights, and retrain with the paper's weight decay and with none.
"""

from math import inf

from configs.sweep import Sweep
from configs.ticket import MLPTicketConfig, TransformerTicketConfig
from figures.dots import Dots
from reporting.columns import BEST, SEEDS, brief_columns, generalizing, kept
from reporting.results import t_gen_column
from reporting.tables import cells_of, dots_of, settings_table, table, threshold_of
from reporting.verdicts import Verdict, claim, epochs_of, judged, median_of_setting, runs_of, soonest

RATES = [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95]
FIVE_RATES = [0.2, 0.4, 0.6, 0.8, 0.9]
NO_DECAY = ", no weight decay"
ENDS = {"retrain_num_epochs": 10_000, "retrain_stop_after_gen": True}


def removed(rate: float) -> str:
    return f"{rate:.0%} removed".replace("%", " %")


def settings(rates: list[float]) -> dict[str, dict]:
    """Each rate with the dense run's weight decay in retraining, 1, and with none."""
    return {
        removed(rate) + name: {"pruning_rate": rate, "retrain_weight_decay": decay}
        for name, decay in (("", 1.0), (NO_DECAY, 0.0))
        for rate in rates
    }


runs = {
    "MLP": Sweep(MLPTicketConfig(**ENDS), settings(RATES)),
    "Transformer": Sweep(TransformerTicketConfig(**ENDS), settings(FIVE_RATES), seeds=(0, 1, 2), reads=("kept of",)),
}


@claim(
    "Removing some 60 % of the weights is best, 90 % is too much, and near 80 % the MLP's ticket needs no weight decay.",
    paper=5,
)
def some_sixty_percent(rows) -> Verdict:
    """The claim has five parts. In the MLP and in the Transformer the soonest rate removes 50 to 70 % (two parts), and the median
    t_gen at 90 % is at least twice as late (two parts). Without weight decay and with 80 % removed, at least half of the MLPs
    generalize. It holds if all five are right, and in part if some are."""
    answers, told = [], []
    for part, rates in (("MLP", RATES), ("Transformer", FIVE_RATES)):
        own, names, much = rows[part], {removed(rate): rate for rate in rates}, removed(0.9)
        best = soonest(own, names)
        answers.append(0.5 <= names[best] <= 0.7)
        answers.append(median_of_setting(own, much) >= 2 * median_of_setting(own, best))
        told.append(
            f"{part}: the soonest is {epochs_of(own, best)} with {best}; with 90 % it is {epochs_of(own, much)}"
        )
    free = runs_of(rows["MLP"], removed(0.8) + NO_DECAY)
    answers.append(2 * generalizing(free) >= len(free))
    told.append(f"Without weight decay and with 80 % removed {generalizing(free)} of {len(free)} MLPs generalize.")
    return judged(answers), ". ".join(told)


@claim("The Transformer's ticket for a + b has no queries and no keys.", rank=68)
def attention_goes(rows) -> Verdict:
    """The claim holds if the mask keeps at most 1 % of W_Q and of W_K in every seed and at each rate from 40 to 90 %, and if at
    least half of the tickets with 60 % removed generalize."""
    own, usual = rows["Transformer"], removed(0.6)
    tickets = [row for rate in FIVE_RATES[1:] for row in runs_of(own, removed(rate))]
    most = max(row[f"kept of blocks.0.{name}"] for row in tickets for name in ("W_Q", "W_K"))
    told = f"The mask keeps at most {100 * most:.1f} % of W_Q and W_K. With {usual} the ticket takes {epochs_of(own, usual)} epochs."
    return judged([most <= 0.01 and median_of_setting(own, usual) < inf]), told


def tables(rows) -> dict[str, str]:
    return {
        "how_much": by_rate(rows["MLP"]),
        "mlp": settings_table(rows["MLP"], BEST),
        "transformer": settings_table(rows["Transformer"], kept(rows["Transformer"])),
    }


def by_rate(own) -> str:
    """One line a rate: with weight decay at the left, without at the right."""
    level = threshold_of(own)
    cells = cells_of(own, brief_columns(level) | BEST)
    lines = []
    for rate in RATES:
        (when, share, _), without = cells[removed(rate)], cells[removed(rate) + NO_DECAY]
        lines.append([removed(rate), when, share, *without])
    head = ["", t_gen_column(level), SEEDS, "t_gen without weight decay", SEEDS, "best test acc without"]
    return table(head, lines)


def pictures(rows) -> dict[str, Dots]:
    panels = {}
    for part, own in rows.items():
        names = own["retrain_weight_decay"].map({1.0: "weight decay 1", 0.0: "no weight decay"})
        panels[part] = dots_of(own.assign(decay=names), place="pruning_rate", group="decay")
    title = "Tickets are earliest with 60 to 80 % of their weights removed. Without weight decay 5 of 65 generalize."
    return {"how_much.png": Dots(title, panels, "t_gen, epochs", "fraction of the weights that is removed")}
