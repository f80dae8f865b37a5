"""Options of a tier's URI: known names, values in range."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from pathlib import Path

from esker.errors import OptionError


def check_options(tier: str, options: Mapping[str, str], known: Collection[str]) -> None:
    """Raise OptionError for the first option that the tier does not have."""
    for name in options:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ";"
            raise OptionError(f"the {tier} tier has no option {name!r}{hint} options: {', '.join(known) or '(none)'}")


def count_option(options: Mapping[str, str], name: str, default: int) -> int:
    """Read an option that is a whole number of at least 1."""
    text = options.get(name)
    if text is None:
        return default
    if not text.isdecimal() or int(text) < 1:
        raise OptionError(f"{name}={text!r} is not a whole number of at least 1")
    return int(text)


def folder_option(tier: str, place: str) -> Path:
    """Make the place of a tier an absolute path that a URI can carry."""
    folder = Path(place).expanduser().absolute()
    if "?" in str(folder) or folder.is_file():
        problem = "is a file" if folder.is_file() else "has a '?' in its path, which tier URIs cannot carry"
        raise OptionError(f"the {tier} tier needs a folder; {folder} {problem}")
    return folder
