"""A node as a process: its machine on its folder, heard and spoken to over Arrow Flight."""

from __future__ import annotations

import json
import secrets
from functools import partial
from pathlib import Path
from typing import Any

from esker.cluster import wire
from esker.cluster.algebra import BitmapAlgebra
from esker.cluster.events import NodeEvents
from esker.cluster.greeting import NODE, Caller, read_greeting
from esker.cluster.host import CHECKPOINT_BYTES, TICK_SECONDS, Host
from esker.cluster.link import Link, next_word
from esker.cluster.machine import Send
from esker.cluster.messages import COORDINATOR
from esker.cluster.node import Node
from esker.cluster.node_store import NodeStore
from esker.cluster.serving import ServedFlight, Serving
from esker.core.event_log import LOG_SUFFIX
from esker.core.file_system import LOCAL
from esker.errors import EskerError, InputFileError, OptionError, PeerError
from esker.runtime.flight import Limits, Security, ServerAddress

IDENTITY_FILE = "node.json"


class NodeServer(Serving):
    """A node that listens at an address and belongs to the coordinator at another."""

    def __init__(
        self,
        folder: Path,
        listen: ServerAddress,
        coordinator: str,
        security: Security,
        *,
        number: int | None = None,
        advertise: str | None = None,
        limits: Limits = Limits(),  # noqa: B008  # immutable
        held_bytes: int = 256 << 20,
        tick_seconds: float = TICK_SECONDS,
        checkpoint_bytes: int = CHECKPOINT_BYTES,
        events: bool = True,
    ) -> None:
        """Open the folder and begin to listen; OptionError for a number that the folder is not of.

        With `events` it keeps an event log in the folder, `node-NUMBER.jsonl`.
        """
        super().__init__()
        location = listen.location(security)
        self.limits = limits
        self.store = NodeStore(folder)
        try:
            self.number, self.identity = _identity(folder, number)
            self.algebra = BitmapAlgebra(held_bytes)
            # An incarnation of 31 bits, times 2^32, is a number of 8 bytes.
            incarnation = 1 + secrets.randbelow((1 << 31) - 1)
            self.node = Node(self.number, incarnation, self.algebra, self.store.records())
            self._security = security
            self._links: dict[int, Link] = {}
            path = folder / f"node-{self.number}{LOG_SUFFIX}"
            self._events = NodeEvents(path, self.node) if events else None
            self.host = _NodeHost(
                self.node,
                self.store,
                self._send,
                self._fail,
                self._events,
                tick_seconds=tick_seconds,
                checkpoint_bytes=checkpoint_bytes,
            )
            self._server = ServedFlight(location, security, self)
        except BaseException:
            self.store.close()
            raise
        self.address = advertise or f"{security.scheme}://{listen.host}:{self._server.port}"
        self.port: int = self._server.port
        self._caller = Caller(NODE, self.number, self.address, self.identity)
        if self._events is not None:
            self._events.address = self.address
            self._events.state("joining")
        heard = partial(self._heard, COORDINATOR, wire.FROM_COORDINATOR)
        self._coordinator = Link(coordinator, self._caller, security, heard, self._hello, self._refused)
        self._coordinator.start()
        self.host.start()

    def status(self) -> dict[str, Any]:
        """Say what this node has and waits for."""
        with self.host.lock:
            node = self.node
            return {
                "number": node.number,
                "incarnation": node.incarnation,
                "epoch": node.epoch,
                "connected": self._coordinator.is_open,
                "units": len(node.units),
                "vectors": sum(len(unit.entries) for unit in node.units.values()),
                "in_doubt": [
                    {"version": one.version, "units": list(one.units), "peers": list(one.peers), "ticks": one.ticks}
                    for one in node.in_doubt()
                ],
                "log_bytes": self.store.log.bytes,
                "decoded_bytes": self.algebra.held_bytes,
            }

    # ---- words ----

    def exchange(self, descriptor: Any, reader: Any, writer: Any) -> None:
        """Hear what another node has to say."""
        caller = read_greeting(descriptor)
        if caller.role != NODE:
            raise PeerError("clients talk to the coordinator; a node is talked to by nodes")
        writer.write_metadata(b"")
        while (data := next_word(reader)) is not None and not self._stopped.is_set():
            self._heard(caller.number, wire.FROM_PEERS, data)

    def _heard(self, source: int, kinds: wire.Kinds, data: bytes) -> None:
        self.limits.check(len(data), "a message")
        stamp, message = wire.decode(data, kinds)
        if type(message) is wire.Addresses:
            self._meet(message)
        else:
            with self.host.lock:
                if self._events is not None and not self._stopped.is_set():
                    self._events.heard(source, message)
                self.host.deliver(source, stamp, message)

    def _send(self, effect: Send) -> None:
        link = self._coordinator if effect.target == COORDINATOR else self._links.get(effect.target)
        if link is not None:
            link.send(wire.encode(effect.stamp, effect.message))

    def _meet(self, book: wire.Addresses) -> None:
        """Open streams to nodes that are new or moved, and close those to nodes that are gone."""
        with self.host.lock:
            known = {number: address for number, address in book.nodes if number != self.number}
            for number, link in list(self._links.items()):
                if known.get(number) != link.location:
                    self._links.pop(number).close()
            for number, address in known.items():
                if number not in self._links:
                    self._links[number] = Link(address, self._caller, self._security, lambda data: None).start()

    def _hello(self) -> None:
        # What the machine said while nobody heard it was lost, its first word among it.
        self.host.tell(lambda node: node.tick())

    def _refused(self, error: EskerError) -> None:
        if not isinstance(error, ConnectionError) or not getattr(error, "temporary", False):
            self._fail(error)

    def _close(self) -> None:
        self._coordinator.close()
        for link in self._links.values():
            link.close()
        self.host.stop()
        self.store.close()
        if self._events is not None:
            self._events.close()


