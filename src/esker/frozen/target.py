"""The folder of a data set: made when a freeze begins, removed when it fails."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from esker.core.file_system import FileSystem
from esker.errors import InputFileError, OutputExistsError, OutputFileError
from esker.frozen.catalog_file import CatalogFile
from esker.frozen.location import network_type, require_local, tier_folder
from esker.frozen.records import CATALOG_FILE, INDEX_FOLDER, KEYS_FOLDER

_CATALOG_FILES = tuple(CATALOG_FILE + suffix for suffix in ("", "-wal", "-shm", "-journal"))


def require_unfrozen(folder: Path) -> None:
    """Raise OutputExistsError when a data set was committed in `folder`; what an unfinished freeze left is fine."""
    if not (folder / CATALOG_FILE).is_file():
        return
    with CatalogFile.open(folder, local=network_type(folder) is None) as file:
        if file.read() is not None:
            raise OutputExistsError(f"{folder} is a frozen data set already; choose another name or remove it")


def make_target(folder: Path, tier_uri: str) -> bool:
    """Make the folder and say whether it is new; what an unfinished freeze left there may stay.

    Raises OutputExistsError when it holds anything else. The folder of the tier may lie inside.
    """
    if not folder.parent.is_dir():
        raise InputFileError(f"cannot freeze to {folder}: there is no folder {folder.parent}")
    require_local(folder.parent)
    try:
        folder.mkdir()
    except FileExistsError:
        _require_free(folder, tier_uri)
        return False
    except OSError as error:
        raise OutputFileError(f"cannot make the folder {folder}: {error.strerror}") from error
    return True


def make_folders(folder: Path, file_system: FileSystem) -> None:
    """Make the folders of key and index files, durably."""
    for inner in (KEYS_FOLDER, INDEX_FOLDER):
        (folder / inner).mkdir(exist_ok=True)
    file_system.sync_folder(folder)
    file_system.sync_folder(folder.parent)


def clear_target(folder: Path, *, made: bool) -> None:
    """Remove the catalogue and the empty folders of a freeze that failed; the files in them are gone already.

    Folders that a tier made inside go too, when they are empty: a freeze that failed leaves nothing.
    """
    for name in _CATALOG_FILES:
        (folder / name).unlink(missing_ok=True)
    for inner, _, _ in os.walk(folder, topdown=False):
        if made or Path(inner) != folder:
            with suppress(OSError):
                Path(inner).rmdir()


def _require_free(folder: Path, tier_uri: str) -> None:
    if not folder.is_dir():
        raise OutputExistsError(f"{folder} exists already and is a file; choose another name")
    allowed = {KEYS_FOLDER, INDEX_FOLDER, *_CATALOG_FILES}
    payload = tier_folder(tier_uri)
    if payload is not None and payload.resolve().is_relative_to(folder.resolve()):
        allowed.add(payload.resolve().relative_to(folder.resolve()).parts[0])
    foreign = sorted(path.name for path in folder.iterdir() if path.name not in allowed)
    if foreign:
        raise OutputExistsError(f"{folder} exists already and holds {foreign[0]!r}; choose another name")
