"""Numbers and words out of a log, where anything may stand: what does not fit is nothing, and nothing is long."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

TEXT_MAX = 240
# Above this a browser's numbers are no longer whole.
NUMBER_MAX = float(1 << 53)


def number(value: object) -> float | None:
    """A finite number of reasonable size, or None.

    >>> number(3), number(2.5), number(True), number("3"), number(10**400), number(float("inf"))
    (3, 2.5, None, None, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return value if math.isfinite(value) and abs(value) <= NUMBER_MAX else None
    except OverflowError:
        return None


def count(value: object) -> int | None:
    """A whole number that is not negative, or None.

    >>> count(3), count(-1), count(2.5)
    (3, None, None)
    """
    found = number(value)
    return int(found) if found is not None and found >= 0 and found == int(found) else None


def text(value: object, limit: int = TEXT_MAX) -> str:
    """What is read of a value, at most `limit` characters.

    >>> text(["a", "b"]), text(None), text({"k": 1}), text("abcdef", 4)
    ('a, b', '', 'k 1', 'abc…')
    """
    if value is None:
        return ""
    if isinstance(value, str):
        found = value
    elif isinstance(value, Mapping):
        found = ", ".join(f"{text(key, limit)} {text(one, limit)}" for key, one in list(value.items())[:20])
    elif isinstance(value, Sequence):
        found = ", ".join(text(one, limit) for one in value[:50])
    else:
        found = str(value) if number(value) is not None or isinstance(value, bool) else "…"
    return found if len(found) <= limit else found[: limit - 1] + "…"


def mapping(value: object) -> Mapping[str, Any]:
    """A JSON object; what is none is an empty one."""
    return value if isinstance(value, Mapping) else {}


def items(value: object, limit: int = 100_000) -> Sequence[Any]:
    """A JSON array, at most `limit` of it; what is none is an empty one."""
    return value[:limit] if isinstance(value, list | tuple) else []
