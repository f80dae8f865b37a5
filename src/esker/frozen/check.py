"""What must hold among the records of a catalogue; nothing read from a file is trusted before this."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from esker.errors import CatalogCorruptError
from esker.frozen.hot import check_size
from esker.frozen.location import check_name
from esker.frozen.records import CATALOG_FILE, INDEX_FOLDER, KEYS_FOLDER, Contents

_CHECKSUM = re.compile(r"[a-z0-9]+:[0-9a-f]+")


class _Rows(Protocol):
    @property
    def first_row(self) -> int: ...
    @property
    def row_count(self) -> int: ...
    @property
    def bytes(self) -> int: ...
    @property
    def checksum(self) -> str: ...


def check_contents(contents: Contents, folder: Path) -> None:
    """Raise CatalogCorruptError where records contradict one another, or name a place outside the folder."""
    place = str(folder / CATALOG_FILE)
    described = contents.description
    missing = [name for name in described.hot_columns if name not in described.schema.names]
    if missing or not described.hot_columns:
        raise CatalogCorruptError(f"{place}: hot columns {missing} are not in the schema")
    _check_rows(contents.parts, described.row_count, "key files", place)
    _check_rows([frozen.extent for frozen in contents.extents], described.row_count, "extents", place)
    for part in contents.parts:
        check_name(part.file, "key file", place)
    for frozen in contents.extents:
        check_name(frozen.extent.key, "extent", place)
    for segment in contents.segments:
        check_name(segment.file, "index segment", place)
        if segment.column not in described.hot_columns or segment.bytes < 0:
            raise CatalogCorruptError(f"{place}: index segment {segment.file!r} is of no hot column")
    _check_checksums((*contents.parts, *(e.extent for e in contents.extents), *contents.segments), place)


def check_files(contents: Contents, folder: Path) -> None:
    """Raise PayloadCorruptError for a local file that is missing or has not the recorded size."""
    for part in contents.parts:
        check_size(folder / KEYS_FOLDER / part.file, part.bytes)
    for segment in contents.segments:
        check_size(folder / INDEX_FOLDER / segment.file, segment.bytes)


def _check_rows(records: Sequence[_Rows], row_count: int, what: str, place: str) -> None:
    """Row ranges start at 0, follow one another without gap or overlap, and end at the row count."""
    next_row = 0
    for record in records:
        if record.first_row != next_row or record.row_count < 1 or record.bytes < 1:
            raise CatalogCorruptError(
                f"{place}: the {what} do not follow one another: expected row {next_row:,},"
                f" found {record.row_count:,} rows from row {record.first_row:,}"
            )
        next_row += record.row_count
    if next_row != row_count:
        raise CatalogCorruptError(f"{place}: the {what} hold {next_row:,} rows, the data set {row_count:,}")


class _Checksummed(Protocol):
    @property
    def checksum(self) -> str: ...


def _check_checksums(records: Iterable[_Checksummed], place: str) -> None:
    for record in records:
        if not _CHECKSUM.fullmatch(record.checksum):
            raise CatalogCorruptError(f"{place}: {record.checksum!r} is not a checksum")
