"""The simulated world: processes, disks and a network, driven by one queue of events in virtual time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from typing import Any, NamedTuple

from esker.cluster.blocks import Block, block_of, every_block
from esker.cluster.coordinator import TOMBSTONES_MOST, Coordinator, Timing
from esker.cluster.machine import Append, Machine, Send
from esker.cluster.messages import (
    CHANGED,
    COORDINATOR,
    FORGOTTEN,
    ROWS,
    VALUES,
    Answer,
    Done,
    Failed,
    Put,
    Query,
    Term,
    Write,
)
from esker.cluster.node import Node, NodeTiming
from esker.cluster.placement import Placement
from esker.cluster.placements.dynamic import DynamicPlacement
from esker.cluster.plan import Planner
from esker.cluster.planners import PLANNERS
from esker.cluster.records import Decided
from esker.cluster.reshapes import Bounds
from esker.cluster.sessions import SESSIONS_MOST
from esker.cluster.simulation.check import Checker, Masks, Violation
from esker.cluster.simulation.dice import Dice
from esker.cluster.simulation.disk import SimulatedDisk
from esker.cluster.simulation.indexes import Indexes, Said, Script

TICK_SECONDS = 0.5
BUCKETS = 4
MACHINE_TIMING = Timing(
    ping_ticks=2, dead_ticks=4, repeat_ticks=1, hedge_ticks=1, transfer_ticks=4, lost_ticks=6, weigh_ticks=1
)
NODE_TIMING = NodeTiming(inquire_ticks=2, peers_ticks=5, hello_ticks=5, relay_ticks=20)
_CLIENT_REPEAT_SECONDS = 1.0
# Of an index that is dropped and built again: why a put or query may fail without a loss.
_TOLD = (CHANGED, "moved", "unknown")

Words = tuple[int, int, int, Any]
"""Source, target, stamp and message."""


class Network(NamedTuple):
    """Chances of a message: to be lost, to come twice, to be slow by up to so many seconds."""

    loss: float
    repeat: float
    slow: float
    slow_seconds: float


class Process:
    """A machine with its disk; `life` counts starts, and events of an earlier life are nobody's."""

    __slots__ = ("disk", "hung_until", "life", "machine", "number", "sync_free_at", "told")

    def __init__(self, number: int) -> None:
        self.number = number
        self.disk = SimulatedDisk()
        self.machine: Machine | None = None
        self.life = 0
        self.hung_until = 0.0
        self.sync_free_at = 0.0
        self.told = 0


class Client:
    """Puts or asks one thing after another, and repeats each until it is answered."""

    __slots__ = (
        "blocks", "floor", "layout_version", "left", "number", "pending", "prefix", "script", "sequence", "vectors",
    )  # fmt: skip

    def __init__(self, number: int, operations: int) -> None:
        self.number = number
        self.left = operations
        self.sequence = 0
        self.pending: Put | Query | None = None
        self.floor: dict[str, int] = {}
        # Of dynamic partitioning: the blocks that it knows of, and what it puts, not cut yet.
        self.blocks: list[Block] = []
        self.vectors: dict[int, bytes] = {}
        # Of an index that is dropped and built again: what it last read of it, and what it is doing.
        self.layout_version = 0
        self.prefix = ""
        self.script: Script | None = None


