"""Which keys one side of a join between processes has, so that the other does not move rows that none can match."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from esker.core.context import QueryContext
from esker.engine.remote import TaskSettings
from esker.engine.session import Session
from esker.engine.shuffle_barrier import ShuffleBarrier
from esker.engine.stream import PartitionedStream, run
from esker.join.key_slots import KeySlots, PackedSlots
from esker.join.reading import key_arrays
from esker.plan.compiled import Compiled
from esker.plan.node_task import Compile, taken_apart
from esker.plan.nodes import Exchanged, KeyMarks, Node, Project

# Slots for each key: of rows whose key is not there one in so many is moved; with fewer slots marks tell too little.
_SLOTS_OF_A_KEY = 32
_SLOTS_OF_A_KEY_MIN = 4
_SLOTS_MIN = 1 << 10
# Of a task's memory, what the slots may take; and how much less the marked side has to be, to be looked at twice.
_MEMORY_SHARE = 16
_LESS = 4

MARKS = pa.schema({"by_value": pa.bool_(), "low": pa.int64(), "high": pa.int64(), "bits": pa.large_binary()})


@dataclass(frozen=True)
class Marking:
    """How the keys of a partition are marked: columns, the types that they are compared in, and how many slots."""

    keys: tuple[str, ...]
    types: tuple[pa.DataType, ...]
    count: int

    def stage(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Read all rows, and give one: the slots of their keys."""
        slots = KeySlots(self.types, self.count)
        for batch in batches:
            if batch.num_rows:
                slots.add(key_arrays(batch, self.keys, self.types))
        made = slots.packed()
        row = {"by_value": made.by_value, "low": made.low, "high": made.high, "bits": made.bits}
        yield pa.RecordBatch.from_pylist([row], schema=MARKS)

    def read(self, batch: pa.RecordBatch) -> Iterator[KeySlots]:
        """The slots that tasks gave."""
        for row in batch.to_pylist():
            assert len(row["bits"]) * 8 == self.count, "tasks were told how many slots"
            yield PackedSlots(self.types, row["by_value"], row["low"], row["high"], row["bits"]).slots()


def marked_side(how: str, left: Compiled, right: Compiled) -> int | None:
    """The side whose keys are marked: rows of the other without a partner are not in the result; None for neither."""
    lesser = 0 if bytes_below(left) < bytes_below(right) else 1
    return {"left": 0, "anti": 0, "right": 1, "full": None}.get(how, lesser)


def bytes_below(one: Compiled) -> int:
    """What is read for a side, as far as is known."""
    return sum(step.estimated.bytes for step in one.explanation.walk() if step.estimated is not None)


def marks_of(
    barrier: ShuffleBarrier,
    other_bytes: int,
    keys: tuple[str, ...],
    types: tuple[pa.DataType, ...],
    compile_: Compile,
    session: Session,
    context: QueryContext,
) -> PackedSlots | None:
    """Mark the keys of a side that was shuffled, by tasks that read its pages; None where that would tell too little.

    That is where the keys are many for the memory, or the side is not much less than the `other_bytes` that may be
    spared. Its pages are read again by the join.
    """
    shuffle = barrier.shuffle()
    if sum(shuffle.partition_bytes) * _LESS > other_bytes:
        return None
    rows = sum(shuffle.partition_rows)
    most = 1 << (TaskSettings.of(context, session).task_bytes // _MEMORY_SHARE).bit_length() - 1
    count = min(1 << (max(_SLOTS_OF_A_KEY * rows, _SLOTS_MIN) - 1).bit_length(), most)
    held = context.budget.reserve("join filter")
    if count < _SLOTS_OF_A_KEY_MIN * rows or not held.try_resize(2 * count):
        return None
    marking = Marking(keys, types, count)
    key_schema = pa.schema([barrier.schema.field(name) for name in dict.fromkeys(keys)])

    def node_of(index: int) -> Node:
        exchanged = Exchanged(barrier.schema, barrier.shuffle().fetched(index))
        return KeyMarks(MARKS, Project(key_schema, exchanged), marking)

    parts = PartitionedStream(MARKS, barrier.partition_count, elsewhere)
    marks = taken_apart(parts, node_of, None, barrier, False, compile_, session, context, again=True)
    merged = KeySlots(types, count)
    for batch in run(marks, context, "join filter"):
        for slots in marking.read(batch):
            merged.merge(slots)
    found = merged.packed() if merged.worth_testing else None
    # The bits go with each task of the other side.
    held.resize(count // 8 if found is not None else 0)
    return found


def elsewhere(index: int) -> Iterator[pa.RecordBatch]:
    """Stand for a partition that only tasks make."""
    raise AssertionError(f"partition {index} is made in another process")
