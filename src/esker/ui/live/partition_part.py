"""Rows of each partition of a shuffle, so that a skewed one is seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from esker.ui.live.values import count, items, text

SHUFFLES_MAX = 20
# More partitions than this are shown in groups of neighbours, by the largest of each.
BARS_MAX = 256
FACTS = ("pages", "payload_bytes", "allocated_bytes", "spilled_bytes", "spilled_pages", "pool_peak_bytes", "morsels")


class PartitionPart:
    """Follows `shuffled` and `join_divided`."""

    def __init__(self) -> None:
        self._shuffles: list[dict[str, Any]] = []

    def take(self, event: str, fields: Mapping[str, Any], seconds: float) -> bool:
        """Take an event; say whether there is a shuffle more."""
        if event == "shuffled":
            self._add("shuffle", seconds, fields, items(fields.get("partition_rows")))
        elif event == "join_divided":
            # Older logs give the rows of the left side's partitions and the sum of the right's.
            rows = items(fields.get("rows"))
            self._add("join, divided", seconds, {"partitions": fields.get("partitions"), "sides": rows}, [])
        else:
            return False
        return True

    def to_json(self) -> dict[str, Any] | None:
        """The shuffles, the first one first; None when there was none."""
        return {"shuffles": self._shuffles} if self._shuffles else None

    def _add(self, name: str, seconds: float, fields: Mapping[str, Any], partition_rows: Any) -> None:
        rows = [count(value) or 0 for value in partition_rows]
        group = -(-len(rows) // BARS_MAX) or 1
        bars = [max(rows[first : first + group]) for first in range(0, len(rows), group)]
        total = sum(rows)
        self._shuffles.append(
            {
                "name": name,
                "by": text(fields.get("by"), 120) or None,
                "inner": "step" in fields and fields["step"] is None,
                "seconds": round(seconds, 3),
                "rows": count(fields.get("rows")),
                "partitions": len(rows) or count(fields.get("partitions")),
                "bars": bars,
                "group": group,
                "mean": total / len(rows) if rows else _mean(fields),
                "largest": max(range(len(rows)), key=rows.__getitem__) if rows else None,
                "largest_rows": max(rows) if rows else count(fields.get("largest_partition_rows")),
                "empty": sum(1 for value in rows if value == 0),
                "facts": [[name, value] for name in FACTS if (value := count(fields.get(name))) is not None],
                "sides": [count(value) for value in items(fields.get("sides"), 2)],
            }
        )
        del self._shuffles[:-SHUFFLES_MAX]


def _mean(fields: Mapping[str, Any]) -> float | None:
    rows, partitions = count(fields.get("rows")), count(fields.get("partitions"))
    return rows / partitions if rows is not None and partitions else None
