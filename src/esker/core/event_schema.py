"""The events there are, with their fields: what docs/formats/event-log.md says, as a table that tests hold runs to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from esker.core.event_log import EVENT_SCHEMA

# Types as JSON has them; "?" after one: or null. "count" and "bytes" are whole numbers of at least 0.
EVENTS: Mapping[str, Mapping[str, str]] = {
    "log_opened": {
        "wall_seconds": "number",
        "esker": "text",
        "process": "count",
        "budget_bytes": "bytes",
        "threads": "count",
        "seed": "count",
        "ordered": "boolean",
        "deadline": "any",
        "max_cost": "object",
    },
    "query_planned": {"plan": "object"},
    "operator": {
        "step": "count?",
        "operator": "text",
        "rows_in": "count?",
        "rows": "count",
        "bytes": "bytes",
        "batches": "count",
        "spilled_bytes": "bytes",
        "partitions_done": "count",
        "partitions": "count?",
        "done": "boolean",
    },
    "work": {"operator": "text", "done": "number", "total": "number?", "unit": "text"},
    "memory": {
        "held_bytes": "bytes",
        "budget_bytes": "bytes",
        "peak_held_bytes": "bytes",
        "holders": "object",
        "process_bytes": "bytes?",
        "spill_bytes": "bytes",
        "spilled_bytes": "bytes",
    },
    "shuffled": {
        "step": "count?",
        "by": "array",
        "rows": "count",
        "partitions": "count",
        "largest_partition_rows": "count",
        "partition_rows": "array",
        "budget_bytes": "bytes",
        "budget_bytes_wanted": "bytes?",
        "pages": "count",
        "payload_bytes": "bytes",
        "allocated_bytes": "bytes",
        "spilled_bytes": "bytes",
        "spilled_pages": "count",
    },
    "key_sampled": {
        "step": "count?",
        "by": "array",
        "key": "array",
        "share": "number",
        "rows": "count",
        "rows_seen": "count",
    },
    "scan_matched": {
        "step": "count?",
        "columns": "array",
        "rows_in": "count",
        "rows": "count",
        "bytes_read": "bytes",
        "index_bytes": "bytes",
    },
    "sort_spilled": {
        "operator": "text",
        "bytes": "bytes",
        "budget_bytes": "bytes",
        "budget_bytes_wanted": "bytes?",
    },
    "spooled": {"operator": "text", "bytes": "bytes"},
    "sort_run_spilled": {"operator": "text", "bytes": "bytes"},
    "thaw_planned": {
        "tier": "text",
        "rows": "count",
        "columns": "array",
        "extents": "count",
        "row_groups": "count",
        "pages": "count",
        "windows": "count",
        "recalls": "count",
        "recall": "object",
        "touched": "object",
        "choice": "text",
        "reason": "text",
        "cost": "object",
        "fetch": "object",
        "scan": "object",
        "full": "object",
    },
    "recall": {"tier": "text", "extents": "array", "extent_bytes": "array", "cost": "object"},
    "recall_waiting": {"ready": "count", "total": "count", "waited_seconds": "number"},
    "recalled": {"key": "text", "waited_seconds": "number"},
    "extent_read": {"key": "text", "bytes": "bytes", "requests": "count"},
    "device_event": {
        "tier": "text?",
        "device": "text",
        "kind": "text",
        "start": "number",
        "stop": "number",
        "detail": "object",
    },
    "thaw_done": {"rows": "count", "estimated": "object", "counted": "object"},
    "join_index": {
        "pairs": "count",
        "left_rows": "count",
        "left_matched": "count",
        "right_rows": "count",
        "right_matched": "count",
        "spilled_bytes": "bytes",
    },
    "join_planned": {
        "on": "array",
        "how": "text",
        "choice": "text",
        "reason": "text",
        "join_index_rows": "count?",
        "estimates": "object",
        "actual": "object?",
    },
    "join_filtered": {"rows_passed_over": "count", "rows_dropped": "count"},
    "join_divided": {"partitions": "count", "rows": "array"},
    "join_part_in_blocks": {"level": "count", "right_rows": "count", "right_bytes": "bytes"},
    "join_fell_back": {"algorithm": "text", "to": "text", "loaded_bytes": "bytes"},
    "join_spilled": {"what": "text", "bytes": "bytes", "budget_bytes": "bytes", "budget_bytes_wanted": "bytes"},
    "join_done": {
        "algorithm": "text",
        "rows": "count",
        "estimated": "object",
        "actual": "object",
        "account": "object",
        "step": "count?",
        "how": "text",
        "forced": "boolean",
        "instead": "object",
        "sides": "array",
    },
    "freeze_started": {"target": "text", "tier": "text"},
    "extent_frozen": {"key": "text", "rows": "count", "bytes": "bytes"},
    "garbage_collected": {"files": "count", "objects": "count"},
    "freeze_done": {
        "rows": "count",
        "extents": "count",
        "payload_bytes": "bytes",
        "hot_bytes": "bytes",
        "index_bytes": "bytes",
        "ratio": "number",
        "cost": "object",
    },
    "cluster_ring": {
        "replicas": "count",
        "members": "array",
        "epoch": "count",
        "placement": "text",
        "units": "count",
        "short": "any",
        "lost": "any",
        "in_doubt": "any",
    },
    "cluster_member": {"node": "any", "state": "text", "address": "text?", "points": "array", "reason": "text?"},
    "cluster_reallocation": {
        "state": "text",
        "source": "any",
        "target": "any",
        "units": "count",
        "bytes": "bytes?",
        "epoch": "count",
    },
    "cluster_transaction": {"transaction": "text", "state": "text", "nodes": "array", "key": "any"},
    "query_done": {"rows": "count?", "peak_held_bytes": "bytes", "plan": "object?"},
    "query_stopped": {"reason": "text"},
    "query_failed": {"error": "text", "message": "text"},
}
# Fields that an event may lack; events of shuffles and freezes may have more that only their strategies know.
OPTIONAL: Mapping[str, frozenset[str]] = {
    "cluster_ring": frozenset({"epoch", "placement", "units", "short", "lost", "in_doubt"}),
    "device_event": frozenset({"tier"}),
    "log_opened": frozenset(EVENTS["log_opened"]) - {"wall_seconds"},
    "shuffled": frozenset(
        {"partition_rows", "spilled_pages", "payload_bytes", "allocated_bytes", "pages", "spilled_bytes"}
    ),
}
OPEN = frozenset({"shuffled", "freeze_done"})
# Of a cluster's node.
MEMBER_STATES = ("joining", "up", "suspect", "down", "recovering", "leaving", "left")


def faults_of(record: Mapping[str, Any]) -> list[str]:
    """What is wrong with an event, in words; nothing for one that is as documented.

    >>> faults_of({"v": 1, "seconds": 0.5, "event": "recalled", "key": "a", "waited_seconds": 3})
    []
    >>> faults_of({"v": 1, "seconds": 0.5, "event": "extent_read", "key": "a", "bytes": -1})
    ['extent_read.bytes is no bytes: -1', 'extent_read has no requests']
    """
    event = str(record.get("event"))
    if record.get("v") != EVENT_SCHEMA or not _is(record.get("seconds"), "number"):
        return [f"{event}: version {record.get('v')!r}, seconds {record.get('seconds')!r}"]
    if event not in EVENTS:
        return [f"{event!r} is not documented"]
    fields = EVENTS[event]
    own = {name: value for name, value in record.items() if name not in ("v", "seconds", "event")}
    wrong = [
        f"{event}.{name} is no {fields[name]}: {value!r}"
        for name, value in own.items()
        if name in fields and not _is(value, fields[name])
    ]
    if event not in OPEN:
        wrong += [f"{event}.{name} is not documented" for name in own if name not in fields]
    missing = fields.keys() - own.keys() - OPTIONAL.get(event, frozenset())
    return wrong + [f"{event} has no {name}" for name in fields if name in missing]


def _is(value: Any, type_: str) -> bool:
    if type_.endswith("?"):
        return value is None or _is(value, type_[:-1])
    if type_ == "any":
        return True
    if type_ in ("count", "bytes"):
        return isinstance(value, int) and not isinstance(value, bool) and value >= 0
    kinds: dict[str, type | tuple[type, ...]] = {
        "number": (int, float),
        "text": str,
        "boolean": bool,
        "object": dict,
        "array": list,
    }
    return isinstance(value, kinds[type_]) and (type_ == "boolean" or not isinstance(value, bool))
