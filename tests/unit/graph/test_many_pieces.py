"""Where edges come in many pieces, sorted runs and threads, and state lies in files, results are the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import networkx as nx
import numpy as np
import pytest

import esker
from tests.unit.graph.graphs import build, by_id, least_of_each, oracle, power_law, simple

GRAPH = power_law(60, 400, seed=3)

ALGORITHMS: dict[str, Callable[[esker.Graph], esker.Dataset]] = {
    "degrees": esker.Graph.degrees,
    "page_rank": lambda graph: graph.page_rank(iterations=20),
    "page_rank by weight": lambda graph: graph.page_rank(iterations=20, weight="weight"),
    "components": esker.Graph.connected_components,
    "strong components": esker.Graph.strongly_connected_components,
    "triangles": esker.Graph.triangle_count,
    "cores": esker.Graph.core_numbers,
    "labels": lambda graph: graph.label_propagation(4),
    "shortest paths": lambda graph: graph.shortest_paths([graph.vertices.to_arrow()["id"][0].as_py()]),
    "pregel": lambda graph: graph.pregel(
        {"far": 0},
        lambda vertices, messages: {"far": np.maximum(vertices["far"], messages["far"])},
        {"far": "max"},
        to_dst=lambda t: {"far": t.src["far"] + t.edge["weight"]},
        to_src=lambda t: {"far": np.ma.masked_greater(t.dst["far"], 3)},
        edge_columns=["weight"],
        supersteps=3,
    ),
}


@pytest.mark.parametrize("naming", ["sparse", "text"])
@pytest.mark.parametrize("name", ALGORITHMS)
def test_pieces_and_threads_change_nothing(
    name: str, naming: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    whole = ALGORITHMS[name](build(GRAPH, naming, threads=1)).to_arrow()
    request.getfixturevalue("many_pieces")
    results = [ALGORITHMS[name](build(GRAPH, naming, threads=threads)).to_arrow() for threads in (1, 3)]
    request.getfixturevalue("no_memory_for_state")
    graph = build(GRAPH, naming, threads=2, memory="32MiB", spill_folder=tmp_path)
    results.append(ALGORITHMS[name](graph).to_arrow())
    graph.close()
    assert list(tmp_path.iterdir()) == []
    for result in results:
        assert result.drop_columns(["page_rank"] if "page_rank" in result.column_names else []).equals(
            whole.drop_columns(["page_rank"] if "page_rank" in whole.column_names else [])
        )
        if "page_rank" in whole.column_names:
            # Sums are made in other groups, but in the same ones whatever the threads do.
            assert np.allclose(result["page_rank"], whole["page_rank"], atol=1e-14)
            assert result.equals(results[0])


@pytest.mark.usefixtures("many_pieces")
@pytest.mark.parametrize("seed", range(4))
def test_many_pieces_equal_networkx(seed: int) -> None:
    graph = power_law(40 + 30 * seed, 300, seed)
    ours, theirs = build(graph), oracle(graph)
    assert by_id(ours.connected_components()) == least_of_each(nx.weakly_connected_components(theirs))
    assert by_id(ours.strongly_connected_components()) == least_of_each(nx.strongly_connected_components(theirs))
    assert by_id(ours.triangle_count()) == nx.triangles(simple(theirs))
    assert by_id(ours.core_numbers()) == nx.core_number(simple(theirs))


@pytest.mark.usefixtures("many_pieces")
def test_a_hub_larger_than_a_piece() -> None:
    star = (41, [(0, leaf) for leaf in range(1, 41)] + [(leaf, 0) for leaf in range(1, 41, 2)])
    theirs = oracle(star)
    ours = build(star)
    assert by_id(ours.core_numbers()) == nx.core_number(simple(theirs))
    assert by_id(ours.strongly_connected_components()) == least_of_each(nx.strongly_connected_components(theirs))
    # Each leaf takes the hub's label; to the hub leaf 1, with two edges, is the least of the most frequent.
    labels = by_id(ours.label_propagation(1))
    assert labels[0] == 1
    assert {labels[leaf] for leaf in range(1, 41)} == {0}


@pytest.mark.usefixtures("many_pieces")
@pytest.mark.parametrize("turned", [False, True])
def test_a_long_path(turned: bool) -> None:
    pairs = [(number, number + 1) for number in range(300)]
    path = (301, [(dst, src) for src, dst in reversed(pairs)] if turned else pairs)
    ours = build(path)
    assert set(by_id(ours.connected_components()).values()) == {0}
    assert by_id(ours.strongly_connected_components()) == {number: number for number in range(301)}
    distances = by_id(ours.shortest_paths([0 if turned else 300]).select(["id", "distance"]))
    assert distances == {number: number if turned else 300 - number for number in range(301)}


def test_the_numbered_edges_go_with_the_graph(tmp_path: Path) -> None:
    graph = build(GRAPH, spill_folder=tmp_path)
    ranks = graph.page_rank()
    assert len(list(tmp_path.iterdir())) == 1
    del graph
    assert list(tmp_path.iterdir()) == []
    assert ranks.count() == 60


def test_large_results_lie_in_a_file_that_goes_with_them(tmp_path: Path) -> None:
    count = 100_000
    edges = {"src": np.arange(count), "dst": np.roll(np.arange(count), 1)}
    with esker.Graph(None, edges).with_options(spill_folder=tmp_path) as graph:
        degrees = graph.degrees()
    assert len(list(tmp_path.iterdir())) == 1
    assert degrees.filter("degree = 2").count() == degrees.count() == count
    del degrees
    assert list(tmp_path.iterdir()) == []
