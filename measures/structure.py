"""Masks over time: how far the dense run's are from one another and from the ticket's, and how much of the start is left."""

from functools import lru_cache

import numpy as np
import torch

from analysis.structure import alignment, chance_overlap, degree_overlap, in_order, jaccard_distance, overlap
from measures.pairs import OneRun, Pair, Row, Rows
from pruning.masks import make_mask

OVERLAPS = {"overlap": overlap, "overlap_by_chance": chance_overlap, "overlap_by_degrees": degree_overlap}


@lru_cache(maxsize=8)
def magnitude_masks(run: OneRun, rate: float, scope: str) -> dict[int, dict[str, np.ndarray]]:
    """``{epoch: {name: bool}}``: the mask that magnitude pruning takes from each checkpoint."""
    masks = {}
    for epoch in run.checkpoints:
        matrices = {name: weight for name, weight in run.weights(epoch).items() if weight.ndim == 2}
        scores = {name: torch.tensor(matrix).abs() for name, matrix in matrices.items()}
        masks[epoch] = {name: kept.numpy() for name, kept in make_mask(scores, rate, scope).items()}
    return masks


def measure_structure(pair: Pair, run: OneRun, epoch: int) -> Rows:
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
        for name in in_order(mask):
            yield Row("density", float(mask[name].mean()), name, label, rate)
        for other in [ticket] if is_dense else [pair.ticket for pair in pair.others]:
            for measure, function in OVERLAPS.items():
                yield Row(measure, function(mask, other.mask), "all", label, rate, other.name)
    if not is_dense:
        return
    for earlier, before in magnitude_masks(run, rate, scope).items():
        if earlier < epoch:
            yield Row("jaccard_distance", jaccard_distance(mask, before), "all", label, rate, None, earlier)
