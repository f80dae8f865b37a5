"""The machine of a node: takes part in commits, keeps units, answers reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from esker.cluster.blocks import RETIRED, Block, block_of, contents, is_within
from esker.cluster.codec import pack
from esker.cluster.machine import Algebra, Machine, Send
from esker.cluster.messages import (
    COORDINATOR,
    COUNT,
    EPOCH_SHIFT,
    VALUES,
    Acknowledged,
    Ask,
    Clear,
    Cleared,
    Compare,
    Copies,
    Discard,
    Discarded,
    Enumerate,
    Held,
    Hello,
    Inquire,
    InquirePeer,
    Lacks,
    Outcome,
    Ping,
    Pong,
    Prepare,
    Read,
    Received,
    Refuse,
    Reply,
    Reshape,
    Sums,
    Term,
    Terms,
    Transfer,
    UnitCopy,
    UnitWrite,
    Vote,
    Weigh,
    Weights,
    Welcome,
)
from esker.cluster.plan import WHOLE
from esker.cluster.records import Born, Ended, Gone, Kept, Partial, Prepared, Record, Seen
from esker.cluster.ring import point
from esker.cluster.unit import Entry, Unit, copy_of, digest_of
from esker.errors import DamagedValueError

BUCKETS = 64
_MASK = (1 << 64) - 1


class NodeTiming(NamedTuple):
    """In ticks: when a transaction in doubt is asked about, when peers are, and when silence means being left out."""

    inquire_ticks: int = 4
    peers_ticks: int = 10
    hello_ticks: int = 10
    relay_ticks: int = 40


class InDoubt(NamedTuple):
    """A transaction that this node promised to commit and has not heard of since; its old values stay readable."""

    version: int
    units: tuple[str, ...]
    peers: tuple[int, ...]
    ticks: int


class _Prepared:
    __slots__ = ("digests", "durable", "peers", "ticks", "writes")

    def __init__(self, peers: tuple[int, ...], writes: tuple[UnitWrite, ...], durable: bool) -> None:
        self.peers = peers
        self.writes = writes
        self.durable = durable
        self.ticks = 0
        # What was voted, where the writes fit: making it reads all values.
        self.digests: dict[str, int] = {}


class _Relay:
    """A call that waits for the node behind this one (source 004, Algorithm 7)."""

    __slots__ = ("call", "results", "source", "stamp", "ticks")

    def __init__(self, source: int, stamp: int, call: int, results: list[tuple[int, int, str, bytes]]) -> None:
        self.ticks = 0
        self.source = source
        self.stamp = stamp
        self.call = call
        self.results = results


class Node(Machine):
    """A node's machine, made from the records of its log; `incarnation` is a number no earlier start had.

    Rules that the rest relies on:
    - a vote of yes leaves after its record is durable, and stands until the outcome is known;
    - of two transactions prepared on a unit, the later one's base tells how the earlier one ended, unless it is newer;
    - nobody listens to an epoch before the latest that it heard of;
    - a unit is read at exactly the version asked for, or refused.
    """

    def __init__(
        self,
        number: int,
        incarnation: int,
        algebra: Algebra,
        records: Iterable[Record] = (),
        timing: NodeTiming = NodeTiming(),  # noqa: B008  # immutable
        buckets: int = BUCKETS,
    ) -> None:
        super().__init__()
        self.number = number
        self.incarnation = incarnation
        self.epoch = 0
        self.born: int | None = None
        self.settled_version = 0
        self.units: dict[str, Unit] = {}
        # What the disk need not keep since somebody last looked: an index that was dropped, and bytes of all.
        self.was_cleared = False
        self.let_go_bytes = 0
        self._algebra = algebra
        self._timing = timing
        self._buckets = buckets
        self._prepared: dict[int, _Prepared] = {}
        self._locks: dict[str, int] = {}
        self._ended: dict[int, bool] = {}
        self._relays: dict[int, _Relay] = {}
        self._weights: dict[str, tuple[int, int]] = {}
        self._read_bytes: dict[str, int] = {}
        # No relay has the number of one before a restart, whose answer may still be on its way.
        self._relay_count = incarnation << EPOCH_SHIFT
        self._welcome = False
        self._silence = timing.hello_ticks
        self._replay(records)
        self._hello()

    # ---- events ----

    def receive(self, source: int, stamp: int, message: Any) -> None:
        """Take a message."""
        if stamp < self.epoch and not self._listens_to(stamp, message):
            if type(message) is Ask:
                self._send(source, Refuse(message.call, self.number), stamp if source >= 0 else None)
            return
        if stamp > self.epoch:
            self.epoch = stamp
            self._append(Seen(stamp))
        if source == COORDINATOR:
            self._silence = 0
        _HANDLERS[type(message)](self, source, stamp, message)

    def tick(self) -> None:
        """Let a moment pass: ask about transactions in doubt, and for admission where nobody called."""
        self._silence += 1
        if not self._welcome or self._silence >= self._timing.hello_ticks:
            self._hello()
        for version, prepared in self._prepared.items():
            prepared.ticks += 1
            if prepared.durable and prepared.ticks % self._timing.inquire_ticks == 0:
                self._inquire(version, prepared)
        if self._relays:
            self._forget_relays()

    # ---- what others may see ----

    def in_doubt(self) -> list[InDoubt]:
        """List what is prepared and not decided, for people and tests."""
        return [
            InDoubt(version, tuple(write.unit for write in one.writes), one.peers, one.ticks)
            for version, one in sorted(self._prepared.items())
        ]

    def checkpoint(self) -> list[Record]:
        """Give the fewest records that make this state again; only while `settled`."""
        assert self.settled, "a checkpoint while words wait for the disk"
        records: list[Record] = [Seen(self.epoch)]
        if self.born is not None:
            records.append(Born(self.born))
        for name, unit in sorted(self.units.items()):
            copy = unit.copy(name)
            records.append(Kept((copy,)) if unit.complete else Partial(copy, tuple(unit.deltas)))
        records += [Ended(version, commit) for version, commit in sorted(self._ended.items())]
        records += [Prepared(version, one.peers, one.writes) for version, one in sorted(self._prepared.items())]
        return records

    def validate(self) -> None:
        """Check that digests are those of the values; AssertionError names the unit."""
        for name, unit in self.units.items():
            if unit.complete:
                assert unit.digest == unit.recomputed_digest(), f"unit {name} of node {self.number} is damaged"

    def values(self) -> list[bytes]:
        """Give the values of all units, as they are held."""
        return [value for unit in self.units.values() for _, value in unit.entries.values()]

    def hold_elsewhere(self, moved: Mapping[int, bytes]) -> None:
        """Hold equal values in the place of others, which are named by their identity."""
        for unit in self.units.values():
            if any(id(value) in moved for _, value in unit.entries.values()):
                unit.entries = {
                    vector: (version, moved.get(id(value), value)) for vector, (version, value) in unit.entries.items()
                }

    # ---- recovery ----

    def _replay(self, records: Iterable[Record]) -> None:
        for record in records:
            _REPLAY[type(record)](self, record)
        for prepared in self._prepared.values():
            prepared.durable = True

    def _replay_prepared(self, record: Prepared) -> None:
        self._settle_earlier(record.version, record.writes, log=False)
        self._hold(record.version, _Prepared(record.peers, record.writes, durable=True))

    def _replay_ended(self, record: Ended) -> None:
        self._end(record.version, record.commit)

    def _replay_kept(self, record: Kept) -> None:
        for copy in record.units:
            self.units.setdefault(copy.unit, Unit()).merge(copy)

    def _replay_partial(self, record: Partial) -> None:
        unit = Unit.from_copy(record.unit)
        unit.complete, unit.deltas = False, list(record.deltas)
        self.units[record.unit.unit] = unit

    def _replay_gone(self, record: Gone) -> None:
        for name in record.units:
            self.units.pop(name, None)

    def _replay_seen(self, record: Seen) -> None:
        self.epoch = max(self.epoch, record.epoch)

    def _replay_born(self, record: Born) -> None:
        self.born = record.epoch

    # ---- two-phase commit ----

    def _on_prepare(self, source: int, stamp: int, message: Prepare) -> None:
        if self._is_news(message.version, [write.unit for write in message.writes]):
            self._prepare(message.version, message.peers, message.writes)

    def _on_reshape(self, source: int, stamp: int, message: Reshape) -> None:
        """Prepare what a block is to become, made of what is here; without all of it, refuse."""
        version = message.version
        if not self._is_news(version, [name for name, _, _ in (*message.sources, *message.targets)]):
            return
        writes = self._reshaped(message)
        if writes is None:
            self._tell_coordinator(Vote(version, False, ()))
        else:
            self._prepare(version, message.peers, writes)

    def _reshaped(self, message: Reshape) -> tuple[UnitWrite, ...] | None:
        sources: list[tuple[Block, Mapping[int, Entry]]] = []
        for name, version, _ in message.sources:
            block, entries = block_of(name), self._entries(name, version)
            if block is None or entries is None:
                return None
            sources.append((block, entries))
        writes = [UnitWrite(*state, True, ((RETIRED, b""),)) for state in message.sources]
        for state in message.targets:
            target = block_of(state[0])
            if target is None:
                return None
            try:
                writes.append(UnitWrite(*state, True, tuple(contents(target, sources, self._algebra))))
            except DamagedValueError:
                for name, _, _ in message.sources:
                    self._drop_damaged(name)
                return None
        return tuple(writes)

    def _is_news(self, version: int, names: Sequence[str]) -> bool:
        """Whether a transaction is to be prepared; one that was is answered again."""
        held = self._prepared.get(version)
        if held is not None:
            if held.durable:
                self._vote(version)
            return False
        ended = self._ended.get(version)
        if ended is not None:
            # Committed: a repeated message, long answered. Aborted: this node promised a peer not to take part.
            if not ended:
                self._tell_coordinator(Vote(version, False, ()))
            return False
        return not any(self._is_older(version, name) for name in names)

    def _prepare(self, version: int, peers: tuple[int, ...], writes: tuple[UnitWrite, ...]) -> None:
        self._settle_earlier(version, writes, log=True)
        self._hold(version, _Prepared(peers, writes, durable=False))
        self._force_prepared(Prepared(version, peers, writes))

    def _force_prepared(self, record: Prepared) -> None:
        self._force(record, partial(self._on_prepared_durable, record.version))

    def _on_prepared_durable(self, version: int) -> None:
        held = self._prepared.get(version)
        if held is not None:
            held.durable = True
            self._vote(version)

    def _is_older(self, version: int, name: str) -> bool:
        unit = self.units.get(name)
        return self._locks.get(name, 0) > version or (unit is not None and unit.version >= version)

    def _settle_earlier(self, version: int, writes: tuple[UnitWrite, ...], *, log: bool) -> None:
        """End transactions that this one follows on a unit, where its base, the last commit, tells how they ended.

        One at the base was committed, one after it was not. One before it stays in doubt: this node has missed the
        base, and what it says of this unit says nothing of the others that the transaction wrote.
        """
        for write in writes:
            earlier = self._locks.get(write.unit)
            if earlier is not None and earlier != version and earlier >= write.base:
                if log:
                    self._append(Ended(earlier, earlier == write.base))
                self._end(earlier, earlier == write.base)

    def _hold(self, version: int, prepared: _Prepared) -> None:
        self._prepared[version] = prepared
        for write in prepared.writes:
            self._locks[write.unit] = version

    def _vote(self, version: int) -> None:
        digests: list[tuple[str, int | None]] = []
        prepared = self._prepared[version]
        for write in prepared.writes:
            unit = self.units.get(write.unit) or Unit()
            if unit.fits(write):
                if write.unit not in prepared.digests:
                    prepared.digests[write.unit] = unit.digest_with(write, version)
                digests.append((write.unit, prepared.digests[write.unit]))
            else:
                digests.append((write.unit, None))
        self._tell_coordinator(Vote(version, True, tuple(digests)))

    def _on_outcome(self, source: int, stamp: int, message: Outcome) -> None:
        version = message.version
        held = self._prepared.get(version)
        if held is None or not held.durable:
            # Of what is not prepared here only a commit needs an answer, given once already: the coordinator missed it.
            if message.commit and held is None and source == COORDINATOR:
                self._sync(partial(self._tell_coordinator, Acknowledged(version, self.epoch, ())))
            elif held is not None and not message.commit:
                self._append(Ended(version, False))
                self._end(version, False)
            return
        self._end(version, message.commit)
        if message.commit:
            self._force(Ended(version, True), partial(self._acknowledge, version, held))
        else:
            self._append(Ended(version, False))

    def _acknowledge(self, version: int, held: _Prepared) -> None:
        units = self._whole([write.unit for write in held.writes])
        self._tell_coordinator(Acknowledged(version, self.epoch, units))

    def _end(self, version: int, commit: bool) -> None:
        """Let a transaction go, with its writes applied or forgotten; remember how, for peers that ask."""
        self._ended[version] = commit
        prepared = self._prepared.pop(version, None)
        if prepared is None:
            return
        for write in prepared.writes:
            if self._locks.get(write.unit) == version:
                del self._locks[write.unit]
            if commit:
                self.units.setdefault(write.unit, Unit()).apply(write, version, prepared.digests.get(write.unit))

    # ---- in doubt ----

    def _inquire(self, version: int, prepared: _Prepared) -> None:
        self._tell_coordinator(Inquire(version, tuple(write.unit for write in prepared.writes)))
        if self._silence >= self._timing.peers_ticks:
            for peer in prepared.peers:
                if peer != self.number:
                    self._send(peer, InquirePeer(version))

    def _on_inquire_peer(self, source: int, stamp: int, message: InquirePeer) -> None:
        version = message.version
        if version in self._ended:
            self._send(source, Outcome(version, self._ended[version]))
        elif self._may_promise(version):
            # Never seen, so not voted for: it cannot have been committed, and will not be, once this is durable.
            self._ended[version] = False
            self._force(Ended(version, False), partial(self._send, source, Outcome(version, False)))

    def _may_promise(self, version: int) -> bool:
        """Whether this node would know if it had voted for it: not before it was born, nor of what is settled."""
        return (
            version not in self._prepared
            and self.born is not None
            and version >> EPOCH_SHIFT >= self.born
            and version > self.settled_version
        )

    # ---- membership ----

    def _hello(self) -> None:
        self._tell_coordinator(Hello(self.born is None))

    def _on_ping(self, source: int, stamp: int, message: Ping) -> None:
        self._tell_coordinator(Pong())
        if message.settled > self.settled_version:
            self.settled_version = message.settled
            for version in [version for version in self._ended if version <= message.settled]:
                del self._ended[version]

    def _on_welcome(self, source: int, stamp: int, message: Welcome) -> None:
        if message.incarnation == self.incarnation:
            self._welcome = True

    def _on_compare(self, source: int, stamp: int, message: Compare) -> None:
        answer = partial(self._send_sums, message.token)
        if self.born is not None:
            answer()
        elif message.fresh == self.incarnation:
            self.born = stamp
            self._force(Born(stamp), answer)
        else:
            self._hello()

    def _send_sums(self, token: int) -> None:
        # A transaction that ends later may make a unit of nothing: its bucket is not like one without it.
        writes = (write for prepared in self._prepared.values() for write in prepared.writes)
        held = self._held() + [(write.unit, 0, 0) for write in writes if write.unit not in self.units]
        self._tell_coordinator(Sums(token, bucket_sums(held, self._buckets)))

    def _on_enumerate(self, source: int, stamp: int, message: Enumerate) -> None:
        wanted = set(message.buckets)
        found = [one for one in self._held() if bucket_of(one[0], self._buckets) in wanted]
        for version, prepared in self._prepared.items():
            found += [
                self._promised(version, write, durable=prepared.durable)
                for write in prepared.writes
                if bucket_of(write.unit, self._buckets) in wanted
            ]
        self._tell_coordinator(Held(message.token, tuple(found)))

    def _promised(self, version: int, write: UnitWrite, *, durable: bool) -> tuple[str, int, int]:
        """Give a unit as it will be if a transaction commits; where that is not whole, only that something is there."""
        unit = self.units.get(write.unit) or Unit()
        if durable and unit.fits(write):
            return write.unit, version, unit.digest_with(write, version)
        return write.unit, 0, 0

    def _held(self) -> list[tuple[str, int, int]]:
        """Units as they are here; of one that is not whole only that something is there."""
        return [
            (name, unit.version, unit.digest) if unit.complete else (name, 0, 0) for name, unit in self.units.items()
        ]

    # ---- moving units ----

    def _on_transfer(self, source: int, stamp: int, message: Transfer) -> None:
        copies = []
        for name, version in message.units:
            entries = self._entries(name, version)
            if entries is not None:
                copies.append(copy_of(name, version, entries))
        if copies:
            self._send(message.target, Copies(tuple(copies)), stamp)

    def _on_copies(self, source: int, stamp: int, message: Copies) -> None:
        sound = tuple(copy for copy in message.units if _is_sound(copy))
        useful = tuple(copy for copy in sound if self.units.setdefault(copy.unit, Unit()).merge(copy))
        names = [copy.unit for copy in useful]
        size = sum(len(value) for copy in useful for _, _, value in copy.entries)
        if useful:
            self._force(Kept(useful), partial(self._report, names, size))

    def _report(self, names: Sequence[str], size: int) -> None:
        self._tell_coordinator(Received(self.epoch, self._whole(names), size))

    def _whole(self, names: Sequence[str]) -> tuple[tuple[str, int, int], ...]:
        found = [(name, self.units[name]) for name in names if name in self.units]
        return tuple((name, unit.version, unit.digest) for name, unit in found if unit.complete)

    def _on_discard(self, source: int, stamp: int, message: Discard) -> None:
        names = tuple(name for name in message.units if name not in self._locks)
        for name in names:
            self._let_go(name)
        if names:
            self._force(Gone(names), partial(self._tell_coordinator, Discarded(names)))

    def _let_go(self, name: str) -> None:
        unit = self.units.pop(name, None)
        if unit is not None:
            self.let_go_bytes += sum(len(value) for _, value in unit.entries.values())
        self._read_bytes.pop(name, None)
        self._weights.pop(name, None)

    def _on_clear(self, source: int, stamp: int, message: Clear) -> None:
        """Let go of what was dropped; while a transaction on some of it has not ended, only of the rest."""
        found = [name for name in self.units if is_within(name, message.prefixes)]
        waiting = {prefix for prefix in message.prefixes for name in self._locks if is_within(name, (prefix,))}
        names = tuple(name for name in found if name not in self._locks)
        for name in names:
            self._let_go(name)
        self.was_cleared = self.was_cleared or bool(names)
        done = tuple(prefix for prefix in message.prefixes if prefix not in waiting)
        cleared = partial(self._tell_coordinator, Cleared(done))
        if names:
            self._force(Gone(names), cleared)
        elif done:
            self._sync(cleared)

    # ---- weighing ----

    def _on_weigh(self, source: int, stamp: int, message: Weigh) -> None:
        found = []
        for name, unit in self.units.items():
            if unit.complete and block_of(name) is not None:
                known = self._weights.get(name)
                if known is None or known[0] != unit.version:
                    known = self._weights[name] = (unit.version, sum(len(value) for _, value in unit.entries.values()))
                found.append((name, known[1], self._read_bytes.get(name, 0)))
        self._read_bytes = {}
        if len(self._weights) > len(found):
            self._weights = {name: self._weights[name] for name, _, _ in found}
        self._tell_coordinator(Weights(tuple(found)))

    # ---- reading ----

    def _on_ask(self, source: int, stamp: int, message: Ask) -> None:
        results = self._answers(message)
        back = stamp if source >= 0 else None
        if results is None:
            self._send(source, Refuse(message.call, self.number), back)
        elif not message.then or self._all_full(message, results):
            self._send(source, Reply(message.call, tuple(results)), back)
        else:
            self._relay_count += 1
            self._relays[self._relay_count] = _Relay(source, stamp, message.call, results)
            node, reads = message.then[0]
            self._send(node, Ask(self._relay_count, message.kind, message.queries, reads, message.then[1:]), stamp)

    def _all_full(self, message: Ask, results: list[tuple[int, int, str, bytes]]) -> bool:
        """Whether what further nodes would OR to these results could change nothing (source 004, Future Work)."""
        if message.kind == VALUES or message.reads[0].part == WHOLE:
            return False
        full = {(query, part) for query, part, _, value in results if self._algebra.is_full(value)}
        return bool(full) and all((read.query, read.part) in full for _, reads in message.then for read in reads)

    def _on_reply(self, source: int, stamp: int, message: Reply) -> None:
        relay = self._relays.pop(message.call, None)
        if relay is None:
            return
        back = relay.stamp if relay.source >= 0 else None
        try:
            results = combined([*relay.results, *message.results], self._algebra.merge)
        except DamagedValueError:
            self._send(relay.source, Refuse(relay.call, source), back)
        else:
            self._send(relay.source, Reply(relay.call, tuple(results)), back)

    def _on_refuse(self, source: int, stamp: int, message: Refuse) -> None:
        relay = self._relays.pop(message.call, None)
        if relay is not None:
            back = relay.stamp if relay.source >= 0 else None
            self._send(relay.source, Refuse(relay.call, message.node), back)

    def _forget_relays(self) -> None:
        """Let go of calls whose answer will not come; the coordinator asks anew on its own."""
        for call, relay in list(self._relays.items()):
            relay.ticks += 1
            if relay.ticks > self._timing.relay_ticks:
                del self._relays[call]

    def _answers(self, message: Ask) -> list[tuple[int, int, str, bytes]] | None:
        results: list[tuple[int, int, str, bytes]] = []
        for read in message.reads:
            entries = self._entries(read.unit, read.version)
            if entries is None:
                if read.unit not in self.units:
                    self._tell_coordinator(Lacks(self.epoch, (read.unit,)))
                return None
            try:
                results += self._read(message, read, entries)
            except DamagedValueError:
                self._drop_damaged(read.unit)
                return None
        return results if message.kind == VALUES else combined(results, lambda values: self._algebra.answer([values]))

    def _read(self, message: Ask, read: Read, entries: Mapping[int, Entry]) -> list[tuple[int, int, str, bytes]]:
        if read.part == WHOLE:
            answers = [self._whole_answer(message.kind, terms, entries) for terms in message.queries]
            if ":" in read.unit:
                self._count_read(read.unit, message.queries, entries)
            return [(read.query, WHOLE, read.unit, pack(answers))]
        vectors = _within(entries, message.queries[read.query][read.part])
        if message.kind == VALUES:
            return [(read.query, read.part, "", named(vector, entries[vector][1])) for vector in vectors]
        return [(read.query, read.part, "", entries[vector][1]) for vector in vectors]

    def _whole_answer(self, kind: int, terms: Terms, entries: Mapping[int, Entry]) -> bytes:
        if kind == VALUES:
            return pack([named(vector, entries[vector][1]) for term in terms for vector in _within(entries, term)])
        values = [_values(entries, term) for term in terms]
        return self._algebra.count(values) if kind == COUNT else self._algebra.answer(values)

    def _count_read(self, name: str, queries: tuple[Terms, ...], entries: Mapping[int, Entry]) -> None:
        """Count the bytes that a block's queries went over: half a block has half of it to do."""
        size = sum(len(value) for terms in queries for term in terms for value in _values(entries, term))
        self._read_bytes[name] = self._read_bytes.get(name, 0) + size

    def _drop_damaged(self, name: str) -> None:
        """Let a unit go whose values are not what was put, and say so: others have it."""
        if name in self._locks:
            # What is prepared on it rests on what is wrong: a copy comes when that has ended.
            self.units[name].complete = False
        else:
            self.units.pop(name, None)
            self._append(Gone((name,)))
        self._tell_coordinator(Lacks(self.epoch, (name,)))

    def _entries(self, name: str, version: int) -> Mapping[int, Entry] | None:
        """Entries of a unit at exactly a version. Who asks for a version knows that it was committed."""
        unit = self.units.get(name)
        if unit is not None:
            found = unit.at(version)
            if found is not None:
                return found
        prepared = self._prepared.get(version)
        if prepared is not None and self._locks.get(name) == version:
            write = next(write for write in prepared.writes if write.unit == name)
            unit = unit or Unit()
            if prepared.durable and unit.fits(write):
                return unit.entries_with(write, version)
        return None

    # ---- sending ----

    def _listens_to(self, stamp: int, message: Any) -> bool:
        """Answers to one's own questions are welcome from any time: they name what they answer."""
        return type(message) in _TIMELESS

    def _tell_coordinator(self, message: Any) -> None:
        self._effects.append(Send(COORDINATOR, self.incarnation, message))

    def _send(self, target: int, message: Any, stamp: int | None = None) -> None:
        if target == COORDINATOR:
            self._tell_coordinator(message)
        else:
            self._effects.append(Send(target, self.epoch if stamp is None else stamp, message))


