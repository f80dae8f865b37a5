"""Durations in options: seconds, or a number with a unit."""

from __future__ import annotations

import math
import re

from esker.errors import OptionError

_UNITS = {"": 1.0, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_TEXT = re.compile(r"\s*([0-9]*\.?[0-9]+)\s*([a-z]*)\s*")


def parse_seconds(value: float | str, option: str) -> float:
    """Read a duration above zero.

    >>> parse_seconds("90min", "deadline"), parse_seconds(1.5, "deadline"), parse_seconds("2 d", "deadline")
    (5400.0, 1.5, 172800.0)
    >>> parse_seconds("soon", "deadline")
    Traceback (most recent call last):
        ...
    esker.errors.OptionError: deadline='soon' is no duration; write seconds, or 90min, 12h, 2d [ESK-106]
    """
    seconds = math.nan
    if isinstance(value, str):
        found = _TEXT.fullmatch(value)
        if found is not None and found[2] in _UNITS:
            seconds = float(found[1]) * _UNITS[found[2]]
    elif not isinstance(value, bool):
        seconds = float(value)
    if not 0 < seconds < math.inf:
        raise OptionError(f"{option}={value!r} is no duration; write seconds, or 90min, 12h, 2d")
    return seconds
