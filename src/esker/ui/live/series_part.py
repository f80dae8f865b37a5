"""Memory, spill and bytes read, over time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from esker.ui.live.values import count, mapping, text

POINTS_MAX = 1_200
HOLDERS_MAX = 30
MEMORY = {
    "held_bytes": "held",
    "process_bytes": "process",
    "budget_bytes": "budget",
    "spill_bytes": "spill",
    "spilled_bytes": "spilled",
}
SPILLS = ("spooled", "sort_run_spilled")


class SeriesPart:
    """Follows `memory`, `extent_read` and what is spilled; keeps at most POINTS_MAX moments, the highest of each."""

    def __init__(self) -> None:
        self._now: dict[str, int | None] = dict.fromkeys(("held", "process", "budget", "spill", "spilled", "read"))
        self._points: list[tuple[float, dict[str, int | None]]] = []
        self._step = 0.0
        self._holders: list[tuple[str, int]] = []
        self._measured = False

    def take(self, event: str, fields: Mapping[str, Any], seconds: float) -> bool:
        """Take an event; say whether a line goes on."""
        if event == "memory":
            self._measured = True
            for source, name in MEMORY.items():
                value = count(fields.get(source))
                if value is not None:
                    self._now[name] = value
            held = [(text(name, 60), count(size) or 0) for name, size in mapping(fields.get("holders")).items()]
            self._holders = sorted(held, key=lambda one: -one[1])[:HOLDERS_MAX]
        elif event == "extent_read":
            self._now["read"] = (self._now["read"] or 0) + (count(fields.get("bytes")) or 0)
        elif event in SPILLS and not self._measured:
            self._now["spilled"] = (self._now["spilled"] or 0) + (count(fields.get("bytes")) or 0)
        elif event == "shuffled" and not self._measured:
            self._now["spilled"] = (self._now["spilled"] or 0) + (count(fields.get("spilled_bytes")) or 0)
        elif event == "query_done" and self._points:
            pass
        else:
            return False
        self._add(seconds)
        return True

    def to_json(self) -> dict[str, Any] | None:
        """Columns for the chart: seconds, and a line for each thing that was seen; None when there is none."""
        if not self._points:
            return None
        lines = {name: [point.get(name) for _, point in self._points] for name in self._now}
        return {
            "seconds": [round(at, 4) for at, _ in self._points],
            "lines": {name: line for name, line in lines.items() if any(value is not None for value in line)},
            "holders": self._holders,
        }

    def _add(self, seconds: float) -> None:
        now = self._now.copy()
        if self._points and seconds - self._points[-1][0] < self._step:
            at, last = self._points[-1]
            self._points[-1] = (at, _highest(last, now))
            return
        self._points.append((max(seconds, self._points[-1][0] if self._points else 0.0), now))
        if len(self._points) > POINTS_MAX:
            self._thin()

    def _thin(self) -> None:
        """Make one point of each two neighbours, and take new ones half as often."""
        paired = self._points[-1:] if len(self._points) % 2 else []
        self._points = [
            (first[0], _highest(first[1], second[1]))
            for first, second in zip(self._points[0::2], self._points[1::2], strict=False)
        ] + paired
        length = self._points[-1][0] - self._points[0][0]
        self._step = max(self._step * 2, length / POINTS_MAX)


def _highest(one: Mapping[str, int | None], other: Mapping[str, int | None]) -> dict[str, int | None]:
    return {name: max((one[name] or 0, value)) if value is not None else one[name] for name, value in other.items()}
