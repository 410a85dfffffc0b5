"""Masks as graphs: the dense run's, the ticket's, and random ones, so that densities and degrees are not mistaken for structure.

The mask of a matrix is a graph: units are nodes, and kept weights are edges between two layers of nodes. Edges are ``(n, m) bool``, n
nodes on the one side and m on the other. Nodes without an edge are no part of a graph: they are left out of every mean. Graphs are
undirected.
"""

from collections.abc import Mapping

import numpy as np
import torch

from analysis.structure import as_vector, in_order
from common.randomness import generator
from experiments.reader import read_generalization
from measures.pairs import OneRun, Pair, Row, Rows
from measures.structure import magnitude_masks
from pruning.masks import make_mask

Arrays = Mapping[str, np.ndarray]
DRAWS = 3  # of each random mask
ROUNDS = 50  # of same_degrees


def connected(edges: np.ndarray) -> np.ndarray:
    """The edges between nodes that have any, ``(n, m) -> (n', m')``."""
    return edges[edges.any(1)][:, edges.any(0)]


def num_isolated(edges: np.ndarray) -> int:
    """How many nodes, of both sides, have no edge."""
    return sum(edges.shape) - sum(connected(edges).shape)


def hops(edges: np.ndarray) -> np.ndarray:
    """The number of edges between any two nodes of a bipartite graph, ``(n, m) -> (n + m, n + m)``; inf where there is no path.

    From all nodes of one side at once, an edge further with each product: odd numbers of edges lead to the other side.
    """
    sides, blocks = (edges.astype(np.float32), edges.T.astype(np.float32)), []
    for forth, back in (sides, sides[::-1]):
        distance = [np.full((len(forth), len(side)), np.inf) for side in (forth, back)]  # to the own side, to the other
        front, length = np.eye(len(forth), dtype=np.float32), 0
        np.fill_diagonal(distance[0], 0)
        while front.any():
            length += 1
            found = (front @ (forth if length % 2 else back) > 0) & np.isinf(distance[length % 2])
            distance[length % 2][found] = length
            front = found.astype(np.float32)
        blocks.append(distance)
    (rows, across), (columns, _) = blocks
    return np.block([[rows, across], [across.T, columns]])


def path_length(edges: np.ndarray) -> tuple[float, float]:
    """Mean number of edges between two different nodes of a matrix's graph, of either side, and the share of pairs without a path.

    Two nodes of one side are 2 apart where they share a neighbour, of two sides 1 or 3: near 2 whatever the mask.
    """
    distance = hops(connected(edges))
    lengths = distance[~np.eye(len(distance), dtype=bool)]
    reached = np.isfinite(lengths)
    if not reached.any():
        return float("nan"), float("nan")
    return float(lengths[reached].mean()), float(1 - reached.mean())


def clustering(edges: np.ndarray) -> float:
    """Bipartite clustering of Latapy, Magnien and Del Vecchio (2008), mean over all nodes of both sides, 0 ... 1.

    A layered graph has no triangles. For a node: the mean, over the others that share a neighbour with it, of shared neighbours
    over neighbours of either. About d / (2 - d) for a random mask of density d.
    """
    edges = connected(edges)
    if not edges.size:
        return float("nan")
    return float(np.concatenate([_clustering(edges), _clustering(edges.T)]).mean())


def _clustering(edges: np.ndarray) -> np.ndarray:
    edges = edges.astype(np.float64)
    shared, degrees = edges @ edges.T, edges.sum(1)
    np.fill_diagonal(shared, 0)
    similar = shared / (degrees[:, None] + degrees - shared)
    return similar.sum(1) / np.maximum((shared > 0).sum(1), 1)


def ramanujan_gap(edges: np.ndarray) -> float:
    """How far the second eigenvalue of a matrix's graph is below the bound of a good expander, 2 sqrt(k - 1), ``(n, m) -> float``.

    The eigenvalues are the singular values s1 >= s2 >= ... of the (n, m) matrix and their negatives, and k is the mean degree. At 0
    or above a graph is called Ramanujan (Hoory, Linial and Wigderson 2006); the bound is meant for graphs whose nodes all have k
    edges.
    """
    edges = connected(edges)
    if not edges.size:
        return float("nan")
    k = 2 * edges.sum() / sum(edges.shape)
    return float(2 * np.sqrt(k - 1) - two_singular_values(edges)[1]) if k >= 1 else float("nan")


def spectral_gap(weights: np.ndarray) -> float:
    """s1 - s2 of the sizes of the weights, in units of the weights, ``(n, m) -> float``."""
    first, second = two_singular_values(np.abs(weights))
    return float(first - second)


def two_singular_values(matrix: np.ndarray) -> np.ndarray:
    """The two largest singular values, 0 for one that is not there, ``(n, m) -> (2,)``."""
    return np.append(np.linalg.svd(matrix.astype(np.float64), compute_uv=False), 0.0)[:2]


def same_degrees(edges: np.ndarray, numbers: np.random.Generator) -> np.ndarray:
    """A random matrix with the same sums over rows and over columns, ``(n, m) bool -> (n, m) bool``, all of them equally likely.

    Global curveball (Carstens, Berger and Strona, arXiv 1609.05137): each round puts the rows into pairs at random, and each pair
    shares out anew the places that just one of its two rows keeps.
    """
    kept = edges.copy() if len(edges) <= edges.shape[1] else edges.T.copy()  # few long rows take fewer steps
    half = len(kept) // 2
    for _ in range(ROUNDS):
        order = numbers.permutation(len(kept))
        one, other = order[:half], order[half : 2 * half]
        both, either = kept[one] & kept[other], kept[one] ^ kept[other]
        count = (kept[one] & either).sum(1, keepdims=True)  # of these places the one row keeps so many
        rank = np.where(either, numbers.random(either.shape), 2.0).argsort(1).argsort(1)
        kept[one], kept[other] = both | (rank < count), both | (either & (rank >= count))
    return kept if len(edges) <= edges.shape[1] else kept.T


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
    return {name: same_degrees(kept, numbers) for name, kept in mask.items()}


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


def measure_graphs(pair: Pair, run: OneRun, epoch: int) -> Rows:
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
        length, apart = path_length(kept)
        found = {"path_length": length, "pairs_without_path": apart, "clustering": clustering(kept)}
        found |= {"ramanujan_gap": ramanujan_gap(kept), "isolated_nodes": num_isolated(kept)}
        if weights is not None:
            found["weighted_spectral_gap"] = spectral_gap(weights[name] * kept)
        for measure, value in found.items():
            yield Row(measure, value, name, label, rate)
