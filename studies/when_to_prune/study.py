"""When must a dense network be pruned so that the mask is a ticket?

The mask is taken at epochs of one dense run, from its init to long after it generalizes, and always put on the weights of epoch 0.
"""

from itertools import pairwise

from configs.sweep import Sweep
from configs.ticket import MLPTicketConfig, TransformerTicketConfig
from figures.dots import Dots
from reporting.columns import BEST, brief_columns, generalization_columns, median_of, median_t_gen
from reporting.results import BESIDE, dense_of_rows, found_in, records
from reporting.tables import dot_of, seeds_table, threshold_of
from reporting.verdicts import Verdict, claim, epochs_of, how_many, judged, median_of_setting, runs_of

INIT, MEMORIZED = "the init", "memorization (epoch 2,000)"
STAGES = {
    0: (INIT, "init"),
    2_000: (MEMORIZED, "memorization"),
    28_000: ("generalization (epoch 28,000)", "generalization"),
}


def masks(*epochs: int) -> dict[str, dict]:
    """Settings with a mask from each of these epochs."""
    stages = [STAGES.get(epoch, (f"epoch {epoch:,}", str(epoch))) for epoch in epochs]
    return {name: {"prune_at": prune_at} for name, prune_at in stages}


MLP_MASKS = masks(0, 500, 2_000, 6_000, 10_000, 14_000, 18_000, 22_000, 28_000, 30_000)
RETRAINED = {"retrain_num_epochs": 10_000, "retrain_stop_after_gen": True}
LARGE, LARGE_MASKS = TransformerTicketConfig(**RETRAINED), masks(0, 2_000, 6_000, 10_000, 18_000, 28_000)
runs = {
    "MLP": Sweep(MLPTicketConfig(**RETRAINED), MLP_MASKS),
    "Transformer": Sweep(LARGE, LARGE_MASKS, seeds=(0, 1, 2)),
}


@claim("Masks from the init and from memorization are no tickets; later ones are better.", paper=2)
def later_is_better(rows) -> Verdict:
    """In a model the claim is right if no mask from the init or from memorization generalizes within 10,000 epochs, and if from one
    epoch of the mask to the next the median t_gen never rises, up to the first mask from after the dense runs' median t_gen. It
    holds if it is right for both models, and in part if for one."""
    answers, told = [], []
    for part, sweep in runs.items():
        own, medians = rows[part], []
        dense = median_t_gen(dense_of_rows(runs_of(own, INIT)))
        for name in sweep.named:
            medians.append(median_of_setting(own, name))
            if runs_of(own, name)[0]["mask_epoch"] > dense:
                break
        early = how_many(own, INIT) + how_many(own, MEMORIZED)
        answers.append(early == 0 and all(after <= before for before, after in pairwise(medians)))
        first, second, third = (epochs_of(own, name) for name in (MEMORIZED, "epoch 10,000", "epoch 18,000"))
        told.append(f"{part}: {first} from memorization, {second} from epoch 10,000, {third} from 18,000")
    return judged(answers), f"t_gen by the epoch of the mask: {'; '.join(told)}."


@claim("A mask works from about the epoch at which its own dense run generalizes.", rank=60)
def works_when_the_dense_run_generalizes(rows) -> Verdict:
    """In a model the claim is right if in every seed the first mask that generalizes is the last one from before the dense run's own
    t_gen or the first one from after it. It holds if it is right for both models, and in part if for one."""
    answers, told = [], []
    for part, own in rows.items():
        found = []
        for seed in sorted(row["seed"] for row in runs_of(own, INIT)):
            masks = records(own[own["seed"] == seed].sort_values("mask_epoch"))
            dense = found_in(masks[0], side=BESIDE).t_gen
            epochs = [row["mask_epoch"] for row in masks]
            first = next(row["mask_epoch"] for row in masks if found_in(row).t_gen is not None)
            around = max(epoch for epoch in epochs if epoch <= dense), min(epoch for epoch in epochs if epoch > dense)
            found.append((first in around, f"{first:,.0f} ({dense:,.0f})"))
        answers.append(all(is_right for is_right, _ in found))
        told.append(f"{part}, {', '.join(text for _, text in found)}")
    return judged(answers), f"First mask that works, and the dense run's t_gen, seed by seed: {'; '.join(told)}."


def tables(rows) -> dict[str, str]:
    mlp, transformer = rows["MLP"], rows["Transformer"]
    more = median_of("mask_epoch", 0, "epoch of the mask") | BEST
    level, large = threshold_of(mlp), threshold_of(transformer)
    return {
        "when": seeds_table(mlp, brief_columns(level), "mask from"),
        "mlp": seeds_table(mlp, generalization_columns(level) | more, "mask from"),
        "transformer": seeds_table(transformer, generalization_columns(large) | more, "mask from"),
    }


def pictures(rows) -> dict[str, Dots]:
    panels = {}
    for part, own in rows.items():
        panels[part] = []
        for row in records(own):
            is_after = row["mask_epoch"] > found_in(row, side=BESIDE).known_until
            group = f"mask from {'after' if is_after else 'before'} its dense run's t_gen"
            panels[part].append(dot_of(found_in(row), row["mask_epoch"], group))
    title = "Masks from before the dense run generalizes are no tickets, or slow ones."
    return {"when_to_prune.png": Dots(title, panels, "t_gen of the ticket", "epoch of the mask")}
