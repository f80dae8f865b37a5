"""A stand-in for the native shuffle, with its face."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa


class PlainShuffle:
    def __init__(self, schema: pa.Schema, by: Sequence[str], partition_count: int, **options: Any) -> None:
        self._by, self._count, self._seed = list(by), partition_count, options.get("seed", 0)
        self._schema = schema
        self._batches: list[list[pa.RecordBatch]] = [[] for _ in range(partition_count)]

    def push(self, batch: pa.RecordBatch) -> None:
        codes = np.zeros(batch.num_rows, np.uint64)
        for name in self._by:
            hashed = [
                hash((repr(v + 0.0 if isinstance(v, float) else v), self._seed)) & (2**63 - 1)
                for v in batch.column(name).to_pylist()
            ]
            codes = codes * np.uint64(31) + np.array(hashed, np.uint64)
        ids = codes % np.uint64(self._count)
        for p in range(self._count):
            part = batch.filter(pa.array(ids == p))
            if part.num_rows:
                self._batches[p].append(part)

    def finish(self) -> None: ...

    def partition(self, p: int) -> Iterator[pa.RecordBatch]:
        while self._batches[p]:
            yield self._batches[p].pop(0)

    @property
    def partition_rows(self) -> list[int]:
        return [sum(b.num_rows for b in part) for part in self._batches]

    @property
    def partition_bytes(self) -> list[int]:
        return [sum(b.nbytes for b in part) for part in self._batches]

    def close(self) -> None:
        self._batches = [[] for _ in range(self._count)]
