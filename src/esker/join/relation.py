"""Relations that a join reads more than once: a side of the join, or rows it put on its disk or on tape."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

import pyarrow as pa

from esker.core.context import QueryContext
from esker.join.account import Work
from esker.join.keyed import KeyedSide
from esker.join.orient import needed_bytes
from esker.join.problem import JoinProblem, Side
from esker.join.scratch import ScratchTape


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
        self._problem = problem
        self._context = context
        keyed = KeyedSide(side, problem, context)
        self.schema = keyed.schema
        self.key_names = keyed.key_names
        self._counted_bytes: int | None = None

    @property
    def size_bytes(self) -> int:
        return self._counted_bytes if self._counted_bytes is not None else needed_bytes(self._side)

    def scan(self, work: Work) -> Iterator[pa.RecordBatch]:
        size = 0
        for batch in KeyedSide(self._side, self._problem, self._context, self._problem.spent.on(work)).batches():
            size += batch.nbytes
            yield batch
        self._counted_bytes = size


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
