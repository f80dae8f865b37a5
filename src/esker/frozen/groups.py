"""Gathering batches until they make a row group."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pyarrow as pa


class GroupBuffer:
    """Rows of the row group to come: at most `rows_max`, and about `bytes_max`."""

    def __init__(self, rows_max: int, bytes_max: int) -> None:
        self._rows_max = rows_max
        self._bytes_max = bytes_max
        self._batches: list[pa.RecordBatch] = []
        self.row_count = 0
        self.bytes = 0

    @property
    def full(self) -> bool:
        """Whether a row group should be written now."""
        return self.row_count >= self._rows_max or self.bytes >= self._bytes_max

    def take(self, batch: pa.RecordBatch) -> int:
        """Take rows off the front of `batch`, as many as fit; says how many."""
        row_bytes = max(1.0, batch.nbytes / max(batch.num_rows, 1))
        rows: int = min(
            batch.num_rows, self._rows_max - self.row_count, int((self._bytes_max - self.bytes) / row_bytes) + 1
        )
        taken = batch.slice(0, rows)
        self._batches.append(taken)
        self.row_count += rows
        self.bytes += taken.nbytes
        return rows

    def cut(self, batches: Iterable[pa.RecordBatch], schema: pa.Schema, write: Callable[[pa.Table], object]) -> None:
        """Write all rows as row groups, of which the last may be short; none is held while the next is gathered."""
        for batch in batches:
            rest = batch
            while rest.num_rows:
                rest = rest.slice(self.take(rest))
                if self.full:
                    write(self.drain(schema))
        if self.row_count:
            write(self.drain(schema))

    def drain(self, schema: pa.Schema) -> pa.Table:
        """Give all rows and start anew."""
        table = pa.Table.from_batches(self._batches, schema=schema)
        self._batches, self.row_count, self.bytes = [], 0, 0
        return table
