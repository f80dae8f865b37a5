"""What a coordinator or a node tells of itself: an event log in its folder (docs/formats/event-log.md, A cluster)."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from esker.cluster.coordinator import Coordinator
from esker.cluster.machine import Send
from esker.cluster.messages import Compare, Copies, Outcome, Prepare, Received, Transfer, Welcome
from esker.cluster.node import Node
from esker.cluster.ring import POINTS, node_points
from esker.core.event_log import LOG_SUFFIX, EventLog
from esker.core.version import VERSION
from esker.errors import EskerError

EVENTS_BYTES = 16 << 20
"""A log that has grown to this begins anew; the one before it is kept, and none before that."""

_NAMED_UNITS = 5
# A transaction whose end a node has not heard of for so long (two seconds) is told of.
_DOUBT_TICKS = 8


class KeptLog:
    """An event log of a process that runs on: `NAME.jsonl`, and what was before it in `NAME-1.jsonl`.

    `begin` is called when a new file begins, for what its reader must know first. What cannot be written ends the log
    and not the process: it is said on stderr.
    """

    def __init__(
        self, path: Path, *, limit_bytes: int = EVENTS_BYTES, begin: Callable[[], None] = lambda: None
    ) -> None:
        self._path = path
        self._limit = limit_bytes
        self._begin = begin
        self._log: EventLog | None = None
        self._open()

    def emit(self, event: str, **fields: Any) -> None:
        """Write an event."""
        if self._log is None:
            return
        try:
            self._log.emit(event, **fields)
            full = self._path.stat().st_size >= self._limit
        except OSError as error:
            self._give_up(error)
            return
        if full:
            self._turn()

    def close(self) -> None:
        """Close the file; calling it again does nothing."""
        if self._log is not None:
            self._log.close()
            self._log = None

    def _turn(self) -> None:
        self.close()
        try:
            self._path.replace(self._path.with_name(f"{self._path.stem}-1{LOG_SUFFIX}"))
        except OSError as error:
            self._give_up(error)
            return
        self._open()
        self._begin()

    def _open(self) -> None:
        try:
            self._log = EventLog(self._path, opening={"esker": VERSION, "process": os.getpid()})
        except (OSError, EskerError) as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        # What could not be written before cannot be when it is closed.
        with suppress(OSError):
            self.close()
        self._log = None
        print(f"the event log {self._path} ends here: {error}", file=sys.stderr, flush=True)


class _Copying:
    """Units on their way from a node to another."""

    __slots__ = ("bytes", "open", "source", "target", "units")

    def __init__(self, source: int, target: int, names: Iterable[str]) -> None:
        self.source = source
        self.target = target
        self.open = set(names)
        self.units = len(self.open)
        self.bytes = 0


class CoordinatorEvents:
    """Tells what its process sends and hears, and how the ring changes; whoever calls holds the machine's lock.

    `address_of` gives where a node listens, or None for one that is not connected.
    """

    def __init__(
        self,
        path: Path,
        coordinator: Coordinator,
        address_of: Callable[[int], str | None],
        *,
        silence_seconds: float,
        limit_bytes: int = EVENTS_BYTES,
    ) -> None:
        self._coordinator = coordinator
        self._address_of = address_of
        self._silence_seconds = silence_seconds
        self._log = KeptLog(path, limit_bytes=limit_bytes, begin=self._tell_ring)
        self._epoch: int | None = None
        self._short = False
        self._members: frozenset[int] = frozenset()
        self._states: dict[int, str] = {}
        self._puts: dict[int, tuple[list[int], list[str]]] = {}
        self._copying: dict[tuple[int, str], _Copying] = {}

    def close(self) -> None:
        """Close the file."""
        self._log.close()

    def look(self) -> None:
        """See whether the ring changed; after every event of the machine."""
        coordinator = self._coordinator
        if not coordinator.ready:
            return
        short = bool(coordinator.directory.short)
        if coordinator.epoch != self._epoch:
            self._short = short
            self._changed(coordinator.directory.ring.nodes)
        elif short != self._short:
            self._short = short
            if not short:
                for one in dict.fromkeys(self._copying.values()):
                    self._tell_copying(one, "done")
                self._copying.clear()
            self._tell_ring()

    def sent(self, effect: Send) -> None:
        """Learn what the machine said."""
        message, target = effect.message, effect.target
        kind = type(message)
        if kind is Outcome:
            put = self._puts.pop(message.version, None)
            if put is not None:
                self._tell_put(message.version, "committed" if message.commit else "aborted", *put)
        elif kind is Prepare:
            if message.version not in self._puts:
                names = [write.unit for write in message.writes[:_NAMED_UNITS]]
                self._puts[message.version] = (list(message.peers), names)
        elif kind is Transfer:
            self._begin_copying(target, message)
        elif kind is Welcome:
            self._tell_member(target, "up")
        elif kind is Compare and self._states.get(target) != "joining":
            self._tell_member(target, "recovering")

    def heard(self, source: int, message: Any) -> None:
        """Learn what a node said."""
        if type(message) is not Received:
            return
        names = [name for name, _, _ in message.units if (source, name) in self._copying]
        found = dict.fromkeys(self._copying.pop((source, name)) for name in names)
        for number, one in enumerate(found):
            # One message is of one transfer, but for those that were asked for again.
            one.bytes += 0 if number else message.size
            one.open.difference_update(names)
            if not one.open:
                self._tell_copying(one, "done")

    def entered(self, node: int) -> None:
        """Learn that a node has connected."""
        if node not in self._members:
            self._tell_member(node, "joining")

    def left(self, node: int) -> None:
        """Learn that a node's connection broke."""
        if node in self._members:
            self._tell_member(node, "suspect", "its connection broke")

    def _changed(self, members: frozenset[int]) -> None:
        before, self._members, self._epoch = self._members, members, self._coordinator.epoch
        for node in sorted(before - members):
            silent = f"no answer for {self._silence_seconds:g} s"
            reason = "its connection broke" if self._states.get(node) == "suspect" else silent
            self._tell_member(node, "down", reason)
            self._give_up_copying(node)
        for node in sorted(members - self._states.keys()):
            self._states[node] = "recovering"
        self._tell_ring()

    def _begin_copying(self, source: int, message: Transfer) -> None:
        names = [name for name, _ in message.units if (message.target, name) not in self._copying]
        if names:
            one = _Copying(source, message.target, names)
            self._copying |= {(message.target, name): one for name in names}
            self._tell_copying(one, "started")

    def _give_up_copying(self, node: int) -> None:
        ended = [key for key, one in self._copying.items() if node in (one.target, one.source)]
        for one in dict.fromkeys(self._copying.pop(key) for key in ended):
            self._tell_copying(one, "given_up")

    def _tell_copying(self, one: _Copying, state: str) -> None:
        self._log.emit(
            "cluster_reallocation",
            state=state,
            source=one.source,
            target=one.target,
            units=one.units,
            bytes=None if state == "started" else one.bytes,
            epoch=self._coordinator.epoch,
        )

    def _tell_put(self, version: int, state: str, nodes: list[int], names: list[str]) -> None:
        self._log.emit("cluster_transaction", transaction=str(version), state=state, nodes=nodes, key=names)

    def _tell_member(self, node: int, state: str, reason: str | None = None) -> None:
        if self._states.get(node) == state:
            return
        self._states[node] = state
        self._log.emit("cluster_member", **self._member(node), reason=reason)

    def _tell_ring(self) -> None:
        coordinator = self._coordinator
        units, short = coordinator.directory.units, coordinator.directory.short
        held = {node: len(coordinator.directory.held_by(node)) for node in self._states}
        self._log.emit(
            "cluster_ring",
            replicas=coordinator.copies,
            epoch=coordinator.epoch,
            units=len(units),
            short=len(short),
            lost=sum(not units[name].copies for name in short),
            members=[{**self._member(node), "units": held[node]} for node in sorted(self._states)],
        )

    def _member(self, node: int) -> dict[str, Any]:
        points = node_points(node, self._coordinator.directory.ring.virtual_nodes)
        return {
            "node": node,
            "state": self._states[node],
            "address": (self._address_of(node) or "").partition("://")[2] or None,
            "points": [place / POINTS for place in points],
        }


