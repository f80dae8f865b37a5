"""An index folder: rows, their bitmap index and what was deleted of them, committed by one catalogue."""

from __future__ import annotations

import os
import secrets
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa

from esker.bitmap import Bitmap
from esker.core.batch import cast_batch, plain_schema, require_columns
from esker.core.checksum import checksum_bytes
from esker.core.clock import SYSTEM_CLOCK, Clock
from esker.core.context import QueryContext
from esker.core.file_system import ASIDE_MARK, LOCAL, FileSystem
from esker.core.row_set import RowSet
from esker.core.row_store import RowBatch
from esker.errors import (
    EskerError,
    InputError,
    InputFileError,
    OptionError,
    OutputExistsError,
    OutputFileError,
    PayloadCorruptError,
)
from esker.expression import Expression, columns, evaluate
from esker.frozen.location import check_name, network_type, require_local
from esker.frozen.lock import reader_lock, without_readers, writer_lock
from esker.frozen.records import IndexSegment
from esker.frozen.schema import fit
from esker.index.answer import IndexAnswer, IndexPrice
from esker.index.build import build_index
from esker.index.catalog import CATALOG_FILE, Deletion, IndexCatalog, RowBlock, StoreContents
from esker.index.column_spec import ColumnSpec, spec_from_json
from esker.index.encode import AUTO, Encoder, every_row
from esker.index.index import Index
from esker.index.prepared import PreparedColumns
from esker.index.row_format import ReadPrice, RowReader
from esker.index.row_formats import ROW_FORMATS
from esker.index.vector_cache import VectorCache

ROWS_FOLDER = "rows"
VECTORS_FOLDER = "vectors"
# What a killed build may have left: a build takes it over.
_CATALOG_FILES = tuple(CATALOG_FILE + suffix for suffix in ("", "-wal", "-shm", "-journal"))
_OUR_NAMES = frozenset({ROWS_FOLDER, VECTORS_FOLDER, *_CATALOG_FILES})


@dataclass(frozen=True)
class StoreOptions:
    """How an index is made; kept in the catalogue, so that an append does the same."""

    specs: Mapping[str, ColumnSpec]
    encoding: str = AUTO
    profile: str = "balanced"
    rows: str = "arrow"
    vector_rows: int | None = None

    def __post_init__(self) -> None:
        Encoder(self.encoding, self.profile)
        ROW_FORMATS[self.rows]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        specs = {name: spec.to_json() for name, spec in self.specs.items()}
        return {**self.__dict__, "specs": specs}

    @classmethod
    def from_json(cls, options: Mapping[str, Any]) -> StoreOptions:
        """Read what `to_json` gave."""
        specs = {name: spec_from_json(spec) for name, spec in options["specs"].items()}
        return cls(specs, options["encoding"], options["profile"], options["rows"], options["vector_rows"])


