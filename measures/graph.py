"""Masks as graphs: the dense run's, the ticket's, and random ones, so that densities and degrees are not mistaken for structure."""

from collections.abc import Mapping

import numpy as np
import torch

from analysis import graph as graphs
from common.randomness import generator
from experiments.reader import read_generalization
from measures.pairs import OneRun, Pair
from measures.row import Row, Rows
from measures.structure import magnitude_masks
from pruning.masks import make_mask

Arrays = Mapping[str, np.ndarray]
DRAWS = 3  # of each random mask


def random(mask: Arrays, seed: int, draw: int) -> Arrays:
    """As many weights, anywhere in the network."""
    drawn = generator(seed, f"random {draw}")
    kept, total = (sum(count(matrix) for matrix in mask.values()) for count in (np.count_nonzero, np.size))
    scores = {name: torch.rand(matrix.shape, generator=drawn) for name, matrix in mask.items()}
    return {name: matrix.numpy() for name, matrix in make_mask(scores, 1 - kept / total).items()}


def shuffled(mask: Arrays, seed: int, draw: int) -> Arrays:
    """As many weights of each matrix."""
    numbers = np.random.default_rng([seed, draw])
    return {name: numbers.permutation(kept.ravel()).reshape(kept.shape) for name, kept in mask.items()}


def shuffled_degrees(mask: Arrays, seed: int, draw: int) -> Arrays:
    """As many weights of each row and each column."""
    numbers = np.random.default_rng([seed, draw])
    return {name: graphs.same_degrees(kept, numbers) for name, kept in mask.items()}


def moved(weights: Arrays, mask: Arrays, made: Arrays, seed: int) -> Arrays | None:
    """The weights that ``mask`` keeps, in random order where ``made`` keeps some; None where these are more or fewer."""
    if any(mask[name].sum() != made[name].sum() for name in mask):
        return None
    numbers, found = np.random.default_rng(seed), {name: np.zeros(weight.shape) for name, weight in weights.items()}
    for name, weight in weights.items():
        found[name][made[name]] = numbers.permutation(weight[mask[name]])
    return found


def stages(pair: Pair) -> set[int]:
    """The saved epochs of which random masks are made: init, memorization, the last before t_gen, and that of the ticket's mask."""
    t_gen = read_generalization(pair.dense.folder, pair.dense.config.gen_threshold).t_gen
    named = pair.ticket.config.memorization_epoch
    wanted = [0, named if named != "auto" else 0, t_gen or 0, pair.mask_epoch or 0]
    return {max(saved for saved in pair.dense.checkpoints if saved <= epoch) for epoch in wanted}


def graph(pair: Pair, run: OneRun, epoch: int) -> Rows:
    if pair.ticket.mask is None:
        yield "graph is left out where a run has no mask"
        return
    weights, seed = run.weights(epoch), run.config.seed
    if run is pair.ticket:
        yield from of_mask(run.mask, weights, "ticket", pair.pruning_rate)
        return
    mask = magnitude_masks(run, pair.pruning_rate, pair.ticket.config.scope)[epoch]
    yield from of_mask(mask, weights, "magnitude", pair.pruning_rate)
    if graphs.chain(list(mask)) is None:
        yield "graph: paths through the network are left out, a residual stream goes around its matrices"
    if epoch in stages(pair):
        for control in (random, shuffled, shuffled_degrees):
            for draw in range(DRAWS):
                made = control(mask, seed, draw)
                yield from of_mask(made, moved(weights, mask, made, draw), control.__name__, pair.pruning_rate)


def of_mask(mask: Arrays, weights: Arrays | None, label: str, rate: float) -> Rows:
    """Of each matrix, and of the whole network where it is a chain of matrices; without weights only what the mask decides."""
    for name, kept in mask.items():
        length, apart = graphs.bipartite_path_length(kept)
        found = {"path_length": length, "pairs_without_path": apart, "clustering": graphs.clustering(kept)}
        found |= graphs.spectral_gaps(kept) | {"isolated_nodes": graphs.num_isolated(kept)}
        if weights is not None:
            found["weighted_spectral_gap"] = graphs.weighted_spectral_gap(weights[name] * kept)
        for measure, value in found.items():
            yield Row(measure, value, name, label, rate)
    if (names := graphs.chain(list(mask))) is None:
        return
    layers = [graphs.towards_output(name, mask[name]) for name in names]
    length, apart = graphs.mean_and_unreachable(graphs.path_lengths([np.where(edges, 1, np.inf) for edges in layers]))
    found = {"path_length": length, "pairs_without_path": apart}
    if weights is not None:
        with np.errstate(divide="ignore"):  # no edge is infinitely long
            lengths = [1 / np.abs(graphs.towards_output(name, weights[name] * mask[name])) for name in names]
        found["weighted_path_length"], _ = graphs.mean_and_unreachable(graphs.path_lengths(lengths))
    for measure, value in found.items():
        yield Row(measure, value, "all", label, rate)
