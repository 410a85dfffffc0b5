"""Masks as graphs: the dense run's, the ticket's, and random ones, so that densities and degrees are not mistaken for structure."""

from collections.abc import Mapping

import numpy as np
import torch

from analysis import graph as graphs
from analysis.structure import as_vector, in_order
from common.randomness import generator
from experiments.reader import read_generalization
from measures.pairs import OneRun, Pair, Row, Rows
from measures.structure import magnitude_masks
from pruning.masks import make_mask

Arrays = Mapping[str, np.ndarray]
DRAWS = 3  # of each random mask


def random(mask: Arrays, seed: int, draw: int) -> Arrays:
    """As many weights, anywhere in the network."""
    drawn = generator(seed, f"random {draw}")
    scores = {name: torch.rand(kept.shape, generator=drawn) for name, kept in mask.items()}
    made = make_mask(scores, 1 - as_vector(mask, mask).mean())
    return {name: kept.numpy() for name, kept in made.items()}


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
    numbers, found = np.random.default_rng(seed), {name: np.zeros(kept.shape) for name, kept in mask.items()}
    for name, kept in mask.items():
        found[name][made[name]] = numbers.permutation(weights[name][kept])
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
    weights, rate = run.weights(epoch), pair.pruning_rate
    if run is pair.ticket:
        yield from of_mask(run.mask, weights, "ticket", rate)
        return
    mask = magnitude_masks(run, rate, pair.ticket.config.scope)[epoch]
    yield from of_mask(mask, weights, "magnitude", rate)
    if epoch in stages(pair):
        for control in (random, shuffled, shuffled_degrees):
            for draw in range(DRAWS):
                made = control(mask, run.config.seed, draw)
                yield from of_mask(made, moved(weights, mask, made, draw), control.__name__, rate)


def of_mask(mask: Arrays, weights: Arrays | None, label: str, rate: float) -> Rows:
    """Of each matrix; without weights only what the mask decides."""
    for name in in_order(mask):
        kept = mask[name]
        length, apart = graphs.path_length(kept)
        found = {"path_length": length, "pairs_without_path": apart, "clustering": graphs.clustering(kept)}
        found |= {"ramanujan_gap": graphs.ramanujan_gap(kept), "isolated_nodes": graphs.num_isolated(kept)}
        if weights is not None:
            found["weighted_spectral_gap"] = graphs.spectral_gap(weights[name] * kept)
        for measure, value in found.items():
            yield Row(measure, value, name, label, rate)
