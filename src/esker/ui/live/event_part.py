"""The log itself: how many events of each kind there are, and the last ones as they stand there."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from typing import Any

from esker.ui.live.values import text

KINDS_MAX = 100
LAST = 60
LINE_MAX = 300


class EventPart:
    """Follows everything, events that this page does not know too."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._last: deque[tuple[float, str, Mapping[str, Any]]] = deque(maxlen=LAST)

    def take(self, event: str, fields: Mapping[str, Any], seconds: float) -> bool:
        """Take an event."""
        name = text(event, 60)
        known = name if name in self._counts or len(self._counts) < KINDS_MAX else "…"
        self._counts[known] = self._counts.get(known, 0) + 1
        self._last.append((seconds, name, fields))
        return True

    def to_json(self) -> dict[str, Any] | None:
        """Counts, the most frequent first, and the last lines."""
        if not self._counts:
            return None
        return {
            "counts": sorted(self._counts.items(), key=lambda one: (-one[1], one[0])),
            "last": [[round(seconds, 3), name, _line(fields)] for seconds, name, fields in self._last],
        }


def _line(fields: Mapping[str, Any]) -> str:
    shown = {name: value for name, value in fields.items() if name not in ("v", "seconds", "event")}
    written = json.dumps(shown, separators=(", ", ": "))[1:-1]
    return written if len(written) <= LINE_MAX else written[: LINE_MAX - 1] + "…"
