"""What drives and arms did and when: bars of a Gantt chart, one line a device, within a bound however long the log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from esker.ui.live.values import count, mapping, number, text

BARS_MAX = 3_000
DEVICES_MAX = 200
KINDS_MAX = 20


class _Track:
    """The bars of one device: [start, stop, kind, what about, how many events]."""

    def __init__(self) -> None:
        self.bars: list[list[Any]] = []
        self.busy: dict[str, float] = {}
        self.bytes = 0

    def add(self, start: float, stop: float, kind: str, about: str, near: float) -> None:
        known = kind if kind in self.busy or len(self.busy) < KINDS_MAX else "other"
        self.busy[known] = self.busy.get(known, 0.0) + stop - start
        last = self.bars[-1] if self.bars else None
        if last is not None and last[0] <= start and stop - last[0] <= near:
            _merge(last, [start, stop, known, about, 1])
        else:
            self.bars.append([start, stop, known, about, 1])

    def thin(self, near: float) -> None:
        """Make one bar of neighbours that lie within `near` seconds."""
        thinned: list[list[Any]] = []
        for bar in sorted(self.bars, key=lambda one: one[0]):
            if thinned and bar[1] - thinned[-1][0] <= near:
                _merge(thinned[-1], bar)
            else:
                thinned.append(bar)
        self.bars = thinned


def _merge(bar: list[Any], other: list[Any]) -> None:
    """What lasts longer gives the merged bar its kind."""
    if other[1] - other[0] > bar[1] - bar[0]:
        bar[2], bar[3] = other[2], other[3]
    bar[0], bar[1], bar[4] = min(bar[0], other[0]), max(bar[1], other[1]), bar[4] + other[4]


class DevicePart:
    """Follows `device_event`; devices of different tiers have clocks of their own, so each tier is a chart."""

    def __init__(self) -> None:
        self._tracks: dict[tuple[str, str], _Track] = {}
        self._near = 0.0
        self._tier = ""
        self._left_out = 0
        self._events = 0
        self._bars = 0

    def take(self, event: str, fields: Mapping[str, Any], seconds: float) -> bool:
        """Take an event; say whether a device did something."""
        if event == "thaw_planned":
            self._tier = text(fields.get("tier"))
            return False
        if event != "device_event":
            return False
        start, stop = number(fields.get("start")), number(fields.get("stop"))
        if start is None or stop is None or stop < start:
            return False
        # Older logs do not say whose device it is: of the thaw that was planned last.
        tier = text(fields["tier"]) if "tier" in fields else self._tier
        key = (tier, text(fields.get("device"), 40) or "?")
        track = self._tracks.get(key)
        if track is None:
            if len(self._tracks) >= DEVICES_MAX:
                self._left_out += 1
                return True
            track = self._tracks[key] = _Track()
        detail = mapping(fields.get("detail"))
        track.bytes += count(detail.get("bytes")) or 0
        before = len(track.bars)
        track.add(start, stop, text(fields.get("kind"), 30) or "?", text(detail, 120), self._near)
        self._bars += len(track.bars) - before
        self._events += 1
        if self._bars > BARS_MAX:
            self._thin()
        return True

    def to_json(self) -> dict[str, Any] | None:
        """The charts, one a tier; None when no device did anything."""
        if not self._tracks:
            return None
        tiers: dict[str, list[dict[str, Any]]] = {}
        for (tier, device), track in sorted(self._tracks.items(), key=_in_order):
            tiers.setdefault(tier, []).append(
                {
                    "device": device,
                    "bars": track.bars,
                    "busy": {kind: round(busy, 6) for kind, busy in track.busy.items()},
                    "bytes": track.bytes,
                }
            )
        return {
            "tiers": [{"tier": tier, "devices": devices} for tier, devices in tiers.items()],
            "events": self._events,
            "merged_seconds": self._near,
            "left_out": self._left_out,
        }

    def _thin(self) -> None:
        bars = [bar for track in self._tracks.values() for bar in track.bars]
        length = max(bar[1] for bar in bars) - min(bar[0] for bar in bars)
        while self._bars > BARS_MAX // 2 and self._near <= length:
            self._near = max(self._near * 2, length / BARS_MAX / 4) or 1.0
            for track in self._tracks.values():
                track.thin(self._near)
            self._bars = sum(len(track.bars) for track in self._tracks.values())


def _in_order(item: tuple[tuple[str, str], _Track]) -> tuple[str, bool, str, int]:
    """Arms above drives, drive 2 before drive 10."""
    tier, device = item[0]
    name, _, digits = device.rpartition(" ")
    return (tier, "arm" not in device, name if digits.isdigit() else device, int(digits[:9]) if digits.isdigit() else 0)
