"""Objects as plain files in a folder for each cartridge, as LTFS shows tapes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from esker.core.extent import ByteRange
from esker.core.file_system import LOCAL
from esker.storage.keys import path_of
from esker.storage.source import write_and_compare
from esker.storage.tape.cartridge import read
from esker.storage.tape.catalog import TapeObject
from esker.storage.tape.library_tier import LibraryTier
from esker.storage.tape.ltfs_index import LtfsIndex, files_folder


class LtfsTier(LibraryTier):
    """Keep each object as a file of its own in the folder of a cartridge: `ltfs:/library?device=lto9-fh`.

    Readable without Esker: `cartridge-000/files/` holds the files under their keys. Time passes as on the tape tier,
    by where the index says that a file lies on its cartridge; point it at a mounted LTFS volume to have it for real.
    The index lies twice, in `index/` and on the cartridge; a copy that is damaged is made up for by the other.
    """

    scheme = "ltfs"

    @classmethod
    def made_options(cls, folder: Path) -> dict[str, str]:
        index = LtfsIndex.open(folder, LOCAL)
        return index.options() if index is not None else {}

    def _open_index(self) -> LtfsIndex | None:
        return LtfsIndex.open(self.folder, self._file_system)

    def _make_index(self, options: Mapping[str, str]) -> LtfsIndex:
        return LtfsIndex.make(self.folder, options, self._file_system)

    def _store(self, key: str, number: int, start: int, data: Path | bytes) -> tuple[int, str]:
        path = path_of(self._files(number), key)
        self._make_folders(path.parent)
        # What a killed write left under this name was never committed.
        self._file_system.delete(path)
        with self._file_system.write_aside(path) as file:
            return write_and_compare(file, data, self._file_system, f"{self.uri} wrote {key!r}")

    def _load(self, found: TapeObject, part: ByteRange) -> bytes:
        return read(self._path(found), part.start, part.stop)

    def _path(self, found: TapeObject) -> Path:
        return path_of(self._files(found.cartridge), found.key)

    def _forget(self, found: TapeObject) -> None:
        self._file_system.delete(self._path(found))

    def _files(self, number: int) -> Path:
        return files_folder(self.folder, number)

    def _make_folders(self, folder: Path) -> None:
        missing = [place for place in (folder, *folder.parents) if not place.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        for place in missing:
            self._file_system.sync_folder(place.parent)
