"""Files that a Bag reads: found when it is made, cut into byte ranges, opened again in another process."""

from __future__ import annotations

import bz2
import glob
import gzip
import io
import lzma
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, cast

from esker.engine.bag.options import require_whole
from esker.errors import InputFileError

Paths = str | Path | Sequence[str | Path]

_COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".zstd")
# A partition of a file is about as large, unless the caller says.
PARTITION_BYTES = 32 << 20
READ_BYTES = 256 << 10


@dataclass(frozen=True)
class FilePlace:
    """A file: its path or URI, its size in bytes, and what tells it from a later version of itself."""

    where: str
    size_bytes: int
    version: tuple[object, ...]
    tier_uri: str = ""
    key: str = ""

    @property
    def compressed(self) -> bool:
        """Whether its extension says so; then it can only be read from its beginning."""
        return self.where.lower().endswith(_COMPRESSED)

    def open(self) -> BinaryIO:
        """Open the bytes that are stored; InputFileError when they are not those that were found."""
        if self.tier_uri:
            return self._open_object()
        try:
            file = Path(self.where).open("rb", buffering=0)  # noqa: SIM115 - the caller closes it
        except OSError as error:
            raise InputFileError(f"cannot read {self.where}: {error.strerror}") from error
        status = os.fstat(file.fileno())
        if (status.st_size, (status.st_ino, status.st_mtime_ns)) != (self.size_bytes, self.version):
            file.close()
            raise InputFileError(f"{self.where} changed since the Bag was made; make it again")
        return cast(BinaryIO, file)

    @contextmanager
    def open_plain(self) -> Iterator[BinaryIO]:
        """Open what the file holds, decompressed where its extension says that it is compressed."""
        with self.open() as stored:
            if not self.compressed:
                yield stored
                return
            # What decompresses does not close what it reads from.
            with _decompressed(self.where, stored) as plain:
                yield plain

    def _open_object(self) -> BinaryIO:
        from esker.formats.place import STREAM_AHEAD_BYTES
        from esker.storage.tier_file import TierFile

        file = TierFile(_tier(self.tier_uri), self.key)
        if file.signature() != (self.size_bytes, *self.version):
            raise InputFileError(f"{self.where} changed since the Bag was made; make it again")
        reader = file.open(self.size_bytes, STREAM_AHEAD_BYTES)
        return cast(BinaryIO, io.BufferedReader(reader, READ_BYTES))


@lru_cache(maxsize=16)
def _tier(uri: str):  # type: ignore[no-untyped-def]  # storage is imported only when an object is read
    from esker.storage import open_tier

    return open_tier(uri)


def _decompressed(where: str, file: BinaryIO) -> BinaryIO:
    name = where.lower()
    if name.endswith(".gz"):
        return cast(BinaryIO, gzip.GzipFile(fileobj=file))
    if name.endswith(".bz2"):
        return cast(BinaryIO, bz2.BZ2File(file))
    if name.endswith(".xz"):
        return cast(BinaryIO, lzma.LZMAFile(file))
    if name.endswith((".zst", ".zstd")):
        import pyarrow as pa

        return cast(BinaryIO, pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd"))
    return file


def find_places(paths: Paths) -> list[FilePlace]:
    """List the files that paths, folders, globs and URIs name: those of a folder or glob sorted, a list's in its order.

    Of a folder all files are taken, not those of its folders; names that begin with `.` or `_` are skipped.
    Object stores have no folders: of a prefix all objects below it are taken.
    """
    wanted = [paths] if isinstance(paths, str | Path) else list(paths)
    if not wanted:
        raise InputFileError("no files to read: the list is empty")
    return [place for one in wanted for place in _expand(one)]


def _expand(where: str | Path) -> Iterator[FilePlace]:
    from_text = os.fspath(where)
    if not from_text:
        raise InputFileError("no file to read: the path is empty")
    if "://" in from_text:
        if not from_text.startswith("file://"):
            yield from _objects(from_text)
            return
        from_text = from_text.removeprefix("file://")
    path = Path(from_text).expanduser()
    if path.is_dir():
        names = sorted(name for name in os.listdir(path) if not name.startswith((".", "_")))  # noqa: PTH208  # a Path for each name would cost more
        found = [path / name for name in names if (path / name).is_file()]
        if not found:
            raise InputFileError(f"no files in folder {path}")
        yield from map(_local, found)
    elif path.exists():
        yield _local(path)
    elif glob.has_magic(from_text):
        matches = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
        files = [Path(name) for name in matches if Path(name).is_file()]
        if not files:
            raise InputFileError(f"no file matches {path}")
        yield from map(_local, files)
    else:
        raise InputFileError(f"no file {path}")


def _local(path: Path) -> FilePlace:
    try:
        status = path.stat()
    except OSError as error:
        raise InputFileError(f"cannot read {path}: {error.strerror}") from error
    if not path.is_file():
        raise InputFileError(f"{path} is not a regular file; write its rows to a file first")
    return FilePlace(str(path.absolute()), status.st_size, (status.st_ino, status.st_mtime_ns))


def _objects(uri: str) -> Iterator[FilePlace]:
    from esker.formats.remote import find_objects, is_remote

    if not is_remote(uri):
        raise InputFileError(f"cannot read {uri}: no storage of that scheme is known")
    for file in find_objects(uri, ("",)):
        size, *version = file.signature()
        yield FilePlace(str(file), size, tuple(version), file.tier.uri, file.key)


@dataclass(frozen=True)
class FilePart:
    """Bytes `start` to `stop` of a file; a compressed file is one part."""

    place: FilePlace
    start: int
    stop: int

    def describe(self) -> str:
        """The file, and the bytes where they are not all of it."""
        whole = self.start == 0 and self.stop >= self.place.size_bytes
        return self.place.where + ("" if whole else f", bytes {self.start:,} to {self.stop:,}")


def cut_places(
    places: Sequence[FilePlace], partitions: int | None, partition_bytes: int | str | None, unit_bytes: int = 1
) -> list[FilePart]:
    """Cut files into parts of about one size, at multiples of `unit_bytes`: at least `partitions` where that can be."""
    from esker.core.byte_size import parse_bytes

    if partitions is not None:
        require_whole("partitions", partitions, 1)
    total = sum(place.size_bytes for place in places)
    each = parse_bytes(partition_bytes, "partition_bytes") if partition_bytes is not None else PARTITION_BYTES
    if partitions is not None and (partition_bytes is None or -(-total // partitions) < each):
        each = max(1, -(-total // partitions))
    each = -(-each // unit_bytes) * unit_bytes
    parts = []
    for place in places:
        if place.compressed or not place.size_bytes:
            parts.append(FilePart(place, 0, place.size_bytes))
            continue
        # Even parts of this file: a small rest would be a partition of its own.
        count = max(1, round(place.size_bytes / each)) if partitions is None else -(-place.size_bytes // each)
        edge = [-(-place.size_bytes * n // (count * unit_bytes)) * unit_bytes for n in range(count)]
        edges = sorted({min(start, place.size_bytes) for start in edge} | {0, place.size_bytes})
        parts += [FilePart(place, start, stop) for start, stop in pairwise(edges)]
    return parts