class OpenBlock:
    """One block of an open store: its rows, its index, the rows of it that were deleted."""

    def __init__(
        self, folder: Path, block: RowBlock, segments: Sequence[IndexSegment], schema: pa.Schema, rows: str,
        deleted: RowSet, cache: VectorCache,
    ) -> None:  # fmt: skip
        self.first_row = block.first_row
        self.row_count = block.file.row_count
        self.row_stop = block.row_stop
        name = check_name(block.file.file, "row file", str(folder / CATALOG_FILE))
        self._file = replace(block.file, file=name)
        self._folder = folder / ROWS_FOLDER
        self._schema = schema
        self._format = rows
        self.index = Index.open(folder / VECTORS_FOLDER, segments, self.row_count, cache)
        self._gone = deleted.slice(self.first_row, self.row_stop)

    @cached_property
    def rows(self) -> RowReader:
        """The block's rows, opened when first needed."""
        return ROW_FORMATS[self._format]().open(self._folder, self._file, self._schema)

    @cached_property
    def deleted(self) -> Bitmap | None:
        """The deleted rows, counted from the block's first."""
        if not self._gone:
            return None
        return Bitmap.from_rows(shifted(self._gone, -self.first_row), self.row_count, AUTO, "speed")

    @property
    def live_count(self) -> int:
        """Rows that are not deleted."""
        return self.row_count - len(self._gone)

    def answer(self, predicate: Expression | None) -> IndexAnswer:
        """Ask the index; rows count from the block's first."""
        if predicate is None:
            every = every_row(self.row_count)
            return self._without_deleted(IndexAnswer(every, every, None, 0, 0, ["every row"]))
        return self._without_deleted(self.index.evaluate(predicate))

    def _without_deleted(self, answer: IndexAnswer) -> IndexAnswer:
        if self.deleted is None:
            return answer
        return replace(answer, candidates=answer.candidates - self.deleted, sure=answer.sure - self.deleted)

    def matches(self, predicate: Expression | None, context: QueryContext) -> Bitmap:
        """Give the rows for which `predicate` is true: from the index, then from the rows it is unsure of."""
        answer = self.answer(predicate)
        if answer.residual is None:
            return answer.candidates
        return answer.sure | self._checked((answer.candidates - answer.sure).rows(), answer.residual, context)

    def _checked(self, rows: RowSet, predicate: Expression, context: QueryContext) -> Bitmap:
        kept: list[RowSet] = []
        for found in self.fetch(rows, sorted(columns(predicate)) or self._schema.names[:1], context):
            mask = evaluate(predicate, found.batch).fill_null(False).to_numpy(zero_copy_only=False)
            kept.append(RowSet.of(found.row_ids[mask]))
        starts, stops = zip(*(part.runs() for part in kept), strict=True) if kept else ((), ())
        return Bitmap.from_rows(_joined(starts, stops), self.row_count, AUTO, "speed")

    def fetch(self, rows: RowSet, names: Sequence[str], context: QueryContext) -> Iterator[RowBatch]:
        """Yield columns of rows, both counted from the block's first."""
        seen = 0
        for batch in self.rows.fetch(rows, names, context):
            ids = rows.between_ranks(seen, seen + batch.num_rows)
            seen += batch.num_rows
            yield RowBatch(ids, batch)
        if seen != len(rows):
            raise PayloadCorruptError(f"{self._folder / self._file.file} gave {seen} rows of {len(rows)}")

    def close(self) -> None:
        """Close the files."""
        self.index.close()
        if "rows" in self.__dict__:
            self.rows.close()


