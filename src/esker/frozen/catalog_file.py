"""catalog.db: the SQLite file that is the only truth about a frozen data set (contracts, 4)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

import pyarrow as pa

from esker.core.checksum import Checksum
from esker.core.extent import Extent
from esker.errors import CatalogCorruptError
from esker.frozen.database import Database, Row
from esker.frozen.records import (
    CATALOG_FILE,
    FORMAT_VERSION,
    Contents,
    Description,
    FrozenExtent,
    HotPart,
    IndexSegment,
    Writing,
)

# "ESKR": tells `file` and other programs whose database this is.
_APPLICATION_ID = 0x45534B52

_TABLES = """
CREATE TABLE dataset (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    dataset_id TEXT NOT NULL,
    name TEXT NOT NULL,
    arrow_schema BLOB NOT NULL,
    hot_columns TEXT NOT NULL,
    row_count INTEGER NOT NULL,
    tier_uri TEXT NOT NULL,
    payload_prefix TEXT NOT NULL,
    created_seconds REAL NOT NULL,
    options TEXT NOT NULL,
    seal TEXT NOT NULL
) STRICT;
CREATE TABLE part (
    first_row INTEGER PRIMARY KEY,
    row_count INTEGER NOT NULL,
    file TEXT NOT NULL UNIQUE,
    bytes INTEGER NOT NULL,
    checksum TEXT NOT NULL,
    footer_checksum TEXT NOT NULL
) STRICT;
CREATE TABLE extent (
    first_row INTEGER PRIMARY KEY,
    row_count INTEGER NOT NULL,
    key TEXT NOT NULL UNIQUE,
    bytes INTEGER NOT NULL,
    checksum TEXT NOT NULL,
    footer_checksum TEXT NOT NULL,
    footer BLOB NOT NULL
) STRICT;
CREATE TABLE segment (
    file TEXT PRIMARY KEY,
    column_name TEXT NOT NULL,
    kind TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    checksum TEXT NOT NULL,
    spec TEXT NOT NULL
) STRICT;
CREATE TABLE writing (
    token TEXT PRIMARY KEY,
    tier_uri TEXT NOT NULL,
    payload_prefix TEXT NOT NULL,
    started_seconds REAL NOT NULL
) STRICT;
"""

_READ_DATASET = (
    "SELECT dataset_id, name, arrow_schema, hot_columns, row_count, tier_uri, payload_prefix, created_seconds,"
    " options, seal FROM dataset"
)
_READ_PARTS = "SELECT file, first_row, row_count, bytes, checksum, footer_checksum FROM part ORDER BY first_row"
_READ_EXTENTS = "SELECT key, first_row, row_count, bytes, checksum, footer_checksum FROM extent ORDER BY first_row"
_READ_SEGMENTS = "SELECT file, column_name, kind, bytes, checksum, spec FROM segment ORDER BY file"


class CatalogFile(Database):
    """A connection to catalog.db: reads one committed state, or writes the next in one transaction.

    Damage is found by SQLite, in its own structure, or by the seal, a checksum over every record that the last
    transaction wrote.
    """

    file_name = CATALOG_FILE
    application_id = _APPLICATION_ID
    format_version = FORMAT_VERSION
    tables = _TABLES
    title = "the catalogue of a frozen data set"
    restore = "restore the folder from a copy, or freeze the data again"
    again = "freeze again"

    def read(self) -> Contents | None:
        """Read the committed state, whole and checked against its seal; None when no write was ever committed."""
        if self._is_blank():
            return None
        with self._reading() as query:
            datasets = query(_READ_DATASET)
            parts, extents, segments = query(_READ_PARTS), query(_READ_EXTENTS), query(_READ_SEGMENTS)
        if not datasets:
            return None
        if seal(datasets[0][:-1], parts, extents, segments) != datasets[0][-1]:
            raise CatalogCorruptError(f"{self.path} is damaged: its records do not match their seal; {self.restore}")
        with self._errors():
            return Contents(
                _description(datasets[0]),
                tuple(HotPart(*row) for row in parts),
                tuple(FrozenExtent(Extent(*row[:5]), row[5], self._footer_reader(row[1])) for row in extents),
                tuple(_segment(row) for row in segments),
            )

    def writings(self) -> list[Writing]:
        """The writes that were begun and neither committed nor undone."""
        if self._is_blank():
            return []
        with self._reading() as query:
            return [Writing(*row) for row in query("SELECT * FROM writing ORDER BY token")]

    def begin(self, writing: Writing) -> None:
        """Record a write before it makes anything, so that whoever comes after a crash knows what to collect."""
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO writing VALUES (?, ?, ?, ?)",
                (writing.token, writing.tier_uri, writing.payload_prefix, writing.started_seconds),
            )

    def forget(self, token: str) -> None:
        """Drop the record of a write whose leftovers are gone."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM writing WHERE token = ?", (token,))

    def commit(self, contents: Contents, footers: dict[str, bytes], token: str) -> None:
        """Make `contents` the committed state, in one transaction that also ends the write `token`.

        `footers` has the Parquet footer of every extent that the catalogue does not hold yet, by key.
        """
        described = _description_row(contents.description)
        parts = [(p.file, p.first_row, p.row_count, p.bytes, p.checksum, p.footer_checksum) for p in contents.parts]
        extents = [_extent_row(extent) for extent in contents.extents]
        segments = sorted(
            (s.file, s.column, s.kind, s.bytes, s.checksum, json.dumps(dict(s.spec))) for s in contents.segments
        )
        sealed = seal(described, parts, extents, segments)
        with self._transaction() as connection:
            connection.execute("DELETE FROM dataset; DELETE FROM part; DELETE FROM segment")
            connection.execute("INSERT INTO dataset VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*described, sealed))
            connection.executemany(
                "INSERT INTO part (file, first_row, row_count, bytes, checksum, footer_checksum)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                parts,
            )
            connection.executemany("INSERT INTO segment VALUES (?, ?, ?, ?, ?, ?)", segments)
            connection.executemany(
                "INSERT INTO extent (key, first_row, row_count, bytes, checksum, footer_checksum, footer)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(*row, footers[row[0]]) for row in extents if row[0] in footers],
            )
            connection.execute("DELETE FROM writing WHERE token = ?", (token,))

    def _footer_reader(self, first_row: int) -> Callable[[], bytes]:
        def read() -> bytes:
            with self._reading() as query:
                rows = query("SELECT footer FROM extent WHERE first_row = ?", (first_row,))
            if len(rows) != 1:
                raise CatalogCorruptError(
                    f"{self.path} has no footer for the extent at row {first_row}; {self.restore}"
                )
            return bytes(rows[0][0])

        return read


def seal(dataset: Row, parts: Iterable[Row], extents: Iterable[Row], segments: Iterable[Row]) -> str:
    """Give the checksum over all records; a record is a line of JSON, so that no two states read alike."""
    checksum = Checksum()
    for row in (dataset, *parts, *extents, *segments):
        line = json.dumps([value.hex() if isinstance(value, bytes) else value for value in row])
        checksum.update(line.encode() + b"\n")
    return checksum.text


def _description_row(description: Description) -> Row:
    return (
        description.dataset_id,
        description.name,
        description.schema.serialize().to_pybytes(),
        json.dumps(description.hot_columns),
        description.row_count,
        description.tier_uri,
        description.payload_prefix,
        description.created_seconds,
        json.dumps(dict(description.options)),
    )


def _description(row: Row) -> Description:
    try:
        schema = pa.ipc.read_schema(pa.BufferReader(row[2]))
    except (pa.ArrowInvalid, OSError) as error:
        raise CatalogCorruptError(f"the Arrow schema cannot be read: {error}") from error
    return Description(
        row[0], row[1], schema, tuple(json.loads(row[3])), row[4], row[5], row[6], row[7], json.loads(row[8])
    )


def _segment(row: Row) -> IndexSegment:
    file, column, kind, size_bytes, checksum, spec = row
    return IndexSegment(file, column, kind, size_bytes, checksum, json.loads(spec))


def _extent_row(frozen: FrozenExtent) -> Row:
    extent = frozen.extent
    return (
        extent.key, extent.first_row, extent.row_count, extent.bytes, extent.checksum, frozen.footer_checksum,
    )  # fmt: skip
