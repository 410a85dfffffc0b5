"""Masks over time: how far the dense run's are from one another and from the ticket's, and how much of the start is left."""

from functools import lru_cache

import numpy as np
import torch

from analysis.structure import alignment, chance_overlap, dead_units, degree_overlap, jaccard_distance, overlap
from experiments.pairs import Pair, Run
from measures.row import Row, Rows
from pruning.controls import units_of
from pruning.masks import make_mask

RATES = (0.4, 0.6, 0.8)  # at which masks of different epochs are compared, besides the ticket's own
OVERLAPS = {"overlap": overlap, "overlap_by_chance": chance_overlap, "overlap_by_degrees": degree_overlap}


@lru_cache(maxsize=8)
def magnitude_masks(run: Run, rate: float, scope: str) -> dict[int, dict[str, np.ndarray]]:
    """``{epoch: {name: bool}}``: the mask that magnitude pruning takes from each checkpoint."""
    masks = {}
    for epoch in run.checkpoints:
        scores = {name: torch.tensor(weight).abs() for name, weight in run.weights(epoch).items()}
        masks[epoch] = {name: kept.numpy() for name, kept in make_mask(scores, rate, scope).items()}
    return masks


@lru_cache(maxsize=8)
def mask_vectors(run: Run, rate: float, scope: str) -> dict[int, np.ndarray]:
    """The same, all matrices as one bool vector."""
    masks = magnitude_masks(run, rate, scope)
    return {epoch: np.concatenate([kept.ravel() for kept in mask.values()]) for epoch, mask in masks.items()}


def structure(pair: Pair, run: Run, epoch: int) -> Rows:
    if pair.ticket.mask is None:
        yield "structure is left out where a run has no mask"
        return
    ticket, rate, scope, first = pair.ticket, pair.pruning_rate, pair.ticket.config.scope, min(run.checkpoints)
    is_dense = run is pair.dense
    aligned = alignment(run.weights(first), run.weights(epoch), ticket.mask)
    for measure in ("cosine", "cosine_kept", "same_signs_kept"):
        other = ticket.name if is_dense else None
        yield Row(measure, aligned[measure], "all", "ticket", rate, other, first)
    mask, label = (magnitude_masks(run, rate, scope)[epoch], "magnitude") if is_dense else (ticket.mask, "ticket")
    if is_dense or epoch == first:
        for name, kept in mask.items():
            yield Row("density", float(kept.mean()), name, label, rate)
        for sides in units_of(list(mask)):
            yield Row("dead_units", dead_units(mask, sides), " to ".join(name for name, _ in sides), label, rate)
        for other in [ticket] if is_dense else [pair.ticket for pair in pair.others]:
            for measure, function in OVERLAPS.items():
                yield Row(measure, function(mask, other.mask), "all", label, rate, other.name)
    if not is_dense:
        return
    if (before := run.before(epoch)) is not None:
        for name, kept in magnitude_masks(run, rate, scope)[before].items():
            yield Row("jaccard_distance", jaccard_distance(mask[name], kept), name, label, rate, None, before)
    for one in sorted({*RATES, rate}):
        vectors = mask_vectors(run, one, scope)
        for earlier in (earlier for earlier in vectors if earlier < epoch):
            distance = jaccard_distance(vectors[epoch], vectors[earlier])
            yield Row("jaccard_distance", distance, "all", label, one, None, earlier)
