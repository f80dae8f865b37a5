"""Extents of a thaw: which were asked for, which are readable by now, which were read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from esker.ui.live.plan_part import cost_json
from esker.ui.live.values import count, items, mapping, number, text

EXTENTS_MAX = 5_000
PLANNED, ASKED, READABLE, READ = "planned", "asked", "readable", "read"
_ORDER = {PLANNED: 0, ASKED: 1, READABLE: 2, READ: 3}


class ExtentPart:
    """Follows `thaw_planned`, `recall`, `recall_waiting`, `recalled`, `extent_read` and `thaw_done`."""

    def __init__(self) -> None:
        self._extents: dict[str, dict[str, Any]] = {}
        self._left_out = 0
        self._thaws: list[dict[str, Any]] = []
        self._asked_at: float | None = None
        self._waited: float | None = None

    def take(self, event: str, fields: Mapping[str, Any], seconds: float) -> bool:
        """Take an event; say whether an extent changed."""
        if event == "thaw_planned":
            self._thaw(fields)
            for key in list(mapping(fields.get("touched")))[: EXTENTS_MAX + 1]:
                self._set(text(key), PLANNED)
        elif event == "recall":
            self._asked_at = seconds
            sizes = items(fields.get("extent_bytes"))
            for index, key in enumerate(items(fields.get("extents"))):
                size = count(sizes[index]) if index < len(sizes) else None
                self._set(text(key), ASKED, asked=round(seconds, 3), size=size)
        elif event == "recalled":
            waited = number(fields.get("waited_seconds"))
            self._set(text(fields.get("key")), READABLE, ready=waited)
        elif event == "recall_waiting":
            self._waited = number(fields.get("waited_seconds"))
        elif event == "extent_read":
            self._read(text(fields.get("key")), fields)
        elif event == "thaw_done" and self._thaws:
            self._thaws[-1]["counted"] = cost_json(fields.get("counted"))
        else:
            return False
        return True

    def to_json(self) -> dict[str, Any] | None:
        """Extents in the order in which they were named, and how many are where; None when there are none."""
        if not self._extents:
            return None
        counts = dict.fromkeys(_ORDER, 0)
        for extent in self._extents.values():
            counts[extent["state"]] += 1
        return {
            "extents": list(self._extents.values()),
            "counts": counts,
            "recalled": self._asked_at is not None,
            "asked_at": self._asked_at,
            "waited": self._waited,
            "thaws": self._thaws,
            "left_out": self._left_out,
        }

    def _thaw(self, fields: Mapping[str, Any]) -> None:
        self._thaws.append(
            {
                "tier": text(fields.get("tier")),
                "choice": text(fields.get("choice"), 60),
                "reason": text(fields.get("reason"), 400),
                "cost": cost_json(fields.get("cost")),
                "recall": cost_json(fields.get("recall")),
                "full": cost_json(fields.get("full")),
                "counted": None,
            }
        )
        del self._thaws[:-20]

    def _read(self, key: str, fields: Mapping[str, Any]) -> None:
        extent = self._set(key, READ)
        if extent is not None:
            extent["bytes"] += count(fields.get("bytes")) or 0
            extent["requests"] += count(fields.get("requests")) or 0

    def _set(self, key: str, state: str, **more: Any) -> dict[str, Any] | None:
        """Move an extent on to a state; one that is further already stays there."""
        extent = self._extents.get(key)
        if extent is None:
            if len(self._extents) >= EXTENTS_MAX:
                self._left_out += 1
                return None
            extent = self._extents[key] = {"key": key, "state": state, "bytes": 0, "requests": 0}
        if _ORDER[state] > _ORDER[extent["state"]]:
            extent["state"] = state
        extent.update(more)
        return extent