def bucket_of(unit: str, buckets: int) -> int:
    """Give the bucket of a unit."""
    return point(unit) % buckets


def bucket_sums(held: Iterable[tuple[str, int, int]], buckets: int) -> tuple[int, ...]:
    """Sum (unit, version, digest) by bucket: equal sums, equal holdings.

    >>> bucket_sums([("a", 1, 2)], 2) == bucket_sums([("a", 1, 2)], 2) != bucket_sums([("a", 1, 3)], 2)
    True
    """
    sums = [0] * buckets
    for name, version, digest in held:
        place = point(name)
        sums[place % buckets] += digest_of(place, version, digest.to_bytes(8, "little"))
    return tuple(one & _MASK for one in sums)


def combined(
    results: list[tuple[int, int, str, bytes]], unite: Callable[[Sequence[bytes]], bytes]
) -> list[tuple[int, int, str, bytes]]:
    """OR what has the same query, part and unit."""
    found: dict[tuple[int, int, str], list[bytes]] = {}
    for query, part, unit, value in results:
        found.setdefault((query, part, unit), []).append(value)
    return [
        (query, part, unit, values[0] if len(values) == 1 else unite(values))
        for (query, part, unit), values in found.items()
    ]


def named(vector: int, value: bytes) -> bytes:
    """Put a vector's number before its value."""
    return vector.to_bytes(8, "little", signed=True) + value


