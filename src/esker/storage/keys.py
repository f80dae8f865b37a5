"""Keys of objects: relative, plain, and never a way out of the tier's folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from esker.core.extent import ByteRange
from esker.core.file_system import ASIDE_MARK
from esker.errors import InputError, TierError


def check_key(key: str) -> str:
    """Give back a key that is a plain relative path, or refuse it.

    >>> check_key("sales/part-00000.parquet")
    'sales/part-00000.parquet'
    >>> check_key("../secrets")
    Traceback (most recent call last):
        ...
    esker.errors.InputError: '../secrets' cannot be a key: keys are relative paths without '.', '..' and empty parts \
[ESK-100]
    """
    parts = key.split("/")
    if any(part in ("", ".", "..") for part in parts) or "\0" in key or "\\" in key or ASIDE_MARK in key:
        raise InputError(f"{key!r} cannot be a key: keys are relative paths without '.', '..' and empty parts")
    return key


def path_of(folder: Path, key: str) -> Path:
    """Give the path of a key below `folder`; no symbolic link may lead out of it."""
    path = folder / check_key(key)
    if not path.parent.resolve().is_relative_to(folder.resolve()) or path.is_symlink():
        raise TierError(f"{key!r} leads out of {folder} through a symbolic link; nothing was read or written")
    return path


def check_ranges(uri: str, key: str, object_bytes: int, ranges: Sequence[ByteRange]) -> None:
    """Raise TierError for the first range that is not inside the object."""
    for asked in ranges:
        if not 0 <= asked.start <= asked.stop <= object_bytes:
            raise TierError(
                f"{uri} cannot read bytes {asked.start:,} to {asked.stop:,} of {key!r}: it has {object_bytes:,} bytes"
            )
