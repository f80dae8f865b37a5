"""Edges that cut a column in parts of about as many rows, found in one pass."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from esker.core import seeded
from esker.core.context import QueryContext
from esker.errors import OptionError
from esker.index.slots import plain_values

# Rows looked at to place the edges: with 100,000 a bin is off by less than 1 % of the rows, nearly always.
SAMPLE_ROWS = 100_000


class QuantileSample:
    """Keeps a seeded sample of a column in memory and the whole of it in a spill file, to be gone over again."""

    def __init__(self, column: str, column_type: pa.DataType, row_count: int, context: QueryContext) -> None:
        self.column = column
        self.column_type = column_type
        self._chance = seeded.generator(context.seed, 0x1DE)
        self._share = SAMPLE_ROWS / row_count if row_count > SAMPLE_ROWS else 1.0
        self._sample: list[pa.Array] = []
        self._context = context
        self._schema = pa.schema([(column, column_type)])
        self._path: Path | None = None
        self._file: pa.NativeFile | None = None
        self._writer: pa.ipc.RecordBatchStreamWriter | None = None

    @property
    def held_bytes(self) -> int:
        """Bytes of memory held now."""
        return sum(int(part.nbytes) for part in self._sample)

    def spill(self, *, at_once: bool) -> None:
        """Do nothing: all but the sample is on disk."""

    def add(self, values: pa.Array) -> None:
        """Add the next rows."""
        values = plain_values(values, self.column_type)
        self._write(values)
        known = values.drop_null()
        if pa.types.is_floating(self.column_type):
            known = known.filter(pc.invert(pc.is_nan(known)))
        if self._share < 1:
            known = known.filter(pa.array(self._chance.random(len(known)) < self._share))
        self._sample.append(known)

    def edges(self, bin_count: int) -> pa.Array:
        """Give up to `bin_count` - 1 edges, ascending, from the sample."""
        sample = pa.concat_arrays([pa.array([], self.column_type), *self._sample])
        if not len(sample):
            raise OptionError(f"column {self.column!r} has no values to take quantiles of; give edges or leave it out")
        ordered = sample.take(pc.array_sort_indices(sample))
        ranks = [len(ordered) * cut // bin_count for cut in range(1, bin_count)]
        edges = ordered.take(pa.array(ranks, pa.int64())).unique()
        self._sample.clear()
        return edges

    def values(self) -> Iterator[pa.Array]:
        """Go over the column again, then remove the spill file."""
        if self._writer is None or self._file is None or self._path is None:
            return
        self._writer.close()
        self._file.close()
        with pa.OSFile(str(self._path)) as file, pa.ipc.open_stream(file) as reader:
            for batch in reader:
                yield batch.column(0)
        self._path.unlink(missing_ok=True)

    def _write(self, values: pa.Array) -> None:
        try:
            if self._writer is None:
                self._path, fd = self._context.spill.new_file("quantiles")
                os.close(fd)
                self._file = pa.OSFile(str(self._path), "wb")
                self._writer = pa.ipc.new_stream(self._file, self._schema)
            self._writer.write_batch(pa.RecordBatch.from_arrays([values], schema=self._schema))
        except OSError as error:
            raise self._context.spill.failure(error, values.nbytes) from error
