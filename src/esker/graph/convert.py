"""Graphs of other libraries, to and from; they are imported when asked for."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from esker.collection.dataset import Dataset
from esker.errors import InputError, MissingExtraError
from esker.graph.names import Names


def networkx_tables(graph: Any) -> tuple[pa.Table, pa.Table]:
    """Vertices and edges of a NetworkX graph; an edge without direction is one each way, as `to_directed` makes it."""
    directed = graph if graph.is_directed() else graph.to_directed()
    ids = list(directed.nodes)
    vertices = _table({"id": ids}, [data for _, data in directed.nodes(data=True)])
    ends = [(src, dst) for src, dst, _ in directed.edges(data=True)]
    type_ = vertices.schema.field("id").type
    edges = _table(
        {"src": pa.array([src for src, _ in ends], type_), "dst": pa.array([dst for _, dst in ends], type_)},
        [data for *_, data in directed.edges(data=True)],
    )
    return vertices, edges


def igraph_tables(graph: Any) -> tuple[pa.Table, pa.Table]:
    """Vertices and edges of an igraph Graph: `name` is the id where all have one, else the vertex's number."""
    names = graph.vs["name"] if "name" in graph.vs.attributes() else None
    ids = list(range(graph.vcount())) if names is None else list(names)
    attributes = {name: graph.vs[name] for name in graph.vs.attributes() if name != "name"}
    vertices = _columns({"id": _array(ids, "id")}, attributes)
    pairs = graph.get_edgelist()
    more = [] if graph.is_directed() else [number for number, (src, dst) in enumerate(pairs) if src != dst]
    ends = pairs + [(pairs[number][1], pairs[number][0]) for number in more]
    type_ = vertices.schema.field("id").type
    own = {name: _twice(graph.es[name], more) for name in graph.es.attributes()}
    columns = {
        "src": pa.array([ids[src] for src, _ in ends], type_),
        "dst": pa.array([ids[dst] for _, dst in ends], type_),
    }
    return vertices, _columns(columns, own)


def to_networkx(vertices: Dataset, edges: Dataset, names: Names) -> Any:
    """A MultiDiGraph, with all columns as attributes."""
    networkx = _import("networkx", "networkx")
    graph = networkx.MultiDiGraph()
    for batch in vertices:
        graph.add_nodes_from((row.pop(names.id), row) for row in batch.to_pylist())
    for batch in edges:
        graph.add_edges_from((row.pop(names.src), row.pop(names.dst), row) for row in batch.to_pylist())
    return graph


def to_igraph(vertices: Dataset, edges: Dataset, names: Names) -> Any:
    """A directed igraph Graph: the vertices in the order of the Dataset, the id as `name`."""
    igraph = _import("igraph", "")
    vertex_table, edge_table = vertices.to_arrow(), edges.to_arrow()
    ids = vertex_table[names.id].to_pylist()
    numbers = {value: number for number, value in enumerate(ids)}
    pairs = zip(edge_table[names.src].to_pylist(), edge_table[names.dst].to_pylist(), strict=True)
    graph = igraph.Graph(n=len(ids), edges=[(numbers[src], numbers[dst]) for src, dst in pairs], directed=True)
    graph.vs["name"] = ids
    for name in vertex_table.column_names:
        if name != names.id:
            graph.vs[name] = vertex_table[name].to_pylist()
    for name in edge_table.column_names:
        if name not in names.ends:
            graph.es[name] = edge_table[name].to_pylist()
    return graph


def _table(columns: Mapping[str, Any], attributes: list[Mapping[Any, Any]]) -> pa.Table:
    """Columns, and one more for each attribute that any row has; null where a row has it not."""
    keys = dict.fromkeys(str(key) for row in attributes for key in row)
    by_name = [{str(key): value for key, value in row.items()} for row in attributes]
    found = {name: _array(values, name) for name, values in columns.items()}
    return _columns(found, {key: [row.get(key) for row in by_name] for key in keys})


def _columns(columns: Mapping[str, pa.Array], attributes: Mapping[str, list[Any]]) -> pa.Table:
    clash = next((name for name in attributes if name in columns), None)
    if clash is not None:
        raise InputError(f"an attribute is called {clash!r}, which is what the id is called; rename it")
    return pa.table({**columns, **{name: _array(values, name) for name, values in attributes.items()}})


def _array(values: Any, name: str) -> pa.Array:
    if isinstance(values, pa.Array):
        return values
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError) as error:
        kinds = ", ".join(sorted({type(value).__name__ for value in values if value is not None}))
        raise InputError(f"{name!r} has values of types {kinds}, which are no Arrow column: {error}") from error


def _twice(values: Iterable[Any], more: list[int]) -> list[Any]:
    all_values = list(values)
    return all_values + [all_values[number] for number in more]


def _import(package: str, extra: str) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError as error:
        if extra:
            raise MissingExtraError.of(package, extra) from error
        raise MissingExtraError(f"{package} is not installed: pip install {package}") from error
