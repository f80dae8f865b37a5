"""The machine of the coordinator (the source's master): membership, commits, repair and queries."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import Any, NamedTuple

from esker.cluster.directory import Directory
from esker.cluster.machine import Algebra, Machine, Send
from esker.cluster.messages import (
    COORDINATOR,
    EPOCH_SHIFT,
    Acknowledged,
    Clear,
    Cleared,
    Compare,
    Discard,
    Discarded,
    Enumerate,
    Held,
    Hello,
    Inquire,
    Lacks,
    Ping,
    Pong,
    Put,
    Query,
    Received,
    Refuse,
    Reply,
    Sums,
    Transfer,
    Vote,
    Weights,
    Welcome,
)
from esker.cluster.node import BUCKETS, bucket_of, bucket_sums
from esker.cluster.plan import Planner
from esker.cluster.puts import Puts
from esker.cluster.reads import Reads
from esker.cluster.records import Catalogue, Decided, Dropped, Forgotten, Members, Record, Settled
from esker.cluster.reshapes import Bounds, Reshapes
from esker.cluster.ring import Ring
from esker.cluster.sessions import SESSIONS_MOST, Sessions
from esker.errors import OptionError

TOMBSTONES_MOST = 1 << 10
"""Names of dropped indexes that are remembered; of more, those that were dropped first are forgotten."""


class Timing(NamedTuple):
    """In ticks: how often nodes are pinged, when silence means death, when to say a thing again, when a loss is one.

    What nobody has is lost only after a time: nodes that were taken for dead, all at once, may say hello yet.

    With ticks of a quarter of a second: a ping each second, and a second to answer it, as in source 004.
    """

    ping_ticks: int = 4
    dead_ticks: int = 8
    repeat_ticks: int = 2
    hedge_ticks: int = 2
    transfer_ticks: int = 8
    lost_ticks: int = 20
    weigh_ticks: int = 4


class Status(NamedTuple):
    """What the coordinator knows, for people."""

    epoch: int
    members: tuple[int, ...]
    greeting: tuple[int, ...]
    units: int
    short: tuple[str, ...]
    lost: tuple[str, ...]
    undecided: tuple[int, ...]
    unacknowledged: tuple[int, ...]


class _Greeting:
    """A comparison with a node that is under way: which buckets agreed, and on which versions."""

    __slots__ = ("agreed", "compare", "incarnation", "ticks", "token")

    def __init__(self, token: int, fresh: int) -> None:
        self.token = token
        self.compare = Compare(token, fresh)
        self.ticks = 0
        self.incarnation = 0
        self.agreed: list[tuple[str, int]] = []


class Coordinator(Machine):
    """The coordinator's machine, made from the records of its log.

    Rules that the rest relies on:
    - an epoch is durable before anything is said in its name, and a new start is a new epoch;
    - a commit is durable before anyone is told or any query sees it; what is not in the log was aborted;
    - every node with a whole copy of a unit takes part in every put to it, wherever the unit belongs;
    - a node's copies count from when it was compared with, in its present incarnation;
    - that a node has a copy, or has it no more, counts in the epoch in which it was said;
    - within an epoch no unit is wanted where somebody was told to discard it.
    """

    def __init__(
        self,
        planner: Planner,
        algebra: Algebra,
        chance: Callable[[int], int],
        records: Iterable[Record] = (),
        *,
        copies: int = 2,
        virtual_nodes: int = 1,
        timing: Timing = Timing(),  # noqa: B008  # immutable
        buckets: int = BUCKETS,
        bounds: Bounds = Bounds(),  # noqa: B008  # immutable
        sessions_most: int = SESSIONS_MOST,
        tombstones_most: int = TOMBSTONES_MOST,
    ) -> None:
        """Begin in a new epoch; OptionError when `copies` is below 2, for then a loss is a loss."""
        super().__init__()
        if copies < 2:
            raise OptionError(f"copies={copies}: below 2 a node that dies takes its vectors with it")
        self.copies = copies
        self.timing = timing
        self.epoch = 0
        self.ready = False
        self.directory = Directory(copies, Ring((), virtual_nodes))
        self.incarnations: dict[int, int] = {}
        self.counts: dict[str, int] = {}
        self._buckets = buckets
        self._greetings: dict[int, _Greeting] = {}
        self._token = 0
        self._fresh: dict[int, int] = {}
        self._silence: dict[int, int] = {}
        self._moving: dict[tuple[str, int], int] = {}
        self._discards: dict[int, set[str]] = {}
        self._dropped: set[str] = set()
        self._clears: dict[int, set[str]] = {}
        self._tombstones_most = tombstones_most
        self._told_to_discard: set[tuple[int, str]] = set()
        self._searched: set[tuple[str, int]] = set()
        self._ticks = 0
        self._changing = False
        self._to_add: set[int] = set()
        self._to_drop: set[int] = set()
        self._to_greet: set[int] = set()
        self.reshapes = Reshapes(self, bounds)
        self._sessions_given = 0
        self.puts = Puts(self, Sessions(sessions_most))
        self.reads = Reads(self, planner, algebra, chance)
        members = self._replay(records)
        self.directory.move_to(self.directory.ring.changed(members))
        self._change(greet=members)

    # ---- events ----

    def receive(self, source: int, stamp: int, message: Any) -> None:
        """Take a message."""
        if not self.ready:
            return
        kind = type(message)
        if source < 0:
            if kind is Put:
                self.puts.begin(source, message)
            elif kind is Query:
                self.reads.begin(source, message)
            return
        if source in self._silence:
            self._silence[source] = 0
        if kind in _ONLY_FROM_KNOWN and self.incarnations.get(source) != stamp:
            return
        _HANDLERS[kind](self, source, stamp, message)

    def tick(self) -> None:
        """Let a moment pass: ping, drop who is silent, say again what was not answered."""
        if not self.ready:
            return
        self._ticks += 1
        if self._ticks % self.timing.ping_ticks == 0:
            self._ping()
        silent = set()
        for node in self._silence:
            self._silence[node] += 1
            if self._silence[node] >= self.timing.dead_ticks:
                silent.add(node)
        if silent:
            self._change(drop=silent)
        for node, greeting in self._greetings.items():
            greeting.ticks += 1
            if greeting.ticks % self.timing.repeat_ticks == 0:
                self.tell(node, greeting.compare)
        self.puts.tick()
        self.reads.tick()
        self.reshapes.tick()
        self._repair()
        self._discard()
        self._clear()
        self._forget_tombstones()

    def unreachable(self, node: int) -> None:
        """Learn from below that a node's connection broke: ask others at once, and give it one ping to show itself."""
        if node in self._silence:
            self._silence[node] = max(self._silence[node], self.timing.dead_ticks - self.timing.repeat_ticks)
            self.reads.hedge_calls_of({node})

    def checkpoint(self) -> list[Record]:
        """Give the fewest records that make this state again; only while `settled`."""
        assert self.settled, "a checkpoint while words wait for the disk"
        units = tuple(
            (name, placed.version, placed.digest) for name, placed in self.directory.units.items() if placed.version
        )
        return [
            Members(self.epoch, tuple(sorted(self.directory.ring.nodes))),
            *self.puts.unacknowledged_records(),
            # In the order in which they are to be forgotten.
            Catalogue(units, tuple(self.puts.sessions.items())),
            Forgotten(self.puts.sessions.forgotten),
        ]

    def new_session(self) -> int | None:
        """Give a number to a client that wants to put, which none had before; None while no epoch has begun.

        Numbers fall: the epoch is in them, which is a new one at every start, and a count.
        """
        if not self.ready:
            return None
        self._sessions_given += 1
        return COORDINATOR - 1 - (self.epoch << EPOCH_SHIFT | self._sessions_given)

    def gave_session(self, number: int) -> bool:
        """Say whether a number may be one that was given, by this coordinator or one before it on the same log."""
        epoch = (COORDINATOR - 1 - number) >> EPOCH_SHIFT
        return 1 <= epoch <= self.epoch

    def status(self) -> Status:
        """Say what is known."""
        lost = (name for name in self.directory.short if not self.directory.units[name].copies)
        return Status(
            self.epoch,
            tuple(sorted(self.directory.ring.nodes)),
            tuple(sorted(self._greetings)),
            sum(not placed.retired for placed in self.directory.units.values()),
            tuple(sorted(self.directory.short)),
            tuple(sorted(lost)),
            tuple(sorted(self.puts.active)),
            tuple(sorted(self.puts.unacknowledged)),
        )

    # ---- for puts and reads ----

    def tell(self, target: int, message: Any) -> None:
        """Send, in this epoch's name."""
        self._effects.append(Send(target, self.epoch, message))

    def append(self, record: Record) -> None:
        """Write into the log; may be lost."""
        self._append(record)

    def force(self, record: Record, then: Callable[[], None]) -> None:
        """Write into the log durably."""
        self._force(record, then)

    def count(self, what: str, by: int = 1) -> None:
        """Count what happened, for statistics."""
        self.counts[what] = self.counts.get(what, 0) + by

    def begin_epoch(self) -> None:
        """Begin an epoch with the same nodes, or any that is about to begin."""
        self._change()

    def drop(self, prefixes: Collection[str]) -> None:
        """Forget all units whose names begin with prefixes: their end is in the log.

        Nodes are told in an epoch that begins now. What was said of these units before, a copy of one on its way, is
        not listened to from then on, so that nothing brings back what a node has let go.
        """
        self.count("dropped indexes", len(prefixes))
        self.directory.drop(prefixes)
        self.reshapes.dropped(prefixes)
        self._dropped.update(prefixes)
        self.begin_epoch()

    def was_told_to_discard(self, node: int, name: str) -> bool:
        """Whether a node was told, in this epoch, to let go of a unit."""
        return (node, name) in self._told_to_discard

    @property
    def expecting(self) -> bool:
        """Whether membership is changing, or a node is being compared with."""
        return bool(self._greetings) or self._changing

    def search(self, units: Iterable[str]) -> bool:
        """Ask all nodes once for units without a known copy; False when that was in vain, and they are lost."""
        versions = {(name, self.directory[name].version) for name in units}
        if not versions <= self._searched:
            self._searched |= versions
            for node in self.directory.ring.nodes.difference(self._greetings):
                self._greet(node)
        return self.expecting

    def lost_nodes(self, units: Iterable[str]) -> tuple[int, ...]:
        """Name the nodes that last had copies of units."""
        known = self.directory.units
        return tuple(sorted({node for name in units if name in known for node in known[name].had}))

    # ---- recovery ----

    def _replay(self, records: Iterable[Record]) -> tuple[int, ...]:
        members: tuple[int, ...] = ()
        for record in records:
            if type(record) is Members:
                self.epoch, members = record.epoch, record.nodes
            elif type(record) is Decided:
                self.puts.replay(record)
            elif type(record) is Settled:
                self.puts.replay_settled(record)
            elif type(record) is Catalogue:
                for name, version, digest in record.units:
                    self.directory.restored(name, version, digest)
                self.puts.restore_sessions(record.sessions)
            elif type(record) is Dropped:
                self.puts.replay_dropped(record)
            elif type(record) is Forgotten:
                self.puts.sessions.forget(record.session)
            else:
                raise OptionError(f"a {type(record).__name__} record is a node's: this is not a coordinator's log")
        return members

    # ---- membership ----

    def _change(self, *, add: Iterable[int] = (), drop: Iterable[int] = (), greet: Iterable[int] = ()) -> None:
        """Begin a new epoch, when the last change is durable: with nodes more, nodes fewer, or the same again."""
        self._to_add.update(add)
        self._to_drop.update(drop)
        self._to_greet.update(greet)
        if not self._changing:
            self._write_epoch()

    def _write_epoch(self) -> None:
        self._changing = True
        nodes = (self.directory.ring.nodes - self._to_drop) | self._to_add
        dropped = frozenset(self.directory.ring.nodes - nodes)
        greet = frozenset((self._to_greet | self._to_add) & nodes)
        self._to_add, self._to_drop, self._to_greet = set(), set(), set()
        epoch = self.epoch + 1
        record = Members(epoch, tuple(sorted(nodes)))
        self._force(record, partial(self._begin_epoch, epoch, nodes, dropped, greet))

    def _begin_epoch(self, epoch: int, nodes: frozenset[int], dropped: frozenset[int], greet: frozenset[int]) -> None:
        self.count("epochs")
        self.epoch = epoch
        self.ready = True
        self._changing = False
        self._told_to_discard.clear()
        for node in dropped:
            self._let_go(node)
        if nodes != self.directory.ring.nodes:
            self.directory.move_to(self.directory.ring.changed(nodes))
        self.reshapes.begin_epoch()
        # Nodes that come later are compared with: what the catalogue does not know they discard.
        for node in nodes if self._dropped else ():
            self._clears.setdefault(node, set()).update(self._dropped)
        self._dropped.clear()
        self._moving = {key: tick for key, tick in self._moving.items() if key[0] in self.directory.short}
        # A comparison that is under way begins again: what it says must not be older than a discard of an epoch before.
        for node in greet | (self._greetings.keys() & nodes):
            self._greet(node)
        self.puts.left(dropped)
        if dropped:
            self.reads.hedge_calls_of(dropped)
        if self._to_add or self._to_drop or self._to_greet:
            self._write_epoch()
        self._repair()
        self.reshapes.start()

    def _let_go(self, node: int) -> None:
        self.count("dropped")
        self.incarnations.pop(node, None)
        self._greetings.pop(node, None)
        self._silence.pop(node, None)
        self._discards.pop(node, None)
        self._clears.pop(node, None)
        self.directory.forget(node)

    def _ping(self) -> None:
        settled = self.puts.settled_version()
        for node in self._silence:
            self.tell(node, Ping(settled))

    def _on_pong(self, source: int, stamp: int, message: Pong) -> None:
        """A sign of life; noted already."""

    def _on_hello(self, source: int, stamp: int, message: Hello) -> None:
        if self.incarnations.get(source) == stamp:
            self.tell(source, Welcome(stamp))
        elif source not in self.directory.ring or (message.fresh and self._fresh.get(source) != stamp):
            self._admit(source, stamp, message.fresh)
        elif source not in self._greetings:
            self.incarnations.pop(source, None)
            self._greet(source)

    def _admit(self, node: int, incarnation: int, fresh: bool) -> None:
        """Begin an epoch with a node that was not on the ring, or whose disk is empty.

        What an empty disk voted for in earlier epochs is gone: born into a later one, it promises nothing about them.
        """
        if self._changing:
            return
        if fresh:
            self._fresh[node] = incarnation
            self.incarnations.pop(node, None)
            self.directory.forget(node)
        if node in self.directory.ring:
            self._change(greet=[node])
        else:
            self._change(add=[node])

    def _greet(self, node: int) -> None:
        self._token += 1
        self._silence.setdefault(node, 0)
        greeting = _Greeting(self.epoch << EPOCH_SHIFT | self._token, self._fresh.get(node, 0))
        self._greetings[node] = greeting
        self.tell(node, greeting.compare)

    def _on_sums(self, source: int, stamp: int, message: Sums) -> None:
        greeting = self._greetings.get(source)
        if greeting is None or greeting.token != message.token or len(message.sums) != self._buckets:
            return
        greeting.incarnation = stamp
        units = self.directory.units
        wanted = list(self.directory.wanted_at(source))
        expected = bucket_sums(((name, units[name].version, units[name].digest) for name in wanted), self._buckets)
        differ = {bucket for bucket in range(self._buckets) if expected[bucket] != message.sums[bucket]}
        greeting.agreed = [
            (name, units[name].version) for name in wanted if bucket_of(name, self._buckets) not in differ
        ]
        if differ:
            self.tell(source, Enumerate(message.token, tuple(sorted(differ))))
        else:
            self._welcome(source, greeting, ())

    def _on_held(self, source: int, stamp: int, message: Held) -> None:
        greeting = self._greetings.get(source)
        if greeting is not None and greeting.token == message.token and greeting.incarnation == stamp:
            self._welcome(source, greeting, message.units)

    def _welcome(self, node: int, greeting: _Greeting, held: tuple[tuple[str, int, int], ...]) -> None:
        """Let a node's copies count, as far as they are what they should be; have the rest of it discarded."""
        del self._greetings[node]
        self.incarnations[node] = greeting.incarnation
        self.directory.forget(node)
        units = self.directory.units
        for name, version in greeting.agreed:
            if name in units and units[name].version == version:
                self.directory.gained(node, name)
        for name, version, digest in held:
            placed = units.get(name)
            if placed is not None and version and (placed.version, placed.digest) == (version, digest):
                if node in placed.wanted or (node, name) not in self._told_to_discard:
                    self.directory.gained(node, name)
                elif not placed.copies:
                    # It may be discarding its copy just now, the only one: in a later epoch it will not.
                    self._change(greet=[node])
            elif placed is None or node not in placed.wanted:
                self._discards.setdefault(node, set()).add(name)
        self.tell(node, Welcome(greeting.incarnation))
        self.count("welcomed")
        self._repair()
        self.puts.start_waiting()
        self.reads.plan_waiting()

    # ---- repair ----

    def _repair(self) -> None:
        """Have every unit that is short sent by a node that has it, a message for each pair of nodes (REALLOCATE)."""
        batches: dict[tuple[int, int], list[tuple[str, int]]] = {}
        for name in self.directory.short:
            placed = self.directory.units[name]
            if not placed.copies:
                continue
            for target in placed.wanted:
                if target in placed.copies or target not in self.incarnations:
                    continue
                begun = self._moving.get((name, target))
                if begun is None or self._ticks - begun >= self.timing.transfer_ticks:
                    self._moving[name, target] = self._ticks
                    batches.setdefault((placed.in_order()[0], target), []).append((name, placed.version))
        for (holder, target), units in batches.items():
            self.count("transfers")
            self.count("units moved", len(units))
            self.tell(holder, Transfer(target, tuple(sorted(units))))

    def _on_received(self, source: int, stamp: int, message: Received) -> None:
        for name, _, _ in message.units:
            self._moving.pop((name, source), None)
        self._gained(source, message.epoch, message.units)
        self._discard()
        self.puts.start_waiting()
        self.reads.plan_waiting()

    def _on_acknowledged(self, source: int, stamp: int, message: Acknowledged) -> None:
        if self.incarnations.get(source) == stamp:
            self._gained(source, message.epoch, message.units)
        self.puts.on_acknowledged(source, message)

    def _gained(self, node: int, epoch: int, units: tuple[tuple[str, int, int], ...]) -> None:
        """Count copies that a node says it has now: where it should have them nothing of this epoch takes them away."""
        if epoch != self.epoch:
            return
        for name, version, digest in units:
            placed = self.directory.units.get(name)
            if placed is None or node not in placed.wanted:
                continue
            if (placed.version, placed.digest) == (version, digest):
                self.directory.gained(node, name)

    def _discard(self) -> None:
        """Have copies removed that nobody needs: only where all nodes that should have the unit have it."""
        for name in list(self.directory.surplus):
            if name in self.puts.busy:
                continue
            placed = self.directory.units[name]
            for node in placed.copies.difference(placed.wanted):
                self.directory.lost(node, name)
                self._discards.setdefault(node, set()).add(name)
        for node, names in list(self._discards.items()):
            needed = {name for name in names if self._is_needed(node, name)}
            names -= needed
            if not names:
                del self._discards[node]
            elif self._ticks % self.timing.repeat_ticks == 0:
                self._told_to_discard.update((node, name) for name in names)
                self.tell(node, Discard(tuple(sorted(names))))

    def _is_needed(self, node: int, name: str) -> bool:
        placed = self.directory.units.get(name)
        if name in self.puts.busy:
            # It may become a block again.
            return True
        return placed is not None and (node in placed.wanted or node in placed.copies)

    def _clear(self) -> None:
        """Tell nodes what was dropped, until each says that it has none of it."""
        if self._ticks % self.timing.repeat_ticks == 0:
            for node, prefixes in self._clears.items():
                self.tell(node, Clear(tuple(sorted(prefixes))))

    def _on_cleared(self, source: int, stamp: int, message: Cleared) -> None:
        left = self._clears.get(source, set()).difference(message.prefixes)
        if left:
            self._clears[source] = left
        else:
            self._clears.pop(source, None)

    def _forget_tombstones(self) -> None:
        """Forget names of indexes that were dropped first, when there are many: they are as if they had never been."""
        directory = self.directory
        if len(directory.tombstones) <= self._tombstones_most:
            return
        waiting = self.puts.busy.union(name for record in self.puts.decided() for name, _ in record.units)
        oldest = sorted(directory.tombstones, key=lambda name: directory.units[name].version)
        # One of which there is no copy was forgotten before, and is known from the log again.
        names = [
            name
            for name in oldest[: len(oldest) - self._tombstones_most]
            if name not in waiting
            and (name not in directory.short or not (directory.units[name].copies or self.expecting))
        ]
        for name in names:
            for node in sorted(directory.units[name].copies):
                self._discards.setdefault(node, set()).add(name)
        directory.remove(names)
        self.count("forgotten names", len(names))

    def _on_discarded(self, source: int, stamp: int, message: Discarded) -> None:
        self._discards.get(source, set()).difference_update(message.units)

    def _on_lacks(self, source: int, stamp: int, message: Lacks) -> None:
        """Count copies no more that a node says it has not, or found to be wrong; it gets others.

        What was said in an epoch before may be true of copies that it has had since, which may be the only ones: it is
        compared with, and that says what it has.
        """
        self.count("lacks", len(message.units))
        counted = [name for name in message.units if name in self.directory.units]
        if message.epoch == self.epoch:
            for name in counted:
                self.directory.lost(source, name)
            self._repair()
        elif source not in self._greetings and any(source in self.directory.units[name].copies for name in counted):
            self._greet(source)


_ONLY_FROM_KNOWN = frozenset({Vote, Received, Discarded, Cleared, Lacks, Weights})
_HANDLERS: dict[type[Any], Callable[..., None]] = {
    Hello: Coordinator._on_hello,
    Pong: Coordinator._on_pong,
    Sums: Coordinator._on_sums,
    Held: Coordinator._on_held,
    Received: Coordinator._on_received,
    Discarded: Coordinator._on_discarded,
    Cleared: Coordinator._on_cleared,
    Lacks: Coordinator._on_lacks,
    Vote: lambda self, source, stamp, message: self.puts.on_vote(source, stamp, message),
    Weights: lambda self, source, stamp, message: self.reshapes.on_weights(message),
    Acknowledged: Coordinator._on_acknowledged,
    Inquire: lambda self, source, stamp, message: self.puts.on_inquire(source, message),
    Reply: lambda self, source, stamp, message: self.reads.on_reply(source, message),
    Refuse: lambda self, source, stamp, message: self.reads.on_refuse(source, message),
}
