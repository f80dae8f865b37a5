"""The plain reference: sort the rows by partition with numpy, take them with pyarrow, slice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from esker.shuffle.partition_function import partition_ids
from esker.shuffle.strategy import ShuffleTask, Strategy


class SortFirst(Strategy):
    """Partition each push by a stable sort of its partition numbers; hold the parts as pyarrow tables.

    Does not spill and keeps no budget: for tests, and for those who want to compare.
    """

    spills: ClassVar[bool] = False

    def __init__(self, task: ShuffleTask) -> None:
        self._task = task
        self._by = [task.schema.names[key] for key in task.keys]
        self._kept = range(len(task.schema) - task.key_only_columns)
        self._parts: list[list[pa.RecordBatch]] = [[] for _ in range(task.partition_count)]
        self._rows = [0] * task.partition_count
        self._bytes = [0] * task.partition_count

    def push(self, batches: Sequence[pa.RecordBatch]) -> None:
        for batch in batches:
            ids = partition_ids(
                batch, self._by, self._task.partition_count, function=self._task.function, seed=self._task.seed
            )
            order = np.argsort(ids, kind="stable")
            bounds = np.searchsorted(ids[order], np.arange(self._task.partition_count + 1))
            for partition in np.flatnonzero(np.diff(bounds)):
                rows = order[bounds[partition] : bounds[partition + 1]]
                self._add(int(partition), _take(batch.select(list(self._kept)), rows))

    def flush(self) -> None:
        """Nothing is pending."""

    def ready(self) -> Iterator[tuple[int, pa.RecordBatch]]:
        for partition in range(self._task.partition_count):
            for batch in self.partition(partition):
                yield partition, batch

    def finish(self) -> None:
        """Nothing is pending."""

    def partition(self, partition: int) -> Iterator[pa.RecordBatch]:
        parts = self._parts[partition]
        while parts:
            yield parts.pop(0)

    def partition_rows(self) -> list[int]:
        return self._rows

    def partition_bytes(self) -> list[int]:
        return self._bytes

    def statistics(self) -> dict[str, Any]:
        held = sum(self._bytes)
        return {"rows": sum(self._rows), "payload_bytes": held, "allocated_bytes": held, "spilled_bytes": 0}

    def close(self) -> None:
        self._parts = [[] for _ in self._parts]

    def _add(self, partition: int, part: pa.RecordBatch) -> None:
        self._parts[partition].append(part)
        self._rows[partition] += part.num_rows
        self._bytes[partition] += part.nbytes


def _take(batch: pa.RecordBatch, rows: Any) -> pa.RecordBatch:
    indices = pa.array(rows)
    # pyarrow cannot take from views: through the plain type and back.
    plain = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}
    columns = [
        column.cast(plain[column.type]).take(indices).cast(column.type)
        if column.type in plain
        else column.take(indices)
        for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)
