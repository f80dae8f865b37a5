"""Machines with a mistake in them, to show that the simulator finds such mistakes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any, ClassVar, NamedTuple

from esker.cluster.coordinator import Coordinator
from esker.cluster.directory import Directory
from esker.cluster.messages import Put
from esker.cluster.node import Node
from esker.cluster.puts import Puts
from esker.cluster.reads import ActiveQuery, Reads
from esker.cluster.records import Record
from esker.cluster.reshapes import Change, Reshapes


class Planted(NamedTuple):
    """A mistake: the classes to run with."""

    node_class: type[Node] = Node
    coordinator_class: type[Coordinator] = Coordinator


class _OtherPart(Coordinator):
    """A coordinator one part of which is of another class."""

    part: ClassVar[str]
    other: ClassVar[type]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        getattr(self, self.part).__class__ = self.other


class _HastyNode(Node):
    """Says what it promises before the disk has it."""

    def _force(self, record: Record, then: Callable[[], None]) -> None:
        self._append(record)
        then()


class _HastyCoordinator(Coordinator):
    """Tells of commits before the disk has them."""

    def force(self, record: Record, then: Callable[[], None]) -> None:
        self._append(record)
        then()


class _CredulousNode(Node):
    """Listens to any epoch."""

    def _listens_to(self, stamp: int, message: Any) -> bool:
        return True


class _ForgetfulPuts(Puts):
    """Does a put again when it comes again."""

    def begin(self, client: int, put: Put) -> None:
        self.sessions.pop(client, None)
        super().begin(client, put)


class _TrustingPuts(Puts):
    """Takes a put of a session that was forgotten for a new one."""

    def _refuse(self, client: int, put: Put) -> bool:
        return False


class _TrustingCoordinator(_OtherPart):
    """Refuses no session."""

    part, other = "puts", _TrustingPuts


class _ForgetfulCoordinator(_OtherPart):
    """Has no memory of what clients had done."""

    part, other = "puts", _ForgetfulPuts


class _CarelessReader(Node):
    """Reads whatever version of a unit it has."""

    def _entries(self, name: str, version: int) -> Any:
        unit = self.units.get(name)
        return super()._entries(name, version) if unit is None else unit.entries


class _StaleMapReads(Reads):
    """Goes on asking the blocks that there were when an index was first asked."""

    def _units(self, name: str) -> Iterable[str]:
        found: Iterable[str] = self.__dict__.setdefault(name, super()._units(name))
        return found

    def _retired(self, query: ActiveQuery) -> list[str]:
        return []


class _StaleMapCoordinator(_OtherPart):
    """Has the old block answer after it was divided."""

    part, other = "reads", _StaleMapReads


class _UncheckedDirectory(Directory):
    """Takes a block for one that is written, whatever became of it."""

    def moved(self, names: Iterable[str]) -> list[str]:
        return []


class _UncheckedCoordinator(_OtherPart):
    """Puts into blocks that became others."""

    part, other = "directory", _UncheckedDirectory


class _TimelessReshapes(Reshapes):
    """Divides and joins blocks within an epoch."""

    def _may_be_discarded(self, change: Change) -> bool:
        return False


class _TimelessCoordinator(_OtherPart):
    """Begins no epoch for changes of blocks."""

    part, other = "reshapes", _TimelessReshapes

    def begin_epoch(self) -> None:
        self.reshapes.begin_epoch()


class _AdoptingCoordinator(Coordinator):
    """Takes what a node brings back for something that it had missed."""

    def _welcome(self, node: int, greeting: Any, held: tuple[tuple[str, int, int], ...]) -> None:
        for name, version, digest in held:
            if name not in self.directory.units and version:
                self.directory.restored(name, version, digest)
        super()._welcome(node, greeting, held)


class _TimelessDropCoordinator(Coordinator):
    """Has nodes let go of what was dropped within the epoch in which copies of it are on their way."""

    def drop(self, prefixes: Collection[str]) -> None:
        self.directory.drop(prefixes)
        self.reshapes.dropped(prefixes)
        for node in self.directory.ring.nodes:
            self._clears.setdefault(node, set()).update(prefixes)


class _UnguardedPuts(Puts):
    """Puts to an index, whatever became of it."""

    def _changed(self, put: Put) -> tuple[str, ...]:
        return ()


class _UnguardedCoordinator(_OtherPart):
    """Looks at no guard."""

    part, other = "puts", _UnguardedPuts


class _HastyDropPuts(Puts):
    """Drops what has commits that a restart says again."""

    def _may_drop(self, put: Put, taken: Collection[str]) -> bool:
        return True


class _HastyDropCoordinator(_OtherPart):
    """Does not wait before it drops."""

    part, other = "puts", _HastyDropPuts


class _HalfDirectory(Directory):
    """Drops half of an index."""

    def remove(self, names: Collection[str]) -> None:
        super().remove(sorted(names)[::2])


class _HalfCoordinator(_OtherPart):
    """Drops half of an index."""

    part, other = "directory", _HalfDirectory


PLANTED = {
    "missing_force_at_nodes": Planted(node_class=_HastyNode),
    "missing_force_at_coordinator": Planted(coordinator_class=_HastyCoordinator),
    "missing_epoch_check": Planted(node_class=_CredulousNode),
    "missing_dedupe": Planted(coordinator_class=_ForgetfulCoordinator),
    "missing_refusal": Planted(coordinator_class=_TrustingCoordinator),
    "missing_version_check": Planted(node_class=_CarelessReader),
    "old_block_answers": Planted(coordinator_class=_StaleMapCoordinator),
    "old_block_is_written": Planted(coordinator_class=_UncheckedCoordinator),
    "no_epoch_for_changes": Planted(coordinator_class=_TimelessCoordinator),
    "rejoin_brings_back": Planted(coordinator_class=_AdoptingCoordinator),
    "no_epoch_for_drops": Planted(coordinator_class=_TimelessDropCoordinator),
    "dropped_index_is_written": Planted(coordinator_class=_UnguardedCoordinator),
    "drop_before_the_end_of_commits": Planted(coordinator_class=_HastyDropCoordinator),
    "half_a_drop": Planted(coordinator_class=_HalfCoordinator),
}
