"""What must be true of a simulated run: no stale read, no half put, nothing lost, nothing done twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from esker.cluster.machine import Algebra
from esker.cluster.messages import Answer, Put, Query
from esker.cluster.placement import Placement
from esker.cluster.records import Decided

Contents = Mapping[int, bytes]


class Violation(AssertionError):
    """A run in which something was true that must not be."""


class Masks:
    """Values of 8 bytes, a bit a row: quick, and 64 rows are enough to tell puts apart."""

    def answer(self, terms: Sequence[Sequence[bytes]]) -> bytes:
        """OR each term, AND them all; stops at all ones and at no rows."""
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
        return result.to_bytes(8, "little")


class Checker:
    """Follows what clients are told and what the coordinator decided, and compares.

    The history of a unit is the commits that became durable at the coordinator, in the order of their versions.
    """

    def __init__(self, placement: Placement) -> None:
        self._placement = placement
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
        for number, (ranges, rows) in enumerate(zip(query.queries, answer.results, strict=True)):
            expected = self.expected(ranges, versions)
            if dict(rows) != expected:
                raise Violation(f"query {number} {ranges} at {versions}: {dict(rows)}, and not {expected}")

    def expected(self, ranges: tuple[tuple[int, int], ...], versions: Mapping[str, int]) -> dict[str, bytes]:
        """Give the right answer at these versions."""
        vectors = {vector for first, last in ranges for vector in range(first, last + 1)}
        if self._placement.whole_queries:
            units = [part.unit for part in self._placement.parts(0)]
            return {
                unit: self._answer(ranges, dict.fromkeys(vectors, self.contents(unit, versions[unit])))
                for unit in units
            }
        return {
            "": self._answer(ranges, {vector: self.contents(str(vector), versions[str(vector)]) for vector in vectors})
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

    def _answer(self, ranges: tuple[tuple[int, int], ...], contents: Mapping[int, Contents]) -> bytes:
        terms = []
        for first, last in ranges:
            found = [(vector, contents[vector]) for vector in range(first, last + 1)]
            terms.append([entries[vector] for vector, entries in found if vector in entries])
        return self._algebra.answer(terms)

    def _check_whole_puts(self, versions: Mapping[str, int]) -> None:
        """A put over several units is in all that were read, or in none."""
        for version, record in self.commits.items():
            seen = {versions[name] >= version for name, _ in record.units if name in versions}
            if len(seen) == 2:
                raise Violation(f"half of put {version:#x} was read: {dict(versions)}")