class IndexStore:
    """One committed state of an index folder; a context manager. Threads may share it.

    Sees the state at the moment of opening, whatever is added or deleted later; files it may still read are not
    collected while it is open. Opening reads the roots of the segments' directories, and nothing of the rows.
    """

    def __init__(self, folder: Path, contents: StoreContents, on_close: Any) -> None:
        """Use `open`."""
        self.folder = folder
        self.contents = contents
        self.name = contents.name
        self.schema: pa.Schema = contents.schema
        self.row_count = contents.row_count
        self.options = StoreOptions.from_json(contents.options)
        self.deleted = read_deleted(folder, contents)
        # What plan.py chose before, by columns and predicate.
        self.plans: dict[Any, Any] = {}
        self.blocks: list[OpenBlock] = []
        self.cache = VectorCache()
        self._on_close = on_close
        try:
            for block in contents.blocks:
                segments = contents.segments.get(block.number, ())
                self.blocks.append(
                    OpenBlock(folder, block, segments, self.schema, self.options.rows, self.deleted, self.cache)
                )
        except BaseException:
            self.close()
            raise

    @classmethod
    def open(cls, path: Path | str) -> IndexStore:
        """Open the index in the folder `path`; nothing in it is changed.

        Raises InputFileError when there is no index, CatalogCorruptError, BitmapCorruptError or PayloadCorruptError
        when a file is damaged, missing or of another size.
        """
        folder = Path(path)
        require_index(folder)
        local = network_type(folder) is None
        with ExitStack() as stack:
            lock_fd = reader_lock(folder, ROWS_FOLDER) if local else -1
            if lock_fd >= 0:
                stack.callback(os.close, lock_fd)
            with IndexCatalog.open(folder, local=local) as catalog:
                contents = catalog.read()
            if contents is None:
                raise InputFileError(f"{folder} holds an index that was begun and not finished: build it again")
            store = cls(folder, contents, lambda: None)
            # Whoever forgets to close must not keep the lock for as long as the process lives.
            store._on_close = weakref.finalize(store, stack.pop_all().close)
            return store

    @property
    def columns(self) -> list[str]:
        """The indexed columns, in their order."""
        return list(self.options.specs)

    @property
    def live_count(self) -> int:
        """Rows that are not deleted."""
        return self.row_count - len(self.deleted)

    def matches(self, predicate: Expression | None, context: QueryContext) -> Iterator[tuple[OpenBlock, Bitmap]]:
        """Yield each block and the rows of it for which `predicate` is true."""
        self.cache.charge(context)
        for block in self.blocks:
            context.check()
            yield block, block.matches(predicate, context)

    def row_set(self, predicate: Expression | None, context: QueryContext) -> RowSet:
        """Give the ids of the rows for which `predicate` is true."""
        parts = [shifted(rows.rows(), block.first_row).runs() for block, rows in self.matches(predicate, context)]
        return _joined([starts for starts, _ in parts], [stops for _, stops in parts])

    def price(self, predicate: Expression) -> IndexPrice:
        """Say what the index would read at most; reads directories."""
        prices = [block.index.price(predicate) for block in self.blocks]
        steps = tuple(step for price in prices[:1] for step in price.steps)
        return IndexPrice(
            sum(price.vectors for price in prices),
            sum(price.bytes for price in prices),
            sum(price.rows_max for price in prices),
            steps,
            sum(price.requests for price in prices),
            frozenset(name for price in prices for name in price.unsure),
        )

    def fetch(self, rows: RowSet, names: Sequence[str], context: QueryContext) -> Iterator[RowBatch]:
        """Yield columns of rows, in row-id order."""
        require_columns(names, self.schema, self.name)
        for block in self.blocks:
            wanted = shifted(rows.slice(block.first_row, block.row_stop), -block.first_row)
            if wanted:
                for found in block.fetch(wanted, names, context):
                    yield RowBatch(found.row_ids + found.row_ids.dtype.type(block.first_row), found.batch)

    def scan(self, names: Sequence[str], context: QueryContext) -> Iterator[RowBatch]:
        """Yield columns of all rows that are not deleted."""
        return self.fetch(RowSet.range(0, self.row_count) - self.deleted, names, context)

    def scan_price(self, names: Sequence[str]) -> ReadPrice:
        """Say what reading columns of all rows takes."""
        total = ReadPrice(0, 0)
        for block in self.blocks:
            total = total.plus(block.rows.scan_price(names))
        return total

    def statistics(self) -> dict[str, Any]:
        """Count rows, blocks, vectors, bytes, and what was read since the index was opened."""
        counted = [block.index.statistics() for block in self.blocks]
        summed = {name: sum(one[name] for one in counted) for name in (counted[0] if counted else {})}
        indexed: dict[str, dict[str, Any]] = {}
        for segments in self.contents.segments.values():
            for segment in segments:
                known = indexed.setdefault(
                    segment.column, {"kind": segment.kind, "vectors": 0, "bytes": 0, "encodings": {}}
                )
                known["vectors"] += segment.spec.get("vectors", 0)
                known["bytes"] += segment.bytes
                for name, count in segment.spec.get("encodings", {}).items():
                    known["encodings"][name] = known["encodings"].get(name, 0) + count
        return {
            "rows": self.live_count,
            "deleted": len(self.deleted),
            "blocks": len(self.blocks),
            "row_format": self.options.rows,
            "row_bytes": sum(block.file.bytes for block in self.contents.blocks),
            "index_bytes": sum(s.bytes for segments in self.contents.segments.values() for s in segments),
            "encoding": self.options.encoding,
            "profile": self.options.profile,
            "columns": indexed,
            **{name: summed.get(name, 0) for name in ("vectors", "vectors_read", "bytes_read", "requests")},
            "directory_bytes_read": summed.get("directory_bytes_read", 0),
        }

    def verify(self) -> None:
        """Read and check every byte of every file."""
        with IndexCatalog.open(self.folder) as catalog:
            catalog.check_structure()
        for block in self.blocks:
            block.index.validate()
            block.rows.verify()

    def close(self) -> None:
        """Close the files; calling it again does nothing."""
        for block in self.blocks:
            block.close()
        self._on_close()

    def __enter__(self) -> IndexStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        indexed = ", ".join(self.columns)
        return f"IndexStore({self.name!r}: {self.live_count:,} rows, {len(self.schema)} columns; {indexed})"


