"""Can a mask be carried over to another init, or to another operation?

A mask is put below the init of another dense run. If it works there, the mask alone says which network to build; if it does not, it
says only which weights of its own init to keep.
"""

from configs.sweep import Sweep
from configs.ticket import MLPTicketConfig, TransformerTicketConfig
from figures.dots import Dots
from reporting.columns import dense_and_ticket, generalizing_seeds, speedup, t_gen
from reporting.tables import dots_of, groups_of, seeds_table, soonest_first, table, threshold_of, with_dense
from reporting.verdicts import Claim, Verdict, epochs_of, judged, median_of_setting, soonest

TICKET, OF_ADDITION, DENSE = "the ticket", "the mask of a + b", "the dense network"
OWN = {TICKET: {}, "mask at shuffled positions": {"control": "shuffled"}}
# The ticket whose mask it is: as this one, but for its seed or its operation.
ADDITION = {OF_ADDITION: {"mask": lambda ticket: ticket.but(fn_name="add")}}
SEED_5 = {"the mask of seed 5": {"mask": lambda ticket: ticket.but(seed=5)}}
SEED_6 = {"the mask of seed 6": {"mask": lambda ticket: ticket.but(seed=6)}}
OTHER_SEEDS = ("the mask of seed 5", "the mask of seed 6")


def mlp(operation: str, settings: dict) -> Sweep:
    return Sweep(MLPTicketConfig(fn_name=operation, retrain_stop_after_gen=True), OWN | settings, seeds=(0, 1, 2))


SUBTRACTION = "a - b, Transformer"
runs = {
    "a + b": mlp("add", SEED_5 | SEED_6),
    "a * b": mlp("multiply", ADDITION),
    "a^2 + b^2": mlp("x2y2", ADDITION),
    "a^2 + ab + b^2": mlp("x2xyy2", ADDITION),
    SUBTRACTION: Sweep(
        # Of all ordered pairs: it has to tell a - b from b - a.
        TransformerTicketConfig(
            fn_name="subtract", is_symmetric_input=False, retrain_num_epochs=15_000, retrain_stop_after_gen=True
        ),
        OWN | ADDITION | SEED_5,
        seeds=(0, 1, 2),
    ),
}
LEARNED = [part for part in runs if part != "a^2 + ab + b^2"]  # by their dense networks


def against_dense(rows, masks: dict[str, str]) -> tuple[list[float], str]:
    """``masks`` (``{part: setting}``): the median t_gen of each as a multiple of the dense network's, and that in words."""
    rows = {part: with_dense(rows[part]) for part in masks}
    times = [median_of_setting(rows[part], mask) / median_of_setting(rows[part], DENSE) for part, mask in masks.items()]
    told = [
        f"{epochs_of(rows[part], mask)} against {epochs_of(rows[part], DENSE)} ({part})" for part, mask in masks.items()
    ]
    return times, f"That mask against the dense network: {', '.join(told)}."


def is_bound_to_its_init(rows) -> Verdict:
    """For a network the claim is right if the masks of other seeds all take longer than the dense network, in their median."""
    masks = {"a + b": soonest(rows["a + b"], OTHER_SEEDS), SUBTRACTION: OTHER_SEEDS[0]}
    times, told = against_dense(rows, masks)
    return judged(number > 1 for number in times), told


def serves_subtraction(rows) -> Verdict:
    """The claim is right if the mask takes at most half of the dense network's median t_gen."""
    times, told = against_dense(rows, {SUBTRACTION: OF_ADDITION})
    return judged(number <= 0.5 for number in times), told


def serves_no_other(rows) -> Verdict:
    """For an operation the claim is right if the mask takes longer than the dense network, in its median. It is asked of the two
    operations that the dense network learns."""
    times, told = against_dense(rows, dict.fromkeys(("a * b", "a^2 + b^2"), OF_ADDITION))
    return judged(number > 1 for number in times), told


claims = [
    Claim("On the same init, the mask of a + b is a ticket for a - b.", serves_subtraction, rank=80),
    Claim("On the same init, the mask of a + b is no ticket for a * b or a^2 + b^2.", serves_no_other, rank=81),
    Claim("The mask of another seed is slower than no mask at all.", is_bound_to_its_init, rank=82),
]


def tables(rows) -> dict[str, str]:
    lines = []
    for part in LEARNED:
        level, own = threshold_of(rows[part]), soonest_first(rows[part])
        columns = dense_and_ticket(t_gen(level)) | generalizing_seeds(level)
        own = own[own["setting"] != "mask at shuffled positions"]
        lines += [
            [part, name, *(cell(group) for cell in columns.values())] for (name,), group in groups_of(own, ["setting"])
        ]
    names = dict(zip(rows, ("add", "multiply", "squares", "polynomial", "subtract"), strict=True))
    whole = {}
    for part, own in rows.items():
        level = threshold_of(own)
        columns = dense_and_ticket(t_gen(level) | generalizing_seeds(level)) | speedup(level)
        whole[names[part]] = seeds_table(soonest_first(own), ["setting"], columns)
    head = [
        "operation",
        "mask",
        "t_gen of the dense network",
        "t_gen with the mask",
        "seeds that generalize (95 % interval)",
    ]
    return {"carried_over": table(head, lines)} | whole


def pictures(rows) -> dict[str, Dots]:
    panels = {part: dots_of(soonest_first(with_dense(rows[part])), threshold_of(rows[part])) for part in LEARNED}
    title = "Only from a + b to a - b is a mask carried over. There another seed's mask also helps a little."
    return {"carried_over.png": Dots(title, panels, "t_gen, epochs (test acc >= 0.95; Transformer >= 0.8)")}
