"""What a user's function returned, call by call, as batches of a size that pays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import pyarrow as pa

from esker.core.batch import is_column, to_batches
from esker.engine.gather import BYTES_GATHERED
from esker.shuffle.joined import ROWS_ALONE, joined

# About what a value of no length takes.
_VALUE_BYTES = 16
_NUMBERS = frozenset((int, float, bool, type(None)))


class BatchRows:
    """How many rows a batch waits for: one, then four times as many each time, so that few rows come soon.

    >>> rows = BatchRows()
    >>> [rows.next() for _ in range(8)]
    [1, 4, 16, 64, 256, 1024, 4096, 8192]

    Partitions that are read one after the other share it. Threads: any; two that ask at once may be told the same.
    """

    def __init__(self) -> None:
        self._rows = 1

    def next(self) -> int:
        """The rows of the next batch."""
        rows, self._rows = self._rows, min(4 * self._rows, ROWS_ALONE)
        return rows


def in_batches(
    results: Iterable[Any], schema: pa.Schema, batch_rows: BatchRows | None = None
) -> Iterator[pa.RecordBatch]:
    """Turn results into batches of `schema`: many results that are small become one batch.

    >>> [batch.to_pylist() for batch in in_batches([{"n": 1}, None, {"n": 2}, {"n": [3, 4]}], pa.schema({"n": "int8"}))]
    [[{'n': 1}], [{'n': 2}, {'n': 3}, {'n': 4}]]
    """
    held = _Held(schema)
    batch_rows = batch_rows or BatchRows()
    rows_max = batch_rows.next()
    for result in chain.from_iterable(map(_parts, results)):
        held.add(result)
        if held.rows >= rows_max or held.bytes >= BYTES_GATHERED:
            yield from held.taken()
            rows_max = batch_rows.next()
    yield from held.taken()


def _parts(result: Any) -> Iterator[Any]:
    """A result that comes bit by bit is taken so: it may be larger than memory."""
    if isinstance(result, Iterator | pa.RecordBatchReader):
        yield from chain.from_iterable(map(_parts, result))
    else:
        yield result


class _Held:
    """Results that wait: whole batches, and behind them dictionaries that are one row each."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._names = frozenset(schema.names)
        self._batches: list[pa.RecordBatch] = []
        self._dicts: list[dict[str, Any]] = []
        self.rows = 0
        self.bytes = 0

    def add(self, result: Any) -> None:
        if type(result) is dict and result.keys() == self._names and self._add_row(result):
            return
        self._convert()
        for batch in to_batches(result, self._schema):
            self._batches.append(batch)
            self.rows += batch.num_rows
            self.bytes += batch.nbytes

    def taken(self) -> list[pa.RecordBatch]:
        """Everything that waits, small batches joined."""
        self._convert()
        batches, self._batches, self.rows, self.bytes = self._batches, [], 0, 0
        return joined([batch for batch in batches if batch.num_rows])

    def _add_row(self, row: dict[str, Any]) -> bool:
        size = 0
        for value in row.values():
            kind = type(value)
            if kind in _NUMBERS:
                continue
            if kind is str or kind is bytes:
                size += len(value)
            elif is_column(value):
                return False
        self._dicts.append(row)
        self.rows += 1
        self.bytes += size + _VALUE_BYTES * len(row)
        return True

    def _convert(self) -> None:
        """Make one batch of the rows. What pyarrow does not take as it is goes one by one, and is cast or refused."""
        if not self._dicts:
            return
        rows, self._dicts = self._dicts, []
        try:
            columns = [pa.array([row[field.name] for row in rows], field.type) for field in self._schema]
            self._batches.append(pa.RecordBatch.from_arrays(columns, schema=self._schema))
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            for row in rows:
                self._batches += to_batches(row, self._schema)