class NodeEvents:
    """Tells what a node is given, and of which transactions it is in doubt; whoever calls holds the machine's lock."""

    def __init__(self, path: Path, node: Node, *, limit_bytes: int = EVENTS_BYTES) -> None:
        self._node = node
        self._log = KeptLog(path, limit_bytes=limit_bytes)
        self._doubts: set[int] = set()
        self.address: str | None = None

    def close(self) -> None:
        """Close the file."""
        self._log.close()

    def state(self, state: str, reason: str | None = None) -> None:
        """Tell how this node is."""
        address = (self.address or "").partition("://")[2] or None
        self._log.emit("cluster_member", node=self._node.number, state=state, address=address, points=[], reason=reason)

    def heard(self, source: int, message: Any) -> None:
        """Learn what the coordinator or another node said."""
        kind = type(message)
        if kind is Welcome:
            self.state("up")
        elif kind is Copies:
            size = sum(len(value) for unit in message.units for _, _, value in unit.entries)
            self._log.emit(
                "cluster_reallocation", state="done", source=source, target=self._node.number,
                units=len(message.units), bytes=size, epoch=self._node.epoch,
            )  # fmt: skip
        elif kind is Outcome and message.version in self._doubts:
            self._doubts.discard(message.version)
            self._tell_put(message.version, "committed" if message.commit else "aborted", (), ())

    def look(self) -> None:
        """See what is in doubt; at every tick."""
        for one in self._node.in_doubt():
            if one.ticks >= _DOUBT_TICKS and one.version not in self._doubts:
                self._doubts.add(one.version)
                self._tell_put(one.version, "in_doubt", one.peers, one.units[:_NAMED_UNITS])

    def _tell_put(self, version: int, state: str, nodes: Iterable[int], names: Iterable[str]) -> None:
        self._log.emit("cluster_transaction", transaction=str(version), state=state, nodes=list(nodes), key=list(names))
