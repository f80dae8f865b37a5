"""Files as a source: Parquet row groups, CSV files, Arrow batches; the row id is the position over all files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from esker.core.context import QueryContext
from esker.core.cost import Cost
from esker.core.explanation import Explanation
from esker.core.row_set import RowSet
from esker.core.row_store import RowBatch, Zone
from esker.engine.prune import Statistics, may_match
from esker.engine.source import Source, SourceRead
from esker.engine.sources.stored import filtered, needed, scan_explanation
from esker.engine.stream import PartitionedStream
from esker.expression import Expression
from esker.formats import FileSource, Fragment, open_files
from esker.join.input import JoinInput
from esker.storage.devices import device_profile


class FileRows:
    """Rows of plain files, by position: no freeze needed.

    Parquet row groups and Arrow batches can be fetched alone; a CSV file can only be read through.
    """

    def __init__(self, files: FileSource, name: str) -> None:
        self._files = files
        self._device = device_profile("nvme")
        self._starts: list[int] | None = None
        self.name = name
        self.schema: pa.Schema = files.schema
        self.hot_columns: frozenset[str] = frozenset()

    @property
    def row_count(self) -> int:
        """The number of rows; CSV files are read through once to know it."""
        return self._fragment_starts()[-1]

    def scan(self, columns: Sequence[str], context: QueryContext) -> Iterator[RowBatch]:
        """Yield all rows in order."""
        first = 0
        for fragment in self._files.fragments:
            for batch in self._files.read(fragment, columns, context.batch_rows):
                context.check()
                yield RowBatch(np.arange(first, first + batch.num_rows, dtype=np.uint64), batch)
                first += batch.num_rows

    def fetch(self, rows: RowSet, columns: Sequence[str], context: QueryContext) -> Iterator[RowBatch]:
        """Yield the rows of `rows` in order, reading only the fragments that hold some."""
        starts = self._fragment_starts()
        for index, fragment in enumerate(self._files.fragments):
            wanted = rows.slice(starts[index], starts[index + 1])
            if not len(wanted):
                continue
            first = starts[index]
            for batch in self._files.read(fragment, columns, context.batch_rows):
                context.check()
                for ids in wanted.slice(first, first + batch.num_rows).chunks(context.batch_rows):
                    yield RowBatch(ids, batch.take(pa.array(ids - np.uint64(first))))
                first += batch.num_rows

    def scan_cost(self, columns: Sequence[str]) -> Cost:
        """The bytes of the columns in every fragment."""
        return sum((self.fragment_cost(fragment, columns) for fragment in self._files.fragments), Cost())

    def fetch_cost(self, rows: RowSet, columns: Sequence[str]) -> Cost:
        """The bytes of the columns in the fragments that hold a row of `rows`."""
        starts = self._fragment_starts()
        touched = (
            fragment
            for index, fragment in enumerate(self._files.fragments)
            if len(rows.slice(starts[index], starts[index + 1]))
        )
        return sum((self.fragment_cost(fragment, columns) for fragment in touched), Cost())

    def fragment_cost(self, fragment: Fragment, columns: Sequence[str]) -> Cost:
        """The bytes of the columns in one fragment."""
        if not columns:
            return Cost()
        stored = self._files.stored_cost(fragment, columns)
        if stored is not None:
            return stored
        ranges = self._files.byte_ranges(fragment, columns)
        size = sum(part.length for part in ranges)
        seconds = len(ranges) * self._device.request_seconds + size / self._device.bytes_per_second
        return Cost(bytes=size, requests=len(ranges), seconds=seconds)

    def zones(self, column: str) -> Iterator[Zone]:
        """The bounds of a column in each fragment whose file keeps them."""
        starts = self._fragment_starts()
        for index, fragment in enumerate(self._files.fragments):
            known = self._files.statistics(fragment, column)
            if known is not None:
                yield Zone(starts[index], starts[index + 1], known.min, known.max)

    def _fragment_starts(self) -> list[int]:
        if self._starts is None:
            starts = [0]
            for fragment in self._files.fragments:
                count = fragment.row_count
                if count is None:
                    names = self.schema.names[:1]
                    count = sum(batch.num_rows for batch in self._files.read(fragment, names, 1 << 16))
                starts.append(starts[-1] + count)
            self._starts = starts
        return self._starts


class FilesSource(Source):
    """Parquet, CSV or Arrow files."""

    def __init__(self, paths: str | Path | Sequence[str | Path], format_: str | None = None, **options: Any) -> None:
        self._files = open_files(paths, format=format_, **options)
        self.format = self._files.format
        self.name = str(paths) if isinstance(paths, str | Path) else f"{len(paths)} files"
        self.schema = self._files.schema
        self._rows = FileRows(self._files, self.name)

    def read(self, columns: Sequence[str], predicate: Expression | None, context: QueryContext) -> SourceRead:
        wanted = needed(columns, predicate)
        fragments = self._files.fragments
        kept = [fragment for fragment in fragments if may_match(predicate, self._statistics(fragment))]
        read_schema = pa.schema([self.schema.field(name) for name in wanted])

        def partition(index: int) -> Iterator[pa.RecordBatch]:
            for batch in self._files.read(kept[index], wanted, context.batch_rows):
                context.check()
                yield batch

        held = max((self._files.held_bytes(fragment, wanted) for fragment in kept), default=0)
        stream = filtered(PartitionedStream(read_schema, len(kept), partition, held), columns, predicate, self.schema)
        explanation = scan_explanation(
            self.name, self.format, columns, predicate, fragments=f"{len(kept)} of {len(fragments)}"
        )
        explanation.estimated = sum((self._rows.fragment_cost(fragment, wanted) for fragment in kept), Cost())
        context.check_cost(explanation.estimated, f"scanning {self.name}")
        return SourceRead(stream, explanation)

    def join_input(
        self, columns: Sequence[str], predicate: Expression | None, context: QueryContext
    ) -> tuple[JoinInput, Explanation]:
        explanation = scan_explanation(self.name, self.format, columns, predicate)
        return JoinInput(self._rows, None, tuple(columns), predicate), explanation

    def _statistics(self, fragment: Fragment) -> Statistics:
        return lambda column: self._files.statistics(fragment, column)
