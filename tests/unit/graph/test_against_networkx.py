"""Every algorithm equals NetworkX on small random multigraphs with loops, parallel edges and lonely vertices."""

from __future__ import annotations

from typing import Any

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.graph.graphs import (
    NAMINGS,
    Pairs,
    build,
    by_id,
    least_of_each,
    multigraphs,
    oracle,
    simple,
)

Small = tuple[int, Pairs]
namings = st.sampled_from(sorted(NAMINGS))


@given(naming=namings, graph=multigraphs())
def test_degrees_count_ends(naming: str, graph: Small) -> None:
    ours, theirs = build(graph, naming), oracle(graph, naming)
    assert by_id(ours.degrees()) == dict(theirs.degree)
    assert by_id(ours.in_degrees()) == dict(theirs.in_degree)
    assert by_id(ours.out_degrees()) == dict(theirs.out_degree)


@given(naming=namings, graph=multigraphs())
def test_components_are_the_weakly_connected_ones(naming: str, graph: Small) -> None:
    found = by_id(build(graph, naming).connected_components())
    assert found == least_of_each(nx.weakly_connected_components(oracle(graph, naming)))


@given(naming=namings, graph=multigraphs())
def test_strong_components(naming: str, graph: Small) -> None:
    found = by_id(build(graph, naming).strongly_connected_components())
    assert found == least_of_each(nx.strongly_connected_components(oracle(graph, naming)))


@given(naming=namings, graph=multigraphs())
def test_triangles(naming: str, graph: Small) -> None:
    assert by_id(build(graph, naming).triangle_count()) == nx.triangles(simple(oracle(graph, naming)))


@given(naming=namings, graph=multigraphs())
def test_core_numbers(naming: str, graph: Small) -> None:
    assert by_id(build(graph, naming).core_numbers()) == nx.core_number(simple(oracle(graph, naming)))


@given(graph=multigraphs(), k=st.none() | st.integers(0, 4))
def test_a_k_core_keeps_all_edges_between_its_vertices(graph: Small, k: int | None) -> None:
    theirs = oracle(graph)
    expected = set(nx.k_core(simple(theirs), k)) if len(theirs) else set()
    core = build(graph).k_core(k)
    assert {row["id"] for row in core.vertices.to_arrow().to_pylist()} == expected
    found = sorted((row["src"], row["dst"]) for row in core.edges.to_arrow().to_pylist())
    assert found == sorted(theirs.subgraph(expected).edges())


@given(naming=namings, graph=multigraphs(), data=st.data())
def test_distances_to_landmarks(naming: str, graph: Small, data: st.DataObject) -> None:
    if not graph[0]:
        return
    numbers = data.draw(st.lists(st.integers(0, graph[0] - 1), min_size=1, max_size=3, unique=True))
    landmarks = [NAMINGS[naming](number) for number in numbers]
    rows = build(graph, naming).shortest_paths(landmarks).to_arrow().to_pylist()
    found = {(row["id"], row["landmark"]): row["distance"] for row in rows}
    assert len(found) == len(rows)
    theirs = oracle(graph, naming)
    lengths = {mark: nx.single_target_shortest_path_length(theirs, mark) for mark in landmarks}
    assert found == {(vertex, mark): length for mark in landmarks for vertex, length in dict(lengths[mark]).items()}


@given(graph=multigraphs(8, 20), data=st.data())
def test_bfs_finds_all_shortest_paths(graph: Small, data: st.DataObject) -> None:
    if not graph[0]:
        return
    some = st.lists(st.integers(0, graph[0] - 1), min_size=1, max_size=3, unique=True)
    sources, targets = data.draw(some), data.draw(some)
    length_max = data.draw(st.integers(0, 4))
    theirs = nx.DiGraph(oracle(graph))
    paths = [
        tuple(path)
        for source in sources
        for target in targets
        if nx.has_path(theirs, source, target)
        for path in nx.all_shortest_paths(theirs, source, target)
    ]
    shortest = min((len(path) for path in paths), default=0)
    expected = sorted(path for path in paths if len(path) == shortest and len(path) <= length_max + 1)
    rows = build(graph).bfs(sources, targets, length_max=length_max).to_arrow().to_pylist()
    found = sorted(tuple(row.values()) for row in rows)
    assert found == ([(path[0], path[0]) for path in expected] if shortest == 1 else expected)


@given(
    naming=namings,
    graph=multigraphs(),
    damping=st.sampled_from([0.5, 0.85]),
    personal=st.booleans(),
    weighted=st.booleans(),
)
def test_page_rank_is_that_of_a_plain_loop(
    naming: str, graph: Small, damping: float, personal: bool, weighted: bool
) -> None:
    theirs = oracle(graph, naming)
    sources = (
        {vertex: number + 1.0 for number, vertex in enumerate(list(theirs)[:3])} if personal and graph[0] else None
    )
    options: dict[str, Any] = {"damping": damping, "sources": sources, "weight": "weight" if weighted else None}
    found = by_id(build(graph, naming).page_rank(tolerance=1e-10, **options))
    assert found == pytest.approx(plain_page_rank(theirs, damping, sources, weighted, 200), abs=1e-8)
    static = by_id(build(graph, naming).page_rank(iterations=3, **options))
    assert static == pytest.approx(plain_page_rank(theirs, damping, sources, weighted, 3), abs=1e-12)


def plain_page_rank(
    graph: nx.MultiDiGraph, damping: float, sources: dict[Any, float] | None, weighted: bool, iterations: int
) -> dict[Any, float]:
    """PageRank a vertex at a time, as NetworkX defines it (its own wants SciPy)."""
    total = sum(sources.values()) if sources else 0.0
    start = {vertex: sources.get(vertex, 0.0) / total if sources else 1 / len(graph) for vertex in graph}
    ranks = dict(start)
    for _ in range(iterations):
        given = dict.fromkeys(graph, 0.0)
        dangling = 0.0
        for vertex in graph:
            edges = [(dst, data["weight"] if weighted else 1) for _, dst, data in graph.out_edges(vertex, data=True)]
            all_weight = sum(weight for _, weight in edges)
            if not all_weight:
                dangling += ranks[vertex]
                continue
            for dst, weight in edges:
                given[dst] += ranks[vertex] * weight / all_weight
        ranks = {
            vertex: damping * (given[vertex] + dangling * start[vertex]) + (1 - damping) * start[vertex]
            for vertex in graph
        }
    return ranks


@given(naming=namings, graph=multigraphs(), iterations=st.integers(1, 6))
def test_labels_are_those_of_a_plain_loop(naming: str, graph: Small, iterations: int) -> None:
    theirs = oracle(graph, naming)
    labels = {vertex: vertex for vertex in theirs}
    for _ in range(iterations):
        votes: dict[Any, dict[Any, int]] = {vertex: {} for vertex in theirs}
        for src, dst in theirs.edges():
            for one, other in ((src, dst), (dst, src)):
                votes[one][labels[other]] = votes[one].get(labels[other], 0) + 1
        labels = {
            vertex: min(heard, key=lambda label: (-heard[label], label)) if (heard := votes[vertex]) else labels[vertex]
            for vertex in theirs
        }
    assert by_id(build(graph, naming).label_propagation(iterations)) == labels
