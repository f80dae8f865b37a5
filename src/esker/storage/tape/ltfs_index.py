"""Which file lies where on which cartridge, for cartridges that are folders: each has its index twice.

As LTFS keeps its index in a partition of its own and among the data, one copy lies in `index/`, one on the cartridge.
The newest copy that is whole counts. Both are JSON of one line and a line with its checksum; see docs/formats/ltfs.md.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from esker.core.checksum import checksum_bytes
from esker.core.file_system import FileSystem
from esker.errors import CatalogCorruptError, OutputExistsError
from esker.storage.keys import check_key
from esker.storage.tape.catalog import TapeObject

FORMAT_VERSION = 1
LIBRARY_FILE = "library.json"
_NAME = re.compile(r"cartridge-(\d{3,})")


class _Cartridge(NamedTuple):
    generation: int
    used_bytes: int
    objects: Mapping[str, TapeObject]


class LtfsIndex:
    """The index of all cartridges of a library; read again when somebody else wrote."""

    def __init__(self, folder: Path, file_system: FileSystem) -> None:
        """Use `open` or `make`."""
        self.folder = folder
        self._file_system = file_system
        self._read: dict[int, tuple[tuple[object, ...], _Cartridge]] = {}

    @classmethod
    def open(cls, folder: Path, file_system: FileSystem) -> LtfsIndex | None:
        """Open the index of a library; None when there is none yet."""
        return cls(folder, file_system) if (folder / LIBRARY_FILE).is_file() else None

    @classmethod
    def make(cls, folder: Path, options: Mapping[str, str], file_system: FileSystem) -> LtfsIndex:
        """Make a library without cartridges; the caller holds the right to write."""
        _write(folder / LIBRARY_FILE, {"version": FORMAT_VERSION, "options": dict(options)}, file_system)
        return cls(folder, file_system)

    def options(self) -> dict[str, str]:
        """Read how the library was made."""
        path = self.folder / LIBRARY_FILE
        found = _read(path)
        options = found.get("options")
        if not isinstance(options, dict):
            raise CatalogCorruptError(f"{path} is damaged: it has no options")
        return {str(name): str(value) for name, value in options.items()}

    def cartridges(self) -> dict[int, int]:
        """Read how many bytes of each cartridge are used."""
        return {number: found.used_bytes for number, found in self._all()}

    def find(self, key: str) -> TapeObject | None:
        """Look a file up."""
        return next((found.objects[key] for _, found in self._all() if key in found.objects), None)

    def objects(self, prefix: str) -> list[TapeObject]:
        """Read the files whose key starts with `prefix`, sorted by key."""
        every = (found for _, cartridge in self._all() for found in cartridge.objects.values())
        return sorted(found for found in every if found.key.startswith(prefix))

    def add(self, found: TapeObject) -> None:
        """Commit a file that is on its cartridge for good."""
        if self.find(found.key) is not None:
            raise OutputExistsError(f"{self.folder} has an object {found.key!r} already")
        before = dict(self._all()).get(found.cartridge, _Cartridge(0, 0, {}))
        objects = {**before.objects, found.key: found}
        self._commit(found.cartridge, _Cartridge(before.generation + 1, found.start + found.bytes, objects))

    def remove(self, key: str) -> None:
        """Forget a file; what it took of its cartridge stays taken."""
        for number, found in self._all():
            if key in found.objects:
                objects = {name: each for name, each in found.objects.items() if name != key}
                self._commit(number, _Cartridge(found.generation + 1, found.used_bytes, objects))

    def close(self) -> None:
        """Nothing is held open."""

    def _commit(self, number: int, found: _Cartridge) -> None:
        document = {
            "version": FORMAT_VERSION,
            "cartridge": number,
            "generation": found.generation,
            "used_bytes": found.used_bytes,
            "files": [[each.key, each.start, each.bytes, each.checksum] for each in found.objects.values()],
        }
        for path in _copies(self.folder, number):
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(path, document, self._file_system)

    def _all(self) -> Iterator[tuple[int, _Cartridge]]:
        numbers = {
            int(found.group(1))
            for place in (self.folder, self.folder / "index")
            if place.is_dir()
            for name in os.listdir(place)  # noqa: PTH208 - names are wanted, not paths
            if (found := _NAME.fullmatch(name.removesuffix(".json")))
        }
        for number in sorted(numbers):
            cartridge = self._cartridge(number)
            if cartridge is not None:
                yield number, cartridge

    def _cartridge(self, number: int) -> _Cartridge | None:
        paths = _copies(self.folder, number)
        signature = tuple(_signature(path) for path in paths)
        if number not in self._read or self._read[number][0] != signature:
            found = self._newest(number, [path for path in paths if path.is_file()])
            if found is None:
                return None
            self._read[number] = (signature, found)
        return self._read[number][1]

    def _newest(self, number: int, paths: list[Path]) -> _Cartridge | None:
        """Read the copies; one that is damaged is made up for by the other, as long as no file is missing from it."""
        whole: list[_Cartridge] = []
        damaged: list[CatalogCorruptError] = []
        for path in paths:
            try:
                whole.append(_parse(path, number))
            except CatalogCorruptError as error:
                damaged.append(error)
        if not whole:
            if damaged:
                raise CatalogCorruptError(f"{damaged[0]}; so is its second copy: restore one of them") from damaged[0]
            return None
        best = max(whole, key=lambda found: found.generation)
        if damaged:
            self._require_all_files(number, best, damaged[0])
        return best

    def _require_all_files(self, number: int, found: _Cartridge, error: CatalogCorruptError) -> None:
        files = files_folder(self.folder, number)
        for path in sorted(files.rglob("*")):
            key = path.relative_to(files).as_posix()
            if path.is_file() and not path.name.startswith(".") and key not in found.objects:
                raise CatalogCorruptError(
                    f"{error}; its second copy is older and does not know {path}: restore the first, or move the file"
                    " away and write it again"
                ) from error


def files_folder(folder: Path, number: int) -> Path:
    """Name the folder with the files of a cartridge.

    >>> files_folder(Path("library"), 7).as_posix()
    'library/cartridge-007/files'
    """
    return folder / f"cartridge-{number:03}" / "files"


def _copies(folder: Path, number: int) -> list[Path]:
    name = f"cartridge-{number:03}"
    return [folder / "index" / f"{name}.json", folder / name / "index.json"]


def _signature(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def _write(path: Path, document: Mapping[str, Any], file_system: FileSystem) -> None:
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    with file_system.write_aside(path, overwrite=True) as file:
        file_system.write(file, text + b"\n" + checksum_bytes(text).encode() + b"\n")


def _read(path: Path) -> dict[str, Any]:
    try:
        text, _, seal = path.read_bytes().partition(b"\n")
    except OSError as error:
        raise CatalogCorruptError(f"{path} cannot be read: {error.strerror or error}") from error
    if seal.strip().decode("ascii", "replace") != checksum_bytes(text):
        raise CatalogCorruptError(f"{path} is damaged: its checksum does not match")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CatalogCorruptError(f"{path} is damaged: {error}") from error
    if not isinstance(found, dict) or found.get("version") != FORMAT_VERSION:
        version = found.get("version") if isinstance(found, dict) else None
        raise CatalogCorruptError(f"{path} has format {version!r}; this Esker reads format {FORMAT_VERSION}")
    return found


def _parse(path: Path, number: int) -> _Cartridge:
    found = _read(path)
    try:
        used_bytes, generation = int(found["used_bytes"]), int(found["generation"])
        named = int(found["cartridge"])
        objects = {}
        for key, start, size, checksum in found["files"]:
            objects[check_key(key)] = TapeObject(key, number, int(start), int(size), str(checksum))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise CatalogCorruptError(f"{path} is damaged: {error}") from error
    inside = all(0 <= each.start <= each.start + each.bytes <= used_bytes for each in objects.values())
    if named != number or generation < 1 or used_bytes < 0 or not inside:
        raise CatalogCorruptError(f"{path} is damaged: it speaks of places that cartridge {number} has not")
    return _Cartridge(generation, used_bytes, objects)
