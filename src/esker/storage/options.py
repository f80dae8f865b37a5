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


def seconds_option(options: Mapping[str, str], name: str, default: float) -> float:
    """Read an option that is a number of seconds, zero or more.

    >>> seconds_option({"request_seconds": "0.02"}, "request_seconds", 0.1)
    0.02
    """
    text = options.get(name)
    if text is None:
        return default
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise OptionError(f"{name}={text!r} is not a number of seconds")
    return seconds


def switch_option(options: Mapping[str, str], name: str) -> bool:
    """Read an option that is true or false; it is false when it is not there."""
    text = options.get(name, "false")
    if text not in ("true", "false"):
        raise OptionError(f"{name}={text!r} is neither true nor false")
    return text == "true"


def choice_option(options: Mapping[str, str], name: str, default: str, known: Collection[str]) -> str:
    """Read an option that is one of some words."""
    text = options.get(name, default)
    if text not in known:
        raise OptionError(f"{name}={text!r}: there is {', '.join(known)}")
    return text
