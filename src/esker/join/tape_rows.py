"""A relation as source 003 has it: whole rows, one after another, in objects of a tier."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from esker.core.batch import plain_schema
from esker.core.context import QueryContext
from esker.core.cost import Cost
from esker.core.extent import ByteRange
from esker.core.row_set import RowSet
from esker.core.row_store import RowBatch
from esker.errors import PayloadCorruptError
from esker.storage import ReadRequest, Tier


@dataclass(frozen=True)
class _Object:
    key: str
    bytes: int
    first_row: int
    row_count: int

    @property
    def request(self) -> ReadRequest:
        return ReadRequest(self.key, ByteRange(0, self.bytes))


class TapeRows:
    """Rows of Arrow streams on a tier, by id (a RowStore, core/row_store.py); no column is hot.

    >>> from esker.storage import open_tier
    >>> batches = [pa.record_batch({"k": [1, 2], "text": ["a", "b"]}), pa.record_batch({"k": [3], "text": ["c"]})]
    >>> rows = TapeRows.write(open_tier("memory:rows"), "r", batches)
    >>> with QueryContext() as context:
    ...     [found.batch["text"].to_pylist() for found in rows.fetch(RowSet.of([2]), ["text"], context)]
    [['c']]

    Rows lie whole, as most archives keep them: whatever columns are asked for, all bytes of an object pass.
    """

    def __init__(self, tier: Tier, objects: Sequence[_Object], schema: pa.Schema, name: str) -> None:
        self.tier = tier
        self.name = name
        self.schema: pa.Schema = plain_schema(schema)
        self.hot_columns: frozenset[str] = frozenset()
        self._objects = list(objects)
        self.row_count = sum(found.row_count for found in objects)
        self.size_bytes = sum(found.bytes for found in objects)

    @classmethod
    def write(cls, tier: Tier, prefix: str, batches: Iterable[pa.RecordBatch]) -> TapeRows:
        """Write each batch as an object under `prefix`, in order."""
        objects: list[_Object] = []
        schema = pa.schema([])
        rows = 0
        for batch in batches:
            schema = plain_schema(batch.schema)
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, schema) as stream:
                stream.write_batch(batch.cast(schema))
            data = sink.getvalue().to_pybytes()
            key = f"{prefix}/{len(objects):06}"
            tier.write(key, data)
            objects.append(_Object(key, len(data), rows, batch.num_rows))
            rows += batch.num_rows
        return cls(tier, objects, schema, prefix)

    @classmethod
    def found(cls, tier: Tier, prefix: str, schema: pa.Schema, row_counts: Sequence[int]) -> TapeRows:
        """Open what `write` left under `prefix`, of which the caller knows the schema and the rows of each object."""
        objects: list[_Object] = []
        first = 0
        for stored, rows in zip(tier.list(f"{prefix}/"), row_counts, strict=True):
            objects.append(_Object(stored.key, stored.bytes, first, rows))
            first += rows
        return cls(tier, objects, schema, prefix)

    def on(self, tier: Tier) -> TapeRows:
        """The same rows, read through another tier object (drives with nothing in them)."""
        return TapeRows(tier, self._objects, self.schema, self.name)

    def scan(self, columns: Sequence[str], context: QueryContext) -> Iterator[RowBatch]:
        """Yield all rows."""
        for found in self._objects:
            yield from self._read(found, columns, context)

    def fetch(self, rows: RowSet, columns: Sequence[str], context: QueryContext) -> Iterator[RowBatch]:
        """Yield the rows of `rows`; reads the objects that hold any."""
        for found in self._touched(rows):
            for batch in self._read(found, columns, context):
                ids = rows.slice(int(batch.row_ids[0]), int(batch.row_ids[-1]) + 1).to_numpy()
                if len(ids):
                    yield RowBatch(ids, batch.batch.take(pa.array(ids - batch.row_ids[0])))

    def scan_cost(self, columns: Sequence[str]) -> Cost:
        """What passing over all objects costs now."""
        return self._cost(self._objects)

    def fetch_cost(self, rows: RowSet, columns: Sequence[str]) -> Cost:
        """What reading the objects of `rows` costs now."""
        return self._cost(self._touched(rows))

    def _touched(self, rows: RowSet) -> list[_Object]:
        return [found for found in self._objects if rows.slice(found.first_row, found.first_row + found.row_count)]

    def _cost(self, objects: Sequence[_Object]) -> Cost:
        return self.tier.estimate_each([[found.request] for found in objects])

    def _read(self, found: _Object, columns: Sequence[str], context: QueryContext) -> Iterator[RowBatch]:
        context.check()
        (data,) = self.tier.read(found.key, [found.request.range])
        first = found.first_row
        try:
            with pa.ipc.open_stream(pa.py_buffer(data)) as reader:
                for batch in reader:
                    ids = np.arange(first, first + batch.num_rows, dtype=np.uint64)
                    yield RowBatch(ids, batch.select(list(columns)))
                    first += batch.num_rows
        except (pa.ArrowInvalid, KeyError) as error:
            raise PayloadCorruptError(f"{found.key!r} on {self.tier.uri} is damaged: {error}") from error
        if first != found.first_row + found.row_count:
            raise PayloadCorruptError(
                f"{found.key!r} on {self.tier.uri} has {first - found.first_row:,} rows,"
                f" not the {found.row_count:,} that were written"
            )
