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


# Steps that people count time in: seconds, minutes, hours, days.
_TIME_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)


def time_ticks(seconds: float, wanted: int = 6) -> list[float]:
    """Round moments from 0 to at most `seconds`, about `wanted` of them.

    >>> time_ticks(700.0), time_ticks(0.5), time_ticks(0.0)
    ([0.0, 120.0, 240.0, 360.0, 480.0, 600.0], [0.0, 0.1, 0.2, 0.3, 0.4, 0.5], [0.0])
    """
    if not math.isfinite(seconds) or seconds <= 0:
        return [0.0]
    rough = seconds / wanted
    step = next((float(step) for step in _TIME_STEPS if step >= rough), None) if rough > 1 else None
    if step is None:
        # Below a second and above a day: 1, 2 or 5 of a power of ten.
        unit = 10.0 ** math.floor(math.log10(rough))
        step = next(factor * unit for factor in (1, 2, 5, 10) if factor * unit >= rough)
    return [round(index * step, 12) for index in range(int(seconds / step + 1e-9) + 1)]
