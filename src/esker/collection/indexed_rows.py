"""Rows that are written with an index: in a session whose stages go elsewhere, the vectors are made there too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pyarrow as pa

from esker.core.batch import plain_schema
from esker.core.context import QueryContext
from esker.engine.session import session_of
from esker.engine.stream import run
from esker.engine.vector_parts import vectors_taken, with_vectors
from esker.index import ColumnSpec
from esker.index.encode import Encoder
from esker.index.prepared import PreparedColumns
from esker.index.vector_parts import VectorParts
from esker.plan.compile import compile_plan
from esker.plan.nodes import Node, Vectored


@contextmanager
def indexed_rows(
    node: Node, specs: Mapping[str, ColumnSpec], encoder: Encoder, context: QueryContext, operator: str
) -> Iterator[tuple[Iterator[pa.RecordBatch], PreparedColumns | None]]:
    """Give the rows of a plan, to be read once and in order, and the index columns that are ready when they were."""
    stored = plain_schema(node.schema)
    parts = VectorParts(specs, stored) if session_of(context) is not None else None
    if parts is None or not parts.columns:
        yield run(compile_plan(node, context).stream, context, operator), None
        return
    compiled = compile_plan(node, context, lambda below: Vectored(with_vectors(below.schema), below, parts))
    with PreparedColumns(parts, specs, stored, encoder, context) as prepared:
        yield vectors_taken(run(compiled.stream, context, operator), node.schema, prepared), prepared
