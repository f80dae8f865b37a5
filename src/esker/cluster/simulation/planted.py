"""Machines with a mistake in them, to show that the simulator finds such mistakes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from esker.cluster.coordinator import Coordinator
from esker.cluster.machine import Algebra
from esker.cluster.messages import Put
from esker.cluster.node import Node
from esker.cluster.plan import Planner
from esker.cluster.puts import Puts
from esker.cluster.records import Record


class Planted(NamedTuple):
    """A mistake: the classes to run with."""

    node_class: type[Node] = Node
    coordinator_class: type[Coordinator] = Coordinator


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


class _ForgetfulCoordinator(Coordinator):
    """Has no memory of what clients had done."""

    def __init__(
        self,
        planner: Planner,
        algebra: Algebra,
        chance: Callable[[int], int],
        records: Any = (),
        **options: Any,
    ) -> None:
        super().__init__(planner, algebra, chance, records, **options)
        self.puts.__class__ = _ForgetfulPuts


class _CarelessReader(Node):
    """Reads whatever version of a unit it has."""

    def _entries(self, name: str, version: int) -> Any:
        unit = self.units.get(name)
        return super()._entries(name, version) if unit is None else unit.entries


PLANTED = {
    "missing_force_at_nodes": Planted(node_class=_HastyNode),
    "missing_force_at_coordinator": Planted(coordinator_class=_HastyCoordinator),
    "missing_epoch_check": Planted(node_class=_CredulousNode),
    "missing_dedupe": Planted(coordinator_class=_ForgetfulCoordinator),
    "missing_version_check": Planted(node_class=_CarelessReader),
}
