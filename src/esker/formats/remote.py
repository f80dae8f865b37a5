"""Files on object stores: what a URI names (an object, a folder, a glob) becomes the objects to read, in order."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from esker.errors import InputFileError, OptionError
from esker.storage import TIERS, open_tier
from esker.storage.tier_file import TierFile
from esker.storage.tiers import split_uri

# Their places are folders and names, not buckets.
_OTHER_SCHEMES = frozenset({"disk", "memory", "tape", "ltfs"})
_MAGIC = re.compile(r"[*\[]")


def is_remote(where: str | Path) -> bool:
    """Tell `s3://bucket/key` from a path; pathlib makes one slash of two."""
    scheme, colon, rest = os.fspath(where).partition(":")
    return bool(colon) and rest.startswith("/") and scheme in TIERS and scheme not in _OTHER_SCHEMES


def find_objects(where: str | Path, extensions: Sequence[str]) -> list[TierFile]:
    """List the objects that a URI names: itself, those below it as below a folder, or those a glob matches.

    Of a folder, objects with one of the `extensions` are taken, at any depth; parts that begin with `.` or `_` are
    skipped, as they are in a glob that does not spell them out. A `?` begins the options and is no wildcard.
    """
    scheme, place, options = split_uri(os.fspath(where))
    bucket, _, path = place.lstrip("/").partition("/")
    path = path.strip("/")
    words = "&".join(f"{name}={value}" for name, value in options.items())
    tier = open_tier(f"{scheme}://{bucket}" + (f"?{words}" if words else ""))
    magic = _MAGIC.search(path)
    prefix = path[: magic.start()] if magic else path
    names = [stored.key for stored in tier.list(prefix)]
    if magic:
        pattern = re.compile(glob_pattern(path))
        spelled = set(path.split("/"))
        keys = [name for name in names if pattern.fullmatch(name) and not _hidden(name, spelled)]
        if not keys:
            raise InputFileError(f"no object matches {scheme}://{bucket}/{path}")
    elif path in names:
        keys = [path]
    else:
        keys = _below(f"{scheme}://{bucket}", path, names, extensions)
    return [TierFile(tier, key) for key in keys]


def glob_pattern(pattern: str) -> str:
    """Translate a glob: `*` stays within a part, `**` is any number of parts, `[a-c]` one of some characters.

    >>> [bool(re.fullmatch(glob_pattern("2024/*.pq"), key)) for key in ("2024/a.pq", "2024/b/a.pq")]
    [True, False]
    >>> [bool(re.fullmatch(glob_pattern("2024/**/*.pq"), key)) for key in ("2024/a.pq", "2024/b/c/a.pq")]
    [True, True]
    """
    out: list[str] = []
    position = 0
    while position < len(pattern):
        for token, meaning in (("**/", "(?:[^/]+/)*"), ("**", ".*"), ("*", "[^/]*")):
            if pattern.startswith(token, position):
                out.append(meaning)
                position += len(token)
                break
        else:
            word, position = _plain_or_class(pattern, position)
            out.append(word)
    return "".join(out)


def _plain_or_class(pattern: str, position: int) -> tuple[str, int]:
    character = pattern[position]
    end = pattern.find("]", position + 2) if character == "[" else -1
    if character == "[" and end < 0:
        raise OptionError(f"the glob {pattern!r} has a '[' without its ']'")
    if character != "[":
        return re.escape(character), position + 1
    inner = pattern[position + 1 : end].replace("\\", "\\\\")
    inner = "^" + inner[1:] if inner.startswith("!") else inner.replace("^", "\\^")
    return f"[{inner}]", end + 1


def _below(bucket: str, path: str, names: Sequence[str], extensions: Sequence[str]) -> list[str]:
    folder = path + "/" if path else ""
    inside = [name for name in names if name.startswith(folder)]
    shown = [name for name in inside if not _hidden(name[len(folder) :], set())]
    hive = next((name for name in shown if "=" in name[len(folder) :].rpartition("/")[0]), None)
    if hive is not None:
        raise InputFileError(
            f"{bucket}/{hive} looks like part of a Hive partition, whose column would be lost; name the objects by a"
            " glob"
        )
    known = [name for name in shown if name.lower().endswith(tuple(extensions))]
    if not inside:
        raise InputFileError(f"no object {bucket}/{path}, and none below it")
    if not known:
        raise InputFileError(f"no data files below {bucket}/{folder} (looked for {', '.join(extensions)})")
    return known


def _hidden(name: str, spelled: set[str]) -> bool:
    return any(part.startswith((".", "_")) and part not in spelled for part in name.split("/"))