def looks_indexed(folder: Path) -> bool:
    """Tell an index folder from one of plain files."""
    return (folder / CATALOG_FILE).exists()


def require_index(folder: Path) -> None:
    """Say clearly what is wrong with a path that is no index."""
    if (folder / CATALOG_FILE).is_file():
        return
    if not folder.exists():
        raise InputFileError(f"no index {folder}: there is no such folder")
    raise InputFileError(f"{folder} is not an index: it has no {CATALOG_FILE}")


def shifted(rows: RowSet, by: int) -> RowSet:
    """Add a number to every row id."""
    if not by or not rows:
        return rows
    starts, stops = rows.runs()
    step = starts.dtype.type(abs(by))
    return RowSet(starts + step, stops + step) if by > 0 else RowSet(starts - step, stops - step)


def read_deleted(folder: Path, contents: StoreContents) -> RowSet:
    """Read the row set of what was deleted."""
    gone = contents.deletion
    if gone is None:
        return RowSet.empty()
    path = folder / ROWS_FOLDER / check_name(gone.file, "file of deleted rows", str(folder / CATALOG_FILE))
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PayloadCorruptError(f"{path} cannot be read: {error.strerror}; restore it from a copy") from error
    if len(data) != gone.bytes or checksum_bytes(data) != gone.checksum:
        raise PayloadCorruptError(f"{path} is not the file that was recorded; restore it from a copy")
    return RowSet.deserialize(data, str(path))


