"""Reading one side of a join: by scan or by row id, whichever is cheaper, and what it cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from esker.core.batch import plain_batch
from esker.core.context import QueryContext
from esker.core.cost import NO_COST, Cost
from esker.core.row_set import RowSet
from esker.core.row_store import RowBatch, RowStore
from esker.expression import evaluate
from esker.join.account import Work, tape_of
from esker.join.input import JoinInput
from esker.join.key_types import cast_key
from esker.join.seen import SideSeen


@dataclass(frozen=True)
class ReadChoice:
    """How some columns of some rows are read: `method` is fetch, scan or none; `cost` is that of the method."""

    method: str
    cost: Cost
    fetch_cost: Cost
    scan_cost: Cost


@dataclass
class Spent:
    """What the reads of a join cost, as told by the stores for exactly what was read."""

    cost: Cost = field(default_factory=Cost)

    def add(self, cost: Cost) -> None:
        self.cost = self.cost + cost

    def watch(self, store: RowStore, cost: Cost, rows: Iterator[RowBatch], row_count: int) -> Iterator[RowBatch]:
        """Yield rows as they are read at `cost`; see `Charged`."""
        return rows

    def on(self, work: Work) -> Charged:
        """The same account of reads, of which those to come are charged to `work`, too."""
        return Charged(self, work)


class Charged(Spent):
    """Reads of one line of work: what its tape does for each, or what its store says they cost, is charged there."""

    def __init__(self, spent: Spent, work: Work) -> None:
        self._spent = spent
        self._work = work

    def add(self, cost: Cost) -> None:
        self._spent.add(cost)

    def watch(self, store: RowStore, cost: Cost, rows: Iterator[RowBatch], row_count: int) -> Iterator[RowBatch]:
        tape = tape_of(store)
        return self._share(cost, rows, row_count) if tape is None else self._work.follow(tape, rows)

    def _share(self, cost: Cost, rows: Iterator[RowBatch], row_count: int) -> Iterator[RowBatch]:
        """Charge each batch its share of what all of them cost."""
        device = next(iter(cost.devices), "store")
        left = cost.seconds
        for found in rows:
            seconds = min(cost.seconds * len(found.row_ids) / max(row_count, 1), left)
            self._work.use(device, "read", seconds)
            left -= seconds
            yield found
        self._work.use(device, "read", left)
        self._work.moved(cost)


def price(cost: Cost) -> tuple[float, int, int]:
    """What costs are compared by: seconds, then bytes, then requests."""
    return cost.seconds, cost.bytes, cost.requests


def choose_read(store: RowStore, rows: RowSet, columns: Sequence[str]) -> ReadChoice:
    """Choose between fetching `rows` and scanning past the others; exact, since the row ids are known."""
    if not columns or not rows:
        return ReadChoice("none", NO_COST, NO_COST, NO_COST)
    fetch, scan = store.fetch_cost(rows, columns), store.scan_cost(columns)
    scans = price(scan) <= price(fetch) or len(rows) == store.row_count
    return ReadChoice("scan" if scans else "fetch", scan if scans else fetch, fetch, scan)


def read_rows(
    store: RowStore, rows: RowSet, columns: Sequence[str], context: QueryContext, spent: Spent
) -> Iterator[RowBatch]:
    """Yield `columns` of `rows` in row-id order, each row once; without columns nothing is read."""
    choice = choose_read(store, rows, columns)
    spent.add(choice.cost)
    if choice.method == "none":
        empty = pa.record_batch([], names=[])
        for ids in rows.chunks(context.batch_rows):
            yield RowBatch(ids, empty)
    elif choice.method == "fetch":
        for found in spent.watch(store, choice.cost, store.fetch(rows, columns, context), len(rows)):
            context.check()
            if len(found.row_ids):
                yield _plain(found)
    else:
        everything = len(rows) == store.row_count
        for found in spent.watch(store, choice.cost, store.scan(columns, context), store.row_count):
            context.check()
            kept = _plain(found) if everything else keep(found, rows.contains_each(found.row_ids))
            if len(kept.row_ids):
                yield kept


def deciding_rows(
    side: JoinInput,
    keys: tuple[str, ...],
    columns: Sequence[str],
    context: QueryContext,
    spent: Spent,
    seen: SideSeen,
) -> Iterator[RowBatch]:
    """Yield `columns` of the side's rows, filtered by its predicate; reads those, the keys and the predicate's."""
    wanted = tuple(dict.fromkeys((*side.deciding_columns(keys), *columns)))
    watching = seen.begin(keys, context)
    for found in read_rows(side.store, side.candidates, wanted, context, spent):
        kept = found
        if side.predicate is not None:
            mask = evaluate(side.predicate, found.batch).fill_null(False).to_numpy(zero_copy_only=False)
            kept = keep(found, mask)
        if watching is not None:
            watching.see(kept.batch, len(found.row_ids))
        if len(kept.row_ids):
            yield RowBatch(kept.row_ids, kept.batch.select(list(columns)))
    if watching is not None:
        watching.end()


def key_arrays(batch: pa.RecordBatch, names: Sequence[str], types: Sequence[pa.DataType]) -> list[pa.Array]:
    """The key columns of `batch`, in the types both sides are compared in."""
    return [cast_key(batch.column(name), type_, name) for name, type_ in zip(names, types, strict=True)]


def keep(found: RowBatch, mask: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> RowBatch:
    """The rows of `found` for which `mask` is true."""
    if mask.all():
        return _plain(found)
    return _plain(RowBatch(found.row_ids[mask], found.batch.filter(pa.array(mask))))


def _plain(found: RowBatch) -> RowBatch:
    """Views and dictionaries become plain: most of pyarrow's kernels refuse the first, and outputs mix the second."""
    batch = plain_batch(found.batch)
    return found if batch is found.batch else RowBatch(found.row_ids, batch)
