"""Numbers as people read them."""

from __future__ import annotations

import math


def format_seconds(seconds: float) -> str:
    """Write a time in the unit that fits.

    >>> [format_seconds(s) for s in (0.0, 0.0123, 5.25, 75, 7325)]
    ['0 s', '12.3 ms', '5.2 s', '1 min 15 s', '2 h 02 min']
    """
    if seconds == 0:
        return "0 s"
    if seconds < 0.1:
        return f"{seconds * 1000:,.1f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{int(seconds) // 60} min {int(seconds) % 60:02} s"
    return f"{int(seconds) // 3600:,} h {int(seconds) % 3600 // 60:02} min"


def ticks(top: float, wanted: int = 6) -> list[float]:
    """Round positions from 0 to at most `top`, about `wanted` of them.

    >>> ticks(97.0), ticks(0.0)
    ([0.0, 20.0, 40.0, 60.0, 80.0], [0.0])
    """
    if not math.isfinite(top) or top <= 0:
        return [0.0]
    rough = top / wanted
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * unit for factor in (1, 2, 5, 10) if factor * unit >= rough)
    return [round(index * step, 12) for index in range(int(top / step + 1e-9) + 1)]
