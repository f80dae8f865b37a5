"""The sort-merge join: both sides sorted by a code of their keys, runs spilled, then read side by side."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from esker.core.context import QueryContext
from esker.join.account import Account
from esker.join.divide import keep_for_rereading
from esker.join.key_join import drop_null_keys
from esker.join.layout import RESERVED
from esker.join.limits import JoinLimits
from esker.join.order_code import order_codes
from esker.join.part_join import PartJoin, RowEmitter
from esker.join.relation import Relation
from esker.join.sorted_runs import SortedRuns, ids_of
from esker.join.spill_file import SpillFile

_CODE = f"{RESERVED}code"
# Of the free bytes, what each side may take while it is sorted.
_SORT_SHARE = 4


class SortMergeJoin:
    """One run. Rows come out by key where it is one number or time, by the hash of the keys else.

    Rows of equal codes are joined as one part, so that equal hashes of different keys do no harm, and a key with more
    rows than fit in memory is joined block by block. Rows with a null key match nothing and come out first.
    """

    def __init__(
        self,
        left: Relation,
        right: Relation,
        emitter: RowEmitter,
        row_count: int,
        limits: JoinLimits,
        account: Account,
        context: QueryContext,
    ) -> None:
        self._sides = left, right
        self._emitter = emitter
        self._limits = limits
        self._account = account
        self._context = context
        self._work = account.work("sort and merge", account.seconds)
        self._parts = PartJoin(_Coded(left), _Coded(right), emitter, row_count, limits.memory_bytes, context)
        self._runs = [self._new_runs(side, name) for side, name in ((left, "left"), (right, "right"))]

    def run(self) -> Iterator[pa.RecordBatch]:
        """Yield the joined rows."""
        try:
            for number, name in enumerate(("sort left", "sort right")):
                yield from self._sort(number)
                self._account.end_phase(name)
            yield from self._merge()
            self._account.end_phase("merge")
        finally:
            self._parts.close()
            for runs in self._runs:
                runs.close()

    def _sort(self, number: int) -> Iterator[pa.RecordBatch]:
        """Sort a side; yields its rows with a null key where they come out on their own."""
        side, runs = self._sides[number], self._runs[number]
        for batch in side.scan(self._work):
            self._context.check()
            valid = drop_null_keys(side.keys(batch))
            if valid is not None:
                yield from self._alone(number, runs.schema, batch.filter(pa.array(~valid)))
                batch = batch.filter(pa.array(valid))
            runs.add(_with_code(order_codes(side.keys(batch)), batch, runs.schema))
        runs.finish()
        self._work.transfer(self._limits.disk, "write", runs.spilled_bytes)
        self._work.transfer(self._limits.disk, "read", runs.spilled_bytes)
        self._work.settle()

    def _alone(self, number: int, schema: pa.Schema, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        coded = _with_code(np.zeros(batch.num_rows, np.uint64), batch, schema)
        no_rows: Iterator[pa.RecordBatch] = iter(())
        if number == 0:
            yield from self._parts.join(no_rows, lambda: iter([coded]), coded.num_rows, last=True)
        elif coded.num_rows:
            yield from self._parts.join(iter([coded]), lambda: iter(()), 0, last=True)

    def _merge(self) -> Iterator[pa.RecordBatch]:
        lefts, rights = (CodeCursor(runs.merged(self._context.batch_rows)) for runs in self._runs)
        while (bound := _least(lefts.last, rights.last)) is not None:
            self._context.check()
            left, right = lefts.below(bound), rights.below(bound)
            yield from self._parts.join(iter(right), left.__iter__, sum(map(len, left)), last=True)
            yield from self._group(lefts, rights, bound)

    def _group(self, lefts: CodeCursor, rights: CodeCursor, code: int) -> Iterator[pa.RecordBatch]:
        """Join the rows of one code, which may be more than fit in memory."""
        kept: list[pa.RecordBatch] = []
        size, rows = 0, 0
        file: SpillFile | None = None
        stream = lefts.equal(code)
        for batch in stream:
            kept.append(batch)
            size += batch.nbytes
            if size > self._limits.memory_bytes:
                file = keep_for_rereading(_chain(kept, stream), self._runs[0].schema, self._context)
                break
        rows = file.row_count if file is not None else sum(map(len, kept))
        left = file.batches if file is not None else kept.__iter__
        try:
            yield from self._parts.join(rights.equal(code), left, rows, last=True)
        finally:
            if file is not None:
                file.close()

    def _new_runs(self, side: Relation, name: str) -> SortedRuns:
        schema = pa.schema([pa.field(_CODE, pa.uint64()), *side.schema])
        # A run takes half of what sorting may, as sorting makes a copy.
        memory_bytes = min(2 * self._limits.memory_bytes, self._context.budget.free_bytes // _SORT_SHARE)
        return SortedRuns(f"sort {name}", schema, self._context, memory_bytes, fan_in=self._limits.fan_in)


class _Coded:
    """A relation with the code before its columns: the row id is second."""

    def __init__(self, relation: Relation) -> None:
        self._relation = relation
        self.schema = pa.schema([pa.field(_CODE, pa.uint64()), *relation.schema])
        self.key_names = relation.key_names

    def keys(self, batch: pa.RecordBatch) -> list[pa.Array]:
        return self._relation.keys(batch)


class CodeCursor:
    """Batches sorted by their first column, handed out by its value.

    >>> batches = [pa.record_batch({"code": pa.array(codes, pa.uint64())}) for codes in ([1, 2, 2], [2, 5])]
    >>> cursor = CodeCursor(iter(batches))
    >>> cursor.last, [len(part) for part in cursor.below(2)], [len(part) for part in cursor.equal(2)], cursor.last
    (2, [1], [2, 1], 5)
    """

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self._head = self._next()

    @property
    def last(self) -> int | None:
        """The last code of the batch at hand; None at the end."""
        return int(ids_of(self._head, 0)[-1]) if self._head is not None else None

    def below(self, code: int) -> list[pa.RecordBatch]:
        """Take the rows of smaller codes; no more than the batch at hand, when `code` is at most its last."""
        if self._head is None:
            return []
        count = int(np.searchsorted(ids_of(self._head, 0), np.uint64(code), "left"))
        found = self._head.slice(0, count)
        self._head = self._head.slice(count) if count < self._head.num_rows else self._next()
        return [found] if count else []

    def equal(self, code: int) -> Iterator[pa.RecordBatch]:
        """Yield the rows of one code, however many batches they go on for."""
        while self._head is not None:
            count = int(np.searchsorted(ids_of(self._head, 0), np.uint64(code), "right"))
            if not count:
                return
            found = self._head.slice(0, count)
            more = count == self._head.num_rows
            self._head = self._next() if more else self._head.slice(count)
            yield found
            if not more:
                return

    def _next(self) -> pa.RecordBatch | None:
        return next((batch for batch in self._batches if batch.num_rows), None)


def _with_code(
    codes: np.ndarray[tuple[int], np.dtype[np.uint64]], batch: pa.RecordBatch, schema: pa.Schema
) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array(codes, pa.uint64()), *batch.columns], schema=schema)


def _least(one: int | None, other: int | None) -> int | None:
    return min((code for code in (one, other) if code is not None), default=None)


def _chain(kept: list[pa.RecordBatch], rest: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    while kept:
        yield kept.pop(0)
    yield from rest
