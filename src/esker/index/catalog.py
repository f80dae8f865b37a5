"""index.db: the SQLite file that is the only truth about an index folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from esker.core.checksum import Checksum
from esker.errors import CatalogCorruptError
from esker.frozen.database import Database, Row
from esker.frozen.records import IndexSegment
from esker.index.row_format import RowFile

CATALOG_FILE = "index.db"
FORMAT_VERSION = 1
# "ESKI": tells `file` and other programs whose database this is.
_APPLICATION_ID = 0x45534B49

_TABLES = """
CREATE TABLE store (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    store_id TEXT NOT NULL,
    name TEXT NOT NULL,
    arrow_schema BLOB NOT NULL,
    options TEXT NOT NULL,
    created_seconds REAL NOT NULL,
    seal TEXT NOT NULL
) STRICT;
CREATE TABLE block (
    number INTEGER PRIMARY KEY,
    first_row INTEGER NOT NULL,
    row_count INTEGER NOT NULL,
    file TEXT NOT NULL UNIQUE,
    bytes INTEGER NOT NULL,
    checksum TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;
CREATE TABLE segment (
    file TEXT PRIMARY KEY,
    block INTEGER NOT NULL,
    column_name TEXT NOT NULL,
    kind TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    checksum TEXT NOT NULL,
    spec TEXT NOT NULL
) STRICT;
CREATE TABLE deletion (
    file TEXT PRIMARY KEY,
    row_count INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    checksum TEXT NOT NULL
) STRICT;
"""
_READ = {
    "store": "SELECT store_id, name, arrow_schema, options, created_seconds, seal FROM store",
    "block": "SELECT number, first_row, row_count, file, bytes, checksum, detail FROM block ORDER BY number",
    "segment": "SELECT block, file, column_name, kind, bytes, checksum, spec FROM segment ORDER BY block, rowid",
    "deletion": "SELECT file, row_count, bytes, checksum FROM deletion",
}


@dataclass(frozen=True)
class RowBlock:
    """Rows that were added together, in a file of their own: `first_row` on."""

    number: int
    first_row: int
    file: RowFile

    @property
    def row_stop(self) -> int:
        """One past the last row id."""
        return self.first_row + self.file.row_count


@dataclass(frozen=True)
class Deletion:
    """The file that holds the deleted rows as a row set."""

    file: str
    row_count: int
    bytes: int
    checksum: str


@dataclass(frozen=True)
class StoreContents:
    """All that one committed state says; `segments` are by block, those of a block in the order of its columns."""

    store_id: str
    name: str
    schema: pa.Schema
    options: Mapping[str, Any]
    created_seconds: float
    blocks: tuple[RowBlock, ...] = ()
    segments: Mapping[int, tuple[IndexSegment, ...]] = field(default_factory=dict)
    deletion: Deletion | None = None

    @property
    def row_count(self) -> int:
        """Rows there are, deleted or not; their ids are 0 to this."""
        return self.blocks[-1].row_stop if self.blocks else 0

    @property
    def files(self) -> set[str]:
        """Every file the state refers to."""
        found = {block.file.file for block in self.blocks}
        found.update(segment.file for segments in self.segments.values() for segment in segments)
        return found | ({self.deletion.file} if self.deletion is not None else set())


class IndexCatalog(Database):
    """A connection to index.db: reads one committed state, or writes the next in one transaction."""

    file_name = CATALOG_FILE
    application_id = _APPLICATION_ID
    format_version = FORMAT_VERSION
    tables = _TABLES
    title = "the catalogue of an index"
    restore = "restore the folder from a copy, or build the index again"
    again = "build the index again"

    def read(self) -> StoreContents | None:
        """Read the committed state, whole and checked against its seal; None when nothing was ever committed."""
        if self._is_blank():
            return None
        with self._reading() as query:
            rows = {name: query(sql) for name, sql in _READ.items()}
        if not rows["store"]:
            return None
        (store,) = rows["store"]
        if _seal(store[:-1], rows) != store[-1]:
            raise CatalogCorruptError(f"{self.path} is damaged: its records do not match their seal; {self.restore}")
        with self._errors():
            return _contents(store, rows)

    def commit(self, contents: StoreContents) -> None:
        """Make `contents` the committed state, in one transaction."""
        store = (
            contents.store_id,
            contents.name,
            contents.schema.serialize().to_pybytes(),
            json.dumps(dict(contents.options)),
            contents.created_seconds,
        )
        rows: dict[str, list[Row]] = {
            "block": [_block_row(block) for block in contents.blocks],
            "segment": [
                (number, s.file, s.column, s.kind, s.bytes, s.checksum, json.dumps(dict(s.spec)))
                for number, segments in sorted(contents.segments.items())
                for s in segments
            ],
            "deletion": [],
        }
        if (gone := contents.deletion) is not None:
            rows["deletion"] = [(gone.file, gone.row_count, gone.bytes, gone.checksum)]
        with self._transaction() as connection:
            connection.execute("DELETE FROM store; DELETE FROM block; DELETE FROM segment; DELETE FROM deletion")
            connection.execute("INSERT INTO store VALUES (1, ?, ?, ?, ?, ?, ?)", (*store, _seal(store, rows)))
            connection.executemany("INSERT INTO block VALUES (?, ?, ?, ?, ?, ?, ?)", rows["block"])
            connection.executemany(
                "INSERT INTO segment (block, file, column_name, kind, bytes, checksum, spec)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                rows["segment"],
            )
            connection.executemany("INSERT INTO deletion VALUES (?, ?, ?, ?)", rows["deletion"])


def _block_row(block: RowBlock) -> Row:
    file = block.file
    return (
        block.number, block.first_row, file.row_count, file.file, file.bytes, file.checksum,
        json.dumps(dict(file.detail)),
    )  # fmt: skip


def _contents(store: Row, rows: Mapping[str, list[Row]]) -> StoreContents:
    blocks = tuple(
        RowBlock(number, first_row, RowFile(file, row_count, size, checksum, json.loads(detail)))
        for number, first_row, row_count, file, size, checksum, detail in rows["block"]
    )
    stop = 0
    for block in blocks:
        if block.first_row != stop:
            raise CatalogCorruptError(f"block {block.number} begins at row {block.first_row}, not at {stop}")
        stop = block.row_stop
    segments: dict[int, tuple[IndexSegment, ...]] = {}
    for number, file, column, kind, size, checksum, spec in rows["segment"]:
        found = IndexSegment(file, column, kind, size, checksum, json.loads(spec))
        segments[number] = (*segments.get(number, ()), found)
    deletion = Deletion(*rows["deletion"][0]) if rows["deletion"] else None
    schema = pa.ipc.read_schema(pa.BufferReader(store[2]))
    return StoreContents(store[0], store[1], schema, json.loads(store[3]), store[4], blocks, segments, deletion)


def _seal(store: Row, rows: Mapping[str, list[Row]]) -> str:
    """The checksum over all records; a record is a line of JSON, so that no two states read alike."""
    checksum = Checksum()
    plain: Callable[[Any], Any] = lambda value: value.hex() if isinstance(value, bytes) else value  # noqa: E731  # used in the line below alone
    for row in (store, *rows["block"], *rows["segment"], *rows["deletion"]):
        checksum.update(json.dumps([plain(value) for value in row]).encode() + b"\n")
    return checksum.text
