"""A join between processes: sides shuffled by key, parts joined by tasks, rows put in order by a third shuffle.

Rows are numbered where they are made. A joined part has the numbers of both its rows; ranges of the left numbers, each
sorted by a task, one behind the other, are the order that `in_memory` gives: left row, then right row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from esker.core.context import QueryContext
from esker.engine.placement import Ids, numbered_schema
from esker.engine.session import Session
from esker.engine.shuffle_barrier import ShuffleBarrier
from esker.engine.stages import Stage
from esker.engine.stream import PartitionedStream
from esker.join import join_schema
from esker.join.key_slots import PackedSlots
from esker.join.layout import plan_layout
from esker.join.reading import key_arrays
from esker.plan.compiled import Compiled
from esker.plan.join_marks import bytes_below, elsewhere, marks_of
from esker.plan.node_task import Compile, NodeOf, taken_apart
from esker.plan.nodes import Exchanged, Join, JoinedRows, JoinPart, Keyed, Node, Numbered
from esker.plan.once import Once

# Parts for each worker: with more, less is joined again when one is lost.
_PARTS_OF_A_WORKER = 4
# A row's number is that of its partition, and its own within it.
_ROW_BITS = 40


def joined_apart(
    node: Join,
    left: Compiled,
    right: Compiled,
    marked: int | None,
    compile_: Compile,
    session: Session,
    context: QueryContext,
) -> tuple[ShuffleBarrier, NodeOf]:
    """What gives the rows of a join whose inputs can be made in other processes, and the plan of each of its pieces.

    The side `marked`, if one is, is shuffled first: rows of the other whose keys it does not have are not moved.
    """
    count = _PARTS_OF_A_WORKER * session.worker_count
    inputs = (left, right)
    layout = plan_layout(left.stream.schema, right.stream.schema, node.on, node.how, node.suffix)
    hidden = "_" * (1 + max(len(name) for one in inputs for name in one.stream.schema.names) + len(node.suffix))
    rows = (f"{hidden}l", f"{hidden}r")
    keys = (layout.left_keys, layout.right_keys)
    barriers: list[ShuffleBarrier] = []
    marks = Once(
        lambda: (
            marks_of(
                barriers[marked],
                bytes_below(inputs[1 - marked]),
                keys[marked],
                layout.key_types,
                compile_,
                session,
                context,
            )
            if marked is not None
            else None
        )
    )
    for side, (one, row, names) in enumerate(zip(inputs, rows, keys, strict=True)):
        keyed = Keying(row, names, layout.key_types, hidden)
        other = marks if marked is not None and side != marked else _unmarked
        stream = _keyed(one, keyed, other, compile_, session, context)
        barriers.append(ShuffleBarrier(stream, keyed.columns, count, context, key_only=len(names)))
    schema = join_schema(barriers[0].schema, barriers[1].schema, node.on, node.how, node.suffix)

    def part(index: int) -> Node:
        fetched = [barrier.shuffle().fetched(index) for barrier in barriers]
        joined = JoinPart(schema, fetched[0], fetched[1], node.on, node.how, node.suffix)
        return Numbered(numbered_schema(schema), joined, ranges)

    by = tuple(name for name in rows if name in schema.names)
    parts_of = [one.stream.partition_count for one in inputs]
    ranges = RowRanges(by, (parts_of[0], parts_of[1]), count, layout.keeps_right)
    joined = PartitionedStream(numbered_schema(schema), count, elsewhere)
    numbers = taken_apart(joined, part, None, None, False, compile_, session, context)
    barrier = ShuffleBarrier(numbers, by, ranges.range_count, context, numbered=True)

    def in_order(index: int) -> Node:
        return JoinedRows(node.schema, Exchanged(schema, barrier.shuffle().fetched(index)), by)

    return barrier, in_order


def _keyed(
    below: Compiled,
    keying: Keying,
    marks: Callable[[], PackedSlots | None],
    compile_: Compile,
    session: Session,
    context: QueryContext,
) -> PartitionedStream:
    """The rows below with their numbers and their keys behind, those of the other side's marks alone."""
    assert below.apart is not None, "asked of what can go to other processes"
    apart, schema = below.apart, keying.schema(below.stream.schema)
    stream = PartitionedStream(schema, below.stream.partition_count, elsewhere)
    return taken_apart(
        stream,
        lambda index: Keyed(schema, apart(index), keying, index, marks()),
        below.explanation,
        below.barrier,
        False,
        compile_,
        session,
        context,
    )


def _unmarked() -> PackedSlots | None:
    return None


@dataclass(frozen=True)
class Keying:
    """How a side's rows go into the join: `row` names the column of their numbers; keys as they are compared."""

    row: str
    keys: tuple[str, ...]
    types: tuple[pa.DataType, ...]
    hidden: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the keys."""
        return tuple(f"{self.hidden}{number}" for number in range(len(self.keys)))

    def schema(self, schema: pa.Schema) -> pa.Schema:
        """That of a side with what is put behind."""
        keys = [pa.field(name, type_) for name, type_ in zip(self.columns, self.types, strict=True)]
        return pa.schema([*schema, pa.field(self.row, pa.uint64()), *keys])

    def stage(self, partition: int, schema: pa.Schema, marks: PackedSlots | None) -> Stage:
        """Put number and keys behind the rows of a partition; leave out those whose keys are not among the marks."""

        def stage(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            row = partition << _ROW_BITS
            slots = marks.slots() if marks is not None else None
            for batch in batches:
                numbers = pa.array(np.arange(row, row + batch.num_rows, dtype=np.uint64))
                row += batch.num_rows
                keys = key_arrays(batch, self.keys, self.types)
                keyed = pa.RecordBatch.from_arrays([*batch.columns, numbers, *keys], schema=schema)
                if slots is not None and keyed.num_rows:
                    keyed = keyed.filter(pa.array(slots.may_hold(keys)))
                yield keyed

        return stage


@dataclass(frozen=True)
class RowRanges:
    """Puts joined rows into ranges of left row numbers; behind them, into ranges of right ones, those without a left.

    `rows` are the columns of the numbers, `parts` how many partitions each side has.
    """

    rows: tuple[str, ...]
    parts: tuple[int, int]
    count: int
    keeps_right: bool

    @property
    def range_count(self) -> int:
        """How many ranges there are."""
        return 2 * self.count if self.keeps_right else self.count

    def ids(self, batch: pa.RecordBatch) -> Ids:
        """The numbers."""
        left = batch.column(self.rows[0])
        ids = self._range(left, self.parts[0])
        if left.null_count:
            right = self.count + self._range(batch.column(self.rows[1]), self.parts[1])
            ids = np.where(left.is_valid().to_numpy(zero_copy_only=False), ids, right)
        return ids.astype(np.int32)

    def _range(self, rows: pa.Array, parts: int) -> Ids:
        numbers = pc.fill_null(rows, pa.scalar(0, pa.uint64())).to_numpy(zero_copy_only=False)
        found: Ids = (numbers >> np.uint64(_ROW_BITS)).astype(np.int64) * self.count // parts
        return found
