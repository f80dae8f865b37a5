"""Rows on their way to an index, with the vectors of each batch behind: stages make them, the writer takes them off."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa

from esker.core.batch import joined, slices
from esker.engine.stages import Stage
from esker.index.prepared import PreparedColumns
from esker.index.vector_parts import VectorParts
from esker.shuffle.page_file import is_sealed

# Small batches are joined up to this: each costs a page of bytes and a look at its values.
_BATCH_BYTES = 1 << 20


def with_vectors(schema: pa.Schema) -> pa.Schema:
    """`schema` with the vectors of a batch behind, in its first row, under a name that no column has.

    >>> with_vectors(pa.schema({"k": pa.string()})).names
    ['k', '__']
    """
    name = "_" * (1 + max((len(name) for name in schema.names), default=0))
    return schema.append(pa.field(name, pa.binary()))


def vectors_stage(parts: VectorParts, schema: pa.Schema, batch_rows: int) -> Stage:
    """Put the vectors of batches behind their rows; `schema` is that of `with_vectors`.

    Rows and vectors are in one batch, of one try: whatever is lost and made again, they belong together.
    """

    def stage(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        # Dictionaries may differ from batch to batch.
        fuller = batches if is_sealed(schema) else joined(batches, _BATCH_BYTES)
        for batch in fuller:
            for rows in slices(batch, batch_rows):
                first = pa.array([parts.encode(rows).to_pybytes()], pa.binary())
                column = pa.concat_arrays([first, pa.nulls(rows.num_rows - 1, pa.binary())])
                yield pa.RecordBatch.from_arrays([*rows.columns, column], schema=schema)

    return stage


def vectors_taken(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema, prepared: PreparedColumns
) -> Iterator[pa.RecordBatch]:
    """Yield the rows alone, in `schema`, and hand what is behind them to the index."""
    for batch in batches:
        rows = pa.RecordBatch.from_arrays(batch.columns[:-1], schema=schema)
        if rows.num_rows:
            data = batch.column(len(schema))[0]
            prepared.add(rows.num_rows, data.as_buffer() if data.is_valid else None)
        yield rows
