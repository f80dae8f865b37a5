"""Files as a source: Parquet row groups, CSV files, Arrow batches; the row id is the position over all files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from esker.core.context import QueryContext
from esker.core.cost import Cost
from esker.core.explanation import Explanation
from esker.core.row_set import RowSet
from esker.core.row_store import RowBatch, Zone
from esker.engine.matched_rows import MatchedRows, ids_from, indexable, matching_stage, tell_matches
from esker.engine.prune import Statistics, may_match
from esker.engine.source import Source, SourceRead
from esker.engine.sources.stored import filtered, needed, scan_explanation
from esker.engine.stages import count_taken_stage
from esker.engine.stream import PartitionedStream, run_in_order
from esker.expression import Expression
from esker.formats import FileSource, Fragment, open_files
from esker.formats.parquet import ParquetDataFile
from esker.join.input import JoinInput
from esker.storage.devices import device_profile
from esker.thaw.aligned import side_by_side
from esker.thaw.file_pages import PIECE_BYTES, FilePages, cost_of, held_bytes, paged_columns
from esker.thaw.group_read import GroupRead

# Of the budget, what is read of a column's pages at a time.
_PIECE_SHARE = 96
_ROW_ID = "__esker_row_id"


class FileRows:
    """Rows of plain files, by position: no freeze needed.

    Of Parquet files with an offset index single pages are fetched, of others row groups; Arrow batches can be fetched
    alone, a CSV file can only be read through. Fragments are decoded side by side where there is memory for it.
    """

    def __init__(self, files: FileSource, name: str) -> None:
        self._files = files
        self._device = device_profile("nvme")
        self._starts: list[int] | None = None
        self._pages: dict[int, FilePages | None] = {}
        self.name = name
        self.schema: pa.Schema = files.schema
        self.hot_columns: frozenset[str] = frozenset()

    @property
    def row_count(self) -> int:
        """The number of rows; CSV files are read through once to know it."""
        return self._fragment_starts()[-1]

    def scan(self, columns: Sequence[str], context: QueryContext) -> Iterator[RowBatch]:
        """Yield all rows in order."""
        fragments = self._files.fragments
        held = max((self._files.held_bytes(fragment, columns) for fragment in fragments), default=0)
        schema = pa.schema([self.schema.field(name) for name in columns])
        batch_rows = _batch_rows(context)

        def partition(index: int) -> Iterator[pa.RecordBatch]:
            return self._files.read(fragments[index], columns, batch_rows)

        first = 0
        for batch in run_in_order(PartitionedStream(schema, len(fragments), partition, held), context, "scan"):
            yield RowBatch(np.arange(first, first + batch.num_rows, dtype=np.uint64), batch)
            first += batch.num_rows

    def fetch(self, rows: RowSet, columns: Sequence[str], context: QueryContext) -> Iterator[RowBatch]:
        """Yield the rows of `rows` in order, reading only the pages, or else the fragments, that hold some."""
        piece_bytes = min(PIECE_BYTES, max(context.budget.total_bytes // _PIECE_SHARE, 1))
        reads = [*self._reads(rows, columns)]
        schema = pa.schema([pa.field(_ROW_ID, pa.uint64()), *[self.schema.field(name) for name in columns]])

        def partition(index: int) -> Iterator[pa.RecordBatch]:
            for found in self._read(reads[index], columns, piece_bytes, _batch_rows(context)):
                yield pa.RecordBatch.from_arrays(
                    [pa.array(found.row_ids, pa.uint64()), *found.batch.columns], schema=schema
                )

        held = max((self._held_bytes(read, columns, piece_bytes) for read in reads), default=0)
        for batch in run_in_order(PartitionedStream(schema, len(reads), partition, held), context, "fetch"):
            yield RowBatch(batch.column(0).to_numpy(), batch.select(list(columns)))

    def scan_cost(self, columns: Sequence[str]) -> Cost:
        """The bytes of the columns in every fragment."""
        return sum((self.fragment_cost(fragment, columns) for fragment in self._files.fragments), Cost())

    def fetch_cost(self, rows: RowSet, columns: Sequence[str]) -> Cost:
        """The bytes of the pages that hold a row of `rows`, or of the columns in the fragments that do."""
        return sum((self._read_cost(read, columns) for read in self._reads(rows, columns)), Cost())

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

    def _reads(self, rows: RowSet, columns: Sequence[str]) -> Iterator[_FragmentRead]:
        """Say what is read for `rows`, fragment by fragment."""
        starts = self._fragment_starts()
        for index, fragment in enumerate(self._files.fragments):
            wanted = rows.slice(starts[index], starts[index + 1])
            if wanted:
                some = columns and len(wanted) < starts[index + 1] - starts[index]
                paged = self._by_pages(fragment, wanted, columns) if some else None
                yield _FragmentRead(fragment, starts[index], wanted, paged)

    def _by_pages(self, fragment: Fragment, wanted: RowSet, columns: Sequence[str]) -> GroupRead | None:
        """What to read of a fragment by pages; None when all of the columns are to be read."""
        pages = self._pages_of(fragment)
        if pages is None:
            return None
        self._files.file(fragment).check_unchanged()
        read = pages.read_of(fragment.part, columns, wanted, self._device)
        return None if read.whole else read

    def _pages_of(self, fragment: Fragment) -> FilePages | None:
        """The pages of a fragment's file; None for one that is not Parquet, or not on a local disk."""
        first = fragment.index - fragment.part
        if first not in self._pages:
            file = self._files.file(fragment)
            self._pages[first] = None
            if isinstance(file, ParquetDataFile) and isinstance(file.path, Path):
                start = self._fragment_starts()[first]
                self._pages[first] = FilePages(file.path, file.bytes, file.metadata, start)
        return self._pages[first]

    def _read_cost(self, read: _FragmentRead, columns: Sequence[str]) -> Cost:
        return self.fragment_cost(read.fragment, columns) if read.paged is None else cost_of(read.paged, self._device)

    def _held_bytes(self, read: _FragmentRead, columns: Sequence[str], piece_bytes: int) -> int:
        if read.paged is None:
            return self._files.held_bytes(read.fragment, columns)
        streamed = [name for name in columns if name not in paged_columns(read.paged)]
        return held_bytes(read.paged, piece_bytes) + self._files.held_bytes(read.fragment, streamed)

    def _read(
        self, read: _FragmentRead, columns: Sequence[str], piece_bytes: int, batch_rows: int
    ) -> Iterator[RowBatch]:
        """Decode the wanted rows of a fragment; columns of which all is read are streamed beside the others' pages."""
        if read.paged is None:
            return self._stream(read, columns, batch_rows)
        self._files.file(read.fragment).check_unchanged()
        paged = [name for name in columns if name in paged_columns(read.paged)]
        schema = pa.schema([self.schema.field(name) for name in paged])
        pages = self._pages_of(read.fragment)
        assert pages is not None, "planned by pages"
        rows = pages.rows(read.paged, schema, piece_bytes, batch_rows)
        streamed = [name for name in columns if name not in paged]
        return side_by_side(self._stream(read, streamed, batch_rows), rows, columns) if streamed else rows

    def _stream(self, read: _FragmentRead, columns: Sequence[str], batch_rows: int) -> Iterator[RowBatch]:
        first = read.first_row
        for batch in self._files.read(read.fragment, columns, batch_rows):
            for ids in read.wanted.slice(first, first + batch.num_rows).chunks(batch_rows):
                everything = len(ids) == batch.num_rows
                yield RowBatch(ids, batch if everything else batch.take(pa.array(ids - np.uint64(first))))
            first += batch.num_rows

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


