"""The coordinator as a process: its machine on its folder, heard and spoken to over Arrow Flight."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from pyarrow import flight

from esker.cluster import wire
from esker.cluster.algebra import BitmapAlgebra
from esker.cluster.blocks import RETIRED
from esker.cluster.channel import Channel
from esker.cluster.coordinator import Coordinator
from esker.cluster.events import CoordinatorEvents
from esker.cluster.gateway import Gateway
from esker.cluster.greeting import CLIENT, NEW, NODE, Caller, read_greeting, write_number
from esker.cluster.host import CHECKPOINT_BYTES, TICK_SECONDS, Host
from esker.cluster.inner import InnerSession
from esker.cluster.link import next_word
from esker.cluster.log_file import LogFile
from esker.cluster.machine import Send
from esker.cluster.messages import COUNT, ROWS, VALUES, Put, Query
from esker.cluster.planners import PLANNERS
from esker.cluster.reshapes import Bounds
from esker.cluster.serving import ServedFlight, Serving
from esker.cluster.sessions import SESSIONS_MOST
from esker.core.clock import SYSTEM_CLOCK
from esker.core.seeded import generator
from esker.errors import PeerError, PeerUnreachableError
from esker.runtime.flight import Limits, Security, ServerAddress

LOG_FILE = "coordinator.log"
EVENTS_FILE = "coordinator.jsonl"
_BEGIN_SECONDS, _BEGIN_LOOK_SECONDS = 10.0, 0.01
VECTORS_MOST = 1 << 20
"""Vectors that a batch of queries may name one by one."""


class _Connection(NamedTuple):
    caller: Caller
    channel: Channel | InnerSession


class CoordinatorServer(Serving):
    """The coordinator of a cluster, that listens at an address; nodes and clients come to it."""

    def __init__(
        self,
        folder: Path,
        listen: ServerAddress,
        security: Security,
        *,
        copies: int = 2,
        virtual_nodes: int = 1,
        planner: str = "fewest_nodes",
        bounds: Bounds = Bounds(),  # noqa: B008  # immutable
        limits: Limits = Limits(),  # noqa: B008  # immutable
        tick_seconds: float = TICK_SECONDS,
        checkpoint_bytes: int = CHECKPOINT_BYTES,
        events: bool = True,
        sessions_most: int = SESSIONS_MOST,
    ) -> None:
        """Open the folder and begin to listen; with `events` it keeps an event log there (EVENTS_FILE)."""
        super().__init__()
        location = listen.location(security)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.limits = limits
        self.folder = folder
        self._log = LogFile(folder / LOG_FILE)
        try:
            dice = generator(int.from_bytes(folder.name.encode()[:4], "little"))
            self.coordinator = Coordinator(
                PLANNERS[planner](), BitmapAlgebra(held_bytes=0), lambda count: int(dice.integers(count)),
                self._log.records(), copies=copies, virtual_nodes=virtual_nodes, bounds=bounds,
                sessions_most=sessions_most,
            )  # fmt: skip
            self._nodes: dict[int, _Connection] = {}
            self._clients: dict[int, _Connection] = {}
            silence = self.coordinator.timing.dead_ticks * tick_seconds
            self._events = (
                CoordinatorEvents(folder / EVENTS_FILE, self.coordinator, self._address_of, silence_seconds=silence)
                if events
                else None
            )
            self.host = _CoordinatorHost(
                self.coordinator, self._log, self._say, self._fail, self._events,
                tick_seconds=tick_seconds, checkpoint_bytes=checkpoint_bytes,
            )  # fmt: skip
            self._server = _Flight(location, security, self)
        except BaseException:
            self._log.close()
            raise
        self.port: int = self._server.port
        self.address = f"{security.scheme}://{listen.host}:{self.port}"
        self.host.start()

    def status(self) -> dict[str, Any]:
        """Say what the coordinator knows."""
        with self.host.lock:
            status = self.coordinator.status()._asdict()
            directory = self.coordinator.directory
            held = {node: len(directory.held_by(node)) for node in sorted(directory.ring.nodes)}
            nodes = [
                {
                    "number": number,
                    "address": self._address_of(number),
                    "connected": number in self._nodes,
                    "units": held.get(number, 0),
                    "counted": number in self.coordinator.incarnations,
                }
                for number in sorted({*held, *self._nodes})
            ]
            return {
                **status,
                "ready": self.coordinator.ready,
                "copies": self.coordinator.copies,
                "virtual_nodes": directory.ring.virtual_nodes,
                "nodes": nodes,
                "clients": len(self._clients),
                "indexes": sorted(
                    name[1:]
                    for name, placed in directory.units.items()
                    if name[0] == "@" and placed.version and name not in directory.tombstones
                ),
                "counts": dict(self.coordinator.counts),
                "log_bytes": self._log.bytes,
            }

    @contextmanager
    def inner_session(self, deadline: float, cancelled: Callable[[], bool]) -> Iterator[InnerSession]:
        """Let somebody in this process ask, as a client does, until `deadline` (of the system's clock)."""
        session = InnerSession(self.session_number(NEW), self._deliver_of_client, deadline, cancelled)
        with self.host.lock:
            self._clients[session.number] = _Connection(Caller(CLIENT, session.number), session)
        try:
            yield session
        finally:
            with self.host.lock:
                del self._clients[session.number]

    def session_number(self, known: int) -> int:
        """Give a client the number that it has, or a new one; waits while the coordinator begins."""
        until = SYSTEM_CLOCK.seconds() + _BEGIN_SECONDS
        while not self._stopped.is_set() and SYSTEM_CLOCK.seconds() < until:
            with self.host.lock:
                if self.coordinator.ready and known != NEW and self.coordinator.gave_session(known):
                    return known
                number = self.coordinator.new_session()
            if number is not None:
                return number
            SYSTEM_CLOCK.sleep(_BEGIN_LOOK_SECONDS)
        raise PeerUnreachableError("the coordinator has not begun yet; come again")

    # ---- words ----

    def exchange(self, descriptor: Any, reader: Any, writer: Any) -> None:
        """Hear what a node or client has to say, until it has no more."""
        caller = read_greeting(descriptor)
        if caller.role == CLIENT:
            caller = caller._replace(number=self.session_number(caller.number))
        channel = Channel(writer.write_metadata)
        connection = _Connection(caller, channel)
        kinds = wire.FROM_NODES if caller.role == NODE else wire.FROM_CLIENTS
        writer.write_metadata(b"" if caller.role == NODE else write_number(caller.number))
        self._enter(connection)
        try:
            while (data := next_word(reader)) is not None and not self._stopped.is_set():
                channel.heard()
                self._hear(caller, kinds, data)
        finally:
            channel.close()
            self._leave(connection)
            channel.settle()

    def _hear(self, caller: Caller, kinds: wire.Kinds, data: bytes) -> None:
        self.limits.check(len(data), f"a message of {caller.role} {caller.number}")
        stamp, message = wire.decode(data, kinds)
        if caller.role == NODE:
            self._deliver_of_node(caller.number, stamp, message)
        else:
            self._deliver_of_client(caller.number, message)

    def _deliver_of_node(self, number: int, stamp: int, message: Any) -> None:
        with self.host.lock:
            if self._events is not None:
                self._events.heard(number, message)
            self.host.deliver(number, stamp, message)

    def _deliver_of_client(self, number: int, message: Put | Query) -> None:
        _check(message)
        self.host.deliver(number, 0, message)

    def _enter(self, connection: _Connection) -> None:
        caller = connection.caller
        with self.host.lock:
            table = self._nodes if caller.role == NODE else self._clients
            before = table.get(caller.number)
            if before is not None and before.caller.identity != caller.identity:
                raise PeerError(f"{caller.role} {caller.number} is there already, with another folder: number it anew")
            if before is not None:
                before.channel.close()
            table[caller.number] = connection
            if caller.role == NODE:
                self._tell_addresses()
                if self._events is not None:
                    self._events.entered(caller.number)

    def _leave(self, connection: _Connection) -> None:
        caller = connection.caller
        with self.host.lock:
            table = self._nodes if caller.role == NODE else self._clients
            if table.get(caller.number) is not connection:
                return
            del table[caller.number]
            if caller.role == NODE:
                if self._events is not None and not self._stopped.is_set():
                    self._events.left(caller.number)
                self.host.tell(lambda coordinator: coordinator.unreachable(caller.number))

    def _tell_addresses(self) -> None:
        book = wire.Addresses(tuple((number, one.caller.address) for number, one in sorted(self._nodes.items())))
        data = wire.encode(0, book)
        for connection in self._nodes.values():
            connection.channel.send(data)

    def _send(self, effect: Send) -> None:
        connection = (self._nodes if effect.target >= 0 else self._clients).get(effect.target)
        if connection is not None:
            connection.channel.send(wire.encode(effect.stamp, effect.message))

    def _say(self, effect: Send) -> None:
        self._send(effect)
        if self._events is not None and effect.target >= 0:
            self._events.sent(effect)

    def _address_of(self, node: int) -> str | None:
        return self._nodes[node].caller.address if node in self._nodes else None

    def _close(self) -> None:
        self.host.stop()
        self._log.close()
        if self._events is not None:
            self._events.close()


class _CoordinatorHost(Host):
    def __init__(
        self, coordinator: Coordinator, log: LogFile, send: Any, on_failure: Any, events: CoordinatorEvents | None,
        **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(coordinator, log, send, on_failure, **options)
        self._events = events

    def _carry_out(self) -> None:
        # What changed comes before what was said of it.
        if self._events is not None:
            self._events.look()
        super()._carry_out()


class _Flight(ServedFlight):
    """Beside what nodes have, questions of any Flight client."""

    def __init__(self, location: str, security: Security, coordinator: CoordinatorServer) -> None:
        self._gateway = Gateway(coordinator.inner_session, coordinator.status)
        super().__init__(location, security, coordinator)

    def list_flights(self, context: Any, criteria: bytes) -> Iterator[flight.FlightInfo]:
        return self._gateway.flights(context)

    def get_flight_info(self, context: Any, descriptor: Any) -> flight.FlightInfo:
        return self._gateway.info(context, descriptor)

    def get_schema(self, context: Any, descriptor: Any) -> flight.SchemaResult:
        return self._gateway.schema(context, descriptor)

    def do_get(self, context: Any, ticket: Any) -> flight.FlightDataStream:
        return self._gateway.get(context, ticket)


def _check(message: Put | Query) -> None:
    """Refuse what a client cannot mean, before the machine has it; PeerError says what."""
    if isinstance(message, Put):
        if message.sequence < 1 or not message.writes or not all(write.unit for write in message.writes):
            raise PeerError("a put has a number from 1 on, and something to write into units with names")
        if any(write.vector <= RETIRED for write in message.writes):
            raise PeerError(f"vectors have numbers above {RETIRED}")
        return
    if message.kind not in (ROWS, COUNT, VALUES):
        raise PeerError(f"queries of kind {message.kind} are not known")
    if message.planner and message.planner not in PLANNERS:
        raise PeerError(f"no planner {message.planner!r}; there is: {', '.join(PLANNERS)}")
    if not message.queries or not all(terms and all(terms) for terms in message.queries):
        raise PeerError("a query has at least one term of at least one range")
    if message.units:
        if not all(message.units):
            raise PeerError("units have names")
        return
    vectors = sum(last - first + 1 for terms in message.queries for term in terms for first, last in term)
    if vectors > VECTORS_MOST:
        raise PeerError(f"the queries name {vectors:,} vectors, and the limit is {VECTORS_MOST:,}")
