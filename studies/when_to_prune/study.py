"""When must a dense network be pruned so that the mask is a ticket?

The mask is taken at epochs of one dense run, from its init to long after it generalizes, and always put on the weights of epoch 0.
"""

from itertools import pairwise

from configs.sweep import Sweep
from configs.ticket import MLPTicketConfig, TransformerTicketConfig
from figures.dots import Dot, Dots
from reporting.columns import BEST, OF_MASK, generalization_columns, generalizing_seeds, median_t_gen, t_gen
from reporting.results import dense_of_rows, found_in, records
from reporting.tables import seeds_table, threshold_of
from reporting.verdicts import Claim, Verdict, epochs_of, how_many, judged, median_of_setting, runs_of

INIT, MEMORIZED, GENERALIZED = "the init", "memorization (epoch 2,000)", "generalization (epoch 28,000)"


def masks(*epochs: int) -> dict[str, dict]:
    """Settings with a mask from each of these epochs."""
    names = {0: INIT, 2_000: MEMORIZED, 28_000: GENERALIZED}
    stages = {0: "init", 2_000: "memorization", 28_000: "generalization"}
    return {names.get(epoch, f"epoch {epoch:,}"): {"prune_at": stages.get(epoch, str(epoch))} for epoch in epochs}


RETRAINED = {"retrain_num_epochs": 10_000, "retrain_stop_after_gen": True}
runs = {
    "MLP": Sweep(
        MLPTicketConfig(**RETRAINED), masks(0, 500, 2_000, 6_000, 10_000, 14_000, 18_000, 22_000, 28_000, 30_000)
    ),
    "Transformer": Sweep(
        TransformerTicketConfig(**RETRAINED), masks(0, 2_000, 6_000, 10_000, 18_000, 28_000), seeds=(0, 1, 2)
    ),
}


def later_is_better(rows) -> Verdict:
    """In a model the claim is right if no mask from the init or from memorization generalizes within 10,000 epochs, and if from one
    epoch of the mask to the next the median t_gen never rises, up to the first mask from after the dense runs' median t_gen. It
    holds if it is right for both models, and in part if for one."""
    answers = []
    for part, sweep in runs.items():
        own = rows[part]
        names = list(sweep.named)
        dense = median_t_gen(dense_of_rows(runs_of(own, INIT)), threshold_of(own))
        late = [name for name in names if runs_of(own, name)[0]["mask_epoch"] > dense]
        medians = [median_of_setting(own, name) for name in names[: names.index(late[0]) + 1]]
        early = how_many(own, INIT) + how_many(own, MEMORIZED)
        answers.append(early == 0 and all(after <= before for before, after in pairwise(medians)))
    told = "; ".join(
        f"{part}: {epochs_of(own, MEMORIZED)} from memorization, {epochs_of(own, 'epoch 10,000')} from epoch 10,000, "
        f"{epochs_of(own, 'epoch 18,000')} from 18,000"
        for part, own in rows.items()
    )
    return judged(answers), f"t_gen by the epoch of the mask: {told}."


def first_that_works(results) -> dict[int, tuple[int, int, list[int]]]:
    """For each seed the epoch of the first mask that generalizes, t_gen of the dense run, and the epochs of all its masks."""
    level, found = threshold_of(results), {}
    for seed in sorted(set(results["seed"])):
        own = records(results[results["seed"] == seed].sort_values("mask_epoch"))
        working = [row["mask_epoch"] for row in own if found_in(row, level).t_gen is not None]
        found[seed] = working[0], found_in(dense_of_rows(own)[0], level).t_gen, [row["mask_epoch"] for row in own]
    return found


def works_when_the_dense_run_generalizes(rows) -> Verdict:
    """In a model the claim is right if in every seed the first mask that generalizes is the last one from before the dense run's own
    t_gen or the first one from after it. It holds if it is right for both models, and in part if for one."""
    for part in rows:
        runs_of(rows[part], INIT)
    found = {part: first_that_works(own).values() for part, own in rows.items()}
    answers = [
        all(
            first in (max(e for e in epochs if e <= dense), min(e for e in epochs if e > dense))
            for first, dense, epochs in one
        )
        for one in found.values()
    ]
    told = "; ".join(
        f"{part}, " + ", ".join(f"{first:,.0f} ({dense:,.0f})" for first, dense, _ in one)
        for part, one in found.items()
    )
    return judged(answers), f"First mask that works, and the dense run's t_gen, seed by seed: {told}."


claims = [
    Claim("Masks from the init and from memorization are no tickets; later ones are better.", later_is_better, paper=2),
    Claim(
        "A mask works from about the epoch at which its own dense run generalizes.",
        works_when_the_dense_run_generalizes,
        rank=60,
    ),
]


def tables(rows) -> dict[str, str]:
    def table(part: str, brief: bool) -> str:
        level = threshold_of(rows[part])
        whole = generalization_columns(level) | OF_MASK | BEST
        return seeds_table(
            rows[part], ["setting"], t_gen(level) | generalizing_seeds(level) if brief else whole, ["mask from"]
        )

    return {
        "when": table("MLP", brief=True),
        "mlp": table("MLP", brief=False),
        "transformer": table("Transformer", brief=False),
    }


def pictures(rows) -> dict[str, Dots]:
    panels = {}
    for part, own in rows.items():
        panels[part] = []
        for row in records(own):
            found, dense = (found_in(one, threshold_of(own)) for one in (row, *dense_of_rows([row])))
            side = "mask from after" if row["mask_epoch"] > dense.known_until else "mask from before"
            group = f"{side} its dense run's t_gen"
            panels[part].append(Dot(row["mask_epoch"], found.known_until, found.t_gen is not None, group))
    title = "Masks from before the dense run generalizes are no tickets, or slow ones."
    return {"when_to_prune.png": Dots(title, panels, "t_gen of the ticket", "epoch of the mask")}
