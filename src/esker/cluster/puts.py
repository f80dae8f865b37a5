"""Puts at the coordinator: two-phase commit with presumed abort, one put at a time on each unit."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
from functools import partial
from typing import TYPE_CHECKING

from esker.cluster.blocks import is_within
from esker.cluster.messages import (
    CHANGED,
    COORDINATOR,
    EPOCH_SHIFT,
    FORGOTTEN,
    Acknowledged,
    Done,
    Failed,
    Inquire,
    Outcome,
    Prepare,
    Put,
    Reshape,
    UnitWrite,
    Vote,
)
from esker.cluster.records import Decided, Dropped, Settled
from esker.cluster.sessions import Sessions

if TYPE_CHECKING:
    from esker.cluster.coordinator import Coordinator
    from esker.cluster.directory import Directory
    from esker.cluster.reshapes import Change


class ActivePut:
    """A put that is being prepared, or whose commit is on its way to the disk."""

    __slots__ = ("client", "deciding", "participants", "put", "ticks", "units", "version", "votes")

    def __init__(self, version: int, client: int, put: Put, units: set[str]) -> None:
        self.version = version
        self.client = client
        self.put = put
        self.units = units
        self.participants: dict[int, tuple[UnitWrite, ...]] = {}
        self.votes: dict[int, tuple[int, dict[str, int | None]]] = {}
        self.deciding = False
        self.ticks = 0

    @property
    def everywhere(self) -> set[str]:
        """Units of which every node that has them, or should, must take part."""
        return self.units

    def words(self, node: int) -> Prepare | Reshape:
        """What a participant is to prepare."""
        return Prepare(self.version, tuple(self.participants), self.participants[node])


class ActiveChange(ActivePut):
    """A division or union of blocks that is being prepared; nobody's put, numbered by its version."""

    __slots__ = ("change", "sources", "targets")

    def __init__(self, version: int, change: Change, directory: Directory) -> None:
        super().__init__(version, COORDINATOR, Put(version, ()), {*change.sources, *change.targets})
        self.change = change
        placed = [(name, directory[name]) for name in (*change.sources, *change.targets)]
        states = tuple((name, one.version, one.digest) for name, one in placed)
        self.sources, self.targets = states[: len(change.sources)], states[len(change.sources) :]
        self.participants = dict.fromkeys(sorted(placed[0][1].copies), ())

    @property
    def everywhere(self) -> set[str]:
        return set(self.change.sources)

    def words(self, node: int) -> Prepare | Reshape:
        return Reshape(self.version, tuple(self.participants), self.sources, self.targets)


