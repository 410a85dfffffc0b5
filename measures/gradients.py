"""Where the gradient points: inside the ticket's mask or not, with the test gradient or against it; and what the logits depend on."""

import torch

from analysis.agop import cyclic_order
from analysis.gradients import exact, gradient_measures, loss_gradient, share_measures
from common.randomness import generator
from measures.pairs import OneRun, Pair
from measures.row import Row, Rows
from measures.structure import magnitude_masks


def gradients(pair: Pair, run: OneRun, epoch: int) -> Rows:
    rate, split = pair.pruning_rate, run.split
    ticket = pair.ticket.name if run is pair.dense else None  # a dense run may have several
    mask = None if pair.ticket.mask is None else {name: torch.tensor(kept) for name, kept in pair.ticket.mask.items()}
    order = cyclic_order(getattr(run.config.task, "fn_name", None), split.num_inputs) if run.has_frequencies else None
    drawn = generator(run.config.seed, "gradients")  # the same null at every checkpoint
    for measure, part, value in gradient_measures(run.network(epoch), split, run.loss, mask, drawn, order):
        of_mask = ("ticket", rate, ticket) if "mask" in measure else ()
        yield Row(measure, value, part, *of_mask)

    if mask is not None:  # late in a dense run the largest weights are the ticket's: the control for their share
        largest = magnitude_masks(run, rate, pair.ticket.config.scope)[epoch]
        gradient = loss_gradient(exact(run.network(epoch)), split.train_x, split.train_y, run.loss)
        for measure, part, value in share_measures(
            gradient, {name: torch.tensor(kept) for name, kept in largest.items()}
        ):
            if measure == "gradient_share_in_mask":
                yield Row("gradient_share_in_largest", value, part, "magnitude", rate, ticket)
