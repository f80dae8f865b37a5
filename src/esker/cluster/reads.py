"""Queries at the coordinator: a snapshot, a plan, and what is asked again when a node is slow, gone or refuses."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING

from esker.cluster.blocks import asked_blocks
from esker.cluster.codec import pack
from esker.cluster.machine import Algebra
from esker.cluster.messages import COUNT, EPOCH_SHIFT, VALUES, Answer, Ask, Failed, Query, Read, Refuse, Reply
from esker.cluster.plan import EVERY, WHOLE, Call, Need, Planner, Situation
from esker.cluster.planners import PLANNERS
from esker.errors import DamagedValueError

if TYPE_CHECKING:
    from esker.cluster.coordinator import Coordinator

_REFUSALS_AT_ONCE = 3


class ActiveQuery:
    """A batch of queries that is being answered, as of the unit versions in `snapshot`."""

    __slots__ = ("client", "guards", "lost_ticks", "needs", "open", "query", "refusals", "results", "snapshot")

    def __init__(self, client: int, query: Query) -> None:
        self.client = client
        self.query = query
        self.needs: list[Need] = []
        self.refusals = 0
        self.lost_ticks = 0
        self.snapshot: dict[str, int] = {}
        self.guards: dict[str, int] = {}
        self.open: set[Need] = set()
        self.results: dict[tuple[int, int, str], list[bytes]] = {}


class ActiveCall:
    """A call that is under way."""

    __slots__ = ("needs", "nodes", "query", "ticks")

    def __init__(self, query: ActiveQuery, call: Call) -> None:
        self.query = query
        self.nodes = tuple(step.node for step in call)
        self.needs = [need for step in call for need in step.needs]
        self.ticks = 0


class Reads:
    """Queries under way.

    A query reads every unit at one version, the last that was committed when it began, so that it sees all of a put or
    nothing. A node that has not just that version refuses; then the query begins again with a new snapshot.
    """

    def __init__(
        self, coordinator: Coordinator, planner: Planner, algebra: Algebra, chance: Callable[[int], int]
    ) -> None:
        self._coordinator = coordinator
        self._planner = planner
        self._algebra = algebra
        self._chance = chance
        self._queries: dict[tuple[int, int], ActiveQuery] = {}
        self._calls: dict[int, ActiveCall] = {}
        self._load: dict[int, float] = {}
        self._count = 0

    def begin(self, client: int, query: Query) -> None:
        """Take a batch, unless it is under way."""
        key = (client, query.number)
        if key not in self._queries:
            self._queries[key] = ActiveQuery(client, query)
            self._start(self._queries[key])

    def plan_waiting(self) -> None:
        """Plan what could not be planned before."""
        for query in list(self._queries.values()):
            if not query.open:
                self._start(query)

    def tick(self) -> None:
        """Ask others where a call takes long (a hedged read), and begin again what was refused too often."""
        late: list[tuple[int, ActiveCall]] = []
        for number, call in self._calls.items():
            call.ticks += 1
            if call.ticks % self._coordinator.timing.hedge_ticks == 0:
                late.append((number, call))
        for number, call in late:
            if number in self._calls:
                self._hedge(call, frozenset(call.nodes))
        for query in self._queries.values():
            if not query.open:
                query.lost_ticks += 1
        self.plan_waiting()

    def hedge_calls_of(self, nodes: Collection[int]) -> None:
        """Ask others for what these nodes were asked."""
        for number, call in list(self._calls.items()):
            if number in self._calls and not set(call.nodes).isdisjoint(nodes):
                self._hedge(call, frozenset(nodes))

    # ---- answers ----

    def on_reply(self, node: int, message: Reply) -> None:
        """Take results; with the last of them the query is answered."""
        call = self._calls.pop(message.call, None)
        if call is None:
            return
        self._unload(call)
        query = call.query
        if query.open.isdisjoint(call.needs):
            return
        for number, part, unit, value in message.results:
            query.results.setdefault((number, part, unit), []).append(value)
        query.open.difference_update(call.needs)
        if not query.open:
            try:
                self._answer(query)
            except DamagedValueError:
                # What came is no value: at the next tick it is asked for again.
                self._coordinator.count("damaged answers")
                self._drop_calls(query)

    def on_refuse(self, node: int, message: Refuse) -> None:
        """Begin again with a new snapshot: at once, unless that was in vain before."""
        call = self._calls.get(message.call)
        if call is None:
            return
        self._coordinator.count("refused")
        query = call.query
        query.refusals += 1
        self._drop_calls(query)
        query.open = set()
        if query.refusals <= _REFUSALS_AT_ONCE:
            self._start(query)

    # ---- plans ----

    def _needs(self, query: Query) -> list[Need]:
        if query.units:
            return [Need(EVERY, WHOLE, unit) for name in query.units for unit in self._units(name)]
        needs = [
            Need(number, part, f"{query.prefix}{vector}")
            for number, terms in enumerate(query.queries)
            for part, term in enumerate(terms)
            for first, last in term
            for vector in range(first, last + 1)
        ]
        return list(dict.fromkeys(needs))

    def _units(self, name: str) -> Iterable[str]:
        """The unit of a name, or the blocks that it asks for, as they are now."""
        asked = asked_blocks(name)
        if asked is None:
            return (name,)
        blocks = self._coordinator.directory.maps.get(asked.prefix)
        found = blocks.between(asked.start, asked.stop) if blocks is not None else ()
        return [block.name for block in found] or (name,)

    def _start(self, query: ActiveQuery) -> None:
        units = self._coordinator.directory.units
        if not query.needs or asked_blocks(query.query.units[0] if query.query.units else "") is not None:
            query.needs = self._needs(query.query)
        unknown = sorted({need.unit for need in query.needs if need.unit not in units or not units[need.unit].version})
        if unknown:
            self._fail(query, "unknown", unknown)
            return
        if retired := self._retired(query):
            self._fail(query, "moved", retired)
            return
        lost = sorted({need.unit for need in query.needs if not units[need.unit].copies})
        if lost:
            if not self._coordinator.search(lost) and query.lost_ticks >= self._coordinator.timing.lost_ticks:
                self._fail(query, "lost", lost)
            return
        query.lost_ticks = 0
        query.snapshot = {need.unit: units[need.unit].version for need in query.needs}
        query.guards = {unit: units[unit].version if unit in units else 0 for unit in query.query.guards}
        query.results = {}
        query.open = set(query.needs)
        self._ask(query, query.needs, frozenset())

    def _retired(self, query: ActiveQuery) -> list[str]:
        """Name the blocks that a client asked for by name, and that became others."""
        units = self._coordinator.directory.units
        return sorted({need.unit for need in query.needs if units[need.unit].retired})

    def _ask(self, query: ActiveQuery, needs: list[Need], avoid: frozenset[int]) -> None:
        units = self._coordinator.directory.units
        copies = {need.unit: units[need.unit].in_order() for need in needs}
        planner = PLANNERS[query.query.planner]() if query.query.planner else self._planner
        for call in planner.plan(needs, Situation(copies, self._chance, self._load, avoid)):
            self._count += 1
            number = self._coordinator.epoch << EPOCH_SHIFT | self._count
            self._calls[number] = ActiveCall(query, call)
            for step in call:
                self._load[step.node] = self._load.get(step.node, 0.0) + 1.0
            reads = [self._reads(query, step.needs) for step in call]
            then = tuple((step.node, step_reads) for step, step_reads in zip(call[1:], reads[1:], strict=True))
            self._coordinator.tell(call[0].node, Ask(number, query.query.kind, query.query.queries, reads[0], then))

    def _reads(self, query: ActiveQuery, needs: tuple[Need, ...]) -> tuple[Read, ...]:
        return tuple(Read(need.query, need.part, need.unit, query.snapshot[need.unit]) for need in needs)

    def _hedge(self, call: ActiveCall, avoid: frozenset[int]) -> None:
        units = self._coordinator.directory.units
        needs = [need for need in call.needs if need in call.query.open]
        if any(need.unit not in units or not units[need.unit].copies for need in needs):
            # Nobody to ask: the query begins again, and waits or fails.
            self._drop_calls(call.query)
            call.query.open = set()
            self._start(call.query)
        elif needs:
            self._coordinator.count("hedged")
            self._ask(call.query, needs, avoid)

    def _answer(self, query: ActiveQuery) -> None:
        results: tuple[tuple[str, bytes], ...]
        if query.query.units:
            results = tuple((unit, values[0]) for (_, _, unit), values in sorted(query.results.items()))
        else:
            results = (("", pack([self._from_parts(query, number) for number in range(len(query.query.queries))])),)
        versions = tuple(sorted((query.guards | query.snapshot).items()))
        self._coordinator.tell(query.client, Answer(query.query.number, versions, tuple(results)))
        self._end(query)

    def _from_parts(self, query: ActiveQuery, number: int) -> bytes:
        terms = query.query.queries[number]
        if query.query.kind == VALUES:
            return pack([value for part in range(len(terms)) for value in query.results.get((number, part, ""), [])])
        found = [query.results.get((number, part, ""), []) for part in range(len(terms))]
        return self._algebra.count(found) if query.query.kind == COUNT else self._algebra.answer(found)

    def _fail(self, query: ActiveQuery, reason: str, units: list[str]) -> None:
        nodes = self._coordinator.lost_nodes(units) if reason == "lost" else ()
        self._coordinator.tell(query.client, Failed(query.query.number, reason, tuple(units), nodes))
        self._end(query)

    def _end(self, query: ActiveQuery) -> None:
        self._drop_calls(query)
        self._queries.pop((query.client, query.query.number), None)

    def _drop_calls(self, query: ActiveQuery) -> None:
        for number in [number for number, call in self._calls.items() if call.query is query]:
            self._unload(self._calls.pop(number))

    def _unload(self, call: ActiveCall) -> None:
        for node in call.nodes:
            self._load[node] = max(self._load.get(node, 0.0) - 1.0, 0.0)
