"""Folders of part files, as Hadoop's committers leave them: `part-00000`, ..., and `_SUCCESS` when all is there.

A folder is written aside and renamed when it is whole: no reader sees half of it. Pickle files are for programs that
move here and keep their shape: like Spark's, they run whatever code lies in them when they are read.

    +----------+-----------+-----------------+-----------+-----------------+ ...
    | ESKPKL1\\n| length u64| pickle of a list| length u64| pickle of a list|
    +----------+-----------+-----------------+-----------+-----------------+ ...
"""

from __future__ import annotations

import bz2
import gzip
import pickle  # noqa: TID251  # the family of pickleFile (contracts, 3)
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from esker.compat.pyspark.errors import IllegalArgumentException, PySparkNotImplementedError
from esker.compat.pyspark.files import local_path
from esker.core.file_system import LOCAL, WITHIN_ASIDE
from esker.engine.bag.task_state import current_task
from esker.errors import CorruptError, InputFileError

_MAGIC = b"ESKPKL1\n"
_SEQUENCE_FILE_MAGIC = b"SEQ"
_LENGTH = struct.Struct("<Q")
_BUFFER_BYTES = 1 << 20

_CODECS = {
    "org.apache.hadoop.io.compress.GzipCodec": ".gz",
    "org.apache.hadoop.io.compress.BZip2Codec": ".bz2",
    "org.apache.hadoop.io.compress.DefaultCodec": ".deflate",
    "org.apache.hadoop.io.compress.DeflateCodec": ".deflate",
    "org.apache.hadoop.io.compress.ZStandardCodec": ".zst",
    "org.apache.hadoop.io.compress.ZstdCodec": ".zst",
}
_FRAMED_CODECS = ("SnappyCodec", "Lz4Codec", "LzopCodec", "LzoCodec")


def suffix_of(codec: str | None) -> str:
    """Give the ending of files that a codec, named as in Hadoop, makes."""
    if not codec:
        return ""
    if codec in _CODECS:
        return _CODECS[codec]
    if codec.rpartition(".")[2] in _FRAMED_CODECS:
        raise PySparkNotImplementedError(
            f"{codec} writes Hadoop's own framing, which nothing but Hadoop reads; "
            "choose GzipCodec, BZip2Codec, DefaultCodec or ZStandardCodec"
        )
    raise IllegalArgumentException(f"no compression codec {codec}; there is {', '.join(_CODECS)}")


@contextmanager
def new_folder(path: str) -> Iterator[Path]:
    """Yield a folder aside that becomes `path`, with `_SUCCESS` in it, when the block ends well."""
    target = local_path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    with LOCAL.folder_aside(target) as folder:
        yield folder
        with WITHIN_ASIDE.write_aside(folder / "_SUCCESS"):
            pass


@contextmanager
def _compressing(file: BinaryIO, suffix: str) -> Iterator[Any]:
    if suffix == ".gz":
        with gzip.GzipFile("", "wb", fileobj=file, mtime=0) as out:
            yield out
    elif suffix == ".bz2":
        with bz2.BZ2File(file, "wb") as out:
            yield out
    elif suffix == ".zst":
        # Closing Arrow's stream closes what is below it, which is still to be synced.
        sink = pa.PythonFile(_Kept(file), "w")
        with pa.CompressedOutputStream(sink, "zstd") as out:
            yield out
    elif suffix == ".deflate":
        deflater = _Deflater(file)
        yield deflater
        deflater.finish()
    else:
        yield file


class _Kept:
    """A file that stays open when it is closed."""

    closed = False

    def __init__(self, file: BinaryIO) -> None:
        self.write = file.write
        self.flush = file.flush

    def close(self) -> None:
        """Do nothing."""


class _Deflater:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._stream = zlib.compressobj()

    def write(self, data: bytes) -> None:
        self._file.write(self._stream.compress(data))

    def finish(self) -> None:
        self._file.write(self._stream.flush())


@dataclass(frozen=True)
class PartWriter:
    """Write the elements of a partition to its part file: runs in a task."""

    folder: str
    suffix: str
    blocks: Callable[[Iterable[Any]], Iterator[bytes]]

    def __call__(self, elements: Iterator[Any]) -> None:
        task = current_task()
        assert task is not None
        target = Path(self.folder, f"part-{task.partition:05}{self.suffix}")
        with WITHIN_ASIDE.write_aside(target, overwrite=True) as file, _compressing(file, self.suffix) as out:
            for block in self.blocks(elements):
                out.write(block)


def lines(elements: Iterable[Any]) -> Iterator[bytes]:
    """Turn elements into lines of UTF-8, bytes as they are, in blocks."""
    stream = iter(elements)
    while batch := list(islice(stream, 512)):
        yield b"".join([_line(element) for element in batch])


def _line(element: Any) -> bytes:
    if isinstance(element, bytes):
        return element + b"\n"
    return (element if isinstance(element, str) else str(element)).encode() + b"\n"


@dataclass(frozen=True)
class PickledBatches:
    """Turn elements into pickled lists of a number of elements."""

    batch_size: int

    def __call__(self, elements: Iterable[Any]) -> Iterator[bytes]:
        yield _MAGIC
        stream = iter(elements)
        while batch := list(islice(stream, self.batch_size)):
            data = pickle.dumps(batch, protocol=5)
            yield _LENGTH.pack(len(data)) + data


@dataclass(frozen=True)
class PickledPart:
    """The batches of a pickle file that begin within a range of bytes."""

    path: str
    start: int
    stop: int

    def __iter__(self) -> Iterator[Any]:
        with Path(self.path).open("rb", _BUFFER_BYTES) as file:
            size = Path(self.path).stat().st_size
            place = _check_magic(file, self.path)
            while place < min(self.stop, size):
                head = file.read(_LENGTH.size)
                if len(head) < _LENGTH.size:
                    raise CorruptError(f"{self.path} ends within a length, at byte {place:,}")
                (length,) = _LENGTH.unpack(head)
                following = place + _LENGTH.size + length
                if following > size:
                    raise CorruptError(f"{self.path}: a batch at byte {place:,} would end behind the file's end")
                if place >= self.start:
                    yield from pickle.loads(file.read(length))
                else:
                    file.seek(following)
                place = following


def _check_magic(file: BinaryIO, path: str) -> int:
    magic = file.read(len(_MAGIC))
    if magic.startswith(_SEQUENCE_FILE_MAGIC):
        raise PySparkNotImplementedError(
            f"{path} is a Hadoop SequenceFile, as Spark's saveAsPickleFile writes: only Hadoop's classes read it; "
            "save it as text or Parquet in Spark, and read that"
        )
    if magic != _MAGIC:
        raise InputFileError(f"{path} is not a pickle file of saveAsPickleFile")
    return len(_MAGIC)


def pickled_parts(paths: Sequence[Path], partitions: int) -> list[PickledPart]:
    """Cut files into at least a number of parts, where that many batches are."""
    sizes = [path.stat().st_size for path in paths]
    goal = max(1, sum(sizes) // max(1, partitions))
    parts = []
    for path, size in zip(paths, sizes, strict=True):
        cuts = max(1, round(size / goal))
        edges = [size * cut // cuts for cut in range(cuts + 1)]
        parts += [PickledPart(str(path), a, b) for a, b in pairwise(edges)]
    return parts
