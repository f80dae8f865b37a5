"""A frozen data set, opened for reading: what there is, and where each row id lies."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa

from esker.core.batch import require_columns
from esker.core.byte_size import format_bytes
from esker.core.context import QueryContext
from esker.core.row_set import RowSet
from esker.core.row_store import RowBatch, Zone
from esker.errors import InputFileError
from esker.frozen.catalog_file import CatalogFile
from esker.frozen.check import check_contents, check_files
from esker.frozen.hot import read_parts, read_zones
from esker.frozen.location import network_type, require_data_set, resolve_tier_uri, tier_folder
from esker.frozen.lock import reader_lock
from esker.frozen.records import INDEX_FOLDER, FrozenExtent, HotPart, IndexSegment
from esker.frozen.verify import Verified, verify_contents
from esker.storage import Tier, open_tier


class FrozenCatalog:
    """One committed state of a frozen data set; a context manager.

    Sees the state at the moment of opening, whatever is appended later; files it may still read are not collected
    while it is open. Footers are read from the catalogue when first asked for, the payload's tier is opened then
    too. Threads may share it.
    """

    def __init__(self, folder: Path, file: CatalogFile, tier: Tier | None = None) -> None:
        """Use `open`."""
        contents = file.read()
        if contents is None:
            raise InputFileError(f"{folder} holds a freeze that was begun and not finished: freeze again")
        check_contents(contents, folder)
        check_files(contents, folder)
        self.folder = folder
        self._contents = contents
        self._file = file
        self._tier = tier
        self._on_close: Callable[[], object] = file.close

    @classmethod
    def open(cls, path: Path | str, *, tier: Tier | None = None) -> FrozenCatalog:
        """Open the frozen data set in the folder `path`; nothing in it is changed.

        `tier` stands in for the recorded one: tiers in memory, wrapped tiers. Raises InputFileError when there is no
        frozen data set, CatalogCorruptError when the catalogue is damaged or newer than this Esker, and
        PayloadCorruptError when a key or index file is missing or has the wrong size.
        """
        folder = Path(path)
        require_data_set(folder)
        local = network_type(folder) is None
        with ExitStack() as stack:
            lock_fd = reader_lock(folder) if local else -1
            if lock_fd >= 0:
                stack.callback(os.close, lock_fd)
            file = stack.enter_context(CatalogFile.open(folder, local=local))
            catalog = cls(folder, file, tier)
            # Whoever forgets to close must not keep the lock for as long as the process lives.
            catalog._on_close = weakref.finalize(catalog, stack.pop_all().close)
            return catalog

    def close(self) -> None:
        """Close the catalogue and let its files be collected; calling it again does nothing."""
        self._on_close()

    def __enter__(self) -> FrozenCatalog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return (
            f"FrozenCatalog({self.name!r}: {self.row_count:,} rows, {len(self.schema)} columns,"
            f" {len(self.extents):,} extents of {format_bytes(self.payload_bytes)} on {self.tier_uri},"
            f" {format_bytes(self.hot_bytes)} hot)"
        )

    @property
    def name(self) -> str:
        """What plans and errors call it."""
        return self._contents.description.name

    @property
    def dataset_id(self) -> str:
        """Tells this data set from every other, wherever it is moved or copied."""
        return self._contents.description.dataset_id

    @property
    def schema(self) -> pa.Schema:
        """All columns; every one is in the payload."""
        return self._contents.description.schema

    @property
    def row_count(self) -> int:
        """How many rows; their ids are 0 to this."""
        return self._contents.description.row_count

    @property
    def hot_columns(self) -> frozenset[str]:
        """The columns that the key files repeat."""
        return frozenset(self._contents.description.hot_columns)

    @property
    def hot_schema(self) -> pa.Schema:
        """The hot columns, in the order of `schema`."""
        return _narrow(self.schema, self._contents.description.hot_columns)

    @property
    def parts(self) -> Sequence[HotPart]:
        """The key files, in row-id order."""
        return self._contents.parts

    @property
    def extents(self) -> Sequence[FrozenExtent]:
        """The payload objects, in row-id order, each with its Parquet footer."""
        return self._contents.extents

    @property
    def segments(self) -> Sequence[IndexSegment]:
        """The files of the index; empty when there is none."""
        return self._contents.segments

    @property
    def index_folder(self) -> Path:
        """Where the files of `segments` lie."""
        return self.folder / INDEX_FOLDER

    @property
    def options(self) -> Mapping[str, Any]:
        """How it was frozen: order_by, split_by, sizes; an append repeats them."""
        return self._contents.description.options

    @property
    def created_seconds(self) -> float:
        """When it was frozen first, in seconds since 1970-01-01 UTC."""
        return self._contents.description.created_seconds

    @property
    def payload_prefix(self) -> str:
        """The folder of its objects on the tier."""
        return self._contents.description.payload_prefix

    @property
    def tier_uri(self) -> str:
        """Where the payload lies, for the place the folder is in now."""
        return resolve_tier_uri(self._contents.description.tier_uri, self.folder)

    @property
    def tier(self) -> Tier:
        """The tier of the payload, opened on first use; InputFileError when its folder is not there."""
        if self._tier is None:
            self._tier = open_payload_tier(self.tier_uri, self.name, needed=bool(self.extents))
        return self._tier

    @property
    def payload_bytes(self) -> int:
        """Bytes of all extents."""
        return sum(frozen.extent.bytes for frozen in self.extents)

    @property
    def hot_bytes(self) -> int:
        """Bytes of all key files."""
        return sum(part.bytes for part in self.parts)

    @property
    def index_bytes(self) -> int:
        """Bytes of all index segments."""
        return sum(segment.bytes for segment in self.segments)

    @property
    def ratio(self) -> float:
        """Payload bytes for each byte of keys: the c of the source's cost model."""
        return self.payload_bytes / self.hot_bytes if self.hot_bytes else 0.0

    def read_hot(self, columns: Sequence[str], context: QueryContext, rows: RowSet | None = None) -> Iterator[RowBatch]:
        """Yield hot columns with their row ids, ascending: of all rows, or of `rows`.

        Reads only those columns, and only the row groups that hold wanted rows. Raises UnknownColumnError for a
        column that is not hot.
        """
        require_columns(columns, self.hot_schema, f"the hot columns of {self.name}")
        return read_parts(self.folder, self.parts, _narrow(self.schema, columns, in_order=True), context, rows)

    def zones(self, column: str) -> Iterator[Zone]:
        """Yield the bounds of a hot column for each row group of the key files, as their checked footers have them."""
        require_columns([column], self.hot_schema, f"the hot columns of {self.name}")
        return read_zones(self.folder, self.parts, self.hot_schema.field(column))

    def verify(self, *, deep: bool = False) -> Verified:
        """Check the database, the local files and the footers; `deep` reads every byte, the payload's too.

        Raises CatalogCorruptError or PayloadCorruptError, naming everything that is damaged or missing.
        """
        self._file.check_structure()
        return verify_contents(self._contents, self.folder, self.tier if deep else None)


def open_payload_tier(uri: str, name: str, *, needed: bool = True) -> Tier:
    """Open the tier of a data set's payload; when objects are `needed` from it, its folder must be there."""
    folder = tier_folder(uri)
    if needed and folder is not None and not folder.is_dir():
        raise InputFileError(
            f"the payload of {name} should lie in {folder}, which is not there: mount it, or move it back"
        )
    return open_tier(uri)


def _narrow(schema: pa.Schema, columns: Sequence[str], *, in_order: bool = False) -> pa.Schema:
    """The fields named, in the schema's order or in that of `columns`."""
    chosen = set(columns)
    names = columns if in_order else [name for name in schema.names if name in chosen]
    return pa.schema([schema.field(name) for name in names])
