"""From what a user names (a file, a folder, a glob, a list) to the files to read, in order."""

from __future__ import annotations

import difflib
import glob
import os
from collections.abc import Sequence
from pathlib import Path

from esker.errors import InputFileError
from esker.formats.format import Format
from esker.formats.place import Place
from esker.formats.remote import find_objects, is_remote

Where = str | Path | Sequence[str | Path]


def find_files(where: Where, formats: Sequence[Format]) -> list[Place]:
    """List the files that `where` names: those of a folder or glob sorted by path, a list's in its own order.

    Of a folder, files of `formats` are taken, at any depth; names that begin with `.` or `_` are skipped. A file that
    is named itself is taken whatever its extension. Where a URI names objects of a tier (`s3://bucket/2024/*.parquet`),
    they are listed.
    """
    if isinstance(where, str | Path):
        return [*_expand(where, formats)]
    found = [path for one in where for path in _expand(one, formats)]
    if not found:
        raise InputFileError("no files to read: the list is empty")
    return found


def format_of(path: Place, formats: Sequence[Format]) -> Format | None:
    """The format that a file's extension stands for, or None."""
    name = path.name.lower()
    return next((format_ for format_ in formats if name.endswith(format_.extensions)), None)


def _expand(where: str | Path, formats: Sequence[Format]) -> Sequence[Place]:
    if not os.fspath(where):
        raise InputFileError("no file to read: the path is empty")
    if is_remote(where):
        return find_objects(where, [extension for format_ in formats for extension in format_.extensions])
    path = Path(where).expanduser()
    if path.is_dir():
        return _files_of(path, formats)
    if path.exists():
        if not path.is_file():
            raise InputFileError(f"{path} is not a regular file; write its rows to a file first")
        return [path]
    if glob.has_magic(os.fspath(where)):
        return _match(path, formats)
    raise InputFileError(f"no file {path}{_near(path)}")


def _match(pattern: Path, formats: Sequence[Format]) -> list[Path]:
    names = glob.glob(os.fspath(pattern), recursive=True)  # noqa: PTH207 - Path.glob takes no absolute pattern
    found = [Path(name) for name in sorted(names)]
    # What the pattern spells out is wanted even if its name is that of hidden things.
    files = [path for path in found if path.is_file() and not any(map(_hidden, set(path.parts) - set(pattern.parts)))]
    if not files:
        raise InputFileError(f"no file matches {pattern}")
    return files


def _files_of(folder: Path, formats: Sequence[Format]) -> list[Path]:
    files = []
    for base, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _hidden(name))
        hive = next((name for name in folders if "=" in name), None)
        if hive is not None:
            raise InputFileError(
                f"{Path(base, hive)} looks like a Hive partition, whose column would be lost; name the files by a glob"
            )
        files += [Path(base, name) for name in names if not _hidden(name)]
    known = sorted(path for path in files if format_of(path, formats) is not None and path.is_file())
    if not known:
        extensions = ", ".join(extension for format_ in formats for extension in format_.extensions)
        raise InputFileError(f"no data files in folder {folder} (looked for {extensions})")
    return known


def _hidden(name: str) -> bool:
    return name.startswith((".", "_"))


def _near(path: Path) -> str:
    """What to do about a missing file: the nearest name in its folder, or the folder that is missing."""
    folder = path.parent
    if not folder.is_dir():
        return f"; there is no folder {folder} either"
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208 - names are wanted, not paths
    except OSError:
        return ""
    near = difflib.get_close_matches(path.name, names, n=1)
    return f"; did you mean {folder / near[0]}?" if near else ""
