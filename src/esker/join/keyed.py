"""Rows with their keys beside them: what is divided, held and probed when a join reads everything once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import pyarrow as pa

from esker.core.batch import plain_type
from esker.core.context import QueryContext
from esker.join.layout import RESERVED
from esker.join.problem import JoinProblem, Side
from esker.join.reading import Spent, deciding_rows, key_arrays

ROW_ID = f"{RESERVED}row_id"


class Keyed(Protocol):
    """Batches that begin with the row id and have key columns."""

    schema: pa.Schema
    key_names: list[str]

    def keys(self, batch: pa.RecordBatch) -> list[pa.Array]:
        """The key columns of a batch."""
        ...


class KeyedSide:
    """The batches of one side: the row id, then keys in the types they are compared in, then what the output takes.

    A key the output takes in the same type is there once, under its own name.
    """

    def __init__(self, side: Side, problem: JoinProblem, context: QueryContext, spent: Spent | None = None) -> None:
        self._side = side
        self._types = problem.layout.key_types
        self._spent = spent or problem.spent
        self._context = context
        store = side.input.store.schema
        self.key_names: list[str] = []
        for number, (name, type_) in enumerate(zip(side.keys, self._types, strict=True)):
            same = name in side.columns and plain_type(store.field(name).type) == type_
            self.key_names.append(name if same and name not in self.key_names else f"{RESERVED}key_{number}")
        self._payload = [name for name in side.columns if name not in self.key_names]
        payload = [pa.field(name, plain_type(store.field(name).type)) for name in self._payload]
        self.schema = pa.schema([(ROW_ID, pa.uint64()), *zip(self.key_names, self._types, strict=True), *payload])

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the side's rows in row-id order, filtered by its predicate; reads each column once."""
        side = self._side
        columns = tuple(dict.fromkeys((*side.keys, *side.columns)))
        for found in deciding_rows(side.input, side.keys, columns, self._context, self._spent):
            keys = key_arrays(found.batch, side.keys, self._types)
            payload = [found.batch.column(name) for name in self._payload]
            yield pa.RecordBatch.from_arrays(
                [pa.array(found.row_ids, pa.uint64()), *keys, *payload], schema=self.schema
            )

    def keys(self, batch: pa.RecordBatch) -> list[pa.Array]:
        """The key columns of a batch."""
        return [batch.column(name) for name in self.key_names]
