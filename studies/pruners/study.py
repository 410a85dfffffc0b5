"""Is a sparse network early because it is sparse?

Random masks, SNIP, GraSP and SynFlow choose weights of the init, before anything is trained. Their networks are as sparse as the
ticket. If sparsity were the reason, they would be as early.
"""

from itertools import pairwise

from configs.sweep import Sweep
from configs.ticket import MLPTicketConfig, MnistTicketConfig, TransformerTicketConfig
from figures.dots import Dots
from reporting.columns import BEST, kept, t_gen
from reporting.results import T_GEN, t_gen_column
from reporting.tables import DENSE, cells_of, dots_of, settings_table, soonest_first, table, threshold_of, with_dense
from reporting.verdicts import Verdict, against, claim, epochs_of, judged, median_of_setting

TICKET, TEMPERATURE = "the ticket", "GraSP, temperature 200"
PRUNERS = {"random mask": "random", "SNIP": "snip", "GraSP": "grasp", "SynFlow": "synflow"}
RATES = (0.4, 0.6, 0.8)
STOPS = {"retrain_stop_after_gen": True}
FAST = {"retrain_lr": 1e-2, "retrain_weight_decay": 3.0, "retrain_num_epochs": 5_000}
NAMES = {"mlp": "MLP", "mlp_faster": "MLP, faster setting", "transformer": "Transformer", "mnist": "MNIST"}


def named(name: str, rate: float = 0.6) -> str:
    return f"{name}, {100 * rate:.0f} % removed"


def at_init(pruners: dict[str, str], rates=RATES) -> dict[str, dict]:
    return {
        named(name, rate): {"pruner": pruner, "prune_at": "init", "pruning_rate": rate}
        for name, pruner in pruners.items()
        for rate in rates
    }


BESIDE = {TICKET: {}, DENSE: {"use_mask": False}}
AS_SPARSE = at_init(PRUNERS, (0.6,))
SHOWN = [TICKET, DENSE, *AS_SPARSE]
EARLY = tuple(t_gen_column(0.5, name) for name in T_GEN)  # of the tickets alone, as a CSV has at most forty columns
READS, THREE = {"reads": (*EARLY, "kept of")}, {"seeds": (0, 1, 2)}
runs = {
    "MLP": Sweep(MLPTicketConfig(**STOPS), {TICKET: {}} | at_init(PRUNERS), **READS),
    "MLP, faster setting": Sweep(
        MLPTicketConfig(**FAST, **STOPS), BESIDE | at_init(PRUNERS | {TEMPERATURE: "grasp_200"}), **READS
    ),
    "Transformer": Sweep(
        TransformerTicketConfig(retrain_num_epochs=15_000, **STOPS), BESIDE | AS_SPARSE, **THREE, reads=EARLY
    ),
    "MNIST": Sweep(MnistTicketConfig(retrain_num_epochs=20_000, **STOPS), BESIDE | AS_SPARSE, **THREE, **READS),
}


@claim("Masks at the init, as sparse as the ticket, do not make a network early.", paper=4)
def sparsity_does_not_help(rows) -> Verdict:
    """In a model the claim is right if none of the four masks at the init, with 60 % removed, is sooner than the dense network in its
    median t_gen. It holds if it is right in all four parts, and in part if in some."""
    times, told = against(rows, AS_SPARSE)
    return judged(number >= 1 for number in times), f"The soonest of these masks, against the dense network: {told}."


@claim("The more weights a mask at the init removes, the later the MLP generalizes.", rank=65)
def sparser_is_later(rows) -> Verdict:
    """Asked of the MLP at the faster setting, where most runs generalize. A pruner is right if its median t_gen with 40 % removed
    is later than the dense network's, with 60 % later than with 40 %, and with 80 % later than with 60 %. The claim holds if this is
    right for all five pruners, and in part if for some."""
    own = rows["MLP, faster setting"]
    answers, told = [], []
    for name in [*PRUNERS, TEMPERATURE]:
        medians = [median_of_setting(own, setting) for setting in (DENSE, *(named(name, rate) for rate in RATES))]
        answers.append(all(early < late for early, late in pairwise(medians)))
        told.append(f"{name} {', '.join(epochs_of(own, named(name, rate)) for rate in RATES)}")
    return judged(answers), f"Dense {epochs_of(own, DENSE)}; with 40, 60 and 80 % removed: {'; '.join(told)}."


def tables(rows) -> dict[str, str]:
    more = {part: kept(own) if part != "Transformer" else BEST for part, own in rows.items()}
    whole = {name: settings_table(rows[part], more[part], early=0.5) for name, part in NAMES.items()}
    return {"pruners": medians(rows)} | whole


def medians(rows) -> str:
    """t_gen with 60 % removed, a column a part, with the soonest masks of the MLP at the faster setting first."""
    order = soonest_first(rows["MLP, faster setting"])["setting"].unique()
    cells = [cells_of(with_dense(own), t_gen(threshold_of(own))) for own in rows.values()]
    lines = [[name, *(own[name][0] for own in cells)] for name in order if name in SHOWN]
    return table(["mask", *(f"{part} (>= {threshold_of(own):g})" for part, own in rows.items())], lines)


def pictures(rows) -> dict[str, Dots]:
    rows = {part: with_dense(own) for part, own in rows.items()}
    panels = {part: dots_of(soonest_first(own[own["setting"].isin(SHOWN)])) for part, own in rows.items()}
    title = "For a + b every mask at the init is slower than no mask. On MNIST a random mask is as fast as the ticket."
    return {"pruners.png": Dots(title, panels, "t_gen, epochs (test acc >= 0.95; Transformer, MNIST >= 0.8)")}
