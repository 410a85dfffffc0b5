"""Can a mask be carried over to another init, or to another operation?

A mask is put below the init of another dense run. If it works there, the mask alone says which network to build; if it does not, it
says only which weights of its own init to keep.
"""

from configs.sweep import Sweep
from configs.ticket import MLPTicketConfig, TransformerTicketConfig
from figures.dots import Dots
from reporting.columns import SEEDS, dense_and_ticket, generalizing_seeds, seeds_of_pairs, t_gen
from reporting.tables import cells_of, dots_of, seeds_table, soonest_first, table, threshold_of, with_dense
from reporting.verdicts import Verdict, against, claim, judged

TICKET, OF_ADDITION, SHUFFLED = "the ticket", "the mask of a + b", "mask at shuffled positions"
OWN = {TICKET: {}, SHUFFLED: {"control": "shuffled"}}
# The ticket whose mask it is: as this one, but for its seed or its operation.
ADDITION = {OF_ADDITION: {"mask": lambda ticket: ticket.but(fn_name="add")}}
SEED_5 = {"the mask of seed 5": {"mask": lambda ticket: ticket.but(seed=5)}}
SEED_6 = {"the mask of seed 6": {"mask": lambda ticket: ticket.but(seed=6)}}


def mlp(operation: str, settings: dict) -> Sweep:
    return Sweep(MLPTicketConfig(fn_name=operation, retrain_stop_after_gen=True), OWN | settings, seeds=(0, 1, 2))


SUBTRACTION = "a - b, Transformer"
ALL_PAIRS = {"is_symmetric_input": False}  # ordered: it has to tell a - b from b - a
OF_SUBTRACTION = TransformerTicketConfig(
    fn_name="subtract", retrain_num_epochs=15_000, retrain_stop_after_gen=True, **ALL_PAIRS
)
runs = {
    "a + b": mlp("add", SEED_5 | SEED_6),
    "a * b": mlp("multiply", ADDITION),
    "a^2 + b^2": mlp("x2y2", ADDITION),
    "a^2 + ab + b^2": mlp("x2xyy2", ADDITION),
    SUBTRACTION: Sweep(OF_SUBTRACTION, OWN | ADDITION | SEED_5, seeds=(0, 1, 2)),
}
NAMES = dict(zip(runs, ("add", "multiply", "squares", "polynomial", "subtract"), strict=True))  # of the whole tables
LEARNED = [part for part in runs if part != "a^2 + ab + b^2"]  # by their dense networks


def against_dense(rows, masks: dict) -> tuple[list[float], str]:
    """``against`` of the soonest of the masks in each part, ``{part: settings}``; and that in words."""
    found = [against({part: rows[part]}, settings) for part, settings in masks.items()]
    told = ", ".join(text for _, text in found)
    return [time for times, _ in found for time in times], f"That mask against the dense network: {told}."


@claim("On the same init, the mask of a + b is a ticket for a - b.", rank=80)
def serves_subtraction(rows) -> Verdict:
    """The claim is right if the mask takes at most half of the dense network's median t_gen."""
    times, told = against_dense(rows, {SUBTRACTION: ADDITION})
    return judged(number <= 0.5 for number in times), told


@claim("On the same init, the mask of a + b is no ticket for a * b or a^2 + b^2.", rank=81)
def serves_no_other(rows) -> Verdict:
    """For an operation the claim is right if the mask takes longer than the dense network, in its median. It is asked of the two
    operations that the dense network learns."""
    times, told = against_dense(rows, {"a * b": ADDITION, "a^2 + b^2": ADDITION})
    return judged(number > 1 for number in times), told


@claim("The mask of another seed is slower than no mask at all.", rank=82)
def is_bound_to_its_init(rows) -> Verdict:
    """For a network the claim is right if the masks of other seeds all take longer than the dense network, in their median."""
    times, told = against_dense(rows, {"a + b": SEED_5 | SEED_6, SUBTRACTION: SEED_5})
    return judged(number > 1 for number in times), told


def tables(rows) -> dict[str, str]:
    lines, whole = [], {}
    for part, own in rows.items():
        level, own = threshold_of(own), soonest_first(own)
        whole[NAMES[part]] = seeds_table(own, seeds_of_pairs(level))
        if part in LEARNED:
            cells = cells_of(own, dense_and_ticket(t_gen(level)) | generalizing_seeds(level))
            lines += [[part, name, *line] for name, line in cells.items() if name != SHUFFLED]
    head = ["operation", "mask", "t_gen of the dense network", "t_gen with the mask", SEEDS]
    return {"carried_over": table(head, lines)} | whole


def pictures(rows) -> dict[str, Dots]:
    panels = {part: dots_of(soonest_first(with_dense(rows[part]))) for part in LEARNED}
    title = "Only from a + b to a - b is a mask carried over. There another seed's mask also helps a little."
    return {"carried_over.png": Dots(title, panels, "t_gen, epochs (test acc >= 0.95; Transformer >= 0.8)")}
