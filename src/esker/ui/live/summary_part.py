"""The query in a few figures: how it stands, what it gave, what it took."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from esker.ui.live.plan_part import COST_FIELDS, cost_json
from esker.ui.live.values import count, mapping, number, text

RUNNING, DONE, FAILED, STOPPED = "running", "done", "failed", "stopped"
NOTES_MAX = 40
ENDS = {"query_done": DONE, "freeze_done": DONE, "query_failed": FAILED, "query_stopped": STOPPED}
# Said in words, because nothing else on the page shows it.
_NOTES = {
    "join_fell_back": "the join by {algorithm} did not fit into memory and went on as {to}",
    "join_index": "join index of {pairs} pairs: {left_matched} of {left_rows} rows of the left side match, "
    "{right_matched} of {right_rows} of the right",
    "join_filtered": "keys of the other side kept {rows_dropped} rows out of the join, {rows_passed_over} unread",
    "garbage_collected": "{files} files and {objects} objects of a run that was killed were removed",
    "join_part_in_blocks": "one part of the join, {right_rows} rows with too few keys to divide it, is read in blocks",
}


class SummaryPart:
    """Follows everything: most events change when the query was last heard of."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {
            "state": RUNNING,
            "started": None,
            "seconds": 0.0,
            "title": "",
            "rows": None,
            "reason": None,
            "held": None,
            "peak": None,
            "budget": None,
            "spilled": None,
            "read": 0,
            "requests": 0,
            "estimated": None,
            "counted": None,
            "threads": None,
            "version": None,
        }
        self._notes: list[str] = []
        self._extents_frozen = 0
        self._measured = False

    def take(self, event: str, fields: Mapping[str, Any], seconds: float) -> bool:
        """Take an event; always changes the time."""
        values = self._values
        values["seconds"] = max(values["seconds"], seconds)
        take = getattr(self, f"_take_{event}", None) if event in _TAKEN else None
        if take is not None:
            take(fields)
        if event in ENDS:
            values["state"] = ENDS[event]
        if event in _NOTES:
            self._note(_NOTES[event], fields)
        return True

    def to_json(self) -> dict[str, Any]:
        """All figures."""
        return {**self._values, "notes": self._notes}

    def lost(self) -> None:
        """Another query began in the log: this one had no end."""
        if self._values["state"] == RUNNING:
            self._values["state"] = STOPPED
            self._values["reason"] = "it was killed: its log has no end"

    def _take_log_opened(self, fields: Mapping[str, Any]) -> None:
        self._values["started"] = number(fields.get("wall_seconds"))
        self._values["version"] = text(fields.get("esker"), 40) or None
        self._values["budget"] = count(fields.get("budget_bytes"))
        self._values["threads"] = count(fields.get("threads"))

    def _take_query_planned(self, fields: Mapping[str, Any]) -> None:
        plan = mapping(fields.get("plan"))
        self._values["title"] = self._values["title"] or text(plan.get("operator"), 60)
        self._values["estimated"] = cost_json(plan.get("estimated"))

    def _take_memory(self, fields: Mapping[str, Any]) -> None:
        self._measured = True
        for source, name in (("held_bytes", "held"), ("budget_bytes", "budget"), ("spilled_bytes", "spilled")):
            value = count(fields.get(source))
            self._values[name] = self._values[name] if value is None else value
        self._peak(fields.get("peak_held_bytes"))

    def _take_extent_read(self, fields: Mapping[str, Any]) -> None:
        self._values["read"] += count(fields.get("bytes")) or 0
        self._values["requests"] += count(fields.get("requests")) or 0

    def _take_shuffled(self, fields: Mapping[str, Any]) -> None:
        if not self._measured:
            self._values["spilled"] = (self._values["spilled"] or 0) + (count(fields.get("spilled_bytes")) or 0)

    def _take_thaw_done(self, fields: Mapping[str, Any]) -> None:
        counted, before = cost_json(fields.get("counted")), self._values["counted"]
        if counted is not None:
            self._values["counted"] = (
                {name: before[name] + counted[name] for name in COST_FIELDS} if before is not None else counted
            )

    def _take_query_done(self, fields: Mapping[str, Any]) -> None:
        self._values["rows"] = count(fields.get("rows"))
        self._peak(fields.get("peak_held_bytes"))

    def _take_query_failed(self, fields: Mapping[str, Any]) -> None:
        name, message = text(fields.get("error"), 80), text(fields.get("message"), 2000)
        self._values["reason"] = f"{name}: {message}" if name else message

    def _take_query_stopped(self, fields: Mapping[str, Any]) -> None:
        self._values["reason"] = text(fields.get("reason"), 400)

    def _take_freeze_started(self, fields: Mapping[str, Any]) -> None:
        self._values["title"] = "freeze"
        self._note("freezing to {target}, payload on {tier}", fields)

    def _take_extent_frozen(self, fields: Mapping[str, Any]) -> None:
        self._extents_frozen += 1
        self._values["rows"] = (self._values["rows"] or 0) + (count(fields.get("rows")) or 0)

    def _take_freeze_done(self, fields: Mapping[str, Any]) -> None:
        rows = count(fields.get("rows"))
        self._values["rows"] = self._values["rows"] if rows is None else rows
        self._notes.append(f"{self._extents_frozen:,} extents were written")

    def _peak(self, value: object) -> None:
        peak = count(value)
        if peak is not None:
            self._values["peak"] = max(self._values["peak"] or 0, peak)

    def _note(self, words: str, fields: Mapping[str, Any]) -> None:
        if len(self._notes) < NOTES_MAX:
            self._notes.append(words.format_map(_Shown(fields)))


class _Shown(dict[str, Any]):
    """Values of an event in a sentence: numbers grouped, what is missing as a question mark."""

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        whole = count(value)
        return f"{whole:,}" if whole is not None else text(value) or "?"


_TAKEN = {name.removeprefix("_take_") for name in vars(SummaryPart) if name.startswith("_take_")}
