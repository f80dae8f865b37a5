"""Collecting what a killed write left behind, and files that no committed state refers to any more."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from esker.core.file_system import ASIDE_MARK, LOCAL, FileSystem
from esker.errors import EskerError, InputFileError
from esker.frozen.catalog import open_payload_tier
from esker.frozen.catalog_file import CatalogFile
from esker.frozen.location import require_data_set, require_local, resolve_tier_uri, store_tier_uri
from esker.frozen.lock import without_readers, writer_lock
from esker.frozen.records import INDEX_FOLDER, KEYS_FOLDER, Contents, Writing, object_key
from esker.storage import Tier

_OUR_SUFFIXES = (".parquet", ".seg")


@dataclass(frozen=True)
class Collected:
    """What was removed: files of the sidecar, and objects of the payload's tier."""

    files: tuple[str, ...] = ()
    objects: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.files or self.objects)


def collect_garbage(target: Path | str, *, tier: Tier | None = None, file_system: FileSystem = LOCAL) -> Collected:
    """Remove what no committed state refers to; freeze and append do so by themselves before they write.

    On the tier, only objects whose name has the token of a write that was begun here and not committed. Raises
    LockedError while another process writes. Files that an open reader may still need are left for the next time.
    """
    folder = Path(target)
    require_data_set(folder)
    require_local(folder)
    with writer_lock(folder), CatalogFile.open_writing(folder) as file:
        return collect(folder, file, tier, file_system)


def collect(folder: Path, file: CatalogFile, tier: Tier | None, file_system: FileSystem) -> Collected:
    """As `collect_garbage`, for a caller that holds the writer lock; `tier` is tried where its URI fits."""
    contents = file.read()
    objects: list[str] = []
    for writing in file.writings():
        with suppress(EskerError, OSError):
            # A tier that cannot be reached now keeps its garbage, and the record of it, until it can.
            objects += _collect_objects(writing, contents, _tier_of(writing, folder, tier))
            file.forget(writing.token)
    return Collected(tuple(_collect_files(folder, contents, file_system)), tuple(objects))


def object_token(key: str) -> str:
    """Read the token of the write that made an object out of its key.

    >>> object_token("sales/part-00003.9f86d081.parquet")
    '9f86d081'
    """
    words = key.rpartition("/")[2].split(".")
    return words[1] if len(words) == 3 else ""


def _collect_objects(writing: Writing, contents: Contents | None, tier: Tier) -> list[str]:
    kept = {frozen.extent.key for frozen in contents.extents} if contents is not None else set()
    found = [stored.key for stored in tier.list(writing.payload_prefix + "/")]
    garbage = sorted(key for key in found if object_token(key) == writing.token and key not in kept)
    # The object that was being written when all stopped has the next number; the tier may hold part of it unlisted.
    first_number = len(contents.extents) if contents is not None else 0
    for key in (*garbage, object_key(writing.payload_prefix, first_number + len(garbage), writing.token)):
        tier.delete(key)
    return garbage


def _tier_of(writing: Writing, folder: Path, tier: Tier | None) -> Tier:
    uri = resolve_tier_uri(writing.tier_uri, folder)
    if tier is not None and uri == resolve_tier_uri(store_tier_uri(tier.uri, folder), folder):
        return tier
    if uri.startswith("memory:"):
        raise InputFileError(f"{uri} went with the process that wrote it")
    return open_payload_tier(uri, str(folder))


def _collect_files(folder: Path, contents: Contents | None, file_system: FileSystem) -> list[str]:
    kept: set[Path] = set()
    if contents is not None:
        kept.update(folder / KEYS_FOLDER / part.file for part in contents.parts)
        kept.update(folder / INDEX_FOLDER / segment.file for segment in contents.segments)
    removed: list[str] = []
    with without_readers(folder) as alone:
        for inner in (KEYS_FOLDER, INDEX_FOLDER) if alone else ():
            for path in sorted((folder / inner).rglob("*")):
                ours = path.name.endswith(_OUR_SUFFIXES) or ASIDE_MARK in path.name
                if ours and path.is_file() and path not in kept:
                    file_system.delete(path)
                    removed.append(path.relative_to(folder).as_posix())
    return removed
