"""Byte sizes as people write them."""

from __future__ import annotations

import re

from esker.errors import OptionError

_UNITS = {
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
    "k": 2**10,
    "m": 2**20,
    "g": 2**30,
    "t": 2**40,
}


def parse_bytes(value: int | str, option: str = "size") -> int:
    """Read `512MiB`, `2GB`, `1.5GiB` or an integer as bytes.

    >>> parse_bytes("512MiB"), parse_bytes("2GB"), parse_bytes(4096)
    (536870912, 2000000000, 4096)
    >>> parse_bytes("lots", "memory")
    Traceback (most recent call last):
        ...
    esker.errors.OptionError: memory='lots' is not a size; write 512MiB, 2GB or a number of bytes [ESK-106]
    """
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*", str(value))
    unit = _UNITS.get(match.group(2).lower()) if match else None
    if match is None or unit is None or float(match.group(1)) * unit < 1:
        raise OptionError(f"{option}={value!r} is not a size; write 512MiB, 2GB or a number of bytes")
    return int(float(match.group(1)) * unit)


def format_bytes(count: float) -> str:
    """Write bytes for people, in powers of 1024.

    >>> format_bytes(0), format_bytes(1536), format_bytes(5 * 2**20)
    ('0 B', '1.5 KiB', '5.0 MiB')
    """
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(size) < 1024 or unit == "TiB":
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    raise AssertionError("unreachable")
