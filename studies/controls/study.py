"""Is a ticket early because it starts smaller, or because it is sparse? And which part of it makes it early?

A mask takes away norm, weights and the scale of the logits all at once, and each of them could explain why a ticket generalizes early.
So the ticket stands beside networks that differ from it in one thing.
"""

from configs.sweep import Sweep
from configs.ticket import MLPTicketConfig, MnistTicketConfig, TransformerTicketConfig
from figures.dots import Dots
from reporting.columns import AT_START
from reporting.tables import DENSE, dots_of, settings_table, soonest_first, with_dense
from reporting.verdicts import Verdict, against, claim, judged

TICKET, SIGNS = "the ticket", "mask, only the signs of the init"
SMALLER = {
    "dense, same L1 norm": {"control": "same_l1"},
    "dense, same L2 norm": {"control": "same_l2"},
    "dense, same logit scale": {"control": "same_logits"},
    "dense, same L2 norm and logit scale": {"control": "same_l2_logits"},
}
SPARSE = {
    "mask at shuffled positions": {"control": "shuffled"},
    "mask shuffled, same degrees": {"control": "shuffled_degrees"},
    "mask on another init": {"control": "reinit"},
    "mask, random signs": {"control": "random_signs"},
}
OTHERS = {
    SIGNS: {"control": "signs"},
    "the weights that the mask drops": {"control": "inverted"},
    "dense, without the units that the mask cuts off": {"control": "pruned_neurons"},
}
CONTROLS = {TICKET: {}} | SMALLER | SPARSE | OTHERS
PER_MATRIX = {
    "dense, same L2 norm, each matrix": {"control": "same_l2_per_matrix"},
    "dense, same L2 norm, each matrix, and logit scale": {"control": "same_l2_logits_per_matrix"},
}
UNMASKED = {"random mask": {"pruner": "random"}, DENSE: {"use_mask": False}}
STOPS = {"retrain_stop_after_gen": True}
FAST = {"retrain_lr": 1e-2, "retrain_weight_decay": 3.0, "retrain_num_epochs": 5_000}
READS = {"reads": (0.5, "l2norm at", "train_logit_std", "dense l2norm at", "dense train_logit_std")}
THREE = {"seeds": (0, 1, 2)} | READS
NAMES = {"mlp": "MLP", "mlp_faster": "MLP, faster setting", "transformer": "Transformer", "mnist": "MNIST"}

runs = {
    "MLP": Sweep(MLPTicketConfig(**STOPS), CONTROLS | PER_MATRIX, **READS),
    "MLP, faster setting": Sweep(MLPTicketConfig(**FAST, **STOPS), CONTROLS | UNMASKED, **READS),
    "Transformer": Sweep(TransformerTicketConfig(retrain_num_epochs=15_000, **STOPS), CONTROLS, **THREE),
    "MNIST": Sweep(MnistTicketConfig(retrain_num_epochs=20_000, **STOPS), CONTROLS, **THREE),
}


@claim("The norm does not explain why a ticket is early.", paper=3)
def norm_does_not_explain(rows) -> Verdict:
    """In a model the claim is right if every dense network that starts at the ticket's norm, at its logit scale or at both takes at
    least twice the ticket's median t_gen. It holds if it is right in all four parts, and in part if in some."""
    times, told = against(rows, SMALLER, TICKET)
    return judged(number >= 2 for number in times), f"The soonest of these networks, against the ticket: {told}."


@claim("A sparse network that is not the ticket is slower than the dense network.", rank=50)
def pairing_decides(rows) -> Verdict:
    """In a model the claim is right if all four sparse networks take longer than the dense network in their median. It is asked of
    the three parts that learn a + b; it holds if it is right in all, and in part if in some."""
    times, told = against(sums(rows), SPARSE)
    return judged(number > 1 for number in times), f"The soonest sparse network, against the dense one: {told}."


@claim("Of the init, the signs are the part that matters most.", rank=51)
def signs_carry_over(rows) -> Verdict:
    """In a model the claim is right if the mask with only the signs of the init takes at most half of the dense network's median
    t_gen. It is asked of the three parts that learn a + b; it holds if it is right in all, and in part if in some."""
    times, told = against(sums(rows), [SIGNS])
    return judged(number <= 0.5 for number in times), f"With only the signs, against the dense network: {told}."


def sums(rows) -> dict:
    """The parts that learn a + b."""
    return {part: own for part, own in rows.items() if part != "MNIST"}


def tables(rows) -> dict[str, str]:
    left_out = [*PER_MATRIX, "the weights that the mask drops"]
    rows = {part: with_dense(own) for part, own in rows.items()}
    whole = {name: settings_table(rows[part], AT_START, early=0.5) for name, part in NAMES.items()}
    short = rows["MLP"][~rows["MLP"]["setting"].isin(left_out)]
    return {"controls": settings_table(short, AT_START, brief=True)} | whole


def pictures(rows) -> dict[str, Dots]:
    rows = {part: with_dense(own[~own["setting"].isin(PER_MATRIX)]) for part, own in rows.items()}
    panels = {part: dots_of(soonest_first(own)) for part, own in rows.items()}
    title = "For a + b only the ticket is early, and next the mask with its signs. On MNIST all masks are alike."
    return {"controls.png": Dots(title, panels, "t_gen, epochs (test acc >= 0.95; Transformer, MNIST >= 0.8)")}