class Puts:
    """Puts that wait, are under way, or are decided and not yet acknowledged by all.

    A put is aborted when a participant is dropped or votes no, and begins again with a new version. What is decided is
    repeated until every participant has it or is gone. `busy` are the units of puts under way.
    """

    def __init__(self, coordinator: Coordinator, sessions: Sessions) -> None:
        self._coordinator = coordinator
        self.active: dict[int, ActivePut] = {}
        self.busy: set[str] = set()
        self.sessions = sessions
        self.unacknowledged: dict[int, set[int]] = {}
        self._dropped: dict[int, tuple[str, ...]] = {}
        self._records: dict[int, Decided] = {}
        self._waiting: deque[tuple[int, Put]] = deque()
        self._lost_ticks: dict[tuple[int, int], int] = {}
        self._count = 0

    # ---- a client's put ----

    def begin(self, client: int, put: Put) -> None:
        """Take a put, unless it is done, under way or waiting."""
        if put.sequence <= self.sessions.get(client, 0):
            self._coordinator.tell(client, Done(put.sequence))
            return
        if self._refuse(client, put):
            return
        known = (client, put.sequence)
        if any((one.client, one.put.sequence) == known for one in self.active.values()):
            return
        if any(waiter == client and waiting.sequence >= put.sequence for waiter, waiting in self._waiting):
            return
        self._give_up_before(client)
        self._waiting.append((client, put))
        self.start_waiting()

    def _give_up_before(self, client: int) -> None:
        """Let go of what a client waited for: it has gone on to something else."""
        for one in [one for one in self._waiting if one[0] == client]:
            self._waiting.remove(one)
            self._lost_ticks.pop((client, one[1].sequence), None)

    def start_waiting(self) -> None:
        """Start what can start, in the order of coming where puts share a unit."""
        if not self._waiting or len(self._coordinator.directory.ring) < self._coordinator.copies:
            return
        taken = self.busy | self._coordinator.reshapes.reserved
        guarded = {unit for one in self.active.values() for unit, _ in one.put.guards}
        dropping = {prefix for one in self.active.values() for prefix in one.put.drops}
        left: deque[tuple[int, Put]] = deque()
        waiting, self._waiting = self._waiting, left
        for client, put in waiting:
            units = {write.unit for write in put.writes}
            if put.sequence <= self.sessions.get(client, 0):
                # A client gave up on it and had a later one done.
                continue
            if self._refuse(client, put):
                continue
            guards = {unit for unit, _ in put.guards}
            free = taken.isdisjoint(units) and taken.isdisjoint(guards) and guarded.isdisjoint(units)
            if dropping and any(is_within(unit, dropping) for unit in units):
                free = False
            if not (free and self._may_drop(put, taken) and self._start(client, put, units)):
                left.append((client, put))
            taken |= units
            guarded |= guards

    def _may_drop(self, put: Put, taken: Collection[str]) -> bool:
        """Whether nothing that a put drops is being written, or has a commit that a restart would say again."""
        if not put.drops:
            return True
        decided = [name for record in self._records.values() for name, _ in record.units]
        return not any(is_within(name, put.drops) for name in (*taken, *decided))

    def is_dropping(self, unit: str) -> bool:
        """Whether a put is under way that drops a unit."""
        return any(one.put.drops and is_within(unit, one.put.drops) for one in self.active.values())

    def _refuse(self, client: int, put: Put) -> bool:
        """Refuse a put that may have been done, of which nobody knows any more; say whether it was."""
        if not self.sessions.is_forgotten(client):
            return False
        self._coordinator.count("forgotten")
        self._coordinator.tell(client, Failed(put.sequence, FORGOTTEN, (), ()))
        return True

    def _start(self, client: int, put: Put, units: set[str]) -> bool:
        """Send what a put writes to all nodes concerned; False while it is not known who has copies."""
        directory = self._coordinator.directory
        if changed := self._changed(put):
            self._coordinator.tell(client, Failed(put.sequence, CHANGED, changed, ()))
            return True
        if moved := directory.moved(units):
            self._coordinator.tell(client, Failed(put.sequence, "moved", tuple(moved), ()))
            return True
        replaced = {write.unit for write in put.writes if write.whole}
        lost = [name for name in sorted(units - replaced) if directory[name].version and not directory[name].copies]
        if lost:
            known = (client, put.sequence)
            if self._coordinator.search(lost) or self._lost_ticks.get(known, 0) < self._coordinator.timing.lost_ticks:
                self._lost_ticks.setdefault(known, 0)
                return False
            del self._lost_ticks[known]
            nodes = self._coordinator.lost_nodes(lost)
            self._coordinator.tell(client, Failed(put.sequence, "lost", tuple(lost), nodes))
            return True
        self._lost_ticks.pop((client, put.sequence), None)
        if self._may_be_discarded(units):
            self._coordinator.begin_epoch()
            return False
        one = ActivePut(self._next_version(), client, put, units)
        one.participants = self._divide(put)
        self._begin(one)
        return True

    def _changed(self, put: Put) -> tuple[str, ...]:
        """Name the guards of a put that are not at the versions that it was made for."""
        units = self._coordinator.directory.units
        return tuple(unit for unit, version in put.guards if (units[unit].version if unit in units else 0) != version)

    def _may_be_discarded(self, units: Iterable[str]) -> bool:
        """Whether a node may yet hear, in this epoch, to discard a unit that was forgotten and is put again."""
        placed = [(name, self._coordinator.directory[name]) for name in sorted(units)]
        return any(
            self._coordinator.was_told_to_discard(node, name)
            for name, one in placed
            if not one.version
            for node in one.wanted
        )

    def begin_change(self, change: Change) -> None:
        """Have blocks divided or joined by the nodes that have them; nothing else is under way on them."""
        self._begin(ActiveChange(self._next_version(), change, self._coordinator.directory))

    def _next_version(self) -> int:
        self._count += 1
        return self._coordinator.epoch << EPOCH_SHIFT | self._count

    def _begin(self, one: ActivePut) -> None:
        self.active[one.version] = one
        self.busy |= one.units
        for node in one.participants:
            self._prepare(one, node)

    def _divide(self, put: Put) -> dict[int, tuple[UnitWrite, ...]]:
        """Give each node what it has to write: those that should have a unit, and all that have it whole."""
        entries: dict[str, list[tuple[int, bytes]]] = {}
        whole: dict[str, bool] = {}
        for write in put.writes:
            entries.setdefault(write.unit, []).append((write.vector, write.value))
            whole[write.unit] = whole.get(write.unit, False) or write.whole
        divided: dict[int, list[UnitWrite]] = {}
        for name, written in entries.items():
            placed = self._coordinator.directory[name]
            unit_write = UnitWrite(name, placed.version, placed.digest, whole[name], tuple(written))
            for node in placed.copies.union(placed.wanted):
                divided.setdefault(node, []).append(unit_write)
        return {node: tuple(writes) for node, writes in sorted(divided.items())}

    def _prepare(self, one: ActivePut, node: int) -> None:
        self._coordinator.tell(node, one.words(node))

    # ---- votes and decision ----

    def on_vote(self, node: int, incarnation: int, vote: Vote) -> None:
        """Take a vote; with the last yes the put is decided."""
        one = self.active.get(vote.version)
        if one is None or one.deciding or node not in one.participants:
            return
        if not vote.yes:
            self._abort(one)
            return
        one.votes[node] = (incarnation, dict(vote.digests))
        for name, digest in vote.digests:
            if digest is None and node in self._coordinator.directory[name].copies:
                # It was thought to have this whole and says that it has not: it gets a copy.
                self._coordinator.directory.lost(node, name)
        self._decide_if_all_voted(one)

    def _decide_if_all_voted(self, one: ActivePut) -> None:
        if all(self._has_voted(one, participant) for participant in one.participants):
            self._decide(one)

    def _has_voted(self, one: ActivePut, node: int) -> bool:
        vote = one.votes.get(node)
        return vote is not None and vote[0] == self._coordinator.incarnations.get(node)

    def _decide(self, one: ActivePut) -> None:
        if not self._has_all_holders(one):
            # The ring changed, or a copy was found: a commit without them would be on fewer nodes than it should.
            self._abort(one)
            return
        units = []
        for name in sorted(one.units):
            digests = {vote[1].get(name) for vote in one.votes.values()} - {None}
            if len(digests) > 1:
                self._coordinator.count("diverged")
            if not digests:
                self._abort(one)
                return
            units.append((name, min(digest for digest in digests if digest is not None)))
        one.deciding = True
        record = Decided(one.version, one.client, one.put.sequence, tuple(one.participants), tuple(units))
        if one.put.drops:
            self._coordinator.append(Dropped(one.version, one.put.drops))
        self._coordinator.force(record, partial(self._on_decided, one, record))

    def _has_all_holders(self, one: ActivePut) -> bool:
        units = [self._coordinator.directory[name] for name in one.everywhere]
        return all(one.participants.keys() >= placed.copies.union(placed.wanted) for placed in units)

    def _on_decided(self, one: ActivePut, record: Decided) -> None:
        coordinator = self._coordinator
        coordinator.count("commits")
        for name, digest in record.units:
            whole = [node for node in one.participants if self._is_whole(one, node, name, digest)]
            coordinator.directory.committed(name, one.version, digest, whole)
        self._remember(record, [node for node in one.participants if node in coordinator.directory.ring])
        if one.put.drops:
            coordinator.drop(one.put.drops)
        if isinstance(one, ActiveChange):
            coordinator.reshapes.ended(one.change, committed=True)
        else:
            self.sessions.enter(one.client, one.put.sequence)
            coordinator.tell(one.client, Done(one.put.sequence))
        for node in one.participants:
            coordinator.tell(node, Outcome(one.version, True))
        self._end(one)

    def _is_whole(self, one: ActivePut, node: int, name: str, digest: int) -> bool:
        return self._has_voted(one, node) and one.votes[node][1].get(name) == digest

    def _abort(self, one: ActivePut) -> None:
        """Let all forget it, and have it begin again at the next tick; nothing is written: absence says abort."""
        self._coordinator.count("aborts")
        for node in one.participants:
            self._coordinator.tell(node, Outcome(one.version, False))
        del self.active[one.version]
        self.busy -= one.units
        if isinstance(one, ActiveChange):
            self._coordinator.reshapes.ended(one.change, committed=False)
        else:
            self._waiting.appendleft((one.client, one.put))

    def _end(self, one: ActivePut) -> None:
        del self.active[one.version]
        self.busy -= one.units
        self._coordinator.reshapes.start()
        self.start_waiting()

    # ---- after the decision ----

    def on_acknowledged(self, node: int, message: Acknowledged) -> None:
        """Learn that a node has a commit durably."""
        left = self.unacknowledged.get(message.version)
        if left is not None:
            left.discard(node)
            self._settle(message.version)

    def on_inquire(self, node: int, message: Inquire) -> None:
        """Say how a transaction ended: one that is neither remembered nor the last of its units was aborted."""
        version = message.version
        if version in self.active:
            return
        units = self._coordinator.directory.units
        commit = version in self.unacknowledged or any(
            units[name].version == version for name in message.units if name in units
        )
        self._coordinator.tell(node, Outcome(version, commit))

    def left(self, nodes: Collection[int]) -> None:
        """Learn that nodes are off the ring: what waits for their votes begins again."""
        for one in list(self.active.values()):
            if not one.deciding and not one.participants.keys().isdisjoint(nodes):
                self._abort(one)
        for version in list(self.unacknowledged):
            self.unacknowledged[version].difference_update(nodes)
            self._settle(version)
        self.start_waiting()

    def settled_version(self) -> int:
        """Give the version up to which every outcome is known to all that could ask."""
        open_versions = [*self.active, *self.unacknowledged]
        return min(open_versions) - 1 if open_versions else self._coordinator.epoch << EPOCH_SHIFT | self._count

    def tick(self) -> None:
        """Say again what was not answered; begin again what was aborted."""
        repeat = self._coordinator.timing.repeat_ticks
        for one in list(self.active.values()):
            one.ticks += 1
            if not one.deciding and one.ticks % repeat == 0:
                for node in one.participants:
                    if not self._has_voted(one, node):
                        self._prepare(one, node)
                # A vote may count again that did not when it came: its node was being compared with.
                self._decide_if_all_voted(one)
        for version, nodes in self.unacknowledged.items():
            for node in nodes:
                self._coordinator.tell(node, Outcome(version, True))
        for known in self._lost_ticks:
            self._lost_ticks[known] += 1
        self.start_waiting()

    def _remember(self, record: Decided, nodes: Iterable[int]) -> None:
        self.unacknowledged[record.version] = set(nodes)
        self._records[record.version] = record
        self._settle(record.version)

    def _settle(self, version: int) -> None:
        if not self.unacknowledged[version]:
            del self.unacknowledged[version]
            self._records.pop(version, None)
            self._coordinator.append(Settled(version))

    # ---- recovery ----

    def replay(self, record: Decided) -> None:
        """Take a decision from the log."""
        for name, digest in record.units:
            self._coordinator.directory.restored(name, record.version, digest)
        if prefixes := self._dropped.pop(record.version, ()):
            self._coordinator.directory.drop(prefixes)
        if record.client != COORDINATOR:
            self.restore_sessions([(record.client, record.sequence)])
        self.unacknowledged[record.version] = set(record.participants)
        self._records[record.version] = record

    def replay_settled(self, record: Settled) -> None:
        """Take from the log that a decision need not be remembered."""
        self.unacknowledged.pop(record.version, None)
        self._records.pop(record.version, None)

    def replay_dropped(self, record: Dropped) -> None:
        """Take from the log what is dropped with a decision, if that comes."""
        self._dropped = {record.version: record.prefixes}

    def restore_sessions(self, sessions: Iterable[tuple[int, int]]) -> None:
        """Take what clients had done from the log."""
        for client, sequence in sessions:
            self.sessions.enter(client, sequence)

    def decided(self) -> Collection[Decided]:
        """Give the decisions that not all participants have acknowledged."""
        return self._records.values()

    def unacknowledged_records(self) -> list[Decided]:
        """Give the decisions that must not be forgotten, in order."""
        return [self._records[version] for version in sorted(self.unacknowledged)]
