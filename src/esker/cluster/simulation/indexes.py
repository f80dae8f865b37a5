"""Clients of an index that is built, dropped and built again: they know it by its unit, as those of a cluster do."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

from esker.cluster.blocks import DROPPED, block_of, every_block
from esker.cluster.codec import unpack
from esker.cluster.messages import CHANGED, ROWS, VALUES, Answer, Done, Failed, Put, Query, Write
from esker.cluster.placement import Placement
from esker.cluster.placements.dynamic import DynamicPlacement
from esker.cluster.placements.row_block import RowBlockPlacement
from esker.cluster.simulation.check import GENERATION, LAYOUT, Violation, prefix_of_generation

if TYPE_CHECKING:
    from esker.cluster.simulation.world import Client, World

Said = Done | Answer | Failed | None
"""What comes back: None for a put of which nobody knows any more whether it was done."""

Script = Generator["Put | Query | float", Said, None]
"""What a client does: it gives puts and queries, whose numbers are filled in, or seconds to wait."""


class Indexes:
    """Writes the scripts of clients, who build an index, put to it, ask it and drop it.

    Each build is a generation of its own, with its own units; the index's unit says which one counts. A client knows
    what it last read there, and says so with everything it does.
    """

    def __init__(self, world: World, template: Placement, vectors: int) -> None:
        self._world = world
        self._template = template
        self._vectors = vectors
        self._generations = 0

    def script(self, client: Client) -> Script:
        """Give what a client does, one thing after another."""
        dice = self._world.dice
        yield dice.roll()
        yield from self._learn(client)
        while client.left:
            client.left -= 1
            roll = dice.roll()
            if not client.prefix or roll < 0.1:
                yield from self._build(client)
            elif roll < 0.25:
                yield from self._drop(client)
            elif roll < 0.6:
                yield from self._put(client)
            else:
                yield from self._ask(client)
            yield dice.roll() * 0.8

    def _learn(self, client: Client) -> Script:
        """Read the index's unit."""
        answer = yield Query(0, ((((GENERATION, GENERATION), (DROPPED, DROPPED)),),), VALUES, (LAYOUT,))
        if isinstance(answer, Answer):
            values = {one[:8]: one[8:] for one in unpack(unpack(answer.results[0][1])[0])}
            generation = values.get(GENERATION.to_bytes(8, "little"))
            client.layout_version = dict(answer.versions)[LAYOUT]
            client.prefix = "" if generation is None else prefix_of_generation(generation)
            client.blocks = []
        elif isinstance(answer, Failed) and answer.reason == "unknown":
            client.layout_version, client.prefix = 0, ""

    def _build(self, client: Client) -> Script:
        """Put all vectors of a new generation, and then have it count, in place of the one that was known."""
        self._generations += 1
        generation = self._generations.to_bytes(8, "little")
        prefix = prefix_of_generation(generation)
        client.blocks = []
        if not isinstance((yield Put(0, self._writes(client, prefix, list(range(self._vectors))))), Done):
            return
        writes = [Write(LAYOUT, GENERATION, generation, True)]
        if isinstance(self._template, DynamicPlacement):
            writes.append(Write(every_block(prefix), 0, b"", True))
        for _ in range(4):
            drops = (client.prefix,) if client.prefix else ()
            answer = yield Put(0, tuple(writes), ((LAYOUT, client.layout_version),), drops)
            yield from self._learn(client)
            # A late copy of what had failed may have been done since the name was forgotten.
            if client.prefix == prefix or not isinstance(answer, Failed) or answer.reason != CHANGED:
                return

    def _drop(self, client: Client) -> Script:
        """Drop the index; who asks it afterwards, or puts to it, is told."""
        before, version = client.prefix, client.layout_version
        tombstone = (Write(LAYOUT, DROPPED, b"", True),)
        answer = yield Put(0, tombstone, ((LAYOUT, version),), (before,))
        if isinstance(answer, Done):
            self._world.count("drops")
            self._must_fail((yield self._query(client)), "a query")
            self._must_fail((yield self._some_put(client)), "a put")
        yield from self._learn(client)

    def _must_fail(self, answer: Said, what: str) -> None:
        if not isinstance(answer, Failed | None):
            raise Violation(f"{what} after a drop: {answer}")

    def _put(self, client: Client) -> Script:
        put = self._some_put(client)
        answer = yield put
        while isinstance(answer, Failed) and answer.reason == "moved":
            client.blocks = [block for name in answer.units if (block := block_of(name)) is not None]
            answer = yield put._replace(writes=self._cut(client))
        if not isinstance(answer, Done):
            yield from self._learn_of_change(client, answer)

    def _ask(self, client: Client) -> Script:
        answer = yield self._query(client)
        if not isinstance(answer, Answer) or dict(answer.versions)[LAYOUT] != client.layout_version:
            yield from self._learn_of_change(client, answer)

    def _learn_of_change(self, client: Client, answer: Said) -> Script:
        """Read the index's unit again; who was told that it changed finds it changed."""
        version = client.layout_version
        yield from self._learn(client)
        lost = isinstance(answer, Failed) and answer.reason == "lost"
        if answer is not None and not lost and client.layout_version == version and not self._world.failures:
            raise Violation(f"{answer}, and {LAYOUT} is as it was, at {version:#x}")

    def _some_put(self, client: Client) -> Put:
        writes = self._writes(client, client.prefix, self._world.some_vectors())
        return Put(0, writes, ((LAYOUT, client.layout_version),))

    def _query(self, client: Client) -> Query:
        query = self._world.some_query(0, self._placement(client.prefix))
        if not query.units:
            query = query._replace(prefix=f"{client.prefix}/", kind=ROWS if query.kind == VALUES else query.kind)
        return query._replace(guards=(LAYOUT,))

    def _placement(self, prefix: str) -> Placement:
        """The placement of a generation."""
        template = self._template
        if isinstance(template, DynamicPlacement):
            return DynamicPlacement.of(block._replace(prefix=prefix) for block in template.blocks)
        if isinstance(template, RowBlockPlacement):
            return RowBlockPlacement(prefix, template.parts(0)[-1].stop, template.parts(0)[0].stop)
        return template

    def _writes(self, client: Client, prefix: str, vectors: list[int]) -> tuple[Write, ...]:
        placement = self._placement(prefix)
        if isinstance(placement, DynamicPlacement):
            client.blocks = client.blocks or list(placement.blocks)
            rows = client.blocks[-1].stop
            client.vectors = {vector: self._world.bits(rows // 8) for vector in vectors}
            return self._cut(client)
        in_blocks = placement.whole_queries
        return tuple(
            Write(part.unit if in_blocks else f"{prefix}/{part.unit}", vector, self._world.bits(8), not in_blocks)
            for vector in vectors
            for part in placement.parts(vector)
        )

    def _cut(self, client: Client) -> tuple[Write, ...]:
        from esker.cluster.simulation.world import cut

        return cut(client)
