"""Sort more numbers than fit: sorted runs in files, merged range by range."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import TracebackType

import numpy as np
import numpy.typing as npt

from esker.graph.edge_files import ColumnFile
from esker.graph.workspace import Array, Workspace, distinct

# Of what is free when it starts: a run is held, joined and sorted, a merge likewise.
_SHARE = 4
_COPIES = 4
_RUN_MIN = 1 << 14


class Sorter:
    """Sorts rows by a column of whole numbers; other columns go along, and rows with equal keys stay in order.

    `add` takes a key column and the others as they come, `sorted` gives blocks of all rows in order, once. With
    `unique`, of rows with equal keys the first is kept. Beyond a share of the budget runs lie in spill files.
    """

    def __init__(self, workspace: Workspace, dtypes: Sequence[npt.DTypeLike], *, unique: bool = False) -> None:
        self._workspace = workspace
        self._dtypes = [np.dtype(dtype) for dtype in dtypes]
        self._unique = unique
        row_bytes = sum(dtype.itemsize for dtype in self._dtypes) + (8 if len(self._dtypes) > 1 else 0)
        budget = workspace.context.budget
        self._held = budget.reserve(f"{workspace.operator}: sort")
        self._held.resize(max(min(budget.free_bytes // _SHARE, 1 << 30), 0))
        self.run_rows = max(_RUN_MIN, self._held.bytes // (row_bytes * _COPIES))
        self._pending: list[list[Array]] = []
        self._pending_rows = 0
        self._runs: list[list[ColumnFile]] = []

    def add(self, *columns: Array) -> None:
        """Take rows: the key, then the other columns."""
        start = 0
        while start < len(columns[0]):
            stop = min(len(columns[0]), start + self.run_rows - self._pending_rows)
            part = [
                column[start:stop].astype(kind, copy=True) for column, kind in zip(columns, self._dtypes, strict=True)
            ]
            self._pending.append(part)
            self._pending_rows += stop - start
            if self._pending_rows >= self.run_rows:
                self._end_run()
            start = stop

    def sorted(self) -> Iterator[list[Array]]:
        """Give all rows in order, in blocks."""
        if not self._runs:
            if self._pending_rows:
                yield self._ordered(self._take_pending())
            return
        if self._pending_rows:
            self._end_run()
        mapped = [[column.read() for column in run] for run in self._runs]
        for bounds in self._ranges([run[0] for run in mapped]):
            self._workspace.context.check()
            parts = [[column[start:stop] for column in run] for run, (start, stop) in zip(mapped, bounds, strict=True)]
            yield self._ordered([np.concatenate(columns) for columns in zip(*parts, strict=True)])

    def close(self) -> None:
        """Remove the runs and give the memory back."""
        for run in self._runs:
            for column in run:
                column.remove()
        self._runs, self._pending = [], []
        self._held.release()

    def __enter__(self) -> Sorter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _take_pending(self) -> list[Array]:
        columns = [np.concatenate(parts) for parts in zip(*self._pending, strict=True)]
        self._pending, self._pending_rows = [], 0
        return columns

    def _end_run(self) -> None:
        columns = self._ordered(self._take_pending())
        self._runs.append([])
        for column, dtype in zip(columns, self._dtypes, strict=True):
            self._runs[-1].append(ColumnFile(self._workspace.context.spill, "run", dtype))
            self._runs[-1][-1].append(column)

    def _ordered(self, columns: list[Array]) -> list[Array]:
        keys = columns[0]
        if len(columns) == 1:
            keys.sort()
        else:
            # Stable: rows with equal keys stay in order. A bare key cannot tell, and is sorted in place, faster.
            order = np.argsort(keys, kind="stable")
            columns = [column[order] for column in columns]
            keys = columns[0]
        if not self._unique or len(keys) < 2:
            return columns
        first = np.empty(len(keys), bool)
        first[0] = True
        np.not_equal(keys[1:], keys[:-1], out=first[1:])
        return columns if first.all() else [column[first] for column in columns]

    def _ranges(self, keys: list[Array]) -> Iterator[list[tuple[int, int]]]:
        """Cut the runs at common keys, so that a block is about a run long; equal keys are never apart."""
        step = max(1, self.run_rows // (2 * len(keys)))
        samples = np.sort(np.concatenate([run[step - 1 :: step] for run in keys]))
        # Between two neighbours of this lie about as many rows as a run has.
        cuts = distinct(samples[len(keys) - 1 :: len(keys)])
        starts = [0] * len(keys)
        for cut in cuts:
            stops = [int(np.searchsorted(run, cut, "left")) for run in keys]
            if stops != starts:
                yield list(zip(starts, stops, strict=True))
            starts = stops
        yield [(start, len(run)) for start, run in zip(starts, keys, strict=True)]
