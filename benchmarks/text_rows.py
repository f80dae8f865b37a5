"""Rows of a key, a number and a text, written to Parquet a row group at a time: what some workloads read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

SCHEMA = pa.schema({"key": pa.int64(), "value": pa.int64(), "text": pa.string()})


class TextRows:
    """Writes seeded rows: keys below `key_count`, texts of `text_bytes` letters (the first number to below the other).

    The rows of a key lie everywhere. Nothing is compressed, so that no engine is measured by its decompression.
    """

    def __init__(self, seed: int, key_count: int, text_bytes: tuple[int, int], row_group_rows: int) -> None:
        from esker.core.seeded import generator

        self._chance = generator(seed)
        self._key_count = key_count
        self._text_bytes = text_bytes
        self._row_group_rows = row_group_rows
        # Texts are pieces of one pool of letters: making gigabytes of new ones would take longer than the job.
        self._pool = self._chance.integers(97, 123, 2 * row_group_rows * text_bytes[1], dtype=np.uint8)

    def write(self, path: Path, row_count: int) -> None:
        """Write the next `row_count` rows into a file."""
        options = {"compression": "none", "use_dictionary": False, "write_statistics": False}
        with pq.ParquetWriter(path, SCHEMA, **options) as writer:
            for first in range(0, row_count, self._row_group_rows):
                writer.write_table(self._rows(min(self._row_group_rows, row_count - first)))

    def _rows(self, count: int) -> pa.Table:
        keys = self._chance.integers(0, self._key_count, count)
        return pa.table([keys, self._chance.integers(0, 2**40, count), self._texts(count)], schema=SCHEMA)

    def _texts(self, count: int) -> pa.StringArray:
        sizes = self._chance.integers(*self._text_bytes, count)
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
        first = int(self._chance.integers(0, len(self._pool) - int(offsets[-1])))
        letters = pa.py_buffer(self._pool[first : first + int(offsets[-1])])
        return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), letters)
