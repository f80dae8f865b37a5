"""Vectors of values, however many: in memory while they are few, else value -> row ids by way of the shuffle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from esker.bitmap import Bitmap, union
from esker.bitmap.column_writer import ColumnWriter
from esker.core import seeded
from esker.core.context import QueryContext
from esker.core.row_set import RowSet
from esker.core.sort import sort_batches
from esker.errors import OptionError
from esker.index.column_spec import Equality
from esker.index.column_spool import ColumnSpool
from esker.index.encode import Encoder
from esker.index.segment_file import Block, Entry, Meta, Packed, PackedBlock
from esker.index.slot_build import SlotBuild
from esker.index.slots import FIRST_SLOT, NAN_SLOT, NULL_SLOT, ValueSlots, missing_slots, plain_values
from esker.index.vector_parts import VectorPart
from esker.shuffle.operator import ShuffleOperator

# Distinct values beyond which a column is sorted: each holds an open word, and is looked up for every batch.
VALUES_IN_MEMORY = 1 << 16
SAMPLE_ROWS = 1 << 15
# Of the budget: what a partition may take, which is held some five times while it is sorted; and the shuffle's pages.
PARTITION_SHARE = 32
SHUFFLE_SHARE = 3
PARTITIONS_MAX = 4_096
# Row ids of one value that are held before they are encoded.
OPEN_ROWS = 1 << 20

_VALUE, _ROW, _PARTITION = "value", "row", "partition"
Rows = npt.NDArray[np.uint64]


class EqualityBuild:
    """One vector a value: filled as rows come, until there are too many values; from then on rows are put by."""

    def __init__(
        self, column: str, column_type: pa.DataType, spec: Equality, encoder: Encoder, context: QueryContext
    ) -> None:
        self.column = column
        self.label_type = column_type
        self._spec = spec
        self._encoder = encoder
        self._context = context
        self._slots = ValueSlots(column, column_type, spec.values_max)
        self._few: SlotBuild | None = SlotBuild(
            column, column_type, spec.kind, self._slots, layout="equality", holds="values", encoder=encoder,
            context=context,
        )  # fmt: skip
        self._row_count = 0
        self._many: SortedColumn | None = None

    @property
    def held_bytes(self) -> int:
        if self._many is not None:
            return self._many.held_bytes
        return self._few.held_bytes if self._few is not None else 0

    def add(self, values: pa.Array) -> None:
        if self._many is not None:
            self._many.add(values)
        else:
            assert self._few is not None, "values are few or many"
            self._few.add(values)
            self._row_count += len(values)
            if self._has_many:
                self._turn_to_sorting()

    @property
    def takes_parts(self) -> bool:
        """Whether values are few: rows of many are sorted by their values, which vectors do not have."""
        return self._few is not None and not self._has_many

    def add_part(self, part: VectorPart) -> None:
        """Add the next rows by their vectors; not asked of a column that `takes_parts` no more."""
        assert self._few is not None, "values are few"
        self._few.add_part(part)
        self._row_count += part.row_count

    @property
    def _has_many(self) -> bool:
        few_bytes = self._context.budget.total_bytes // PARTITION_SHARE
        return self._slots.slot_count > VALUES_IN_MEMORY or self._slots.nbytes > few_bytes

    def spill(self, *, at_once: bool) -> None:
        if self._few is not None:
            self._few.spill(at_once=at_once)

    def finish(self) -> SlotBuild | SortedColumn:
        found = self._many or self._few
        assert found is not None, "values are few or many"
        return found

    def close(self) -> None:
        if self._few is not None:
            self._few.close()
        if self._many is not None:
            self._many.close()

    def _turn_to_sorting(self) -> None:
        assert self._few is not None, "once"
        self._many = SortedColumn(self.column, self.label_type, self._spec, self._encoder, self._context)
        self._many.take_over(self._few.slot_vectors(), self._slots.values, self._row_count)
        self._few.close()
        self._few = None


class SortedColumn:
    """Pairs of value and row id, put by; then shuffled by ranges of values and sorted, a partition at a time."""

    def __init__(
        self, column: str, column_type: pa.DataType, spec: Equality, encoder: Encoder, context: QueryContext
    ) -> None:
        self.column = column
        self.label_type = column_type
        self._spec = spec
        self._encoder = encoder
        self._context = context
        self._schema = pa.schema([(_VALUE, column_type), (_ROW, pa.uint64())])
        self._spool = ColumnSpool(self._schema, context)
        self._missing = ColumnWriter(context.spill)
        self._missing_before = [RowSet.empty(), RowSet.empty()]
        self._chance = seeded.generator(context.seed, 0x50F7)
        self._sample: list[pa.Array] = []
        self._sampled = 0
        self._sample_bytes = 0
        self._share = 1.0
        self._bytes = 0
        self._row_count = 0
        self._slot_count = FIRST_SLOT

    @property
    def held_bytes(self) -> int:
        return self._missing.held_bytes + self._sample_bytes

    def take_over(self, vectors: Iterable[Bitmap], values: pa.Array, row_count: int) -> None:
        """Begin with what was built in memory: the vectors of null, NaN and `values`, of `row_count` rows."""
        given = iter(vectors)
        self._missing_before = [next(given).rows(), next(given).rows()]
        held: list[Rows] = []
        first = at = held_rows = 0
        for vector in given:
            held.append(vector.to_numpy())
            at += 1
            held_rows += len(held[-1])
            if held_rows >= self._context.batch_rows:
                self._put_groups(values.slice(first, at - first), held)
                held, first, held_rows = [], at, 0
        self._put_groups(values.slice(first, at - first), held)
        self._row_count = self._missing.row_count = row_count

    def add(self, values: pa.Array) -> None:
        """Put the next rows by."""
        values = plain_values(values, self.label_type)
        rows = np.arange(self._row_count, self._row_count + len(values), dtype=np.uint64)
        self._row_count += len(values)
        slots = missing_slots(values)
        self._missing.add(slots, FIRST_SLOT + 1)
        known = slots == FIRST_SLOT
        if known.all():
            self._put(values, rows)
        else:
            self._put(values.filter(pa.array(known)), rows[known])

    def blocks(self) -> Iterator[Block | PackedBlock]:
        yield Block(pa.nulls(FIRST_SLOT, self.label_type), self._missing_entries())
        partitions = self._partition_count()
        memory_bytes = max(16 << 20, self._context.budget.free_bytes // SHUFFLE_SHARE)
        numbered = self._schema.append(pa.field(_PARTITION, pa.uint32()))
        with ShuffleOperator(
            numbered,
            [_PARTITION],
            partitions,
            budget=self._context.budget,
            memory_bytes=memory_bytes,
            spill=self._context.spill,
            function="id",
            cancellation=self._context.cancellation,
            key_only=1,
        ) as shuffle:
            self._shuffle(shuffle, partitions)
            groups = _Groups(self.label_type, self._row_count, self._encoder)
            for partition in range(partitions):
                for batch in self._sorted(shuffle, partition):
                    yield from self._counted(groups.take(batch))
                self._context.progress.advance(f"sort {self.column}", partition + 1, partitions, "partitions")
            yield from self._counted(groups.end())

    def meta(self) -> Meta:
        return Meta(self.column, self._spec.kind, "equality", "values", self._slot_count)

    def close(self) -> None:
        self._spool.close()
        self._missing.close()

    def _put_groups(self, values: pa.Array, rows: Sequence[Rows]) -> None:
        if rows:
            repeated = np.repeat(np.arange(len(rows)), [len(part) for part in rows])
            self._put(values.take(pa.array(repeated)), np.concatenate(rows))

    def _put(self, values: pa.Array, rows: Rows) -> None:
        self._spool.add([values, pa.array(rows)])
        self._bytes += int(values.nbytes) + rows.nbytes
        taken = values.filter(pa.array(self._chance.random(len(values)) < self._share))
        self._sample.append(taken)
        self._sampled += len(taken)
        self._sample_bytes += int(taken.nbytes)
        if self._sampled > 2 * SAMPLE_ROWS:
            # Every row so far was taken with one chance; thinned, it was taken with half of that.
            kept = [part.filter(pa.array(self._chance.random(len(part)) < 0.5)) for part in self._sample]
            self._sample, self._sampled, self._share = kept, sum(map(len, kept)), self._share / 2
            self._sample_bytes = sum(int(part.nbytes) for part in kept)

    def _missing_entries(self) -> Iterator[Entry]:
        late = self._missing.end()
        for before, vector in zip(self._missing_before, late([NULL_SLOT, NAN_SLOT]), strict=True):
            yield Entry(self._encoder.of_row_set(before | vector.rows(), self._row_count))
        self._missing.close()

    def _partition_count(self) -> int:
        partition_bytes = max(self._context.budget.total_bytes // PARTITION_SHARE, 1 << 20)
        return max(1, min(PARTITIONS_MAX, -(-self._bytes // partition_bytes) * 3 // 2))

    def _shuffle(self, shuffle: ShuffleOperator, partitions: int) -> None:
        sample = pa.concat_arrays([pa.array([], self.label_type), *self._sample])
        ordered = sample.take(pc.array_sort_indices(sample))
        cuts = [len(ordered) * number // partitions for number in range(1, partitions)]
        splitters = ordered.take(pa.array(cuts, pa.int64())).unique() if len(ordered) else ordered
        self._sample.clear()
        for batch in self._spool.batches():
            ids = _search(splitters, batch.column(0))
            arrays = [*batch.columns, pa.array(ids.astype(np.uint32))]
            shuffle.push(pa.RecordBatch.from_arrays(arrays, schema=shuffle_schema(self._schema)))
        shuffle.finish()
        self._spool.close()

    def _sorted(self, shuffle: ShuffleOperator, partition: int) -> Iterator[pa.RecordBatch]:
        size_bytes = shuffle.partition_bytes[partition]
        rows = shuffle.partition_rows[partition]
        if not rows:
            return
        if size_bytes > 2 * self._context.budget.total_bytes // PARTITION_SHARE:
            # A value of very many rows, or a sample that erred: sorted as any data that does not fit.
            yield from sort_batches(shuffle.partition(partition), [_VALUE], self._schema, self._context)
            return
        with self._context.budget.reserve("index sort", 4 * size_bytes):
            table = pa.Table.from_batches(shuffle.partition(partition), self._schema).combine_chunks()
            batch = table.to_batches()[0]
            del table
            yield batch.take(stable_order(batch.column(0)))

    def _counted(self, blocks: Iterable[Block | PackedBlock]) -> Iterator[Block | PackedBlock]:
        for block in blocks:
            self._slot_count += len(block.labels)
            if self._spec.values_max is not None and self._slot_count - FIRST_SLOT > self._spec.values_max:
                raise OptionError(
                    f"column {self.column!r} has more than {self._spec.values_max:,} distinct values; index it in bins"
                    " (Bins.quantile(100)) or raise values_max"
                )
            yield block


def shuffle_schema(schema: pa.Schema) -> pa.Schema:
    """The schema of pairs with the partition each goes to."""
    return schema.append(pa.field(_PARTITION, pa.uint32()))


def stable_order(values: pa.Array) -> pa.Array:
    """Positions in ascending order of values; equal ones keep theirs."""
    if pa.types.is_integer(values.type) or pa.types.is_date(values.type) or pa.types.is_timestamp(values.type):
        plain = values if pa.types.is_integer(values.type) else values.view(_STORAGE[values.type.bit_width])
        return pa.array(np.argsort(plain.to_numpy(), kind="stable"))
    return pc.array_sort_indices(values)


_STORAGE = {32: pa.int32(), 64: pa.int64()}


def _search(splitters: pa.Array, values: pa.Array) -> npt.NDArray[np.intp]:
    """For each value, how many splitters are at most that."""
    if not len(splitters):
        return np.zeros(len(values), np.intp)
    both = pa.concat_arrays([splitters, values])
    # Splitters come first, and equal values keep their places: a splitter is counted before its equals.
    order = stable_order(both).to_numpy()
    ranks = np.cumsum(order < len(splitters))
    found = np.empty(len(both), np.intp)
    found[order] = ranks
    return found[len(splitters) :]


class _Groups:
    """Turns pairs sorted by value into blocks of vectors; a value's rows may come in several batches."""

    def __init__(self, value_type: pa.DataType, row_count: int, encoder: Encoder) -> None:
        self._row_count = row_count
        self._encoder = encoder
        self._open: pa.Array = pa.array([], value_type)
        self._open_rows: list[Rows] = []
        self._open_parts: list[Bitmap] = []

    def take(self, batch: pa.RecordBatch) -> Iterator[Block | PackedBlock]:
        values, rows = batch.column(0), batch.column(1).to_numpy()
        if not len(values):
            return
        changes = pc.not_equal(values[1:], values[:-1]).to_numpy(zero_copy_only=False)
        firsts = np.concatenate(([0], np.flatnonzero(changes) + 1))
        if len(self._open) and not pc.equal(self._open[0], values[0]).as_py():
            yield self._closed()
        elif len(self._open):
            stop = int(firsts[1]) if len(firsts) > 1 else len(rows)
            self._hold(rows[:stop])
            firsts = firsts[1:]
            if not len(firsts):
                return
            yield self._closed()
        # The last value may go on in the next batch.
        last = int(firsts[-1])
        if len(firsts) > 1:
            starts = firsts.astype(np.uint64)
            yield PackedBlock(
                values.take(pa.array(firsts[:-1])), starts, partial(self._packed, np.ascontiguousarray(rows), starts)
            )
        self._open = values[last : last + 1]
        self._hold(rows[last:])

    def _packed(self, rows: Rows, starts: Rows, first: int, stop: int, offset: int) -> Packed:
        return self._encoder.pack(rows, starts[first : stop + 1], self._row_count, offset)

    def end(self) -> Iterator[Block]:
        if len(self._open):
            yield self._closed()

    def _hold(self, rows: Rows) -> None:
        self._open_rows.append(rows)
        if sum(map(len, self._open_rows)) > OPEN_ROWS:
            self._open_parts.append(self._encoder.of_rows(np.concatenate(self._open_rows), self._row_count))
            self._open_rows = []

    def _closed(self) -> Block:
        parts = self._open_parts
        if self._open_rows:
            parts = [*parts, self._encoder.of_rows(np.concatenate(self._open_rows), self._row_count)]
        label, self._open = self._open, self._open[:0]
        self._open_rows, self._open_parts = [], []
        return Block(label, [Entry(union(parts) if len(parts) > 1 else parts[0])])
