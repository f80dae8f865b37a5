"""Results on the graphs that NetworkX and igraph ship, and on power-law graphs, equal theirs; there and back."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import igraph
import networkx as nx
import numpy as np
import pyarrow as pa
import pytest

import esker
from esker.errors import InputError, MissingExtraError
from tests.unit.graph.graphs import build, by_id, least_of_each, oracle, power_law, simple

NETWORKX: dict[str, Callable[[], Any]] = {
    "karate": nx.karate_club_graph,
    "les miserables": nx.les_miserables_graph,
    "florentine": nx.florentine_families_graph,
    "women": nx.davis_southern_women_graph,
}


@pytest.mark.parametrize("name", NETWORKX)
def test_a_real_graph_has_the_figures_of_networkx(name: str) -> None:
    theirs = NETWORKX[name]()
    graph = esker.Graph.from_networkx(theirs)
    assert by_id(graph.in_degrees()) == dict(theirs.degree)
    assert by_id(graph.triangle_count()) == nx.triangles(theirs)
    assert by_id(graph.core_numbers()) == nx.core_number(theirs)
    assert by_id(graph.connected_components()) == least_of_each(nx.connected_components(theirs))
    first = min(theirs)
    distances = by_id(graph.shortest_paths([first]).select(["id", "distance"]))
    assert distances == nx.single_source_shortest_path_length(theirs, first)
    ranks = dict(zip(*page_ranks_of_igraph(theirs), strict=True))
    assert by_id(graph.page_rank(tolerance=1e-10)) == pytest.approx(ranks, abs=1e-7)


def page_ranks_of_igraph(graph: Any) -> tuple[list[Any], list[float]]:
    names = list(graph)
    numbers = {name: number for number, name in enumerate(names)}
    made = igraph.Graph(len(names), [(numbers[src], numbers[dst]) for src, dst in graph.edges()])
    return names, made.pagerank()


@pytest.mark.parametrize("seed", [1, 2])
def test_a_power_law_graph_has_the_figures_of_igraph_and_networkx(seed: int) -> None:
    graph = power_law(3_000, 20_000, seed)
    ours = build(graph, "sparse")
    theirs = igraph.Graph(*graph, directed=True)
    ids = [row["id"] for row in ours.connected_components().to_arrow().to_pylist()]
    numbers = dict(enumerate(oracle(graph, "sparse")))
    ranks = dict(zip(numbers.values(), theirs.pagerank(), strict=True))
    assert by_id(ours.page_rank(tolerance=1e-10)) == pytest.approx(ranks, rel=1e-6)
    one = theirs.personalized_pagerank(reset_vertices=[5, 7])
    personal = by_id(ours.page_rank(tolerance=1e-12, sources=[numbers[5], numbers[7]]))
    assert personal == pytest.approx(dict(zip(numbers.values(), one, strict=True)), rel=1e-5, abs=1e-12)
    for mode, found in (("weak", ours.connected_components()), ("strong", ours.strongly_connected_components())):
        groups = [[numbers[number] for number in group] for group in theirs.connected_components(mode=mode)]
        assert by_id(found) == least_of_each(groups)
    assert sorted(ids) == ids
    plain = theirs.as_undirected().simplify()
    assert by_id(ours.core_numbers()) == dict(zip(numbers.values(), plain.coreness(), strict=True))
    assert by_id(ours.triangle_count()) == nx.triangles(simple(oracle(graph, "sparse")))
    far = theirs.distances(target=[11], mode="out")
    expected = {numbers[number]: int(row[0]) for number, row in enumerate(far) if row[0] != float("inf")}
    assert by_id(ours.shortest_paths([numbers[11]]).select(["id", "distance"])) == expected


@pytest.mark.parametrize("make", [igraph.Graph.Famous, lambda name: igraph.Graph.Famous(name).as_directed()])
@pytest.mark.parametrize("name", ["Zachary", "Petersen", "Krackhardt_Kite"])
def test_graphs_of_igraph_come_and_go(name: str, make: Callable[[str], Any]) -> None:
    theirs = make(name)
    theirs.es["weight"] = [float(number) for number in range(theirs.ecount())]
    graph = esker.Graph.from_igraph(theirs)
    assert graph.edges.columns == ["src", "dst", "weight"]
    assert list(by_id(graph.page_rank(tolerance=1e-10)).values()) == pytest.approx(theirs.pagerank(), abs=1e-7)
    back = graph.to_igraph()
    assert back.vs["name"] == list(range(theirs.vcount()))
    directed = theirs if theirs.is_directed() else theirs.as_directed()
    assert sorted(back.get_edgelist()) == sorted(directed.get_edgelist())
    assert sorted(back.es["weight"]) == sorted(directed.es["weight"])


def test_a_graph_of_networkx_comes_back_with_its_attributes() -> None:
    theirs = nx.MultiDiGraph()
    theirs.add_node("a", age=3)
    theirs.add_node("b")
    theirs.add_edge("a", "b", kind="x")
    theirs.add_edge("a", "b", kind="y")
    theirs.add_edge("b", "b")
    back = esker.Graph.from_networkx(theirs).to_networkx()
    assert dict(back.nodes(data=True)) == {"a": {"age": 3}, "b": {"age": None}}
    assert sorted(back.edges(data="kind"), key=str) == sorted(theirs.edges(data="kind"), key=str)


def test_names_of_igraph_are_ids() -> None:
    theirs = igraph.Graph([(0, 1)], directed=True)
    theirs.vs["name"], theirs.vs["age"] = ["x", "y"], [1, 2]
    graph = esker.Graph.from_igraph(theirs)
    assert graph.vertices.to_arrow().to_pydict() == {"id": ["x", "y"], "age": [1, 2]}
    again = graph.to_igraph()
    assert again.vs["name"] == ["x", "y"]
    assert again.vs["age"] == [1, 2]


def test_vertices_of_mixed_types_are_refused() -> None:
    theirs = nx.Graph([(1, "a")])
    with pytest.raises(InputError, match="'id' has values of types int, str"):
        esker.Graph.from_networkx(theirs)


@pytest.mark.parametrize(("package", "hint"), [("networkx", r"esker\[networkx\]"), ("igraph", "pip install igraph")])
def test_a_missing_package_is_named(package: str, hint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    graph = esker.Graph(None, {"src": [1], "dst": [2]})
    with pytest.raises(MissingExtraError, match=hint):
        getattr(graph, f"to_{package}")()


def test_arrow_tables_and_files_are_graphs(tmp_path: Any) -> None:
    edges = pa.table({"src": np.arange(10), "dst": np.arange(10) // 2})
    esker.from_arrow(edges).write_parquet(tmp_path / "edges.parquet")
    ours = [esker.Graph(None, source) for source in (edges, tmp_path / "edges.parquet", esker.from_arrow(edges))]
    found = [graph.page_rank().to_arrow() for graph in ours]
    assert found[0].equals(found[1])
    assert found[0].equals(found[2])
    reader = esker.Graph(None, edges.to_reader())
    with pytest.raises(InputError, match="can be read once"):
        reader.page_rank()
