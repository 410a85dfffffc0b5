"""Masks as graphs, against networkx on small random ones."""

import math

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from networks import build, weights_of

from analysis.graph import (
    bipartite_path_length,
    chain,
    clustering,
    mean_and_unreachable,
    num_components,
    num_isolated,
    path_lengths,
    spectral_gaps,
    towards_output,
    weighted_spectral_gap,
)

pytestmark = pytest.mark.numerics

MASKS = st.tuples(st.integers(1, 6), st.integers(1, 6)).flatmap(lambda shape: arrays(bool, shape))
# Lengths of the edges of three layers, 0 for no edge.
LAYERS = st.tuples(*[st.integers(1, 4)] * 4).flatmap(
    lambda sizes: st.tuples(*(arrays(float, sizes[i : i + 2], elements=st.integers(0, 3).map(float)) for i in range(3)))
)


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
    mean, apart = bipartite_path_length(edges)
    if not between:
        assert math.isnan(mean)
        assert math.isnan(clustering(edges))
        return
    assert mean == pytest.approx(np.mean([one for one in between if one < math.inf]))
    assert apart == pytest.approx(np.mean(np.isinf(between)))
    each = nx.bipartite.latapy_clustering(graph)
    assert clustering(edges) == pytest.approx(np.mean(list(each.values())))
    assert num_components([edges]) == nx.number_connected_components(graph)
    eigenvalues = np.append(np.sort(np.linalg.eigvalsh(nx.to_numpy_array(graph, weight=None)))[::-1], 0)
    first, second = eigenvalues[0], max(eigenvalues[1], 0)
    k = np.mean([degree for _, degree in graph.degree])
    found = spectral_gaps(edges)
    assert found["spectral_gap"] == pytest.approx(first - second, abs=1e-9)
    assert found["ramanujan_gap"] == pytest.approx(2 * np.sqrt(k - 1) - second, abs=1e-6)
    assert found["ramanujan_gap_paper"] == pytest.approx(np.sqrt(2 * k - 1) - second, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(LAYERS)
def test_paths_through_a_network(layers):
    graph = graph_of(*layers)
    graph.add_nodes_from([(0, row) for row in range(len(layers[0]))])
    found = path_lengths([np.where(lengths > 0, lengths, np.inf) for lengths in layers])
    assert found.shape == (len(layers[0]), layers[-1].shape[1])
    for source, row in enumerate(found):
        reached = nx.single_source_dijkstra_path_length(graph, (0, source))
        assert row.tolist() == [reached.get((3, output), math.inf) for output in range(len(row))]
    whole = graph_of(*layers).to_undirected()
    assert num_components(layers) == nx.number_connected_components(whole)


def test_complete_graphs_and_a_cycle():
    complete = np.ones((4, 9), dtype=bool)
    assert clustering(complete) == 1
    assert spectral_gaps(complete)["spectral_gap"] == pytest.approx(6), "sqrt(4 * 9) and 0"
    assert mean_and_unreachable(path_lengths([np.ones((2, 3)), np.ones((3, 4))])) == (2, 0)
    assert mean_and_unreachable(np.array([[1.0, np.inf]])) == (1, 0.5)
    ring = np.eye(3, dtype=bool) | np.roll(np.eye(3, dtype=bool), 1, axis=1)  # a hexagon
    assert bipartite_path_length(ring) == (pytest.approx((1 + 1 + 2 + 2 + 3) / 5), 0)
    assert clustering(ring) == pytest.approx(1 / 3)
    assert spectral_gaps(ring) == pytest.approx(
        {"spectral_gap": 1, "ramanujan_gap": 1, "ramanujan_gap_paper": 3**0.5 - 1}
    )
    assert weighted_spectral_gap(np.diag([3.0, -5.0])) == pytest.approx(2)


def test_a_random_mask_has_the_clustering_of_its_density():
    edges = np.random.default_rng(0).random((300, 200)) < 0.4
    assert clustering(edges) == pytest.approx(0.4 / 1.6, abs=0.005)


@pytest.mark.parametrize("kind", ["mlp", "image"])
def test_the_chain_of_a_network_leads_from_its_inputs_to_its_outputs(kind):
    weights = {name: weight.numpy() for name, weight in weights_of(build(kind)).items()}
    names = chain(list(weights))
    assert sorted(names) == sorted(weights)
    product = np.linalg.multi_dot([towards_output(name, weights[name]) for name in names])
    assert product.shape == ((7, 7) if kind == "mlp" else (11, 5))


def test_a_transformer_is_no_chain():
    assert chain(list(weights_of(build("transformer")))) is None
