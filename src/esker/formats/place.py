"""Where a file to read lies: a local path, or an object of a tier. What formats do with either is here."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa

from esker.core.extent import ByteRange
from esker.errors import InputFileError
from esker.storage.tier_file import TierFile

Place = Path | TierFile
Signature = tuple[int, ...] | tuple[int, str]

# Read ahead of what is asked for: a stream is read on, a footer is not.
STREAM_AHEAD_BYTES = 4 << 20
FOOTER_AHEAD_BYTES = 64 << 10


def signature(place: Place) -> Signature:
    """Tell this version of a file from others; its size comes first. InputFileError when it is not there."""
    try:
        if isinstance(place, TierFile):
            return place.signature()
        status = place.stat()
    except OSError as error:
        raise InputFileError(f"cannot read {place}: {error.strerror or error}") from error
    return status.st_size, status.st_ino, status.st_mtime_ns


def open_mapped(place: Place, size_bytes: int) -> pa.NativeFile:
    """Open for reading here and there; a local file is mapped."""
    if isinstance(place, TierFile):
        return pa.PythonFile(place.open(size_bytes, FOOTER_AHEAD_BYTES), mode="r")
    return pa.memory_map(str(place))


def open_native(
    place: Place, size_bytes: int, ranges: Sequence[ByteRange] = (), ahead_bytes: int = FOOTER_AHEAD_BYTES
) -> pa.NativeFile:
    """Open for reading; `ranges` of an object are fetched now, `ahead_bytes` with what else is asked for."""
    if isinstance(place, TierFile):
        return pa.PythonFile(place.open(size_bytes, ahead_bytes, ranges), mode="r")
    return pa.OSFile(str(place))


def open_binary(place: Place, size_bytes: int | None = None) -> BinaryIO:
    """Open for Python's own readers."""
    if isinstance(place, TierFile):
        reader = place.open(size_bytes or place.signature()[0], STREAM_AHEAD_BYTES)
        return cast(BinaryIO, io.BufferedReader(reader, 1 << 16))
    return place.open("rb")
