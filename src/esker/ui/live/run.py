"""One query, folded from its events into the parts of the page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

from esker.ui.live.cluster_part import ClusterPart
from esker.ui.live.device_part import DevicePart
from esker.ui.live.event_part import EventPart
from esker.ui.live.extent_part import ExtentPart
from esker.ui.live.finding_part import FindingPart
from esker.ui.live.partition_part import PartitionPart
from esker.ui.live.plan_part import PlanPart
from esker.ui.live.series_part import SeriesPart
from esker.ui.live.summary_part import SummaryPart
from esker.ui.live.values import number, text


class Part(Protocol):
    """A part of the page: takes every event, and keeps of it what it shows, within a bound of its own."""

    def take(self, event: str, fields: Mapping[str, Any], seconds: float) -> bool:
        """Take an event; say whether the part changed."""

    def to_json(self) -> Any:
        """What the page shows, as plain JSON, or None for nothing."""


PARTS: dict[str, type[Part]] = {
    "summary": SummaryPart,
    "findings": FindingPart,
    "plan": PlanPart,
    "series": SeriesPart,
    "partitions": PartitionPart,
    "devices": DevicePart,
    "extents": ExtentPart,
    "cluster": ClusterPart,
    "events": EventPart,
}


class Run:
    """The parts of one query, each with a version that grows when it changes.

    >>> run = Run()
    >>> run.take({"v": 1, "seconds": 0.5, "event": "extent_read", "key": "a", "bytes": 10, "requests": 1})
    >>> run.versions["extents"], run.versions["plan"]
    (1, 0)
    >>> json.loads(run.part("summary"))["read"]
    10
    """

    def __init__(self) -> None:
        self._parts: dict[str, Part] = {name: part() for name, part in PARTS.items()}
        self.versions = dict.fromkeys(self._parts, 0)
        self._written: dict[str, tuple[int, str]] = {}

    def take(self, record: Mapping[str, Any]) -> None:
        """Take one event."""
        event, seconds = text(record.get("event"), 60), number(record.get("seconds")) or 0.0
        for name, part in self._parts.items():
            if part.take(event, record, seconds):
                self.versions[name] += 1

    def lost(self) -> None:
        """Say that the query had no end, because the next one began."""
        summary = self._parts["summary"]
        assert isinstance(summary, SummaryPart)
        summary.lost()
        self.versions["summary"] += 1

    def part(self, name: str) -> str:
        """A part as JSON text, `null` for nothing; written once a version."""
        version, written = self._written.get(name, (-1, ""))
        if version != self.versions[name]:
            written = json.dumps(self._parts[name].to_json(), separators=(",", ":"), allow_nan=False)
            self._written[name] = (self.versions[name], written)
        return written
