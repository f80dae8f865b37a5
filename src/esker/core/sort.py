"""Sorting what does not fit in memory: sorted runs spilled as Arrow IPC, merged a block at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from esker.core.batch import slices, storage_of
from esker.core.context import QueryContext
from esker.errors import SpillError, UnsupportedTypeError

# One string column of a run must stay below 2 GiB, or Arrow cannot hold it in one array.
_RUN_BYTES_MAX = 1 << 30
_BLOCK_BYTES_MAX = 4 << 20


def sort_batches(
    batches: Iterator[pa.RecordBatch],
    by: Sequence[str],
    schema: pa.Schema,
    context: QueryContext,
    *,
    descending: Sequence[bool] = (),
    nulls_first: bool = False,
    operator: str = "sort",
    run_bytes: int | None = None,
) -> Iterator[pa.RecordBatch]:
    """Yield all rows in the order of the columns `by`: NaN above numbers, nulls last, equal rows as they came.

    `descending` says for each column whether its greatest value comes first; nulls are last either way, or first either
    way with `nulls_first`. Takes up to half of the budget's free bytes; what does not fit there is spilled as sorted
    runs, which are merged in as many passes as the budget asks for. `run_bytes` forces the size of a run.
    """
    sorter = _Sorter(SortOrder(by, descending, nulls_first), schema, context, operator, run_bytes)
    yield from sorter.sort(batches)


class SortOrder:
    """The order of some columns, ascending or descending: NaN above numbers, nulls last (or first).

    >>> order = SortOrder(["n"], [True])
    >>> order.indices(order.keys(pa.table({"n": [1.0, None, float("nan"), 2.0]}))).to_pylist()
    [2, 3, 0, 1]
    """

    def __init__(self, by: Sequence[str], descending: Sequence[bool] = (), nulls_first: bool = False) -> None:
        self._nulls_first = nulls_first
        self._columns = list(zip(by, descending or [False] * len(by), strict=True))

    def keys(self, table: pa.Table) -> pa.RecordBatch:
        """The columns to sort by, in types that pyarrow sorts; `table` has no more than one chunk."""
        keys: dict[str, pa.Array] = {}
        for number, (name, descending) in enumerate(self._columns):
            chunks = table.column(name)
            column = storage_of(chunks.chunk(0) if chunks.num_chunks else pa.array([], chunks.type))
            if pa.types.is_float16(column.type):
                column = column.cast(pa.float32())
            if self._nulls_first:
                # pyarrow would put NaN with the nulls.
                keys[f"{number}.valid.ascending"] = column.is_valid()
            if descending and pa.types.is_floating(column.type):
                # pyarrow puts NaN after numbers in either direction.
                keys[f"{number}.nan.descending"] = pc.is_nan(column)
            keys[f"{number}.{'descending' if descending else 'ascending'}"] = column
        return pa.RecordBatch.from_arrays(list(keys.values()), names=list(keys))

    def indices(self, keys: pa.RecordBatch) -> pa.Array:
        """Row numbers in order; equal rows keep theirs."""
        return pc.sort_indices(keys, sort_keys=[(name, name.rpartition(".")[2]) for name in keys.schema.names])


class _Sorter:
    def __init__(
        self, order: SortOrder, schema: pa.Schema, context: QueryContext, operator: str, run_bytes: int | None
    ) -> None:
        self._order = order
        self._operator = operator
        self._schema = schema
        self._context = context
        # A run is held as read, once more in one piece, and its keys and order beside: an eighth of what is free keeps
        # all of it, and what reads the input meanwhile, within the budget.
        self._free_bytes = context.budget.free_bytes
        self._run_bytes = run_bytes or min(_RUN_BYTES_MAX, max(context.budget.free_bytes // 8, 1 << 20))
        self._block_bytes = min(self._run_bytes // 32 + 1, _BLOCK_BYTES_MAX)
        # A block is held once as read, once joined with the others, once in its new order.
        self._fan_in = max(2, self._run_bytes * 2 // (3 * self._block_bytes))
        self._spilled_bytes = 0

    def sort(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        runs: list[_Run] = []
        gathered: list[pa.RecordBatch] = []
        with self._context.budget.reserve(self._operator) as reservation:
            gathered_bytes = taken_bytes = 0
            for batch in batches:
                self._context.check()
                if gathered and gathered_bytes + batch.nbytes > self._run_bytes:
                    runs.append(self._spill(self._sorted(gathered)))
                    gathered, gathered_bytes = [], 0
                gathered.append(batch)
                gathered_bytes += batch.nbytes
                taken_bytes += batch.nbytes
                reservation.resize(gathered_bytes * 2)
            if not runs:
                yield from self._sorted(gathered)
                return
            if gathered:
                runs.append(self._spill(self._sorted(gathered)))
            gathered.clear()
            self._tell_spilled(taken_bytes)
            reservation.resize(self._fan_in * self._block_bytes * 3)
            while len(runs) > self._fan_in:
                # Neighbours are merged, so that runs stay in the order of the input and equal rows keep theirs.
                groups = [runs[start : start + self._fan_in] for start in range(0, len(runs), self._fan_in)]
                runs = [self._spill(self._merged(group)) for group in groups]
            yield from self._merged(runs)

    def _tell_spilled(self, taken_bytes: int) -> None:
        """Log what was sorted by way of the disk, and the least budget that had kept it in memory, if there is one."""
        budget = self._context.budget
        held_by_others = budget.total_bytes - self._free_bytes
        wanted = None if taken_bytes > _RUN_BYTES_MAX else held_by_others + 8 * taken_bytes + (1 << 20)
        self._context.log.emit(
            "sort_spilled",
            operator=self._operator,
            bytes=taken_bytes,
            budget_bytes=budget.total_bytes,
            budget_bytes_wanted=wanted,
        )

    def _sorted(self, gathered: list[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        table = pa.Table.from_batches(gathered, self._schema).combine_chunks()
        gathered.clear()
        if not table.num_rows:
            return
        order = self._order.indices(self._order.keys(table))
        rows = self._block_rows(table)
        for start in range(0, len(order), rows):
            yield from table.take(order.slice(start, rows)).combine_chunks().to_batches()

    def _block_rows(self, table: pa.Table) -> int:
        """Rows of a block: about `_block_bytes` on average."""
        return max(1, min(self._context.batch_rows, int(self._block_bytes * table.num_rows / max(table.nbytes, 1))))

    def _spill(self, batches: Iterator[pa.RecordBatch]) -> _Run:
        path, fd = self._context.spill.new_file("sort")
        try:
            with os.fdopen(fd, "wb") as file, pa.ipc.new_stream(file, self._schema) as writer:
                for batch in batches:
                    writer.write_batch(batch)
                    self._require_room(file.tell())
        except SpillError:
            raise
        except OSError as error:
            raise self._context.spill.failure(error) from error
        self._spilled_bytes += path.stat().st_size
        self._context.activity.spilled(path.stat().st_size)
        self._context.log.emit("sort_run_spilled", operator=self._operator, bytes=path.stat().st_size)
        return _Run(path, self._order)

    def _require_room(self, file_bytes: int) -> None:
        limit_bytes = self._context.spill.limit_bytes
        if self._spilled_bytes + file_bytes > limit_bytes:
            raise SpillError(
                f"sorting spills more than the {limit_bytes:,} bytes allowed in {self._context.spill.root}:"
                " raise spill_limit= or memory="
            )

    def _merged(self, runs: list[_Run]) -> Iterator[pa.RecordBatch]:
        """Merge sorted runs and remove them."""
        while runs := [run for run in runs if run.fill()]:
            self._context.check()
            chosen, last = _next_runs(runs, self._order)
            if len(chosen) == 1:
                yield from slices(chosen[0].take(chosen[0].row_count), self._context.batch_rows)
                continue
            order = self._order.indices(pa.concat_batches([run.keys for run in chosen]))
            places = order.to_numpy()
            edges = np.cumsum([0, *(run.row_count for run in chosen)])
            # Rows after the first run's end to be reached may be preceded by rows that are not read yet.
            known = order.slice(0, int(np.flatnonzero(places == edges[last + 1] - 1)[0]) + 1)
            table = pa.Table.from_batches([run.block for run in chosen]).combine_chunks()
            for run, taken in zip(chosen, _counts(places[: len(known)], edges), strict=True):
                run.take(taken)
            for batch in table.take(known).combine_chunks().to_batches():
                yield from slices(batch, self._context.batch_rows)


class _Run:
    """A sorted run in a spill file, and its block in memory."""

    def __init__(self, path: Path, order: SortOrder) -> None:
        self._path = path
        self._order = order
        self._batches: Iterator[pa.RecordBatch] | None = None
        self.block: pa.RecordBatch | None = None
        self.keys: pa.RecordBatch | None = None

    @property
    def row_count(self) -> int:
        """Rows of the block that were not taken."""
        return self.block.num_rows if self.block is not None else 0

    def fill(self) -> bool:
        """Have rows in the block, from the file if needed; False when the run is at its end."""
        if self._batches is None:
            self._batches = _read_run(self._path)
        while not self.row_count:
            self.block = next(self._batches, None)
            if self.block is None:
                return False
            self.keys = self._order.keys(pa.Table.from_batches([self.block]))
        return True

    def take(self, row_count: int) -> pa.RecordBatch:
        """Take rows off the front of the block."""
        assert self.block is not None and self.keys is not None, "take follows fill"
        taken = self.block.slice(0, row_count)
        self.block, self.keys = self.block.slice(row_count), self.keys.slice(row_count)
        return taken


def _read_run(path: Path) -> Iterator[pa.RecordBatch]:
    with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as reader:
        yield from reader
    path.unlink()


def _next_runs(runs: list[_Run], order: SortOrder) -> tuple[list[_Run], int]:
    """The runs whose rows come next, and which of them reaches the end of its block first.

    Looks at the first and last row of every block: a run that begins after the earliest end takes no part, so runs
    that do not overlap are merged by handing them on.
    """
    ends = [run.keys.take(pa.array([0, run.row_count - 1])) for run in runs if run.keys is not None]
    ranks = np.empty(2 * len(runs), np.int64)
    ranks[order.indices(pa.concat_batches(ends)).to_numpy()] = np.arange(2 * len(runs))
    firsts, lasts = ranks[0::2], ranks[1::2]
    earliest = int(lasts.argmin())
    chosen = [number for number in range(len(runs)) if firsts[number] <= lasts[earliest]]
    return [runs[number] for number in chosen], chosen.index(earliest)


def _counts(places: npt.NDArray[np.uint64], edges: npt.NDArray[np.int64]) -> list[int]:
    """How many of `places` lie between each two edges."""
    counts = np.bincount(np.searchsorted(edges, places, "right") - 1, minlength=len(edges) - 1)
    return [int(count) for count in counts]


def require_sortable(by: Sequence[str], schema: pa.Schema, option: str = "order_by") -> None:
    """Raise UnsupportedTypeError for a column that cannot be sorted by; `option` is what the user named it in."""
    for name in by:
        order = SortOrder([name])
        try:
            order.indices(order.keys(pa.schema([schema.field(name)]).empty_table()))
        except (pa.ArrowTypeError, pa.ArrowNotImplementedError, pa.ArrowKeyError, pa.ArrowInvalid) as error:
            raise UnsupportedTypeError(
                f"{option}={name!r}: a column of type {schema.field(name).type} cannot be sorted; choose another"
            ) from error
