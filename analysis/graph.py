"""A masked network as a graph: units are nodes, kept weights are edges, every matrix lies between two layers of nodes.

Edges are ``(n, m) bool``, n nodes on the one side and m on the other. Nodes without an edge are no part of a graph: they are left
out of every mean. A graph of one matrix is undirected. Paths through the network go from its inputs to its outputs, never back.
"""

from collections.abc import Sequence

import numpy as np

ROUNDS = 50  # of same_degrees


def chain(names: Sequence[str]) -> list[str] | None:
    """The matrices of a multilayer perceptron from inputs to outputs; None for a Transformer, whose residual stream goes around
    its matrices, so that a path need not use any of them."""
    hidden = [name for name in names if name.startswith("W_h")]
    if "W_inproj" in names:
        return ["W_E", "W_inproj", *hidden, "W_outproj", "W_U"]
    return ["W_in", *hidden, "W_out"] if "W_in" in names else None


def towards_output(name: str, matrix: np.ndarray) -> np.ndarray:
    """A matrix as (from, to): all are stored as (out, in), but W_U."""
    return matrix if name == "W_U" else matrix.T


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


def mean_and_unreachable(lengths: np.ndarray) -> tuple[float, float]:
    """The mean of path lengths over the pairs that have a path, and the share of the pairs that have none."""
    reached = np.isfinite(lengths)
    mean = float(lengths[reached].mean()) if reached.any() else float("nan")
    return mean, float(1 - reached.mean()) if lengths.size else float("nan")


def bipartite_path_length(edges: np.ndarray) -> tuple[float, float]:
    """Mean number of edges between two different nodes of a matrix's graph, of either side, and the share without a path.

    Two nodes of one side are 2 apart where they share a neighbour, of two sides 1 or 3: near 2 whatever the mask.
    """
    distance = hops(connected(edges))
    return mean_and_unreachable(distance[~np.eye(len(distance), dtype=bool)])


def path_lengths(layers: Sequence[np.ndarray]) -> np.ndarray:
    """The shortest path from each input to each output, ``[(n0, n1), (n1, n2), ...] lengths of edges, inf for none -> (n0, nk)``.

    With all lengths 1 that is the number of layers, or inf.
    """
    shortest, *following = layers
    for lengths in following:
        shortest = np.stack([(row[:, None] + lengths).min(0) for row in shortest])
    return shortest


def clustering(edges: np.ndarray) -> float:
    """Bipartite clustering of Latapy, Magnien and Del Vecchio (2008), mean over all nodes of both sides, 0 ... 1.

    A layered graph has no triangles. For a node: the mean, over the others that share a neighbour with it, of shared neighbours
    over neighbours of either. About d / (2 - d) for a random mask of density d.
    """
    sides = [_clustering(side) for side in (connected(edges), connected(edges).T)]
    return float(np.concatenate(sides).mean()) if len(sides[0]) else float("nan")


def _clustering(edges: np.ndarray) -> np.ndarray:
    edges = edges.astype(np.float64)
    shared, degrees = edges @ edges.T, edges.sum(1)
    np.fill_diagonal(shared, 0)
    similar = shared / (degrees[:, None] + degrees - shared)
    return similar.sum(1) / np.maximum((shared > 0).sum(1), 1)


def spectral_gaps(edges: np.ndarray) -> dict[str, float]:
    """The spectral gap of a matrix's graph, and how far it is below the two bounds in use, ``(n, m) -> {measure: value}``.

    Its eigenvalues are the singular values s1 >= s2 >= ... of the (n, m) matrix and their negatives; k is the mean degree.
    ``spectral_gap``: s1 - s2. ``ramanujan_gap``: 2 sqrt(k - 1) - s2, the usual bound (Hoory, Linial and Wigderson 2006).
    ``ramanujan_gap_paper``: sqrt(2 k - 1) - s2, as the appendix of arXiv 2310.19470 writes it. At 0 or above a graph is called
    Ramanujan; both bounds are meant for graphs whose nodes all have k edges.
    """
    edges = connected(edges).astype(np.float64)
    if not edges.size:
        return dict.fromkeys(("spectral_gap", "ramanujan_gap", "ramanujan_gap_paper"), float("nan"))
    first, second = np.append(np.linalg.svd(edges, compute_uv=False), 0.0)[:2]
    k = 2 * edges.sum() / sum(edges.shape)
    gaps = {"spectral_gap": first - second, "ramanujan_gap": 2 * np.sqrt(k - 1) - second if k >= 1 else np.nan}
    gaps |= {"ramanujan_gap_paper": np.sqrt(2 * k - 1) - second if k >= 1 else np.nan}
    return {name: float(gap) for name, gap in gaps.items()}


def weighted_spectral_gap(weights: np.ndarray) -> float:
    """s1 - s2 of the absolute weights that are kept, in units of the weights, ``(n, m) -> float``."""
    first, second = np.append(np.linalg.svd(np.abs(weights), compute_uv=False), 0.0)[:2]
    return float(first - second)


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