class World:
    """Everything of a run. `node_class` and `coordinator_class` let tests plant bugs."""

    def __init__(
        self,
        dice: Dice,
        placement: Placement,
        planner: Planner,
        *,
        node_count: int,
        copies: int,
        vectors: int,
        network: Network,
        virtual_nodes: int = 1,
        through_bytes: bool = False,
        sessions_most: int = SESSIONS_MOST,
        tombstones_most: int = TOMBSTONES_MOST,
        with_drops: bool = False,
        node_class: type[Node] = Node,
        coordinator_class: type[Coordinator] = Coordinator,
        trace: Callable[[str], None] | None = None,
    ) -> None:
        self.now = 0.0
        self.dice = dice
        self.copies = copies
        self.vectors = vectors
        self.network = network
        self.checker = Checker()
        self.events = 0
        self.failures: list[Failed] = []
        self.cut: set[tuple[int, int]] = set()
        self.failures_allowed = False
        self.data_lost = False
        self._placement = placement
        self.dynamic = placement if isinstance(placement, DynamicPlacement) else None
        self._planner = planner
        self._algebra = Masks()
        self._virtual_nodes = virtual_nodes
        self._through_bytes = through_bytes
        self._bounds = Bounds(align_rows=8)
        self._sessions_most = sessions_most
        self._tombstones_most = tombstones_most
        self._indexes = Indexes(self, placement, vectors) if with_drops else None
        self.counts: dict[str, int] = {}
        self._node_class = node_class
        self._coordinator_class = coordinator_class
        self._trace = trace
        # Time, turn, and what to call with what; None: words to deliver.
        self._queue: list[tuple[float, int, Callable[..., None] | None, Any]] = []
        self._turn = 0
        self._incarnations = 0
        self.clients: dict[int, Client] = {}
        self.nodes = {number: Process(number) for number in range(node_count)}
        self.coordinator = Process(COORDINATOR)
        self.start(self.coordinator)
        for process in self.nodes.values():
            self.start(process)

    # ---- time ----

    def at(self, seconds: float, what: Callable[..., None], *args: Any) -> None:
        """Have something done at a time."""
        self._turn += 1
        heappush(self._queue, (seconds, self._turn, what, args))

    def after(self, seconds: float, what: Callable[..., None], *args: Any) -> None:
        """Have something done after a time."""
        self._turn += 1
        heappush(self._queue, (self.now + seconds, self._turn, what, args))

    def run_until(self, seconds: float) -> None:
        """Let time pass."""
        queue = self._queue
        events = 0
        while queue and queue[0][0] <= seconds:
            self.now, _, what, args = heappop(queue)
            events += 1
            if what is None:
                self._deliver(args)
            else:
                what(*args)
        self.events += events
        self.now = seconds

    def say(self, text: str, *values: Any) -> None:
        """Tell the trace, if there is one."""
        if self._trace is not None:
            self._trace(f"{self.now:8.3f}  {text.format(*values)}")

    def count(self, what: str) -> None:
        """Count what happened, for statistics."""
        self.counts[what] = self.counts.get(what, 0) + 1

    # ---- processes ----

    def process(self, number: int) -> Process:
        """Give a process by its number."""
        return self.coordinator if number == COORDINATOR else self.nodes[number]

    def start(self, process: Process) -> None:
        """Start a process on what its disk has."""
        process.life += 1
        process.hung_until = process.sync_free_at = 0.0
        records = process.disk.records()
        if process.number == COORDINATOR:
            process.machine = self._coordinator_class(
                self._planner, self._algebra, self.dice.below, records,
                copies=self.copies, virtual_nodes=self._virtual_nodes, timing=MACHINE_TIMING, buckets=BUCKETS,
                bounds=self._bounds,
                sessions_most=self._sessions_most, tombstones_most=self._tombstones_most,
            )  # fmt: skip
        else:
            self._incarnations += 1
            process.machine = self._node_class(
                process.number, self._incarnations, self._algebra, records, NODE_TIMING, BUCKETS
            )
        self.say("{} starts with {} records", _name(process.number), len(records))
        self._carry_out(process)
        self.after(self.dice.roll() * TICK_SECONDS, self._tick, process, process.life)

    def crash(self, process: Process) -> None:
        """End a process; of what it did not sync chance decides."""
        if process.machine is None:
            return
        self.say("{} crashes", _name(process.number))
        process.machine = None
        process.life += 1
        process.disk.crash(self.dice, through_bytes=self._through_bytes)
        self._follow_decisions(process)

    def wipe(self, process: Process) -> None:
        """End a process and lose its disk."""
        self.say("{} is wiped", _name(process.number))
        process.machine = None
        process.life += 1
        process.disk.wipe()

    def hang(self, process: Process, seconds: float) -> None:
        """Stop a process for a time; what comes in waits."""
        self.say("{} hangs for {:.1f} s", _name(process.number), seconds)
        process.hung_until = self.now + seconds

    def add_node(self) -> Process:
        """Let a new node come."""
        process = self.nodes[len(self.nodes)] = Process(len(self.nodes))
        self.start(process)
        return process

    def set_bounds(self, bounds: Bounds) -> None:
        """Let blocks be divided and joined by other bounds from now on."""
        self.say("{}", bounds)
        self._bounds = bounds
        if isinstance(self.coordinator.machine, Coordinator):
            self.coordinator.machine.reshapes.bounds = bounds

    # ---- events of machines ----

    def _tick(self, process: Process, life: int) -> None:
        if process.life != life or process.machine is None:
            return
        if process.hung_until > self.now:
            self.at(process.hung_until, self._tick, process, life)
            return
        process.machine.tick()
        if isinstance(process.machine, Coordinator):
            self._check_claims(process.machine)
        if process.machine._effects:
            self._carry_out(process)
        self.after(TICK_SECONDS, self._tick, process, life)

    def _check_claims(self, machine: Coordinator) -> None:
        """Every copy that the coordinator counts on is there, in the incarnation that it knows."""
        for name, placed in machine.directory.units.items():
            for number in placed.copies:
                node = self.nodes[number].machine
                if (
                    isinstance(node, Node)
                    and machine.incarnations.get(number) == node.incarnation
                    and node._entries(name, placed.version) is None
                ):
                    raise Violation(f"node {number} is thought to have unit {name} at {placed.version:#x}")

    def _synced(self, process: Process, life: int, length: int) -> None:
        if process.life != life or process.machine is None:
            return
        if process.hung_until > self.now:
            self.at(process.hung_until, self._synced, process, life, length)
            return
        process.disk.sync_to(length)
        self._follow_decisions(process)
        process.machine.synced()
        self._carry_out(process)
        if len(process.disk) > 40 and process.machine.settled and self.dice.roll() < 0.2:
            process.disk.replace(process.machine.checkpoint())
            process.told = len(process.disk)
            self.say("{} writes a checkpoint of {} records", _name(process.number), len(process.disk))

    def _follow_decisions(self, process: Process) -> None:
        if process.number == COORDINATOR:
            for record in process.disk.since(process.told):
                if type(record) is Decided:
                    self.checker.on_decided(record)
            process.told = process.disk.durable

    def _carry_out(self, process: Process) -> None:
        machine = process.machine
        assert machine is not None
        for effect in machine.take():
            if isinstance(effect, Send):
                target, stamp, message = effect
                self._send(process.number, target, stamp, message)
            elif isinstance(effect, Append):
                process.disk.append(effect.record)
            else:
                # Syncs end in the order that they were asked for.
                roll = self.dice.roll()
                process.sync_free_at = max(process.sync_free_at, self.now + 0.001 + 0.05 * roll * roll)
                self.at(process.sync_free_at, self._synced, process, process.life, len(process.disk))

    # ---- network ----

    def _send(self, source: int, target: int, stamp: int, message: Any) -> None:
        if self._trace is not None:
            self.say("{} -> {} [{}] {}", _name(source), _name(target), stamp, message)
        loss, repeat, slow, slow_seconds = self.network
        dice = self.dice
        roll = dice.roll()
        if roll < loss:
            return
        delay = 0.001 + 0.01 * dice.roll()
        if roll > 1.0 - slow:
            delay += slow_seconds * dice.roll()
        words = (source, target, stamp, message)
        self._on_its_way(self.now + delay, words)
        if roll < loss + repeat:
            self._on_its_way(self.now + delay + 2.0 * slow_seconds * dice.roll(), words)

    def _on_its_way(self, seconds: float, words: Words) -> None:
        self._turn += 1
        heappush(self._queue, (seconds, self._turn, None, words))

    def _deliver(self, words: Words) -> None:
        source, target, stamp, message = words
        if target < COORDINATOR:
            self._to_client(self.clients[target], target, message)
            return
        if self.cut and ((source, target) in self.cut or (target, source) in self.cut):
            return
        process = self.coordinator if target == COORDINATOR else self.nodes[target]
        machine = process.machine
        if machine is None:
            return
        if process.hung_until > self.now:
            self._on_its_way(process.hung_until, words)
            return
        machine.receive(source, stamp, message)
        if machine._effects:
            self._carry_out(process)

    # ---- clients ----

    def add_client(self, operations: int) -> None:
        """Let a client come that does so many things."""
        client = Client(COORDINATOR - 1 - len(self.clients), operations)
        self.clients[client.number] = client
        if self._indexes is not None:
            client.script = self._indexes.script(client)
            self._go_on(client, None)
            return
        self.after(self.dice.roll(), self._next, client)

    def _go_on(self, client: Client, said: Said) -> None:
        """Have a client do the next thing of its script."""
        assert client.script is not None
        try:
            wanted = client.script.send(said)
        except StopIteration:
            client.script = None
            return
        if isinstance(wanted, float):
            self.after(wanted, self._go_on, client, None)
            return
        client.sequence += 1
        client.floor = dict(self.checker.floor)
        if isinstance(wanted, Put):
            client.pending = wanted._replace(sequence=client.sequence)
            self.checker.puts[client.number, client.sequence] = client.pending
        else:
            client.pending = wanted._replace(number=client.sequence)
        self._repeat(client, client.sequence)

    def _next(self, client: Client) -> None:
        if not client.left:
            return
        client.left -= 1
        client.sequence += 1
        first = client.number == COORDINATOR - 1 and client.sequence == 1
        if first or (self.checker.acknowledged and self.dice.roll() < 0.5):
            self._begin_put(client, range(self.vectors) if first else self.some_vectors(), first)
        elif self.checker.acknowledged:
            client.pending = self.some_query(client.sequence, self._placement)
            client.floor = dict(self.checker.floor)
        else:
            # Nothing is there yet to be asked for.
            client.left += 1
            client.sequence -= 1
            self.after(0.3, self._next, client)
            return
        self._repeat(client, client.sequence)

    def _begin_put(self, client: Client, vectors: Iterable[int], first: bool) -> None:
        if self.dynamic is None:
            writes = self._writes(vectors)
        else:
            row_bytes = self.dynamic.blocks[-1].stop // 8
            client.vectors = {vector: self.bits(row_bytes) for vector in vectors}
            client.blocks = client.blocks or list(self.dynamic.blocks)
            writes = cut(client)
            if first:
                writes += (Write(every_block(self.dynamic.blocks[0].prefix), 0, b"", True),)
        self._pend_put(client, writes)

    def _pend_put(self, client: Client, writes: tuple[Write, ...]) -> None:
        put = Put(client.sequence, writes)
        self.checker.puts[client.number, client.sequence] = put
        client.pending = put

    def _put_again(self, client: Client, blocks: tuple[str, ...]) -> None:
        """Cut what was put anew: blocks became others meanwhile."""
        client.blocks = [block for name in blocks if (block := block_of(name)) is not None]
        client.sequence += 1
        self._pend_put(client, cut(client))
        self._repeat(client, client.sequence)

    def bits(self, count: int) -> bytes:
        """Draw so many bytes."""
        return b"".join(int(self.dice.roll() * (1 << 53)).to_bytes(8, "little") for _ in range(-(-count // 8)))[:count]

    def _repeat(self, client: Client, sequence: int) -> None:
        if client.pending is not None and client.sequence == sequence:
            self._send(client.number, COORDINATOR, 0, client.pending)
            self.after(_CLIENT_REPEAT_SECONDS, self._repeat, client, sequence)

    def _to_client(self, client: Client, target: int, message: Done | Answer | Failed) -> None:
        pending = client.pending
        if pending is None or target != client.number or message[0] != client.sequence:
            return
        if type(message) is Done and type(pending) is Put:
            self.checker.on_done(client.number, message.sequence)
        elif type(message) is Answer and type(pending) is Query:
            self.checker.on_answer(pending, client.floor, message)
        elif type(message) is Failed and client.script is not None and message.reason in _TOLD:
            pass
        elif type(message) is Failed and message.reason == "moved" and type(pending) is Put:
            self._put_again(client, message.units)
            return
        elif type(message) is Failed and message.reason == FORGOTTEN and type(pending) is Put:
            # It may have been done: nobody knows, and nobody is told that it was.
            client.pending = None
            self._renew(client)
            return
        elif type(message) is Failed:
            if not self.failures_allowed:
                raise Violation(f"refused without {self.copies} losses: {message}")
            self.failures.append(message)
        else:
            return
        client.pending = None
        if client.script is not None:
            self._go_on(client, message)
            return
        self.after(self.dice.roll() * 0.8, self._next, client)

    def _renew(self, client: Client) -> None:
        """Give a client a new number, as its coordinator does when it comes again; until then it does nothing."""
        machine = self.coordinator.machine
        number = machine.new_session() if isinstance(machine, Coordinator) else None
        if number is None:
            self.after(0.3, self._renew, client)
            return
        client.number = number
        self.clients[number] = client
        if client.script is not None:
            self._go_on(client, None)
            return
        self.after(self.dice.roll() * 0.8, self._next, client)

    def some_vectors(self) -> list[int]:
        """Draw one vector or two."""
        first = self.dice.below(self.vectors)
        return [first] if self.dice.roll() < 0.5 else list({first, self.dice.below(self.vectors)})

    def some_query(self, number: int, placement: Placement) -> Query:
        """Draw a batch of queries."""
        queries = tuple(
            tuple(self._some_term() for _ in range(1 + self.dice.below(2))) for _ in range(1 + self.dice.below(2))
        )
        kind = self.dice.below(3)
        units: tuple[str, ...] = ()
        if isinstance(placement, DynamicPlacement):
            units = (self._some_rows(placement),)
        elif placement.whole_queries:
            units = tuple(part.unit for part in placement.parts(0))
        elif kind == VALUES:
            # Values of parts come in any order.
            kind = ROWS
        planner = "" if self.dice.roll() < 0.7 else self.dice.choice(tuple(PLANNERS))
        return Query(number, queries, kind, units, "", planner)

    def _some_rows(self, placement: DynamicPlacement) -> str:
        prefix, rows = placement.blocks[0].prefix, placement.blocks[-1].stop
        if self.dice.roll() < 0.7:
            return every_block(prefix)
        start = self.dice.below(rows)
        return every_block(prefix, start, start + 1 + self.dice.below(rows - start))

    def _some_term(self) -> Term:
        return tuple(self._some_range() for _ in range(1 if self.dice.roll() < 0.8 else 2))

    def _some_range(self) -> tuple[int, int]:
        first = self.dice.below(self.vectors)
        return first, min(first + self.dice.below(3), self.vectors - 1)

    def _writes(self, vectors: Any) -> tuple[Write, ...]:
        whole = not self._placement.whole_queries
        return tuple(
            Write(part.unit, vector, int(self.dice.roll() * (1 << 53)).to_bytes(8, "little"), whole)
            for vector in vectors
            for part in self._placement.parts(vector)
        )


def cut(client: Client) -> tuple[Write, ...]:
    """Cut what a client puts for the blocks that it knows of."""
    return tuple(
        Write(block.name, vector, value[block.start // 8 : block.stop // 8], False)
        for vector, value in client.vectors.items()
        for block in client.blocks
    )


def _name(number: int) -> str:
    if number == COORDINATOR:
        return "coordinator"
    return f"node {number}" if number >= 0 else f"client {-number - 1}"
