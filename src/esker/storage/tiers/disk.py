"""Objects as files below a folder of a local disk."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

from esker.core.clock import SYSTEM_CLOCK, Clock
from esker.core.cost import Cost
from esker.core.extent import ByteRange
from esker.core.file_system import ASIDE_MARK, LOCAL, FileSystem
from esker.errors import EskerError, OutputExistsError, PayloadCorruptError, TierError
from esker.storage.devices import device_profile
from esker.storage.keys import check_key, check_ranges, path_of
from esker.storage.options import check_options, folder_option
from esker.storage.source import write_and_compare
from esker.storage.tier import Capability, Stored, Tier


class DiskTier(Tier):
    """Keep each object as a file of its own: the key is its path below the folder.

    Readable without Esker. A file appears under its key when it is whole, checked and synced.
    """

    capability = Capability(random_read=True, needs_thaw=False, append_only=False)

    def __init__(
        self,
        folder: Path,
        *,
        device: str = "nvme",
        file_system: FileSystem = LOCAL,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.folder = folder_option("disk", str(folder))
        super().__init__(
            f"disk:{self.folder}" + (f"?device={device}" if device != "nvme" else ""), device_profile(device)
        )
        self._file_system = file_system
        self._clock = clock

    @classmethod
    def open(cls, place: str, options: Mapping[str, str]) -> Self:
        check_options("disk", options, ("device",))
        return cls(Path(place), device=options.get("device", "nvme"))

    def write(self, key: str, data: Path | bytes) -> Stored:
        start = self._clock.seconds()
        path = path_of(self.folder, key)
        try:
            self._make_folder(path.parent)
            stored = self._write_file(key, path, data)
        except OutputExistsError as error:
            raise OutputExistsError(
                f"{self.uri} has an object {key!r} already; objects are never overwritten"
            ) from error
        except EskerError:
            raise
        except OSError as error:
            raise TierError(f"{self.uri} could not write {key!r}: {error.strerror or error}") from error
        self.count(Cost(bytes=stored.bytes, requests=1, seconds=self._clock.seconds() - start))
        return stored

    def read(self, key: str, ranges: Sequence[ByteRange]) -> list[bytes | memoryview]:
        start = self._clock.seconds()
        path = path_of(self.folder, key)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise TierError(f"{self.uri} has no object {key!r}") from error
        except OSError as error:
            raise TierError(f"{self.uri} could not open {key!r}: {error.strerror}") from error
        try:
            check_ranges(self.uri, key, os.fstat(fd).st_size, ranges)
            found: list[bytes | memoryview] = [self._read_range(fd, key, asked) for asked in ranges]
        finally:
            os.close(fd)
        self.count(Cost(sum(map(len, found)), len(found), seconds=self._clock.seconds() - start))
        return found

    def list(self, prefix: str = "") -> Iterator[Stored]:
        # Only the folder that the prefix is in can hold matches.
        top = self.folder / prefix.rpartition("/")[0]
        found: list[Stored] = []
        for folder, _, names in os.walk(top):
            for name in names:
                path = Path(folder, name)
                key = path.relative_to(self.folder).as_posix()
                if key.startswith(prefix) and ASIDE_MARK not in name and path.is_file() and not path.is_symlink():
                    found.append(Stored(key, path.stat().st_size))
        yield from sorted(found, key=lambda stored: stored.key)

    def delete(self, key: str) -> None:
        path = path_of(self.folder, check_key(key))
        try:
            self._file_system.delete(path)
            # What a killed writer left of this object has no key of its own.
            for aside in path.parent.glob(f".{glob.escape(path.name)}{ASIDE_MARK}*"):
                self._file_system.delete(aside)
            if path.parent.is_dir():
                self._file_system.sync_folder(path.parent)
        except OSError as error:
            raise TierError(f"{self.uri} could not delete {key!r}: {error.strerror}") from error

    def _write_file(self, key: str, path: Path, data: Path | bytes) -> Stored:
        with self._file_system.write_aside(path) as file:
            size_bytes, checksum = write_and_compare(file, data, self._file_system, f"{self.uri} wrote {key!r}")
        return Stored(key, size_bytes, checksum)

    def _make_folder(self, folder: Path) -> None:
        """Make the folders of a key and make each of them durable in its parent."""
        missing = [place for place in (folder, *folder.parents) if not place.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        for place in missing:
            self._file_system.sync_folder(place.parent)

    def _read_range(self, fd: int, key: str, asked: ByteRange) -> bytes:
        parts: list[bytes] = []
        position = asked.start
        while position < asked.stop:
            try:
                part = os.pread(fd, asked.stop - position, position)
            except OSError as error:
                raise TierError(f"{self.uri} could not read {key!r} at byte {position:,}: {error.strerror}") from error
            if not part:
                raise PayloadCorruptError(f"{self.uri}: {key!r} ends at byte {position:,}, wanted up to {asked.stop:,}")
            parts.append(part)
            position += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)
