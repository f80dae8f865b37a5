"""What must be true of a simulated run: no stale read, no half put, nothing lost, nothing done twice."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import pairwise

from esker.cluster.blocks import AskedBlocks, Block, asked_blocks, block_of, is_within, retired_digest
from esker.cluster.codec import pack, unpack
from esker.cluster.machine import Algebra
from esker.cluster.messages import COORDINATOR, COUNT, VALUES, Answer, Put, Query, Terms
from esker.cluster.node import named
from esker.cluster.records import Decided

Contents = Mapping[int, bytes]

LAYOUT = "@census"
"""The unit of an index that is dropped and built again."""

GENERATION = 0
"""The vector of that unit that says which generation of units counts."""


class Violation(Exception):
    """A run in which something was true that must not be."""


class Masks:
    """Values with a bit a row, 8 rows a byte: quick, and 64 rows are enough to tell puts apart."""

    def answer(self, terms: Sequence[Sequence[bytes]]) -> bytes:
        """OR each term, AND them all; stops at no rows."""
        return self._mask(terms).to_bytes(max([8, *(len(value) for values in terms for value in values)]), "little")

    def count(self, terms: Sequence[Sequence[bytes]]) -> bytes:
        """Count the bits of the answer."""
        return self._mask(terms).bit_count().to_bytes(8, "little")

    def merge(self, values: Sequence[bytes]) -> bytes:
        """OR values."""
        return self.answer([values])

    def is_full(self, value: bytes) -> bool:
        """Say whether all bits are set."""
        assert value, "only values are asked about"
        return value == b"\xff" * len(value)

    def regroup(self, pieces: Sequence[tuple[bytes, int, int]]) -> bytes:
        """Put bits of values one behind the other; rows come in eights."""
        return b"".join(
            value[start // 8 : stop // 8].ljust((stop - start) // 8, b"\0") for value, start, stop in pieces
        )

    def _mask(self, terms: Sequence[Sequence[bytes]]) -> int:
        result = -1
        for values in terms:
            term = 0
            for value in values:
                term |= int.from_bytes(value, "little")
            result &= term
            if not result:
                break
        return result


class Checker:
    """Follows what clients are told and what the coordinator decided, and compares.

    The history of a unit is the commits that became durable at the coordinator, in the order of their versions. That
    of a block goes back to the blocks that it was made of: what was put to those is in it.
    """

    def __init__(self) -> None:
        self._algebra: Algebra = Masks()
        self.puts: dict[tuple[int, int], Put] = {}
        self.commits: dict[int, Decided] = {}
        self._versions: dict[tuple[int, int], int] = {}
        self.history: dict[str, list[int]] = {}
        self._contents: dict[tuple[str, int], Contents] = {}
        self.floor: dict[str, int] = {}
        # Of each prefix its blocks, and of those that were dropped the version of that.
        self.live: dict[str, set[Block]] = {}
        self.dropped: dict[str, int] = {}
        self.changes = 0
        self._births: dict[str, list[int]] = {}
        self._parents: dict[tuple[str, int], dict[str, int]] = {}
        self.answers = 0
        self.acknowledged = 0

    # ---- commits ----

    def on_decided(self, record: Decided) -> None:
        """Enter a commit that is durable."""
        if record.version in self.commits:
            return
        if record.client == COORDINATOR:
            self._on_reshaped(record)
            return
        key = (record.client, record.sequence)
        if key in self._versions:
            raise Violation(f"put {key} was applied twice: as {self._versions[key]:#x} and as {record.version:#x}")
        self.commits[record.version] = record
        self._versions[key] = record.version
        put = self.puts[key]
        units = {write.unit for write in put.writes}
        if gone := [unit for unit in units if is_within(unit, self.dropped)]:
            raise Violation(f"put {key} was to units that were dropped: {gone}")
        blocks = {block for unit in units if (block := block_of(unit)) is not None}
        for block in sorted(blocks):
            if block not in self.live.setdefault(block.prefix, blocks):
                raise Violation(f"put {key} was to a block that is no more: {block}")
        for unit in units:
            self._enter(unit, record.version)
        self._check_guards(put)
        for prefix in put.drops:
            self.dropped[prefix] = record.version

    def _check_guards(self, put: Put) -> None:
        """Check that a put that was done found its guards as it says."""
        written = {write.unit for write in put.writes}
        for unit, version in put.guards:
            before = self.history.get(unit, [])[: -1 if unit in written else None]
            known = {before[-1]} if before else {0}
            if before and unit == LAYOUT and GENERATION not in self.contents(unit, before[-1]):
                # The name of an index that was dropped may be forgotten.
                known.add(0)
            if version not in known:
                raise Violation(f"{put} was done, and {unit} was at {before[-1:]}")

    def _enter(self, unit: str, version: int) -> None:
        versions = self.history.setdefault(unit, [])
        if versions and versions[-1] >= version:
            raise Violation(f"unit {unit} was committed at {version:#x} after {versions[-1]:#x}")
        versions.append(version)

    def _on_reshaped(self, record: Decided) -> None:
        """Enter that blocks became others, and what those hold: the same rows, each once."""
        self.commits[record.version] = record
        self.changes += 1
        gone = retired_digest(record.version)
        sources = sorted(_block(name) for name, digest in record.units if digest == gone)
        targets = sorted(_block(name) for name, digest in record.units if digest != gone)
        prefix = targets[0].prefix
        live = self.live[prefix]
        if prefix in self.dropped or not live.issuperset(sources) or _rows(sources) != _rows(targets):
            raise Violation(f"blocks {sources} became {targets}, of {live}")
        self.live[prefix] = live.difference(sources).union(targets)
        held = [(block, self.contents(block.name, self.history[block.name][-1])) for block in sources]
        parents = {block.name: self.history[block.name][-1] for block in sources}
        for block in targets:
            vectors = {vector for _, entries in held for vector in entries}
            self._contents[block.name, record.version] = {vector: _cut(vector, block, held) for vector in vectors}
            self._births.setdefault(block.name, []).append(record.version)
            self._parents[block.name, record.version] = self.included(parents)
        for name, _ in record.units:
            self._enter(name, record.version)

    def included(self, versions: Mapping[str, int]) -> dict[str, int]:
        """Give units up to the versions that are in what was read: those read, and those they were made of."""
        found = dict(versions)
        for unit, version in versions.items():
            births = self._births.get(unit, ())
            if at := bisect_right(births, version):
                for ancestor, until in self._parents[unit, births[at - 1]].items():
                    found[ancestor] = max(until, found.get(ancestor, 0))
        return found

    def on_done(self, client: int, sequence: int) -> None:
        """Check that an acknowledged put is durable; every later query must see it."""
        version = self._versions.get((client, sequence))
        if version is None:
            raise Violation(f"put {(client, sequence)} was acknowledged and is not in the log")
        self.acknowledged += 1
        for write in self.puts[client, sequence].writes:
            self.floor[write.unit] = max(self.floor.get(write.unit, 0), version)

    # ---- queries ----

    def on_answer(self, query: Query, floor: Mapping[str, int], answer: Answer) -> None:
        """Check an answer against the floor that stood when the query began, and against what was put."""
        self.answers += 1
        told = {unit: version for unit, version in answer.versions if version or unit not in query.guards}
        versions = {unit: version for unit, version in told.items() if unit not in query.guards}
        if uncommitted := [unit for unit, version in told.items() if version not in self.commits]:
            raise Violation(f"{uncommitted} were read at versions that were never committed: {versions}")
        if LAYOUT in query.guards:
            self._check_generation(versions, told)
        included = versions
        if asked := asked_blocks(query.units[0]) if query.units else None:
            included = self.included(versions)
            self._check_blocks(asked, versions, floor, included)
        for unit, version in told.items():
            if version < floor.get(unit, 0):
                raise Violation(f"stale: unit {unit} was read at {version:#x} after {floor[unit]:#x} was acknowledged")
            self.floor[unit] = max(self.floor.get(unit, 0), version)
        self._check_whole_puts(versions, included)
        expected = self.expected(query, versions)
        found = {unit: unpack(packed) for unit, packed in answer.results}
        if found != expected:
            raise Violation(f"{query} at {versions}: {found}, and not {expected}")

    def _check_generation(self, versions: Mapping[str, int], told: Mapping[str, int]) -> None:
        """Check that what was read is of the generation that counted then, and nothing of an index that was dropped."""
        if not told.get(LAYOUT):
            raise Violation(f"an index that was never there answered: {versions}")
        generation = self.contents(LAYOUT, told[LAYOUT]).get(GENERATION)
        if generation is None or not all(is_within(unit, (prefix_of_generation(generation),)) for unit in versions):
            raise Violation(f"{dict(versions)} answered when generation {generation!r} of the index counted")

    def expected(self, query: Query, versions: Mapping[str, int]) -> dict[str, list[bytes]]:
        """Give the right answer at these versions."""
        return {
            unit: [self._answer(query, terms, unit, versions) for terms in query.queries]
            for unit in (versions if query.units else ("",))
        }

    def _check_blocks(
        self, asked: AskedBlocks, versions: Mapping[str, int], floor: Mapping[str, int], included: Mapping[str, int]
    ) -> None:
        """Check that the rows asked for were read once, in blocks that have all that was acknowledged."""
        blocks = sorted(_block(unit) for unit in versions)
        stop = max(block.stop for block in self.live[asked.prefix]) if asked.stop is None else asked.stop
        for unit, version in versions.items():
            if dict(self.commits[version].units).get(unit) == retired_digest(version):
                raise Violation(f"{unit} answered, which became others at {version:#x}")
        rows = _rows(blocks)
        if rows is None or rows[0] > asked.start or rows[1] < stop:
            raise Violation(f"{asked} was answered by {blocks}")
        for unit, version in floor.items():
            block = block_of(unit)
            if block is None or block.prefix != asked.prefix:
                continue
            concerned = block.start < stop and asked.start < block.stop
            if concerned and included.get(unit, 0) < version:
                raise Violation(f"stale: {unit} at {version:#x} was acknowledged and is not in {dict(versions)}")

    def contents(self, unit: str, version: int) -> Contents:
        """Give what a unit has at a version: the puts up to it, one over the other."""
        key = (unit, version)
        if key not in self._contents:
            versions = self.history[unit]
            at = versions.index(version)
            before = dict(self.contents(unit, versions[at - 1])) if at else {}
            record = self.commits[version]
            for write in self.puts[record.client, record.sequence].writes:
                if write.unit == unit:
                    if write.whole:
                        before = {}
                    before[write.vector] = write.value
            self._contents[key] = before
        return self._contents[key]

    def _answer(self, query: Query, terms: Terms, unit: str, versions: Mapping[str, int]) -> bytes:
        kind = query.kind
        found: list[list[tuple[int, bytes]]] = []
        for term in terms:
            vectors = dict.fromkeys(vector for first, last in term for vector in range(first, last + 1))
            places = [(vector, unit or f"{query.prefix}{vector}") for vector in vectors]
            contents = [(vector, self.contents(place, versions[place])) for vector, place in places]
            found.append([(vector, entries[vector]) for vector, entries in contents if vector in entries])
        if kind == VALUES:
            return pack([named(vector, value) for term in found for vector, value in term])
        values = [[value for _, value in term] for term in found]
        return self._algebra.count(values) if kind == COUNT else self._algebra.answer(values)

    def _check_whole_puts(self, versions: Mapping[str, int], included: Mapping[str, int]) -> None:
        """A put over several units is in all that were read, or in none.

        Of a block that was not read, but is in what was, only what came before its end is known to be there.
        """
        for version, record in self.commits.items():
            if record.client == COORDINATOR:
                continue
            seen = {
                included[name] >= version
                for name, _ in record.units
                if name in versions or version <= included.get(name, 0)
            }
            if len(seen) == 2:
                raise Violation(f"half of put {version:#x} was read: {dict(versions)}")


def prefix_of_generation(generation: bytes) -> str:
    """Give what names of units of a generation begin with."""
    return f"census/{int.from_bytes(generation, 'little')}"


def _block(unit: str) -> Block:
    block = block_of(unit)
    assert block is not None, f"{unit} is no block"
    return block


def _rows(blocks: Sequence[Block]) -> tuple[int, int] | None:
    """The rows of blocks that follow one another; None when they do not."""
    if not blocks or any(one.stop != other.start for one, other in pairwise(blocks)):
        return None
    return blocks[0].start, blocks[-1].stop


def _cut(vector: int, block: Block, held: Sequence[tuple[Block, Contents]]) -> bytes:
    """The rows of a block in what it was made of, in eights."""
    whole = b"".join(entries[vector] for _, entries in held)
    first = held[0][0].start
    return whole[(block.start - first) // 8 : (block.stop - first) // 8]
