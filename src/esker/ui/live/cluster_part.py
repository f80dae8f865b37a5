"""A cluster as a ring: where each node lies, which arcs it holds copies of, who is away, what happened."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Mapping
from typing import Any

from esker.core.byte_size import format_bytes
from esker.ui.live.values import count, items, mapping, number, text

NODES_MAX = 200
POINTS_MAX = 1_500
HAPPENED_MAX = 200
COPIES_MAX = 8
STATES = ("joining", "up", "suspect", "down", "recovering", "leaving", "left")
# States of nodes that hold what is theirs on the ring.
HOLDING = ("up", "suspect", "recovering", "leaving")
_COPYING = {"started": "gets copies", "done": "has copies", "given_up": "copies given up"}
COUNTS = ("epoch", "units", "short", "lost", "in_doubt")


class ClusterPart:
    """Follows the events of a cluster: its ring, members, reallocations, puts (docs/formats/event-log.md)."""

    def __init__(self) -> None:
        self._ring: dict[str, Any] = {}
        self._members: dict[str, dict[str, Any]] = {}
        self._happened: deque[dict[str, Any]] = deque(maxlen=HAPPENED_MAX)
        self._transactions: dict[str, int] = {}

    def take(self, event: str, fields: Mapping[str, Any], seconds: float) -> bool:
        """Take an event; say whether the ring changed."""
        if event == "cluster_ring":
            self._take_ring(fields, seconds)
        elif event == "cluster_member":
            self._take_member(fields, seconds)
        elif event == "cluster_reallocation":
            self._take_reallocation(fields, seconds)
        elif event == "cluster_transaction":
            state = text(fields.get("state"), 20) or "?"
            if state in self._transactions or len(self._transactions) < 10:
                self._transactions[state] = self._transactions.get(state, 0) + 1
            if state == "aborted":
                nodes = text(fields.get("nodes"), 80)
                self._tell(seconds, "put aborted", None, f"{text(fields.get('key'), 80)} on {nodes}" if nodes else "")
        else:
            return False
        return True

    def to_json(self) -> dict[str, Any] | None:
        """The ring and what happened to it; None when the log tells of no cluster."""
        if not self._members and not self._happened:
            return None
        return {
            "status": ring_json(self._ring, self._members),
            "events": list(self._happened),
            "transactions": self._transactions,
        }

    def _take_ring(self, fields: Mapping[str, Any], seconds: float) -> None:
        members = members_of(fields)
        for name, member in members.items():
            before = self._members.get(name)
            if before is not None and before["state"] != member["state"]:
                self._tell(seconds, member["state"], name, "")
        for name in self._members.keys() - members.keys():
            self._tell(seconds, "left", name, "no longer on the ring")
        self._ring, self._members = dict(fields), members

    def _take_member(self, fields: Mapping[str, Any], seconds: float) -> None:
        member = member_of(fields)
        if member is None or (member["node"] not in self._members and len(self._members) >= NODES_MAX):
            return
        before = self._members.get(member["node"])
        if before is not None and not member["points"]:
            member["points"] = before["points"]
        self._members[member["node"]] = member
        self._tell(seconds, member["state"], member["node"], text(fields.get("reason")))

    def _take_reallocation(self, fields: Mapping[str, Any], seconds: float) -> None:
        state = text(fields.get("state"), 20)
        size = count(fields.get("bytes"))
        moved = f", {format_bytes(size)}" if size else ""
        detail = f"{count(fields.get('units')) or 0:,} units from node {text(fields.get('source'), 40)}{moved}"
        self._tell(seconds, _COPYING.get(state, "copies"), text(fields.get("target"), 40) or None, detail)

    def _tell(self, seconds: float, kind: str, node: str | None, detail: str) -> None:
        self._happened.append({"seconds": round(seconds, 3), "kind": kind, "node": node, "detail": detail})


def members_of(fields: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The members that a ring names, by name."""
    found = (member_of(mapping(one)) for one in items(fields.get("members"), NODES_MAX))
    return {member["node"]: member for member in found if member is not None}


def member_of(fields: Mapping[str, Any]) -> dict[str, Any] | None:
    """One member as the page draws it, or None when it has no name.

    >>> member_of({"node": 3, "state": "up", "points": [0.25, 7, "x"]})["points"]
    [0.25]
    """
    name = text(fields.get("node"), 40)
    if not name:
        return None
    state = text(fields.get("state"), 20) or "up"
    points = (number(one) for one in items(fields.get("points"), POINTS_MAX))
    return {
        "node": name,
        "state": state if state in STATES else "suspect",
        "address": text(fields.get("address"), 80) or None,
        "points": sorted(point for point in points if point is not None and 0 <= point <= 1),
        "units": count(fields.get("units")),
        "bytes": count(fields.get("bytes")),
    }


def ring_json(fields: Mapping[str, Any], members: Mapping[str, dict[str, Any]]) -> dict[str, Any] | None:
    """A ring as the page draws it, or None when it has no members.

    >>> ring = {"replicas": 2, "members": [{"node": 0, "points": [0.0]}, {"node": 1, "points": [0.25]}]}
    >>> [(arc["start"], arc["share"], arc["holders"]) for arc in ring_json(ring, members_of(ring))["arcs"]]
    [(0.25, 0.75, ['0', '1']), (0.0, 0.25, ['1', '0'])]
    """
    if not members:
        return None
    shown = sorted(members.values(), key=_in_order)
    copies = min(count(fields.get("replicas")) or 1, COPIES_MAX)
    return {
        "nodes": shown,
        "arcs": _arcs(shown, copies),
        "replicas": copies,
        "placement": text(fields.get("placement"), 40) or None,
        **{name: _how_many(fields.get(name)) for name in COUNTS},
        "lost_names": [text(one, 60) for one in items(fields.get("lost"), 50)],
    }


def _arcs(nodes: list[dict[str, Any]], copies: int) -> list[dict[str, Any]]:
    """The arcs between neighbouring points, each with the nodes clockwise from its end, as many as there are copies."""
    points = sorted((point, node["node"]) for node in nodes if node["state"] in HOLDING for point in node["points"])
    del points[POINTS_MAX:]
    places = [place for place, _ in points]
    arcs = []
    for index, (stop, _) in enumerate(points):
        start = places[index - 1]
        share = (stop - start) % 1.0 if len(points) > 1 else 1.0
        if share > 0:
            holders = _walk(points, bisect_right(places, start) % len(points), copies)
            arcs.append({"start": start, "share": share, "holders": holders})
    return arcs


def _walk(points: list[tuple[float, str]], index: int, copies: int) -> list[str]:
    found: list[str] = []
    for step in range(len(points)):
        node = points[(index + step) % len(points)][1]
        if node not in found:
            found.append(node)
            if len(found) == copies:
                break
    return found


def _in_order(member: dict[str, Any]) -> tuple[bool, int, str]:
    name = member["node"]
    return (not name.isdecimal(), int(name) if name.isdecimal() else 0, name)


def _how_many(value: object) -> int | None:
    """A number, or how many are listed."""
    return len(value) if isinstance(value, list) else count(value)
