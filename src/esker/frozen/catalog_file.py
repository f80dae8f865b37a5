"""catalog.db: the SQLite file that is the only truth about a frozen data set (contracts, 4)."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

import apsw
import pyarrow as pa

from esker.core.checksum import Checksum
from esker.core.extent import Extent
from esker.errors import CatalogCorruptError, EskerError, InputFileError, ResourceError
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

# Readers and the one writer meet only for moments: when a log is folded in, or recovered after a crash.
BUSY_MILLISECONDS = 10_000

RESTORE = "restore the folder from a copy, or freeze the data again"

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

Row = tuple[Any, ...]


class CatalogFile:
    """A connection to catalog.db: reads one committed state, or writes the next in one transaction.

    Threads may share it; calls take turns. A damaged database raises CatalogCorruptError whoever finds it: SQLite
    by its own structure, or the seal, a checksum over every record that the last transaction wrote.
    """

    def __init__(self, folder: Path, connection: apsw.Connection) -> None:
        self.path = folder / CATALOG_FILE
        self._connection = connection
        self._lock = threading.RLock()

    @classmethod
    def open(cls, folder: Path, *, local: bool = True) -> CatalogFile:
        """Open for reading; `local` is False on a network file system, where no shared memory can be trusted."""
        path = folder / CATALOG_FILE
        with database_errors(path):
            file = cls(folder, connect_reading(path, local))
            return file._checked_version()

    @classmethod
    def open_writing(cls, folder: Path) -> CatalogFile:
        """Open for writing, making the database if there is none; the caller holds the folder's writer lock."""
        path = folder / CATALOG_FILE
        with database_errors(path):
            connection = connect_writing(path)
            file = cls(folder, connection)._checked_version()
            make_durable(connection, _TABLES, _APPLICATION_ID, FORMAT_VERSION)
            return file

    def close(self) -> None:
        """Close the connection; calling it again does nothing."""
        # The last to close folds the log into the database. What is in the log is committed all the same, and whoever
        # opens next folds it in: a disk that is full now takes nothing back.
        with self._lock, suppress(apsw.Error):
            self._connection.close()

    def __enter__(self) -> CatalogFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def read(self) -> Contents | None:
        """Read the committed state, whole and checked against its seal; None when no write was ever committed."""
        if is_blank(self._connection):
            return None
        with self._reading() as query:
            datasets = query(_READ_DATASET)
            parts, extents, segments = query(_READ_PARTS), query(_READ_EXTENTS), query(_READ_SEGMENTS)
        if not datasets:
            return None
        if seal(datasets[0][:-1], parts, extents, segments) != datasets[0][-1]:
            raise CatalogCorruptError(f"{self.path} is damaged: its records do not match their seal; {RESTORE}")
        with database_errors(self.path):
            return Contents(
                _description(datasets[0]),
                tuple(HotPart(*row) for row in parts),
                tuple(FrozenExtent(Extent(*row[:5]), row[5], self._footer_reader(row[1])) for row in extents),
                tuple(_segment(row) for row in segments),
            )

    def writings(self) -> list[Writing]:
        """The writes that were begun and neither committed nor undone."""
        if is_blank(self._connection):
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

    def check_structure(self) -> None:
        """Ask SQLite to check every page and index of the database."""
        with self._reading() as query:
            found = [str(row[0]) for row in query("PRAGMA integrity_check(10)")]
        if found != ["ok"]:
            raise CatalogCorruptError(f"{self.path} is damaged: {'; '.join(found)}; {RESTORE}")

    def _checked_version(self) -> CatalogFile:
        try:
            if is_blank(self._connection):
                return self
            if self._connection.pragma("application_id") != _APPLICATION_ID:
                raise InputFileError(f"{self.path} is a database, but not the catalogue of a frozen data set")
            version = self._connection.pragma("user_version")
            if version != FORMAT_VERSION:
                raise CatalogCorruptError(
                    f"{self.path} has format version {version}; this Esker reads version {FORMAT_VERSION}:"
                    " upgrade Esker, or freeze again with this one"
                )
        except BaseException:
            self._connection.close()
            raise
        return self

    def _footer_reader(self, first_row: int) -> Callable[[], bytes]:
        def read() -> bytes:
            with self._reading() as query:
                rows = query("SELECT footer FROM extent WHERE first_row = ?", (first_row,))
            if len(rows) != 1:
                raise CatalogCorruptError(f"{self.path} has no footer for the extent at row {first_row}; {RESTORE}")
            return bytes(rows[0][0])

        return read

    @contextmanager
    def _reading(self) -> Iterator[Callable[..., list[Row]]]:
        """One transaction, so that all queries see the same committed state."""
        with self._lock, database_errors(self.path):
            self._connection.execute("BEGIN")
            try:
                yield lambda sql, values=(): list(self._connection.execute(sql, values))
            finally:
                with suppress(apsw.Error):
                    self._connection.execute("ROLLBACK")

    @contextmanager
    def _transaction(self) -> Iterator[apsw.Connection]:
        with self._lock, database_errors(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                with suppress(apsw.Error):
                    self._connection.execute("ROLLBACK")
                raise


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


def is_blank(connection: apsw.Connection) -> bool:
    """Tell a database in which nothing was ever committed: a freeze was killed while making it."""
    return (
        connection.pragma("application_id") == 0
        and connection.pragma("user_version") == 0
        and not list(connection.execute("SELECT 1 FROM sqlite_schema"))
    )


def connect_writing(path: Path) -> apsw.Connection:
    """Open the database for writing, making the file if there is none."""
    connection = apsw.Connection(str(path))
    connection.set_busy_timeout(BUSY_MILLISECONDS)
    return _wary(connection)


def _wary(connection: apsw.Connection) -> apsw.Connection:
    """Let a schema that somebody else wrote call no function with side effects, and reach no shadow table."""
    connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
    connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
    return connection


def make_durable(connection: apsw.Connection, tables: str, application_id: int, version: int) -> None:
    """Make every commit reach the disk, and give a blank database its tables and its marks."""
    connection.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
    if is_blank(connection):
        with connection:
            connection.execute(tables)
            connection.execute(f"PRAGMA application_id = {application_id}")
            connection.execute(f"PRAGMA user_version = {version}")


def connect_reading(path: Path, local: bool) -> apsw.Connection:
    """Connect so that nothing is left behind.

    A read-only connection to a WAL database leaves its -wal and -shm files when it closes last; one that may write
    but is told not to removes them. Where the folder cannot be written, the file is read as one that does not change.
    """
    if local and os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        connection.set_busy_timeout(BUSY_MILLISECONDS)
        connection.execute("PRAGMA query_only = 1")
        return _wary(connection)
    log = path.with_name(path.name + "-wal")
    if log.exists() and log.stat().st_size:
        raise InputFileError(
            f"{path} has a log that was not folded in ({log.name}), and its folder cannot be written here: open it"
            " once where it can be, or copy the folder to a local disk"
        )
    uri = f"file:{quote(str(path))}?immutable=1"
    return _wary(apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI))


@contextmanager
def database_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's errors, and what only damaged records can cause, into ours."""
    try:
        yield
    except EskerError:
        raise
    except apsw.FullError as error:
        raise ResourceError(f"no space left to write {path}: free space on that disk and try again") from error
    except apsw.BusyError as error:
        raise ResourceError(f"{path} is locked by another program; try again when it is done") from error
    except (apsw.CantOpenError, apsw.PermissionsError, apsw.ReadOnlyError, apsw.AuthError) as error:
        raise InputFileError(f"cannot open {path}: {error}") from error
    except apsw.IOError as error:
        raise InputFileError(f"cannot read or write {path}: {error}") from error
    except (apsw.Error, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise CatalogCorruptError(f"{path} is damaged: {error}; {RESTORE}") from error
