"""What makes the MNIST ticket strong or weak?

At the paper's setting the ticket is 1.4 times as early as the dense network. We change its mask and its retraining, and beside it we
train dense networks from smaller inits, which start at the norm of a ticket.
"""

from math import log

from configs.base import MnistConfig
from configs.sweep import Sweep
from configs.ticket import MnistTicketConfig
from figures.dots import Dots
from reporting.columns import BEST, generalization_columns, kept, median_of, t_gen
from reporting.results import NORM, frame, records
from reporting.tables import DENSE, dots_of, seeds_table, settings_table, soonest_first, threshold_of, with_dense
from reporting.verdicts import Verdict, claim, epochs_of, judged, median_of_setting

TICKET, TICKETS = "the ticket", "tickets"
MORE_DECAY, NO_DECAY = {"retrain_weight_decay": 1.0}, {"retrain_weight_decay": 0.0}
SPARSER, LOCAL = {"pruning_rate": 0.8}, {"scope": "local"}
DENSE_MORE_DECAY = "the dense network, ten times the weight decay"
SETTINGS = {
    TICKET: {},
    "ten times the weight decay": MORE_DECAY,
    DENSE_MORE_DECAY: {"use_mask": False} | MORE_DECAY,
    "random mask": {"pruner": "random"},
    "80 % removed": SPARSER,
    "60 % of each matrix removed": LOCAL,
    "80 % of each matrix removed": SPARSER | LOCAL,
    "80 % removed, ten times the weight decay": SPARSER | MORE_DECAY,
    "80 % of each matrix removed, ten times the weight decay": SPARSER | LOCAL | MORE_DECAY,
    "mask of the init": {"prune_at": "init"},
    "mask of epoch 1,000": {"prune_at": "memorization"},
    "no weight decay": NO_DECAY,
    "90 % removed": {"pruning_rate": 0.9},
}
SCALES = {"dense network, init scale 5.4": 5.4, "dense network, init scale 4": 4.0}
SAME_NORM = "the dense network, init scale 5.4 instead of 8"
NORM_AT_START = median_of(NORM, 1, "L2 norm at the start")
READS = (0.5, "kept of", "dense kept of", "dense best_test_acc", "l2norm at", "dense l2norm at")
BASE, THREE = MnistTicketConfig(retrain_num_epochs=12_000, retrain_stop_after_gen=True), {"seeds": (0, 1, 2)}

runs = {TICKETS: Sweep(BASE, SETTINGS, reads=READS, **THREE)}
for part, scale in SCALES.items():
    dense = MnistConfig(num_epochs=15_000, weight_scale=scale)
    runs[part] = Sweep(dense, {f"the {part} instead of 8": {}}, reads=(0.5, 0.85, "l2norm at"), **THREE)


def joined(rows):
    """All parts as one table, with the dense runs at the usual init as a setting of their own."""
    return frame([*records(with_dense(rows[TICKETS])), *smaller(rows)])


def smaller(rows) -> list[dict]:
    """The dense networks from smaller inits."""
    return [row for part in SCALES for row in records(rows[part])]


@claim("On MNIST a dense network that starts at the ticket's norm is as early as the ticket.", rank=85)
def norm_explains(rows) -> Verdict:
    """The claim holds if the dense network that starts at the ticket's norm (init scale 5.4) is at most 4 % later than the ticket in
    its median t_gen. Rounding alone moves a t_gen by so much."""
    own = joined(rows)
    dense, ticket = (median_of_setting(own, name) for name in (SAME_NORM, TICKET))
    return judged([dense <= 1.04 * ticket]), f"{epochs_of(own, SAME_NORM)} epochs against {epochs_of(own, TICKET)}."


@claim("On MNIST a smaller init saves the epochs in which weight decay would shrink it.", rank=86)
def decay_explains(rows) -> Verdict:
    """Weight decay alone shrinks a weight by a factor s in log(s) / (learning rate * weight decay) epochs. For each of the two smaller
    inits the claim is right if its median t_gen is earlier than the usual init's by this number, give or take a tenth."""
    own, answers, told = joined(rows), [], []
    for part, scale in SCALES.items():
        settings = rows[part].iloc[0]
        saved = median_of_setting(own, DENSE) - median_of_setting(own, settings["setting"])
        expected = log(8 / scale) / (settings["lr"] * settings["weight_decay"])
        answers.append(abs(saved / expected - 1) <= 0.1)
        told.append(f"Scale {scale:g} saves {saved:,.0f} epochs, and {expected:,.0f} are expected.")
    return judged(answers), " ".join(told)


@claim("On MNIST more weight decay makes a network earlier than the mask does.", rank=87)
def decay_is_stronger(rows) -> Verdict:
    """The claim holds if the median t_gen of the dense network with ten times the weight decay is at most half of the ticket's with
    the paper's weight decay."""
    own = joined(rows)
    dense, ticket = (median_of_setting(own, name) for name in (DENSE_MORE_DECAY, TICKET))
    told = f"{epochs_of(own, DENSE_MORE_DECAY)} epochs against {epochs_of(own, TICKET)}. The ticket with ten times the weight decay "
    return judged([dense <= ticket / 2]), f"{told}takes {epochs_of(own, 'ten times the weight decay')}."


def tables(rows) -> dict[str, str]:
    own, tickets = joined(rows), with_dense(rows[TICKETS])
    left_out = [name for name in SETTINGS if "each matrix" in name] + ["random mask"]
    small = t_gen(0.5) | t_gen(0.8) | generalization_columns(0.85) | NORM_AT_START
    return {
        "mnist": settings_table(own[~own["setting"].isin(left_out)], NORM_AT_START, early=0.5, brief=True),
        "tickets": settings_table(tickets, BEST | NORM_AT_START | kept(tickets), early=0.5),
        "inits": seeds_table(frame(smaller(rows)), small),
    }


def pictures(rows) -> dict[str, Dots]:
    own = joined(rows)
    panels = {f"test accuracy {level:g}": dots_of(soonest_first(own), level) for level in (0.5, threshold_of(own))}
    title = "Weight decay and a smaller norm make MNIST early. A mask does more than its norm only up to 0.5."
    return {"mnist.png": Dots(title, panels, "t_gen, epochs")}
