"""Pregel says what the algorithms written by hand say, and tells what is wrong with a user's functions."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import esker
from esker.errors import (
    InputError,
    OptionError,
    SchemaMismatchError,
    UnknownColumnError,
    UnsupportedTypeError,
    UserFunctionError,
)
from tests.unit.graph.graphs import Pairs, build, by_id, multigraphs, oracle


@settings(max_examples=25)
@given(graph=multigraphs(), data=st.data())
def test_weighted_shortest_paths_are_dijkstras(graph: tuple[int, Pairs], data: st.DataObject) -> None:
    if not graph[0]:
        return
    source = data.draw(st.integers(0, graph[0] - 1))
    found = build(graph).pregel(
        {"distance": lambda vertices: np.where(vertices["id"].to_numpy() == source, 0.0, np.inf)},
        lambda vertices, messages: {"distance": np.minimum(vertices["distance"], messages["distance"])},
        {"distance": "min"},
        to_dst=lambda t: {"distance": t.src["distance"] + t.edge["weight"]},
        edge_columns=["weight"],
        supersteps=100,
    )
    expected = dict.fromkeys(range(graph[0]), np.inf)
    expected |= nx.single_source_dijkstra_path_length(oracle(graph), source)
    assert by_id(found) == expected


@settings(max_examples=25)
@given(graph=multigraphs())
def test_the_least_of_a_component_goes_both_ways(graph: tuple[int, Pairs]) -> None:
    ours = build(graph)
    found = ours.pregel(
        {"least": lambda vertices: vertices["id"]},
        lambda vertices, messages: {"least": np.minimum(vertices["least"], messages["least"])},
        {"least": "min"},
        to_dst=lambda t: {"least": t.src["least"]},
        to_src=lambda t: {"least": t.dst["least"]},
        supersteps=100,
    )
    expected = by_id(ours.connected_components())
    assert by_id(found) == expected


def test_page_rank_as_in_graphx() -> None:
    graph = esker.Graph(None, {"src": [1, 2, 3, 3], "dst": [2, 1, 1, 2]})
    graph = graph.join_vertices(graph.out_degrees())
    found = graph.pregel(
        {"rank": 1.0, "degree": "out_degree"},
        lambda vertices, messages: {"rank": 0.15 + 0.85 * messages["rank"]},
        {"rank": "sum"},
        to_dst=lambda t: {"rank": t.src["rank"] / t.src["degree"]},
        supersteps=50,
    )
    ranks = found.to_arrow()["rank"].to_pylist()
    assert ranks == pytest.approx(
        [3 * rank for rank in graph.page_rank().to_arrow()["page_rank"].to_pylist()], rel=1e-3
    )
    assert found.columns == ["id", "rank", "degree"]


def test_what_is_null_or_masked_is_not_sent() -> None:
    graph = esker.Graph(None, {"src": ["a", "b", "c"], "dst": ["b", "c", "a"]})
    seen: list[dict[str, Any]] = []

    def update(vertices: Any, messages: Any) -> dict[str, Any]:
        seen.append({name: messages[name].tolist() for name in messages})
        assert vertices["id"].to_pylist() == ["a", "b", "c"]
        return {}

    graph.pregel(
        {"n": 1},
        update,
        {"low": "max", "high": "sum"},
        to_dst=lambda t: {
            "low": pa.array([5 if vertex.as_py() == "a" else None for vertex in t.src["id"]], pa.int64()),
            "high": np.ma.masked_array([1.0, 1.0, 1.0], mask=[vertex.as_py() == "a" for vertex in t.dst["id"]]),
        },
    )
    least = np.iinfo(np.int64).min
    assert seen == [{"low": [least, 5, least], "high": [0.0, 1.0, 1.0], "received": [False, True, True]}]


def test_it_ends_when_nothing_is_sent() -> None:
    graph = esker.Graph(None, {"src": [1], "dst": [2]})
    found = graph.pregel({"n": 7}, lambda vertices, messages: {"n": 0}, {"n": "sum"}, to_dst=lambda t: None)
    assert found.to_arrow()["n"].to_pylist() == [7, 7]


GOOD: dict[str, Any] = {
    "state": {"n": 1},
    "update": lambda vertices, messages: {"n": messages["n"]},
    "merge": {"n": "sum"},
    "to_dst": lambda t: {"n": t.src["n"]},
}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"state": {}}, OptionError, "state= names the columns"),
        ({"state": {"n": [1, 2]}}, OptionError, "state 'n' is list"),
        ({"state": {"n": "nope"}}, UnknownColumnError, "no column 'nope' in the vertices"),
        ({"state": {"n": "name"}}, UnsupportedTypeError, "'name' is string"),
        ({"state": {"n": lambda vertices: [1]}}, SchemaMismatchError, "return a number for each"),
        ({"merge": {"n": "mean"}}, OptionError, "merge={'n': 'mean'}; there is: sum, min, max"),
        ({"merge": {}}, OptionError, "merge names the messages"),
        ({"to_dst": None}, OptionError, "pregel sends nothing"),
        ({"to_dst": lambda t: {"m": t.src["n"]}}, InputError, "sends 'm', and merge= names n"),
        ({"to_dst": lambda t: {"n": t.src["m"]}}, UnknownColumnError, "no column 'm' in src"),
        ({"to_dst": lambda t: {"n": t.edge["w"]}}, UnknownColumnError, "edge_columns="),
        ({"to_dst": lambda t: {"n": [1]}}, SchemaMismatchError, "return a number for each"),
        ({"to_dst": lambda t: t.src["n"]}, InputError, "returned ndarray; return a dict"),
        ({"to_dst": lambda t: 1 / 0}, UserFunctionError, "ZeroDivisionError(.|\n)*called by pregel on edges 0 to 2"),
        ({"update": lambda vertices, messages: {"m": 1}}, InputError, "update returned 'm'; state has n"),
        ({"update": lambda vertices, messages: {"n": [1.5] * 3}}, SchemaMismatchError, "as float64 of shape"),
        ({"update": lambda vertices, messages: None}, InputError, "update returned NoneType"),
        ({"update": lambda vertices, messages: 1 / 0}, UserFunctionError, "vertices from 0, superstep 0"),
        ({"edge_columns": ["w"]}, UnknownColumnError, "no column 'w' in the edges"),
        ({"supersteps": 0}, OptionError, "supersteps=0"),
    ],
)
def test_what_is_wrong_with_a_function_is_said(change: dict[str, Any], error: type[Exception], message: str) -> None:
    vertices = {"id": [1, 2, 3], "name": ["a", "b", "c"]}
    graph = esker.Graph(vertices, {"src": [1, 2], "dst": [2, 3], "x": [1, 1]})
    with pytest.raises(error, match=message):
        graph.pregel(**{**GOOD, **change})
