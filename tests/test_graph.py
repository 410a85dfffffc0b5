"""Masks as graphs, against networkx on small random ones."""

import math
from collections import Counter
from itertools import product

import networkx as nx
import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from common.randomness import generator
from measures import graph
from measures.graph import (
    clustering,
    num_isolated,
    path_length,
    ramanujan_gap,
    same_degrees,
    spectral_gap,
)
from pruning.controls import swap_edges

pytestmark = pytest.mark.numerics

MASKS = st.tuples(st.integers(1, 6), st.integers(1, 6)).flatmap(lambda shape: arrays(bool, shape))


def graph_of(*layers: np.ndarray) -> nx.DiGraph:
    """The layered graph without the nodes that have no edge; a node is (layer, number)."""
    graph = nx.DiGraph()
    for layer, edges in enumerate(layers):
        for row, column in zip(*edges.nonzero(), strict=True):
            graph.add_edge((layer, row), (layer + 1, column), weight=float(edges[row, column]))
    return graph


@settings(max_examples=60, deadline=None)
@given(MASKS)
def test_one_matrix(edges):
    graph = graph_of(edges).to_undirected()
    assert num_isolated(edges) == sum(edges.shape) - len(graph)
    lengths = dict(nx.all_pairs_shortest_path_length(graph))
    between = [lengths[one].get(other, math.inf) for one in graph for other in graph if one != other]
    mean, apart = path_length(edges)
    if not between:
        assert math.isnan(mean)
        assert math.isnan(clustering(edges))
        return
    assert mean == pytest.approx(np.mean([one for one in between if one < math.inf]))
    assert apart == pytest.approx(np.mean(np.isinf(between)))
    each = nx.bipartite.latapy_clustering(graph)
    assert clustering(edges) == pytest.approx(np.mean(list(each.values())))
    eigenvalues = np.append(np.sort(np.linalg.eigvalsh(nx.to_numpy_array(graph, weight=None)))[::-1], 0)
    first, second = eigenvalues[0], max(eigenvalues[1], 0)
    k = np.mean([degree for _, degree in graph.degree])
    assert spectral_gap(edges) == pytest.approx(first - second, abs=1e-9)
    assert ramanujan_gap(edges) == pytest.approx(2 * np.sqrt(k - 1) - second, abs=1e-6)


def test_complete_graphs_and_a_cycle():
    complete = np.ones((4, 9), dtype=bool)
    assert clustering(complete) == 1
    assert spectral_gap(complete) == pytest.approx(6), "sqrt(4 * 9) and 0"
    ring = np.eye(3, dtype=bool) | np.roll(np.eye(3, dtype=bool), 1, axis=1)  # a hexagon
    assert path_length(ring) == (pytest.approx((1 + 1 + 2 + 2 + 3) / 5), 0)
    assert clustering(ring) == pytest.approx(1 / 3)
    assert (spectral_gap(ring), ramanujan_gap(ring)) == pytest.approx((1, 1))
    assert spectral_gap(np.diag([3.0, -5.0])) == pytest.approx(2)


def test_a_random_mask_has_the_clustering_of_its_density():
    edges = np.random.default_rng(0).random((300, 200)) < 0.4
    assert clustering(edges) == pytest.approx(0.4 / 1.6, abs=0.005)


@settings(max_examples=30, deadline=None)
@given(MASKS, st.integers(0, 9))
def test_a_random_mask_keeps_the_degrees(edges, seed):
    before = edges.copy()
    made = same_degrees(edges, np.random.default_rng(seed))
    assert made.sum(0).tolist() == edges.sum(0).tolist()
    assert made.sum(1).tolist() == edges.sum(1).tolist()
    np.testing.assert_array_equal(edges, before, "the mask itself stays")


@pytest.mark.parametrize(
    "edges", [np.eye(3), [[1, 1, 0, 0], [0, 1, 1, 0], [1, 0, 0, 1]], [[1, 0], [0, 1], [1, 1], [0, 1]]]
)
def test_all_masks_with_the_same_degrees_are_equally_likely(edges, monkeypatch):
    monkeypatch.setattr(graph, "ROUNDS", 12)
    edges, draws = np.array(edges, dtype=bool), 500
    sums = edges.sum(0).tolist(), edges.sum(1).tolist()
    every = [np.reshape(one, edges.shape) for one in product([False, True], repeat=edges.size)]
    every = [one.tobytes() for one in every if (one.sum(0).tolist(), one.sum(1).tolist()) == sums]
    numbers = np.random.default_rng(0)
    drawn = Counter(np.ascontiguousarray(same_degrees(edges, numbers)).tobytes() for _ in range(draws))
    assert set(drawn) == set(every)
    assert scipy.stats.chisquare([drawn[one] for one in every]).pvalue > 1e-3


def test_the_random_masks_are_those_of_the_control():
    """Swaps of two edges, one after the other, as the control shuffled_degrees makes them, and the faster way here."""
    numbers = np.random.default_rng(0)
    edges = numbers.random((24, 90)) < np.outer(numbers.uniform(0.2, 1, 24), numbers.uniform(0.2, 1, 90))

    def told(made: list[np.ndarray]) -> np.ndarray:
        each = [[(one & edges).sum() / edges.sum(), clustering(one), spectral_gap(one)] for one in made]
        return np.mean(each, axis=0), np.std(each, axis=0)

    swapped, spread = told([swap_edges(torch.tensor(edges), generator(seed, "swap")).numpy() for seed in range(20)])
    found, _ = told([same_degrees(edges, numbers) for _ in range(20)])
    assert (np.abs(found - swapped) < 4 * spread * (2 / 20) ** 0.5).all()
    assert swapped[0] < 0.7, "hardly any edge is where it was"
