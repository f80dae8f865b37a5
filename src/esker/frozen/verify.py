"""Checking a frozen data set: structure and sizes, or every byte."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from esker.core.checksum import Checksum, checksum_file
from esker.core.extent import ByteRange, Extent
from esker.errors import CorruptError, NotThawedError, PayloadCorruptError
from esker.frozen.hot import check_size, damage_named, open_part
from esker.frozen.records import INDEX_FOLDER, KEYS_FOLDER, Contents
from esker.storage import ReadRequest, Tier

_CHUNK_BYTES = 8 << 20
_DAMAGES_SHOWN = 10


@dataclass(frozen=True)
class Verified:
    """What was found whole: how many local files and payload objects, and how many bytes were read to know."""

    files: int
    objects: int
    bytes_read: int


def verify_contents(contents: Contents, folder: Path, tier: Tier | None) -> Verified:
    """Check local files and footers, and with a `tier` every byte here and there; all damage is told at once."""
    damages: list[str] = []
    bytes_read = 0
    deep = tier is not None
    for path, size_bytes, checksum in _local_files(contents, folder):
        with _gathered(damages):
            check_size(path, size_bytes)
            if deep:
                bytes_read += size_bytes
                _require(checksum_file(path), checksum, str(path))
    for part in contents.parts:
        with _gathered(damages), damage_named(folder / KEYS_FOLDER / part.file), open_part(folder, part):
            pass
    for frozen in contents.extents:
        with _gathered(damages):
            assert frozen.footer.num_rows == frozen.extent.row_count
    if tier is not None:
        there, missing = _in_tier_order(contents, tier)
        damages += [f"{extent.key!r} is not on {tier.uri}" for extent in missing]
        for extent in there:
            with _gathered(damages):
                bytes_read += extent.bytes
                _verify_object(extent, tier)
    if damages:
        more = f"; and {len(damages) - _DAMAGES_SHOWN} more" if len(damages) > _DAMAGES_SHOWN else ""
        raise PayloadCorruptError("; ".join(damages[:_DAMAGES_SHOWN]) + more)
    return Verified(len(contents.parts) + len(contents.segments), len(contents.extents), bytes_read)


def _local_files(contents: Contents, folder: Path) -> Iterator[tuple[Path, int, str]]:
    for part in contents.parts:
        yield folder / KEYS_FOLDER / part.file, part.bytes, part.checksum
    for segment in contents.segments:
        yield folder / INDEX_FOLDER / segment.file, segment.bytes, segment.checksum


def _in_tier_order(contents: Contents, tier: Tier) -> tuple[list[Extent], list[Extent]]:
    """The extents that the tier has, in the order in which reading them costs least, and those that it has not."""
    extents = {frozen.extent.key: frozen.extent for frozen in contents.extents}
    stored = {found.key: found.bytes for found in tier.list(contents.description.payload_prefix + "/")}
    # A shorter object is read to where it ends, which then is the damage that is told.
    whole = [ReadRequest(key, ByteRange(0, min(extents[key].bytes, stored[key]))) for key in extents if key in stored]
    there = [extents[request.key] for request in tier.order(whole)]
    return there, [extents[key] for key in extents if key not in stored]


def _verify_object(extent: Extent, tier: Tier) -> None:
    checksum = Checksum()
    place = f"{extent.key!r} on {tier.uri}"
    try:
        for start in range(0, extent.bytes, _CHUNK_BYTES):
            for data in tier.read(extent.key, [ByteRange(start, min(start + _CHUNK_BYTES, extent.bytes))]):
                checksum.update(data)
    except NotThawedError:
        raise
    except OSError as error:
        raise PayloadCorruptError(f"{place} cannot be read: {error}") from error
    _require(checksum.text, extent.checksum, place)


def _require(found: str, recorded: str, place: str) -> None:
    if found != recorded:
        raise PayloadCorruptError(
            f"{place} is damaged: its checksum is {found}, recorded is {recorded}; restore it from a copy, or freeze"
            " the data again"
        )


@contextmanager
def _gathered(damages: list[str]) -> Iterator[None]:
    """Keep what is damaged and go on."""
    try:
        yield
    except CorruptError as error:
        damages.append(str(error))
