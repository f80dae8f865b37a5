"""Where the rows lie that a scan was looking for: what an index would have read instead follows from that."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from esker.core.context import QueryContext
from esker.core.cost import Cost
from esker.core.explanation import Explanation
from esker.core.row_set import RowSet
from esker.engine.stages import Stage
from esker.expression import Compare, Expression, InList, Literal, columns, conjuncts, evaluate, filter_by_mask

# A scan that keeps more rows is no search, and an index would not have helped.
MATCHES_MAX = 100_000
Ids = npt.NDArray[np.uint64]


class MatchedRows:
    """The ids of the rows that passed a predicate, while they are few. Threads may add at any time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: list[Ids] = []
        self._count = 0
        self.rows_seen = 0

    def add(self, seen: int, ids: Ids) -> None:
        """So many rows were looked at, and these passed."""
        with self._lock:
            self.rows_seen += seen
            self._count += len(ids)
            if self._count > MATCHES_MAX:
                self._found.clear()
            else:
                self._found.append(ids)

    @property
    def few(self) -> bool:
        """Whether all of them are known."""
        return self._count <= MATCHES_MAX

    def rows(self) -> RowSet:
        """All of them."""
        found = np.concatenate(self._found) if self._found else np.empty(0, np.uint64)
        return RowSet.of(np.sort(found))


def matching_stage(predicate: Expression, matched: MatchedRows, ids_of: Callable[[pa.RecordBatch], Ids]) -> Stage:
    """Keep the rows for which `predicate` is true, and note which they are; `ids_of` numbers a batch just made."""

    def stage(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            mask = evaluate(predicate, batch)
            passed = mask.true_count
            if matched.few:
                ids = ids_of(batch)
                chosen = mask.fill_null(False).to_numpy(zero_copy_only=False)
                matched.add(batch.num_rows, ids[chosen] if passed else ids[:0])
            if passed:
                yield filter_by_mask(batch, mask)

    return stage


def indexable(predicate: Expression) -> tuple[list[str], int] | None:
    """The columns that an index would answer `predicate` by, and how many values of them it would look up.

    None where an index might have to read many vectors: for anything but equality with constants.

    >>> from esker.expression import parse
    >>> indexable(parse("carrier = 'HA' AND month IN (1, 2)")), indexable(parse("delay > 60"))
    ((['carrier', 'month'], 3), None)
    """
    names: list[str] = []
    values = 0
    for part in conjuncts(predicate):
        if isinstance(part, Compare) and part.op == "=":
            sides = [part.left, part.right]
        elif isinstance(part, InList):
            sides = [part.part, *part.values]
        else:
            return None
        constants = sum(isinstance(side, Literal) for side in sides)
        if constants != len(sides) - 1 or len(columns(part)) != 1:
            return None
        names += columns(part)
        values += constants
    return names, values


def tell_matches(
    context: QueryContext,
    explanation: Explanation,
    predicate: Expression,
    matched: MatchedRows,
    row_count: int,
    read: Cost,
    fetch_cost: Callable[[RowSet], Cost],
) -> None:
    """When all rows were scanned, log what an index on the predicate's columns would have read instead."""
    asked = indexable(predicate)
    if asked is None:
        return
    names, values = asked

    def tell() -> None:
        if not matched.few or matched.rows_seen < row_count or not context.log.heard:
            return
        rows = matched.rows()
        vector_bytes = values * -(-row_count // 8)
        context.log.emit(
            "scan_matched",
            step=explanation.step,
            columns=sorted(set(names)),
            rows_in=matched.rows_seen,
            rows=len(rows),
            bytes_read=read.bytes,
            # Vectors are compressed; this is what they take at most.
            index_bytes=vector_bytes + (fetch_cost(rows).bytes if rows else 0),
        )

    context.activity.at_end(tell)


def ids_from(start: int) -> Callable[[pa.RecordBatch], Ids]:
    """Number the batches of one partition, which begins at row `start`, as they come."""
    first = start

    def ids_of(batch: pa.RecordBatch) -> Ids:
        nonlocal first
        first += batch.num_rows
        return np.arange(first - batch.num_rows, first, dtype=np.uint64)

    return ids_of