class _NodeHost(Host):
    def __init__(
        self, node: Node, store: NodeStore, send: Any, on_failure: Any, events: NodeEvents | None, **options: Any
    ) -> None:
        super().__init__(node, store.log, send, on_failure, **options)
        self._node = node
        self._store = store
        self._events = events

    def _ticked(self) -> None:
        if self._events is not None:
            self._events.look()

    def _is_checkpoint_due(self) -> bool:
        """Beside what the log has grown by: when an index was dropped, or much was let go, whose room others want."""
        return (
            self._node.was_cleared or self._node.let_go_bytes >= self._checkpoint_bytes or super()._is_checkpoint_due()
        )

    def _before_checkpoint(self) -> None:
        """Write the values that are in memory into a segment, while the machine goes on."""
        with self.lock:
            values = self._store.to_move(self._node.values())
        if values:
            views = self._store.write_segment(values)
            moved = {id(value): view for value, view in zip(values, views, strict=True)}
            with self.lock:
                self._node.hold_elsewhere(moved)  # type: ignore[arg-type]  # a view serves as bytes

    def _write_checkpoint(self) -> None:
        self._node.was_cleared, self._node.let_go_bytes = False, 0
        self._store.replace(self._node.checkpoint())


def _identity(folder: Path, number: int | None) -> tuple[int, str]:
    """The number of the node that a folder is of, and a name that no other folder has."""
    path = folder / IDENTITY_FILE
    try:
        known = json.loads(path.read_bytes())
        found, identity = int(known["number"]), str(known["identity"])
    except FileNotFoundError:
        if number is None:
            raise OptionError(f"{folder} is new: give the node a number that no other has") from None
        if number < 0 or number >= 1 << 31:
            raise OptionError(f"node number {number} is outside 0 to 2^31 - 1") from None
        identity = secrets.token_hex(16)
        with LOCAL.write_aside(path, mode=0o600) as file:
            file.write(json.dumps({"number": number, "identity": identity}).encode())
        return number, identity
    except (ValueError, KeyError, TypeError) as error:
        raise InputFileError(f"{path} does not say which node the folder is of") from error
    if number is not None and number != found:
        raise OptionError(f"{folder} is of node {found}, not of node {number}")
    return found, identity
