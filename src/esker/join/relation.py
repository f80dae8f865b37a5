"""Relations that a join reads more than once: a side of the join, or rows it put on its disk or on tape."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from esker.core.context import QueryContext
from esker.join.account import Work, tape_of
from esker.join.keyed import KeyedSide
from esker.join.limits import JoinLimits
from esker.join.problem import JoinProblem, Side
from esker.join.reading import choose_read
from esker.join.scratch import ScratchTape
from esker.join.spill_file import SpillFile
from esker.join.work import held_bytes


class Relation(ABC):
    """Rows with their keys; the first column is the row id, and a scan gives rows in its order."""

    schema: pa.Schema
    key_names: list[str]

    @property
    @abstractmethod
    def size_bytes(self) -> int:
        """How large all rows are: counted, or guessed while nobody has read them."""

    @abstractmethod
    def scan(self, work: Work) -> Iterator[pa.RecordBatch]:
        """Yield all rows, charging the devices they come from to `work`."""

    def keys(self, batch: pa.RecordBatch) -> list[pa.Array]:
        """The key columns of a batch."""
        return [batch.column(name) for name in self.key_names]


class SideRelation(Relation):
    """A side of the join as its store has it: rows filtered by its predicate, columns the join needs."""

    def __init__(self, side: Side, problem: JoinProblem, context: QueryContext) -> None:
        self._side = side
        self._keyed = KeyedSide(side, problem, context)
        self.schema = self._keyed.schema
        self.key_names = self._keyed.key_names
        self._counted_bytes: int | None = None

    @property
    def size_bytes(self) -> int:
        if self._counted_bytes is not None:
            return self._counted_bytes
        return held_bytes(self._side.input, self._side.all_columns) + 8 * self._side.input.candidate_count

    def scan(self, work: Work) -> Iterator[pa.RecordBatch]:
        size = 0
        for batch in charged(self._side, self._keyed.batches(), work):
            size += batch.nbytes
            yield batch
        self._counted_bytes = size


def charged(side: Side, batches: Iterator[pa.RecordBatch], work: Work) -> Iterator[pa.RecordBatch]:
    """Yield the batches of a side's scan, charging what its tier does, or what its store says a scan costs."""
    store = side.input.store
    tape = tape_of(store)
    if tape is not None:
        yield from work.follow(tape, batches)
        return
    cost = choose_read(store, side.input.candidates, side.all_columns).cost
    device = next(iter(cost.devices), "store")
    rows, total = 0, max(side.input.candidate_count, 1)
    for batch in batches:
        work.use(device, "read", cost.seconds * batch.num_rows / total)
        rows += batch.num_rows
        yield batch
    if rows < total:  # what the predicate dropped was read, too
        work.use(device, "read", cost.seconds * (total - rows) / total)
    work.moved(cost)


@dataclass
class SpilledRelation(Relation):
    """Rows in a spill file on the join's disk."""

    file: SpillFile
    schema: pa.Schema
    key_names: list[str]
    limits: JoinLimits
    bytes: int = 0

    @property
    def size_bytes(self) -> int:
        return self.bytes

    def scan(self, work: Work) -> Iterator[pa.RecordBatch]:
        for batch in self.file.batches():
            work.transfer(self.limits.disk, "read", batch.nbytes)
            yield batch
        work.settle()


class TapeRelation(Relation):
    """Rows in objects of the join's scratch tape, in the order written."""

    def __init__(self, tape: ScratchTape, schema: pa.Schema, key_names: list[str]) -> None:
        self._tape = tape
        self._keys: list[str] = []
        self._bytes = 0
        self.schema = schema
        self.key_names = key_names

    @property
    def size_bytes(self) -> int:
        return self._bytes

    def append(self, batches: list[pa.RecordBatch], work: Work) -> None:
        """Write batches as one object more."""
        self._keys.append(self._tape.write(batches, self.schema, work))
        self._bytes += sum(batch.nbytes for batch in batches)

    def scan(self, work: Work) -> Iterator[pa.RecordBatch]:
        for key in self._keys:
            yield from self._tape.read(key, work)