def _batch_rows(context: QueryContext) -> int:
    """How many rows to decode at a time: every thread has a batch in hand, and one waits."""
    return max(context.batch_rows // (2 * context.scan_threads), 1)


class _FragmentRead(NamedTuple):
    """What is read of a fragment: all of the columns, or what `paged` says."""

    fragment: Fragment
    first_row: int
    wanted: RowSet
    paged: GroupRead | None


class FilesSource(Source):
    """Parquet, CSV or Arrow files."""

    def __init__(self, paths: str | Path | Sequence[str | Path], format_: str | None = None, **options: Any) -> None:
        self._made_of: tuple[str | Path | Sequence[str | Path], str | None, dict[str, Any]] = (paths, format_, options)
        self._files = open_files(paths, format=format_, **options)
        self.format = self._files.format
        self.name = str(paths) if isinstance(paths, str | Path) else f"{len(paths)} files"
        self.schema = self._files.schema
        self._rows = FileRows(self._files, self.name)

    def apart(self, index: int) -> Source:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        paths, format_, options = self._made_of
        found = _absolute(paths) if isinstance(paths, str | Path) else [_absolute(path) for path in paths]
        return _opened, (found, format_, options, self.name)

    def read(self, columns: Sequence[str], predicate: Expression | None, context: QueryContext) -> SourceRead:
        wanted = needed(columns, predicate)
        fragments = self._files.fragments
        kept = [fragment for fragment in fragments if may_match(predicate, self._statistics(fragment))]
        read_schema = pa.schema([self.schema.field(name) for name in wanted])

        def partition(index: int) -> Iterator[pa.RecordBatch]:
            for batch in self._files.read(kept[index], wanted, context.batch_rows):
                context.check()
                yield batch

        row_counts = [fragment.row_count for fragment in kept]
        matched = MatchedRows() if predicate is not None and indexable(predicate) and None not in row_counts else None

        def searched(index: int) -> Iterator[pa.RecordBatch]:
            # Filtered here, where the rows have their numbers.
            assert matched is not None and predicate is not None
            ids = ids_from(kept[index].first_row or 0)
            return matching_stage(predicate, matched, ids)(count_taken_stage(explanation)(partition(index)))

        held = max((self._files.held_bytes(fragment, wanted) for fragment in kept), default=0)
        explanation = scan_explanation(
            self.name, self.format, columns, predicate, fragments=f"{len(kept)} of {len(fragments)}"
        )
        if matched is None:
            scanned = PartitionedStream(read_schema, len(kept), partition, held)
            stream = filtered(scanned, columns, predicate, self.schema, explanation)
        else:
            scanned = PartitionedStream(read_schema, len(kept), searched, held)
            stream = filtered(scanned, columns, None, self.schema)
        explanation.estimated = sum((self._rows.fragment_cost(fragment, wanted) for fragment in kept), Cost())
        context.check_cost(explanation.estimated, f"scanning {self.name}")
        if matched is not None and predicate is not None:
            rows = sum(count or 0 for count in row_counts)
            price = partial(self._rows.fetch_cost, columns=columns)
            tell_matches(context, explanation, predicate, matched, rows, explanation.estimated, price)
        return SourceRead(stream, explanation)

    def preview_cost(self, columns: Sequence[str]) -> Cost | None:
        if not self._files.fragments:
            return Cost()
        first = self._files.fragments[0]
        return self._rows.fragment_cost(first, columns) if isinstance(first.path, Path) else None

    def join_input(
        self, columns: Sequence[str], predicate: Expression | None, context: QueryContext
    ) -> tuple[JoinInput, Explanation]:
        explanation = scan_explanation(self.name, self.format, columns, predicate)
        return JoinInput(self._rows, None, tuple(columns), predicate), explanation

    def _statistics(self, fragment: Fragment) -> Statistics:
        return lambda column: self._files.statistics(fragment, column)


def _absolute(path: str | Path) -> str | Path:
    """A path that names the same file in another folder."""
    if isinstance(path, str) and "://" in path:
        return path
    return Path(path).expanduser().absolute()


def _opened(paths: Any, format_: str | None, options: dict[str, Any], name: str) -> FilesSource:
    source = FilesSource(paths, format_, **options)
    source.name = name
    return source
