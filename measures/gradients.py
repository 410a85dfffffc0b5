"""Where the gradient points: inside the ticket's mask or not, with the test gradient or against it; and what the logits depend on."""

import torch

from analysis.gradients import exact, gradient_measures, loss_gradient, share_measures
from common.randomness import generator
from measures.pairs import OneRun, Pair, Row, Rows
from measures.structure import magnitude_masks


def gradients(pair: Pair, run: OneRun, epoch: int) -> Rows:
    rate, split = pair.pruning_rate, run.split
    ticket = pair.ticket.name if run is pair.dense else None  # a dense run may have several
    mask = None if pair.ticket.mask is None else tensors(pair.ticket.mask)
    drawn = generator(run.config.seed, "gradients") if run.adds else None  # the same null at every checkpoint
    for measure, part, value in gradient_measures(run.network(epoch), split, run.loss, mask, drawn):
        of_mask = ("ticket", rate, ticket) if "mask" in measure else ()
        yield Row(measure, value, part, *of_mask)

    if mask is not None:  # late in a dense run the largest weights are the ticket's: the control for their share
        largest = tensors(magnitude_masks(run, rate, pair.ticket.config.scope)[epoch])
        gradient = loss_gradient(exact(run.network(epoch)), split.train_x, split.train_y, run.loss)
        for measure, part, value in share_measures(gradient, largest):
            if measure == "gradient_share_in_mask":
                yield Row("gradient_share_in_largest", value, part, "magnitude", rate, ticket)


def tensors(mask: dict) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(kept) for name, kept in mask.items()}
