"""What a graph cannot be made of is refused with our own errors, which say where it is."""

from __future__ import annotations

import datetime
import decimal
from typing import Any

import pyarrow as pa
import pytest

import esker
from esker.errors import (
    InputError,
    MemoryBudgetExceededError,
    OptionError,
    SchemaMismatchError,
    SpillError,
    UnknownColumnError,
    UnsupportedTypeError,
    UserFunctionError,
)


@pytest.mark.parametrize(
    ("vertices", "edges", "error", "message"),
    [
        (None, {"source": [1], "dst": [2]}, UnknownColumnError, "no column 'src' in the edges"),
        ({"ids": [1]}, {"src": [1], "dst": [1]}, UnknownColumnError, "no column 'id' in the vertices"),
        (None, {"src": [1.5], "dst": [2.0]}, UnsupportedTypeError, "'src' is double, which cannot be the id"),
        (None, {"src": [[1]], "dst": [[2]]}, UnsupportedTypeError, "cannot be the id of a vertex"),
        (None, {"src": [1], "dst": ["a"]}, SchemaMismatchError, "'src' is int64, 'dst' is string"),
        ({"id": ["1"]}, {"src": [1], "dst": [1]}, SchemaMismatchError, "'id' is string, 'src' is int64"),
    ],
)
def test_columns_that_do_not_fit_are_refused_at_once(
    vertices: Any, edges: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        esker.Graph(vertices, edges)


TEXT = pa.string()


@pytest.mark.parametrize("type_", [pa.int64(), TEXT, pa.int32(), pa.decimal128(20, 0)], ids=str)
@pytest.mark.parametrize(
    ("ids", "src", "dst", "message"),
    [
        ([1, 2, None], [1], [2], "column 'id' of the vertices has a null"),
        ([1, 2, 1], [1], [2], "the vertices have id='?1'? twice|Decimal\\('1'\\) twice"),
        ([1, 2], [1, 3], [2, 2], "an edge has src='?3'?|Decimal\\('3'\\), which is not among"),
        ([1, 2], [1, 1], [2, 7], "an edge has dst='?7'?|Decimal\\('7'\\), which is not among"),
        ([1, 2], [1, None], [2, 2], "column 'src' of the edges has a null"),
        (None, [1, 2], [2, None], "column 'dst' of the edges has a null"),
    ],
)
def test_ids_that_are_wrong_are_named(type_: pa.DataType, ids: Any, src: Any, dst: Any, message: str) -> None:
    def column(values: list[int | None]) -> pa.Array:
        return pa.array(values, pa.int64()).cast(type_)

    vertices = None if ids is None else {"id": column(ids)}
    graph = esker.Graph(vertices, {"src": column(src), "dst": column(dst)})
    with pytest.raises((InputError, UserFunctionError), match=message) as caught:
        graph.connected_components()
    assert isinstance(caught.value, InputError)


@pytest.mark.parametrize(
    "values",
    [
        pa.array([1, 5], pa.uint8()),
        pa.array([1, 2**64 - 1], pa.uint64()),
        pa.array([-(2**63), 2**63 - 1], pa.int64()),
        pa.array(["a", "b"]).dictionary_encode(),
        pa.array(["a", "b"], pa.string_view()),
        pa.array([b"a", b"b"], pa.binary()),
        pa.array([decimal.Decimal("1.5"), decimal.Decimal("2.5")]),
        pa.array([datetime.date(2020, 1, 1), datetime.date(2020, 1, 2)]),
        pa.array([0, 10**15], pa.timestamp("us")),
        pa.array([datetime.time(1), datetime.time(2)]),
    ],
    ids=lambda values: str(values.type),
)
def test_ids_of_many_types_work(values: pa.Array) -> None:
    edges = pa.table({"src": values, "dst": pa.concat_arrays([values.slice(1), values.slice(0, 1)])})
    graph = esker.Graph(None, edges)
    first, second = graph.vertices.to_arrow()["id"].to_pylist()
    assert [first, second] == values.to_pylist()
    assert graph.strongly_connected_components().to_arrow()["component"].to_pylist() == [first, first]
    paths = graph.shortest_paths([first]).to_arrow()["distance"].to_pylist()
    assert paths == [0, 1]
    given = esker.Graph(graph.vertices.to_arrow(), edges)
    assert given.degrees().to_arrow()["degree"].to_pylist() == [2, 2]


def test_types_that_widen_meet() -> None:
    vertices = pa.table({"id": pa.array([1, 2], pa.int16())})
    edges = pa.table({"src": pa.array([1], pa.uint32()), "dst": pa.array([2], pa.int8())})
    found = esker.Graph(vertices, edges).connected_components().to_arrow()
    assert found.to_pydict() == {"id": [1, 2], "component": [1, 1]}


def test_an_empty_graph_is_a_graph() -> None:
    edges = pa.table({"src": pa.array([], pa.int64()), "dst": pa.array([], pa.int64())})
    graph = esker.Graph(None, edges)
    for found in (
        graph.degrees(),
        graph.page_rank(),
        graph.connected_components(),
        graph.strongly_connected_components(),
        graph.triangle_count(),
        graph.core_numbers(),
        graph.label_propagation(),
    ):
        assert found.count() == 0
    assert graph.k_core().vertices.count() == 0


@pytest.mark.parametrize(
    ("run", "error", "message"),
    [
        (lambda graph: graph.page_rank(damping=1), OptionError, "damping=1"),
        (lambda graph: graph.page_rank(iterations=0), OptionError, "iterations=0"),
        (lambda graph: graph.page_rank(tolerance=0), OptionError, "tolerance=0"),
        (lambda graph: graph.page_rank(sources=[9]), InputError, "sources names 9, which is not among"),
        (lambda graph: graph.page_rank(sources=[]), OptionError, "at least one id"),
        (lambda graph: graph.page_rank(sources="ab"), OptionError, "give a list of ids"),
        (lambda graph: graph.page_rank(sources={1: -1.0}), OptionError, "weights of at least 0"),
        (lambda graph: graph.page_rank(weight="nope"), UnknownColumnError, "no column 'nope' in the edges"),
        (lambda graph: graph.page_rank(weight="text"), UnsupportedTypeError, "'text' is string"),
        (lambda graph: graph.page_rank(weight="minus"), InputError, "weight='minus' has a value that is below 0"),
        (lambda graph: graph.page_rank(damping=0.999999, tolerance=1e-200), InputError, "after 1000 iterations"),
        (lambda graph: graph.shortest_paths([]), OptionError, "at least one id"),
        (lambda graph: graph.shortest_paths(["x"]), SchemaMismatchError, "ids of this graph are int64"),
        (lambda graph: graph.bfs([1], [None]), InputError, "targets has a null"),
        (lambda graph: graph.bfs([1], [2], length_max=-1), OptionError, "length_max=-1"),
        (lambda graph: graph.label_propagation(0), OptionError, "iterations=0"),
    ],
)
def test_options_that_cannot_be_are_refused(run: Any, error: type[Exception], message: str) -> None:
    edges = {"src": [1, 2, 3, 3], "dst": [2, 3, 1, 2], "text": ["a"] * 4, "minus": [1, -1, 1, 1]}
    with pytest.raises(error, match=message):
        run(esker.Graph(None, edges))


def test_too_little_memory_and_disk_are_said() -> None:
    edges = {"src": list(range(100_000)), "dst": list(range(100_000))}
    with pytest.raises(MemoryBudgetExceededError, match="graph: reading"):
        esker.Graph(None, edges).with_options(memory="16MiB").degrees()
    with pytest.raises(SpillError, match="spill_limit"):
        esker.Graph(None, edges).with_options(spill_limit="100KiB").degrees()
