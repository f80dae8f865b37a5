"""Names of inputs, as Hadoop reads them: several with commas between, folders, patterns, `file:` URIs.

In a folder, files whose names begin with `_` or `.` are no data. What has another scheme goes to Bag as it is.
"""

from __future__ import annotations

import glob
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from esker.compat.pyspark.files import local_path
from esker.errors import InputFileError

_HIDDEN = ("_", ".")


def inputs(name: str | Iterable[str]) -> list[str]:
    """Find the files of a name. Raises InputFileError for one that matches nothing."""
    names = _split(name) if isinstance(name, str) else list(name)
    return [path for part in names for path in _files(part)]


def _split(name: str) -> list[str]:
    """Cut at commas, but not within braces of a pattern."""
    parts, depth, start = [], 0, 0
    for place, letter in enumerate(name):
        depth += (letter == "{") - (letter == "}")
        if letter == "," and depth == 0:
            parts.append(name[start:place])
            start = place + 1
    return [part.strip() for part in [*parts, name[start:]] if part.strip()]


def _files(name: str) -> list[str]:
    if urlsplit(name).scheme not in ("", "file", "local"):
        return [name]
    path = local_path(name)
    found = [path] if path.exists() else [Path(match) for match in sorted(_matches(str(path)))]
    if not found:
        raise InputFileError(f"Input path does not exist: file:{path}")
    return [str(file) for match in found for file in _in_folder(match)]


def _in_folder(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith(_HIDDEN))


def _matches(pattern: str) -> set[str]:
    return {match for plain in _without_braces(pattern) for match in glob.glob(plain)}  # noqa: PTH207  # from any folder


def _without_braces(pattern: str) -> list[str]:
    """Write `{a,b}` out.

    >>> _without_braces("x-{1,2}.txt")
    ['x-1.txt', 'x-2.txt']
    """
    start = pattern.find("{")
    stop = pattern.find("}", start)
    if start < 0 or stop < 0:
        return [pattern]
    return [
        whole
        for choice in pattern[start + 1 : stop].split(",")
        for whole in _without_braces(pattern[:start] + choice + pattern[stop + 1 :])
    ]
