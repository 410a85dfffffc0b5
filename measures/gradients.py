"""Where the gradient points: inside the ticket's mask or not, with the test gradient or against it; and what the logits depend on."""

import torch

from analysis.agop import cyclic_order
from analysis.gradients import direction_measures, exact, gradient_measures, loss_gradient, share_measures
from common.randomness import generator
from experiments.pairs import Pair, Run
from measures.row import Row, Rows
from measures.structure import magnitude_masks


def gradients(pair: Pair, run: Run, epoch: int) -> Rows:
    rate, split, model = pair.pruning_rate, run.split, run.network(epoch)
    ticket = pair.ticket.name if run is pair.dense else None  # a dense run may have several
    mask = None if pair.ticket.mask is None else {name: torch.tensor(kept) for name, kept in pair.ticket.mask.items()}
    order = cyclic_order(run.config.fn_name, run.config.p) if run.config.task.name == "modular" else None
    drawn = generator(run.config.seed, "gradients")  # the same nulls at every checkpoint
    for measure, part, value in gradient_measures(model, split, run.loss, mask, drawn, order):
        of_mask = ("ticket", rate, ticket) if "_mask" in measure else ()
        yield Row(measure, value, part, *of_mask)

    now = gradient_at(run, epoch)
    if (
        mask is not None
    ):  # late in a dense run the ticket's mask is that of its largest weights: the control for its share
        largest = magnitude_masks(run, rate, pair.ticket.config.scope)[epoch]
        largest = {name: torch.tensor(kept) for name, kept in largest.items()}
        for measure, part, value in share_measures(now, largest):
            if measure == "gradient_share_in_mask":
                yield Row("gradient_share_in_largest", value, part, "magnitude", rate, ticket)
    before, last = run.before(epoch), max(run.checkpoints)
    previous = None if before is None else gradient_at(run, before)
    weights, final = (dict(exact(run.network(one)).named_parameters()) for one in (epoch, last))
    for measure, part, value in direction_measures(now, previous, weights, final):
        other = {"gradient_cosine_to_previous": before, "descent_cosine_to_final": last}.get(measure)
        yield Row(measure, value, part, other_epoch=other)


def gradient_at(run: Run, epoch: int) -> dict[str, torch.Tensor]:
    """The gradient of the training loss at a saved epoch."""
    return loss_gradient(exact(run.network(epoch)), run.split.train_x, run.split.train_y, run.loss)
