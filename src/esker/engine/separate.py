"""Groups that are too large to gather: partitions of their own, chosen by what a look at the first rows shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from esker.core.context import QueryContext
from esker.core.seeded import generator
from esker.engine.group import first_rows_of, group_codes
from esker.engine.placement import Ids, numbered_schema, with_ids
from esker.engine.stream import PartitionedStream, run
from esker.shuffle.partition_function import partition_ids

# So many groups may have a partition of their own.
SEPARATE_MAX = 32
# Looked at, before any row is placed; less of wide rows.
_ROWS_LOOKED_AT = 1 << 14
_LOOK_SHARE = 64
# Drawn from all rows, for the next look.
_ROWS_DRAWN = 1 << 13
# A group of this part of the rows that were seen is taken for a large one.
_LARGE_PART = 64


class Separate:
    """Places each of the largest groups of some rows in a partition of its own, all others by hash behind them.

    Large are those of the first rows, and of `drawn`, rows that were drawn from all of these when they were placed
    before. One that is taken for large and is not costs a partition; one that was missed shows in the rows drawn now.
    There are `row_count` rows, of `row_bytes` bytes in all.
    """

    def __init__(
        self,
        by: Sequence[str],
        rest_count: int,
        seed: int,
        *,
        row_count: int,
        row_bytes: int,
        drawn: pa.Table | None = None,
    ) -> None:
        self._by = list(by)
        self._rest_count = rest_count
        self._row_count = row_count
        self._row_bytes = row_bytes
        self._seed = seed
        self._drawn = drawn
        self._drawn_now: list[pa.RecordBatch] = []

    @property
    def partition_count(self) -> int:
        """Those of one group, then the rest."""
        return SEPARATE_MAX + self._rest_count

    def drawn(self, partition: int) -> pa.Table:
        """The keys of rows that were drawn while rows were placed, of those in `partition`."""
        rows = pa.Table.from_batches(self._drawn_now).combine_chunks()
        self._drawn_now = rows.to_batches()
        return rows.filter(pc.equal(rows.column(rows.num_columns - 1), partition)).select(self._by)

    def numbered(self, stream: PartitionedStream, context: QueryContext) -> Iterator[pa.RecordBatch]:
        schema = numbered_schema(stream.schema)
        batches = run(stream, context, "a partition that is divided")
        seen = _looked_at(batches, context.budget.total_bytes // _LOOK_SHARE)
        large = self._largest(pa.Table.from_batches(seen, stream.schema).select(self._by))
        chance = generator(self._seed)
        share = self._drawn_share(context.budget.total_bytes // _LOOK_SHARE)
        for batch in _all(seen, batches):
            placed = with_ids(batch, self._ids(batch, large), schema)
            keys = placed.select([*self._by, schema.names[-1]])
            self._drawn_now.append(keys.filter(pa.array(chance.random(batch.num_rows) < share)))
            yield placed

    def _drawn_share(self, bytes_max: int) -> float:
        """Keys take no more than their rows, so that those drawn stay within `bytes_max` or so."""
        return min(1.0, _ROWS_DRAWN / max(self._row_count, 1), bytes_max / max(self._row_bytes, 1))

    def _largest(self, first: pa.Table) -> pa.Table:
        """The keys of the largest groups, once each."""
        found = [_largest_groups(keys, self._by) for keys in (self._drawn, first) if keys is not None]
        keys = pa.concat_tables(found)
        codes, _ = group_codes(keys, self._by)
        return keys.take(pa.array(first_rows_of(codes)[:SEPARATE_MAX], pa.int64()))

    def _ids(self, batch: pa.RecordBatch, large: pa.Table) -> Ids:
        keys = pa.Table.from_batches([batch.select(self._by)])
        codes, _ = group_codes(pa.concat_tables([large, keys]), self._by)
        # The keys that stand first are distinct: their codes are their places.
        own = codes[large.num_rows :]
        rest = partition_ids(batch, self._by, self._rest_count, seed=self._seed)
        return np.where(own < large.num_rows, own, SEPARATE_MAX + rest.astype(np.int64)).astype(np.int32)


def _largest_groups(keys: pa.Table, by: Sequence[str]) -> pa.Table:
    codes, count = group_codes(keys, by)
    sizes = np.bincount(codes, minlength=count)
    chosen = np.argsort(-sizes, kind="stable")[:SEPARATE_MAX]
    chosen = chosen[sizes[chosen] * _LARGE_PART >= keys.num_rows]
    return keys.take(pa.array(first_rows_of(codes)[chosen], pa.int64()))


def _looked_at(batches: Iterator[pa.RecordBatch], bytes_max: int) -> list[pa.RecordBatch]:
    seen: list[pa.RecordBatch] = []
    rows = size = 0
    while rows < _ROWS_LOOKED_AT and size < bytes_max and (batch := next(batches, None)) is not None:
        seen.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
    return seen


def _all(seen: list[pa.RecordBatch], rest: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    while seen:
        yield seen.pop(0)
    yield from rest
