"""Motifs: a join for each edge of the pattern, on ids; the vertices' columns come last, for what was found."""

from __future__ import annotations

from itertools import count

import pyarrow as pa

from esker.collection.dataset import Dataset
from esker.graph.motif_pattern import EdgeTerm, Pattern
from esker.graph.names import Names
from esker.graph.relations import attach, rename

_ONE = "one@"


def find_motif(pattern: Pattern, vertices: Dataset, edges: Dataset, names: Names) -> Dataset:
    """A row for each way to lay the pattern on the graph; different names may stand for one vertex."""
    anonymous = (f"{number}@" for number in count())
    found: Dataset | None = None
    for term in pattern.edges:
        named = EdgeTerm(term.src or next(anonymous), term.edge, term.dst or next(anonymous))
        found = _meet(found, _edge_rows(edges, named, names), [_key(named.src), _key(named.dst)])
    for name in pattern.vertices:
        if found is None or _key(name) not in found.columns:
            found = _meet(found, rename(vertices, {_key(name): names.id}), [_key(name)])
    assert found is not None, "a pattern names something"
    for term in pattern.absent:
        found = _without(found, term, edges, names)
    return _finish(found, pattern, vertices, names)


def _edge_rows(edges: Dataset, term: EdgeTerm, names: Names) -> Dataset:
    """The edges as a term sees them: ends called after its vertices, payload only where the edge is named."""
    if term.src == term.dst:
        columns = {_key(term.src): names.src}
        edges = edges.filter(f"{_quoted(names.src)} = {_quoted(names.dst)}")
    else:
        columns = {_key(term.src): names.src, _key(term.dst): names.dst}
    if term.edge:
        columns |= {f"{term.edge}.{name}": name for name in edges.columns}
    return rename(edges, columns)


def _meet(found: Dataset | None, rows: Dataset, keys: list[str]) -> Dataset:
    """Join on the vertices that both know; every pair of rows where there is none."""
    if found is None:
        return rows
    common = [name for name in dict.fromkeys(keys) if name in found.columns]
    if common:
        return found.join(rows, on=common)
    joined = _with_one(found).join(_with_one(rows), on=_ONE)
    return joined.select([name for name in joined.columns if name != _ONE])


def _with_one(dataset: Dataset) -> Dataset:
    schema = dataset.schema.append(pa.field(_ONE, pa.int8()))
    return dataset.map_batches(
        lambda batch: pa.RecordBatch.from_arrays(
            [*batch.columns, pa.array([1] * batch.num_rows, pa.int8())], schema=schema
        ),
        schema,
    )


def _without(found: Dataset, term: EdgeTerm, edges: Dataset, names: Names) -> Dataset:
    """Leave out rows for which an edge is there."""
    if term.src == term.dst:
        rows = _edge_rows(edges, term, names)
    else:
        known = ((names.src, term.src), (names.dst, term.dst))
        rows = rename(edges, {_key(name): column for column, name in known if name})
    return found.join(rows, on=rows.columns, how="anti")


def _finish(found: Dataset, pattern: Pattern, vertices: Dataset, names: Names) -> Dataset:
    """Attach the columns of named vertices, name the ends of named edges, and put all in the order of the pattern."""
    columns: dict[str, str] = {}
    for name in pattern.names:
        if name in pattern.named_edges:
            columns |= {column: column for column in found.columns if column.startswith(f"{name}.")}
            continue
        columns[f"{name}.{names.id}"] = _key(name)
        if len(vertices.columns) > 1:
            found = attach(found, _key(name), name, vertices, names)
            columns |= {f"{name}.{column}": f"{name}.{column}" for column in vertices.columns if column != names.id}
    return rename(found, columns)


def _key(vertex: str) -> str:
    return f"{vertex}@"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
