"""Rows with their keys beside them: what is divided, held and probed when a join reads everything once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import numpy as np
import pyarrow as pa

from esker.core.batch import plain_type
from esker.core.context import QueryContext
from esker.join.key_filter import KeyFilter
from esker.join.layout import RESERVED, Layout
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
        self.collected: KeyFilter | None = None
        self.filter: KeyFilter | None = None
        self.key_names: list[str] = []
        for number, (name, type_) in enumerate(zip(side.keys, self._types, strict=True)):
            same = name in side.columns and plain_type(store.field(name).type) == type_
            self.key_names.append(name if same and name not in self.key_names else f"{RESERVED}key_{number}")
        self._payload = [name for name in side.columns if name not in self.key_names]
        payload = [pa.field(name, plain_type(store.field(name).type)) for name in self._payload]
        self.schema = pa.schema([(ROW_ID, pa.uint64()), *zip(self.key_names, self._types, strict=True), *payload])

    @property
    def candidate_count(self) -> int:
        """How many rows there are before the predicate."""
        return self._side.input.candidate_count

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the side's rows in row-id order, filtered by its predicate; reads each column once."""
        side = self._side
        columns = tuple(dict.fromkeys((*side.keys, *side.columns)))
        filter_ = self.filter if self.filter is not None and self.filter.complete else None
        input_ = side.input if filter_ is None else filter_.narrow(side.input, side.keys)
        for found in deciding_rows(input_, side.keys, columns, self._context, self._spent, side.seen):
            keys = key_arrays(found.batch, side.keys, self._types)
            payload = [found.batch.column(name) for name in self._payload]
            batch = pa.RecordBatch.from_arrays(
                [pa.array(found.row_ids, pa.uint64()), *keys, *payload], schema=self.schema
            )
            if self.collected is not None:
                self.collected.add(keys)
            mask = filter_.may_match(keys) if filter_ is not None else None
            yield batch if mask is None else batch.filter(pa.array(mask))
        if self.collected is not None:
            self.collected.finish()

    def keys(self, batch: pa.RecordBatch) -> list[pa.Array]:
        """The key columns of a batch."""
        return [batch.column(name) for name in self.key_names]


@contextmanager
def filtered_by(left: KeyedSide, right: KeyedSide, layout: Layout, context: QueryContext) -> Iterator[None]:
    """Let what the right side's keys are spare reads and rows of the left, unless all left rows come out anyway."""
    if layout.lone_left(np.zeros(0, np.bool_)) is not None and layout.how != "semi":
        yield
        return
    filter_ = right.collected = left.filter = KeyFilter(layout.key_types, right.candidate_count, context)
    try:
        yield
        filter_.log(context)
    finally:
        right.collected = left.filter = None
        filter_.close()
