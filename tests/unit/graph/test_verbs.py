"""Verbs on the two Datasets: triplets, maps, subgraphs, groups, joins and messages."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings

import esker
from esker.errors import InputError, OptionError, SchemaMismatchError, UserFunctionError
from tests.unit.graph.graphs import Pairs, build, multigraphs


@pytest.fixture
def people() -> esker.Graph:
    vertices = {"id": ["ann", "bob", "cy", "dee"], "age": [34, 36, 30, 29]}
    edges = {
        "src": ["ann", "bob", "cy", "cy", "ann"],
        "dst": ["bob", "cy", "bob", "ann", "bob"],
        "kind": ["likes", "likes", "likes", "knows", "knows"],
    }
    return esker.Graph(vertices, edges)


def rows(dataset: esker.Dataset, *by: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = dataset.sort(list(by)).to_arrow().to_pylist()
    return found


def test_triplets_have_the_columns_of_both_ends(people: esker.Graph) -> None:
    found = rows(people.triplets(), "src", "dst", "kind")
    assert found[0] == {"src": "ann", "dst": "bob", "kind": "knows", "src.age": 34, "dst.age": 36}
    assert len(found) == 5


def test_maps_keep_ids_and_replace_the_rest(people: esker.Graph) -> None:
    older = people.map_vertices(lambda batch: {"next": pc.add(batch["age"], 1)})
    assert older.vertices.columns == ["id", "next"]
    assert older.vertices.to_arrow()["next"].to_pylist() == [35, 37, 31, 30]
    longer = people.map_edges(lambda batch: {"letters": pc.utf8_length(batch["kind"])})
    assert longer.edges.columns == ["src", "dst", "letters"]
    gaps = people.map_triplets(lambda batch: {"gap": pc.subtract(batch["dst.age"], batch["src.age"])})
    assert sorted(gaps.edges.to_arrow()["gap"].to_pylist()) == [-6, 2, 2, 4, 6]


def test_a_map_may_not_change_ids_nor_lose_rows(people: esker.Graph) -> None:
    with pytest.raises(InputError, match=r"map_vertices\(<lambda>\) changed 'id'"):
        people.map_vertices(lambda batch: {"id": ["x"] * batch.num_rows})
    with pytest.raises(SchemaMismatchError, match="returned 1 rows for 4"):
        people.map_vertices(lambda batch: {"n": [1]})
    with pytest.raises(UserFunctionError, match="ZeroDivisionError"):
        people.map_edges(lambda batch: {"n": [1 / 0]})


def test_reverse_turns_edges_round(people: esker.Graph) -> None:
    turned = people.reverse()
    assert turned.edges.columns == ["src", "dst", "kind"]
    assert turned.edges.to_arrow()["src"].to_pylist() == people.edges.to_arrow()["dst"].to_pylist()
    assert turned.reverse().edges.to_arrow().equals(people.edges.to_arrow())


def test_a_subgraph_keeps_edges_whose_ends_it_keeps(people: esker.Graph) -> None:
    found = people.subgraph("age > 33", "kind = 'likes' AND src.age < dst.age")
    assert rows(found.vertices, "id") == [{"id": "ann", "age": 34}, {"id": "bob", "age": 36}]
    assert rows(found.edges, "src") == [{"src": "ann", "dst": "bob", "kind": "likes"}]
    assert rows(people.subgraph("age > 100").edges, "src") == []
    assert people.subgraph().edges.count() == 5
    bare = esker.Graph(None, {"src": [1, 2], "dst": [2, 3]}).subgraph("id < 3", "src > 0")
    assert rows(bare.edges, "src") == [{"src": 1, "dst": 2}]


@settings(max_examples=15)
@given(graph=multigraphs(5, 15))
def test_grouped_edges_are_counted(graph: tuple[int, Pairs]) -> None:
    ours = build(graph)
    expected: dict[tuple[int, int], list[int]] = defaultdict(list)
    for number, pair in enumerate(graph[1]):
        expected[pair].append(number % 5)
    found = ours.group_edges({"n": ("weight", "len"), "total": ("weight", "sum")}).edges.to_arrow().to_pylist()
    assert {(row["src"], row["dst"]): (row["n"], row["total"]) for row in found} == {
        pair: (len(weights), sum(weights)) for pair, weights in expected.items()
    }
    plain = ours.group_edges().edges.to_arrow().to_pylist()
    assert Counter((row["src"], row["dst"]) for row in plain) == Counter(expected.keys())


def test_results_join_the_vertices(people: esker.Graph) -> None:
    ranked = people.join_vertices(people.page_rank()).join_vertices(people.out_degrees())
    assert ranked.vertices.columns == ["id", "age", "page_rank", "out_degree"]
    some = {"who": ["ann", "bob", "zoe"], "town": ["Graz", "Brno", "Oslo"]}
    assert [row["town"] for row in rows(people.join_vertices(some, on="who").vertices, "id")] == [
        "Graz",
        "Brno",
        None,
        None,
    ]
    inner = people.join_vertices(some, on="who", how="inner")
    assert [row["id"] for row in rows(inner.vertices, "id")] == ["ann", "bob"]
    assert inner.edges.count() == 2
    with pytest.raises(OptionError, match="how='full'"):
        people.join_vertices(some, on="who", how="full")


def test_messages_are_aggregated_where_they_arrive(people: esker.Graph) -> None:
    found = people.aggregate_messages(
        {"youngest": ("age", "min"), "messages": ("age", "len")},
        to_dst=lambda t: {"age": t.src["age"]},
        to_src=lambda t: {"age": pc.if_else(pc.equal(t.edge["kind"], "knows"), t.dst["age"], None)},
    )
    assert rows(found, "id") == [
        {"id": "ann", "youngest": 30, "messages": 2},
        {"id": "bob", "youngest": 30, "messages": 3},
        {"id": "cy", "youngest": 34, "messages": 2},
    ]


def test_messages_without_a_function_or_of_another_length_are_refused(people: esker.Graph) -> None:
    with pytest.raises(OptionError, match="to_src=, to_dst="):
        people.aggregate_messages({"n": ("n", "sum")})
    with pytest.raises(SchemaMismatchError, match="returned 1 rows for 5"):
        people.aggregate_messages({"n": ("n", "sum")}, to_dst=lambda t: {"n": [1]}).count()


def test_an_edge_to_no_vertex_is_an_error_of_triplets() -> None:
    graph = esker.Graph({"id": [1, 2], "age": [3, 4]}, {"src": [1], "dst": [9]})
    with pytest.raises(InputError, match="dst=9, which is not among the vertices"):
        graph.triplets().to_arrow()


def test_options_go_along() -> None:
    graph = esker.Graph(None, esker.from_arrow({"src": [1], "dst": [2]}).with_options(memory="64MiB"))
    assert graph.reverse().edges._options.memory == "64MiB"
    assert graph.with_options(threads=1).reverse().vertices._options.threads == 1


def test_vertices_of_edges_are_their_ends_in_order() -> None:
    graph = esker.Graph(None, {"s": [3, 1], "t": [1, 2]}, src="s", dst="t", id="n")
    assert graph.vertices.to_arrow().to_pydict() == {"n": [1, 2, 3]}
    assert graph.vertices.schema == pa.schema({"n": pa.int64()})
    assert "from the edges" in repr(graph)
