"""What must be true of a simulated run: no stale read, no half put, nothing lost, nothing done twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from esker.cluster.codec import pack, unpack
from esker.cluster.machine import Algebra
from esker.cluster.messages import COUNT, VALUES, Answer, Put, Query, Terms
from esker.cluster.node import named
from esker.cluster.records import Decided

Contents = Mapping[int, bytes]


class Violation(AssertionError):
    """A run in which something was true that must not be."""


class Masks:
    """Values of 8 bytes, a bit a row: quick, and 64 rows are enough to tell puts apart."""

    def answer(self, terms: Sequence[Sequence[bytes]]) -> bytes:
        """OR each term, AND them all; stops at all ones and at no rows."""
        return self._mask(terms).to_bytes(8, "little")

    def count(self, terms: Sequence[Sequence[bytes]]) -> bytes:
        """Count the bits of the answer."""
        return self._mask(terms).bit_count().to_bytes(8, "little")

    def merge(self, values: Sequence[bytes]) -> bytes:
        """OR values."""
        return self._mask([values]).to_bytes(8, "little")

    def is_full(self, value: bytes) -> bool:
        """Say whether all bits are set."""
        assert len(value) == 8, "only values are asked about"
        return value == b"\xff" * 8

    def _mask(self, terms: Sequence[Sequence[bytes]]) -> int:
        result = (1 << 64) - 1
        for values in terms:
            term = 0
            for value in values:
                term |= int.from_bytes(value, "little")
                if term == (1 << 64) - 1:
                    break
            result &= term
            if not result:
                break
        return result


class Checker:
    """Follows what clients are told and what the coordinator decided, and compares.

    The history of a unit is the commits that became durable at the coordinator, in the order of their versions.
    """

    def __init__(self) -> None:
        self._algebra: Algebra = Masks()
        self.puts: dict[tuple[int, int], Put] = {}
        self.commits: dict[int, Decided] = {}
        self._versions: dict[tuple[int, int], int] = {}
        self.history: dict[str, list[int]] = {}
        self._contents: dict[tuple[str, int], Contents] = {}
        self.floor: dict[str, int] = {}
        self.answers = 0
        self.acknowledged = 0

    # ---- commits ----

    def on_decided(self, record: Decided) -> None:
        """Enter a commit that is durable."""
        if record.version in self.commits:
            return
        key = (record.client, record.sequence)
        if key in self._versions:
            raise Violation(f"put {key} was applied twice: as {self._versions[key]:#x} and as {record.version:#x}")
        self.commits[record.version] = record
        self._versions[key] = record.version
        for write in self.puts[key].writes:
            versions = self.history.setdefault(write.unit, [])
            if versions and versions[-1] > record.version:
                raise Violation(f"unit {write.unit} was committed at {record.version:#x} after {versions[-1]:#x}")
            if not versions or versions[-1] != record.version:
                versions.append(record.version)

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
        versions = dict(answer.versions)
        for unit, version in versions.items():
            if version < floor.get(unit, 0):
                raise Violation(f"stale: unit {unit} was read at {version:#x} after {floor[unit]:#x} was acknowledged")
            if version not in self.commits:
                raise Violation(f"unit {unit} was read at {version:#x}, which was never committed")
            self.floor[unit] = max(self.floor.get(unit, 0), version)
        self._check_whole_puts(versions)
        expected = self.expected(query, versions)
        found = {unit: unpack(packed) for unit, packed in answer.results}
        if found != expected:
            raise Violation(f"{query} at {versions}: {found}, and not {expected}")

    def expected(self, query: Query, versions: Mapping[str, int]) -> dict[str, list[bytes]]:
        """Give the right answer at these versions."""
        return {
            unit: [self._answer(query, terms, unit, versions) for terms in query.queries]
            for unit in query.units or ("",)
        }

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

    def _check_whole_puts(self, versions: Mapping[str, int]) -> None:
        """A put over several units is in all that were read, or in none."""
        for version, record in self.commits.items():
            seen = {versions[name] >= version for name, _ in record.units if name in versions}
            if len(seen) == 2:
                raise Violation(f"half of put {version:#x} was read: {dict(versions)}")