class StoreWriter:
    """The one who may change an index folder now; every change is one commit, or leaves things as they were."""

    def __init__(
        self, folder: Path, context: QueryContext, file_system: FileSystem = LOCAL, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._folder = folder
        self._context = context
        self._file_system = file_system
        self._clock = clock

    def build(
        self,
        batches: Iterator[pa.RecordBatch],
        schema: pa.Schema,
        options: StoreOptions,
        prepared: PreparedColumns | None = None,
    ) -> StoreContents:
        """Make a new index folder; raises OutputExistsError when there is one.

        Columns that are `prepared` while `batches` are read need no second look at the rows.
        """
        plain = plain_schema(schema)
        require_columns(list(options.specs), plain, "the data to index")
        made = self._make_folder()
        with writer_lock(self._folder):
            try:
                with IndexCatalog.open_writing(self._folder) as catalog:
                    if catalog.read() is not None:
                        raise OutputExistsError(f"{self._folder} is an index already; append to it, or choose another")
                    self._collect(None)
                    name = self._folder.name.removesuffix(".index")
                    blank = StoreContents(
                        secrets.token_hex(16), name, plain, options.to_json(), float(self._clock.wall_seconds())
                    )
                    return self._commit(catalog, blank, lambda: self._extended(blank, batches, prepared=prepared))
            except BaseException:
                if made:
                    self._remove_folder()
                raise

    def change(self, change: Callable[[StoreContents], StoreContents]) -> StoreContents:
        """Commit what `change` makes of the state there is."""
        with self._changing() as (catalog, before):
            return self._commit(catalog, before, lambda: change(before))

    def append(self, batches: Iterator[pa.RecordBatch], prepared: PreparedColumns | None = None) -> StoreContents:
        """Add rows behind those there are, as a block with an index of its own; see `build`."""
        with self._changing() as (catalog, before):
            return self._commit(catalog, before, lambda: self._extended(before, batches, prepared=prepared))

    def delete(self, find: Any) -> int:
        """Mark the rows `find(store)` gives as deleted; says how many were not before."""
        with self._changing() as (catalog, before):
            with IndexStore(self._folder, before, lambda: None) as store:
                rows: RowSet = find(store)
            gone = read_deleted(self._folder, before)
            past = rows - RowSet.range(0, before.row_count)
            if past:
                raise InputError(f"row {past.select(0)} is past the last of {before.row_count:,} rows")
            every = gone | rows
            if len(every) == len(gone):
                return 0
            self._commit(catalog, before, lambda: replace(before, deletion=self._write_deleted(every)))
            return len(every) - len(gone)

    def compact(self) -> StoreContents:
        """Write all rows that are left as one block, with new row ids and nothing deleted."""
        with self._changing() as (catalog, before):
            if len(before.blocks) <= 1 and before.deletion is None:
                return before
            with IndexStore(self._folder, before, lambda: None) as store:
                rows = (found.batch for found in store.scan(before.schema.names, self._context))
                empty = replace(before, blocks=(), segments={}, deletion=None)
                number = before.blocks[-1].number + 1 if before.blocks else 0
                return self._commit(catalog, before, lambda: self._extended(empty, rows, number))

    def collect(self) -> list[str]:
        """Remove files that no committed state refers to; says which."""
        with self._changing() as (_, before):
            return self._collect(before)

    def _changing(self) -> _Changing:
        require_index(self._folder)
        require_local(self._folder)
        return _Changing(self._folder, self._collect)

    def _extended(
        self,
        before: StoreContents,
        batches: Iterator[pa.RecordBatch],
        number: int | None = None,
        prepared: PreparedColumns | None = None,
    ) -> StoreContents:
        """Write a block of rows and its index."""
        options = StoreOptions.from_json(before.options)
        if number is None:
            number = before.blocks[-1].number + 1 if before.blocks else 0
        format_ = ROW_FORMATS[options.rows]()
        path = self._folder / ROWS_FOLDER / f"{number:05d}.{secrets.token_hex(6)}{format_.suffix}"
        rows = self._fitted(batches, before.schema)
        file = format_.write(rows, before.schema, path, self._context, self._file_system)
        if not file.row_count:
            self._file_system.delete(path)
            return before
        taken = prepared.take(file.row_count) if prepared is not None else {}
        reader = format_.open(path.parent, file, before.schema)
        try:
            infos = build_index(
                reader.scan([name for name in options.specs if name not in taken], self._context)
                if options.specs
                else iter(()),
                file.row_count if options.specs else 0,
                options.specs,
                self._folder / VECTORS_FOLDER,
                context=self._context,
                file_system=self._file_system,
                encoding=options.encoding,
                profile=options.profile,
                prepared=taken,
            )
        finally:
            reader.close()
        made = tuple(IndexSegment(i.file, i.column, i.kind, i.bytes, i.checksum, dict(i.spec)) for i in infos)
        block = RowBlock(number, before.row_count, file)
        return replace(before, blocks=(*before.blocks, block), segments={**before.segments, number: made})

    def _fitted(self, batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        seen = 0
        for batch in batches:
            self._context.check()
            seen += batch.num_rows
            self._context.progress.advance("index rows", seen, None, "rows")
            yield fit(cast_batch(batch, plain_schema(batch.schema)), schema)

    def _write_deleted(self, rows: RowSet) -> Deletion:
        data = rows.serialize()
        name = f"deleted.{secrets.token_hex(6)}.rows"
        with self._file_system.write_aside(self._folder / ROWS_FOLDER / name) as file:
            self._file_system.write(file, data)
        return Deletion(name, len(rows), len(data), checksum_bytes(data))

    def _commit(self, catalog: IndexCatalog, before: StoreContents, change: Any) -> StoreContents:
        """Make files, then refer to them all in one transaction; whatever happens, what nothing refers to goes."""
        try:
            after: StoreContents = change()
            self._context.check()
            catalog.commit(after)
        except OSError as error:
            if isinstance(error, EskerError):
                raise
            raise OutputFileError(
                f"cannot write to {self._folder}: {error.strerror or error}; what was there before is unchanged"
            ) from error
        finally:
            with suppress(EskerError, OSError):
                self._collect(catalog.read())
        return after

    def _collect(self, contents: StoreContents | None) -> list[str]:
        kept = contents.files if contents is not None else set()
        removed = []
        with without_readers(self._folder, ROWS_FOLDER) as alone:
            for inner in (ROWS_FOLDER, VECTORS_FOLDER) if alone else ():
                for path in sorted((self._folder / inner).iterdir()):
                    ours = path.suffix in _SUFFIXES or ASIDE_MARK in path.name
                    if ours and path.name not in kept:
                        self._file_system.delete(path)
                        removed.append(f"{inner}/{path.name}")
        return removed

    def _make_folder(self) -> bool:
        folder = self._folder
        if not folder.parent.is_dir():
            raise InputFileError(f"cannot build {folder}: there is no folder {folder.parent}")
        require_local(folder.parent)
        made = not folder.exists()
        try:
            if not made and any(path.name not in _OUR_NAMES for path in folder.iterdir()):
                raise OutputExistsError(f"{folder} holds something else; choose another name or remove it")
            for inner in (ROWS_FOLDER, VECTORS_FOLDER):
                (folder / inner).mkdir(parents=True, exist_ok=True)
            self._file_system.sync_folder(folder)
            self._file_system.sync_folder(folder.parent)
        except NotADirectoryError as error:
            raise OutputExistsError(f"{folder} is a file; choose another name or remove it") from error
        except OSError as error:
            if isinstance(error, EskerError):
                raise
            raise OutputFileError(f"cannot make the folder {folder}: {error.strerror}") from error
        return made

    def _remove_folder(self) -> None:
        with suppress(OSError):
            for name in _CATALOG_FILES:
                (self._folder / name).unlink(missing_ok=True)
            for inner in (ROWS_FOLDER, VECTORS_FOLDER):
                (self._folder / inner).rmdir()
            self._folder.rmdir()


_SUFFIXES = frozenset({".seg", ".rows", *(variant.suffix for variant in ROW_FORMATS.values())})


class _Changing:
    """The right to change a folder, its catalogue and its committed state."""

    def __init__(self, folder: Path, collect: Any) -> None:
        self._folder = folder
        self._collect = collect
        self._stack = ExitStack()

    def __enter__(self) -> tuple[IndexCatalog, StoreContents]:
        with ExitStack() as stack:
            stack.enter_context(writer_lock(self._folder))
            catalog = stack.enter_context(IndexCatalog.open_writing(self._folder))
            contents = catalog.read()
            if contents is None:
                raise InputFileError(f"{self._folder} holds an index that was begun and not finished: build it again")
            # What a killed writer left behind.
            self._collect(contents)
            self._stack = stack.pop_all()
        return catalog, contents

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()


def require_rows(name: str) -> None:
    """Raise OptionError for a row format that is not there."""
    if name not in ROW_FORMATS:
        raise OptionError(f"rows={name!r}; there is: {', '.join(ROW_FORMATS)}")


def _joined(starts: Sequence[Any], stops: Sequence[Any]) -> RowSet:
    if not starts:
        return RowSet.empty()
    return RowSet.from_runs(np.concatenate(starts), np.concatenate(stops))
