"""A tier as plain as can be: a folder of files, or a dictionary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from esker.core.cost import Cost
from esker.core.device_profile import DeviceProfile
from esker.core.extent import ByteRange


class Stored(NamedTuple):
    key: str
    bytes: int
    checksum: str = ""


class Capability(NamedTuple):
    random_read: bool = True
    needs_thaw: bool = False
    append_only: bool = False


class FolderTier:
    capability = Capability()
    device = DeviceProfile("folder", 1e9)

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.counted = Cost()

    @property
    def uri(self) -> str:
        return f"disk:{self.folder}"

    def write(self, key: str, data: Path | bytes) -> Stored:
        path = self.folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        assert not path.exists()
        content = data if isinstance(data, bytes) else data.read_bytes()
        aside = path.with_name(path.name + ".tmp")
        aside.write_bytes(content)
        aside.rename(path)
        self.counted += Cost(bytes=len(content), requests=1)
        return Stored(key, len(content))

    def read(self, key: str, ranges: Sequence[ByteRange]) -> list[bytes]:
        content = (self.folder / key).read_bytes()
        return [content[r.start : r.stop] for r in ranges]

    def list(self, prefix: str = "") -> Iterator[Stored]:
        for path in sorted(self.folder.rglob("*")):
            key = path.relative_to(self.folder).as_posix()
            if path.is_file() and key.startswith(prefix):
                yield Stored(key, path.stat().st_size)

    def delete(self, key: str) -> None:
        (self.folder / key).unlink()
