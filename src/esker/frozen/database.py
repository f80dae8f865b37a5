"""A SQLite file that is the only truth about a folder: opened warily, read whole, written in one transaction."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self
from urllib.parse import quote

import apsw

from esker.errors import CatalogCorruptError, EskerError, InputFileError, ResourceError

# Readers and the one writer meet only for moments: when a log is folded in, or recovered after a crash.
_BUSY_MILLISECONDS = 10_000

Row = tuple[Any, ...]


class Database:
    """A connection to a folder's database.

    Threads may share it; calls take turns. A damaged database raises CatalogCorruptError whoever finds it. What a
    class says of itself: the `tables` of a new database, the marks by which one is known to be of its kind and
    version, what it is called, and for errors how to `restore` it, or to make it `again`.
    """

    file_name: ClassVar[str]
    application_id: ClassVar[int]
    format_version: ClassVar[int]
    tables: ClassVar[str]
    title: ClassVar[str]
    restore: ClassVar[str]
    again: ClassVar[str]

    def __init__(self, folder: Path, connection: apsw.Connection) -> None:
        self.path = folder / self.file_name
        self._connection = connection
        self._lock = threading.RLock()

    @classmethod
    def open(cls, folder: Path, *, local: bool = True) -> Self:
        """Open for reading; `local` is False on a network file system, where no shared memory can be trusted."""
        path = folder / cls.file_name
        with database_errors(path, cls.restore):
            return cls(folder, connect_reading(path, local))._checked_version()

    @classmethod
    def open_writing(cls, folder: Path) -> Self:
        """Open for writing, making the database if there is none; the caller holds the folder's writer lock."""
        path = folder / cls.file_name
        with database_errors(path, cls.restore):
            connection = connect_writing(path)
            database = cls(folder, connection)._checked_version()
            _make_durable(connection, cls.tables, cls.application_id, cls.format_version)
            return database

    def close(self) -> None:
        """Close the connection; calling it again does nothing."""
        # The last to close folds the log into the database. What is in the log is committed all the same, and whoever
        # opens next folds it in: a disk that is full now takes nothing back.
        with self._lock, suppress(apsw.Error):
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def check_structure(self) -> None:
        """Ask SQLite to check every page and index of the database."""
        with self._reading() as query:
            found = [str(row[0]) for row in query("PRAGMA integrity_check(10)")]
        if found != ["ok"]:
            raise CatalogCorruptError(f"{self.path} is damaged: {'; '.join(found)}; {self.restore}")

    def _checked_version(self) -> Self:
        try:
            if _is_blank(self._connection):
                return self
            if self._connection.pragma("application_id") != self.application_id:
                raise InputFileError(f"{self.path} is a database, but not {self.title}")
            version = self._connection.pragma("user_version")
            if version != self.format_version:
                raise CatalogCorruptError(
                    f"{self.path} has format version {version}; this Esker reads version {self.format_version}:"
                    f" upgrade Esker, or {self.again} with this one"
                )
        except BaseException:
            self._connection.close()
            raise
        return self

    def _is_blank(self) -> bool:
        with self._lock, self._errors():
            return _is_blank(self._connection)

    def _errors(self) -> AbstractContextManager[None]:
        return database_errors(self.path, self.restore)

    @contextmanager
    def _reading(self) -> Iterator[Callable[..., list[Row]]]:
        """One transaction, so that all queries see the same committed state."""
        with self._lock, self._errors():
            self._connection.execute("BEGIN")
            try:
                yield lambda sql, values=(): list(self._connection.execute(sql, values))
            finally:
                with suppress(apsw.Error):
                    self._connection.execute("ROLLBACK")

    @contextmanager
    def _transaction(self) -> Iterator[apsw.Connection]:
        with self._lock, self._errors():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                with suppress(apsw.Error):
                    self._connection.execute("ROLLBACK")
                raise


def _is_blank(connection: apsw.Connection) -> bool:
    """Tell a database in which nothing was ever committed: a freeze was killed while making it."""
    return (
        connection.pragma("application_id") == 0
        and connection.pragma("user_version") == 0
        and not list(connection.execute("SELECT 1 FROM sqlite_schema"))
    )


def connect_writing(path: Path) -> apsw.Connection:
    """Open the database for writing, making the file if there is none."""
    connection = apsw.Connection(str(path))
    connection.set_busy_timeout(_BUSY_MILLISECONDS)
    return _wary(connection)


def _wary(connection: apsw.Connection) -> apsw.Connection:
    """Let a schema that somebody else wrote call no function with side effects, and reach no shadow table."""
    connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
    connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
    return connection


def _make_durable(connection: apsw.Connection, tables: str, application_id: int, version: int) -> None:
    """Make every commit reach the disk, and give a blank database its tables and its marks."""
    connection.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
    if _is_blank(connection):
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
        connection.set_busy_timeout(_BUSY_MILLISECONDS)
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
def database_errors(path: Path, restore: str) -> Iterator[None]:
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
        raise CatalogCorruptError(f"{path} is damaged: {error}; {restore}") from error
