"""Objects on the cartridges of a simulated tape library: really stored, read in the time tape would take."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from esker.core.extent import ByteRange
from esker.storage.tape.cartridge import append, cartridge_path, read
from esker.storage.tape.catalog import TapeCatalog, TapeObject
from esker.storage.tape.library_tier import LibraryTier


class TapeTier(LibraryTier):
    """Keep objects on tape, one after the other: a file for each cartridge, a database that says what lies where."""

    scheme = "tape"

    @classmethod
    def made_options(cls, folder: Path) -> dict[str, str]:
        catalog = TapeCatalog.open(folder)
        if catalog is None:
            return {}
        try:
            return catalog.options()
        finally:
            catalog.close()

    def _open_index(self) -> TapeCatalog | None:
        return TapeCatalog.open(self.folder)

    def _make_index(self, options: Mapping[str, str]) -> TapeCatalog:
        return TapeCatalog.make(self.folder, options)

    def _store(self, key: str, number: int, start: int, data: Path | bytes) -> tuple[int, str]:
        return append(cartridge_path(self.folder, number), start, data, self._file_system)

    def _load(self, found: TapeObject, part: ByteRange) -> bytes:
        return read(self._path(found), found.start + part.start, found.start + part.stop)

    def _path(self, found: TapeObject) -> Path:
        return cartridge_path(self.folder, found.cartridge)