def _within(entries: Mapping[int, Entry], term: Term) -> list[int]:
    """The vectors of a term that there are."""
    found: list[int] = []
    for first, last in term:
        if last - first < len(entries):
            found += [vector for vector in range(first, last + 1) if vector in entries]
        else:
            found += [vector for vector in entries if first <= vector <= last]
    return found if len(term) == 1 else list(dict.fromkeys(found))


def _values(entries: Mapping[int, Entry], term: Term) -> list[bytes]:
    """The values of a term; most terms are one range."""
    if len(term) == 1:
        first, last = term[0]
        if last - first < len(entries):
            return [entries[vector][1] for vector in range(first, last + 1) if vector in entries]
    return [entries[vector][1] for vector in _within(entries, term)]


def _is_sound(copy: UnitCopy) -> bool:
    """Whether the values are those that the digest was made of."""
    return sum(digest_of(vector, version, value) for vector, version, value in copy.entries) & _MASK == copy.digest


_TIMELESS = frozenset({Outcome, Reply, Refuse, InquirePeer})
_HANDLERS: dict[type[Any], Callable[..., None]] = {
    Prepare: Node._on_prepare,
    Reshape: Node._on_reshape,
    Weigh: Node._on_weigh,
    Outcome: Node._on_outcome,
    InquirePeer: Node._on_inquire_peer,
    Ping: Node._on_ping,
    Welcome: Node._on_welcome,
    Compare: Node._on_compare,
    Enumerate: Node._on_enumerate,
    Transfer: Node._on_transfer,
    Copies: Node._on_copies,
    Discard: Node._on_discard,
    Clear: Node._on_clear,
    Ask: Node._on_ask,
    Reply: Node._on_reply,
    Refuse: Node._on_refuse,
}
_REPLAY: dict[type[Any], Callable[..., None]] = {
    Prepared: Node._replay_prepared,
    Ended: Node._replay_ended,
    Kept: Node._replay_kept,
    Partial: Node._replay_partial,
    Gone: Node._replay_gone,
    Seen: Node._replay_seen,
    Born: Node._replay_born,
}
