"""library.db: which cartridge holds which object, and where. The only truth about a tape library's data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import apsw

from esker.errors import CatalogCorruptError, OutputExistsError, TierError

FORMAT_VERSION = 1
CATALOG_FILE = "library.db"

# "ESKT": tells other programs whose database this is.
_APPLICATION_ID = 0x45534B54
_BUSY_MILLISECONDS = 10_000

_TABLES = """
CREATE TABLE option (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE cartridge (number INTEGER PRIMARY KEY, used_bytes INTEGER NOT NULL) STRICT;
CREATE TABLE object (
    key TEXT PRIMARY KEY,
    cartridge INTEGER NOT NULL REFERENCES cartridge (number),
    start INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    checksum TEXT NOT NULL
) STRICT;
"""

Result = TypeVar("Result")


class TapeObject(NamedTuple):
    """Where an object lies: `bytes` bytes from byte `start` of a cartridge."""

    key: str
    cartridge: int
    start: int
    bytes: int
    checksum: str


class TapeCatalog:
    """The catalogue of one library; threads and processes may share it, one writes at a time."""

    def __init__(self, folder: Path, *, create: bool = False) -> None:
        """Use `open` or `make`."""
        self.path = folder / CATALOG_FILE
        flags = apsw.SQLITE_OPEN_READWRITE | (apsw.SQLITE_OPEN_CREATE if create else 0)
        self._database = self._guard(lambda: _connect(self.path, flags))

    @classmethod
    def open(cls, folder: Path) -> TapeCatalog | None:
        """Open the catalogue of a library; None when there is none yet, or its making was killed."""
        if not (folder / CATALOG_FILE).is_file():
            return None
        catalog = cls(folder)
        if catalog._rows("SELECT count(*) FROM sqlite_schema") == [(0,)]:
            catalog.close()
            return None
        catalog._guard(catalog._check_version)
        return catalog

    @classmethod
    def make(cls, folder: Path, options: Mapping[str, str]) -> TapeCatalog:
        """Make an empty catalogue; the caller holds the right to write."""
        catalog = cls(folder, create=True)
        with catalog._transaction() as database:
            database.execute(f"PRAGMA application_id={_APPLICATION_ID}; PRAGMA user_version={FORMAT_VERSION}")
            database.execute(_TABLES)
            database.executemany("INSERT INTO option VALUES (?, ?)", sorted(options.items()))
        return catalog

    def options(self) -> dict[str, str]:
        """Read how the library was made."""
        return dict(self._rows("SELECT name, value FROM option"))

    def cartridges(self) -> dict[int, int]:
        """Read how many bytes of each cartridge are used."""
        found = dict(self._rows("SELECT number, used_bytes FROM cartridge ORDER BY number"))
        for number, used_bytes in found.items():
            if number < 0 or used_bytes < 0:
                raise CatalogCorruptError(f"{self.path}: cartridge {number} cannot have {used_bytes} bytes in use")
        return found

    def find(self, key: str) -> TapeObject | None:
        """Look an object up."""
        for found in self._objects("WHERE key = ?", (key,)):
            return found
        return None

    def objects(self, prefix: str) -> list[TapeObject]:
        """Read the objects whose key starts with `prefix`, sorted by key."""
        return [*self._objects("WHERE substr(key, 1, length(?1)) = ?1 ORDER BY key", (prefix,))]

    def add(self, found: TapeObject) -> None:
        """Commit an object whose bytes are on its cartridge for good."""
        with self._transaction() as database:
            try:
                database.execute("INSERT INTO object VALUES (?, ?, ?, ?, ?)", found)
            except apsw.ConstraintError as error:
                raise OutputExistsError(f"{self.path} has an object {found.key!r} already") from error
            database.execute(
                "INSERT INTO cartridge VALUES (?, ?) ON CONFLICT DO UPDATE SET used_bytes = excluded.used_bytes",
                (found.cartridge, found.start + found.bytes),
            )

    def remove(self, key: str) -> None:
        """Forget an object; its bytes stay on the tape, as they do."""
        with self._transaction() as database:
            database.execute("DELETE FROM object WHERE key = ?", (key,))

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def _objects(self, where: str, values: tuple[str, ...]) -> Iterator[TapeObject]:
        used = self.cartridges()
        for row in self._rows(f"SELECT key, cartridge, start, bytes, checksum FROM object {where}", values):
            found = TapeObject(*row)
            if min(found.start, found.bytes) < 0 or found.start + found.bytes > used.get(found.cartridge, -1):
                raise CatalogCorruptError(
                    f"{self.path} says that {found.key!r} lies at byte {found.start:,} of cartridge {found.cartridge}"
                    f" and has {found.bytes:,} bytes, which is more than that cartridge holds"
                )
            yield found

    def _check_version(self) -> None:
        application = self._database.execute("PRAGMA application_id").get
        version = self._database.execute("PRAGMA user_version").get
        if application != _APPLICATION_ID:
            raise CatalogCorruptError(f"{self.path} is not the catalogue of an Esker tape library")
        if version != FORMAT_VERSION:
            raise CatalogCorruptError(f"{self.path} has format {version}; this Esker reads format {FORMAT_VERSION}")

    def _rows(self, sql: str, values: tuple[Any, ...] = ()) -> list[Any]:
        return self._guard(lambda: self._database.execute(sql, values).fetchall())

    def _guard(self, act: Callable[[], Result]) -> Result:
        """Turn what SQLite says of a damaged or unreadable file into our errors."""
        try:
            return act()
        except (apsw.CorruptError, apsw.NotADBError, apsw.SQLError) as error:
            raise CatalogCorruptError(f"{self.path} is damaged: {error}; restore it from a copy") from error
        except apsw.Error as error:
            raise TierError(f"{self.path} could not be read: {error}") from error

    @contextmanager
    def _transaction(self) -> Iterator[apsw.Connection]:
        try:
            with self._database as database:
                yield database
        except apsw.Error as error:
            raise TierError(f"{self.path} could not be written: {error}") from error


def _connect(path: Path, flags: int) -> apsw.Connection:
    database = apsw.Connection(str(path), flags=flags)
    database.set_busy_timeout(_BUSY_MILLISECONDS)
    # A schema that somebody else wrote calls no function with side effects.
    database.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
    database.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
    # A commit is on the device before it is reported (contracts, 4).
    database.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON")
    return database
