"""The cartesian product: pairs of partitions, cut into ranges where there are fewer of them than workers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, repeat
from typing import TYPE_CHECKING, Any

from esker.engine.bag.pipeline import ItemsSplit, Split, even_spans
from esker.engine.bag.plan import Node
from esker.engine.bag.wide import WideNode, place_of, share_of_memory, unique_place
from esker.engine.objects import NumberPartitioner, Runs, Section, SpillPlace, collect, records
from esker.engine.objects.codec import Scale

if TYPE_CHECKING:
    from esker.engine.bag.run import Run

# A partition of the left that has more elements, or more bytes than a task may hold, is not kept to be cut.
_LEFT_MAX = 1 << 20


class CartesianNode(WideNode):
    """Each element of the left with each of the right: those of partitions i and j lie in `pieces` partitions of ours,
    all with j before those with j + 1, all with i before those with i + 1.

    The right side is kept in files, so that it is made once, and read again for each element of the left. Where pairs
    of partitions are cut, the left is kept as well, for their order can only be cut when it is known how long it is. A
    partition of it that goes on and on stays one piece, and streams: the first of its pairs are there at once.
    """

    def __init__(self, left: Node, right: Node, pieces: int, site: str) -> None:
        count = left.partition_count * right.partition_count * pieces
        super().__init__([left, right], count, "cartesian", site)
        self._pieces = pieces

    def make(self, run: Run) -> Sequence[Split]:
        left, right = (run.pipelines(parent) for parent in self.parents)
        memory_bytes = share_of_memory(run)
        kept: list[Runs] = self.stage(run, right, _Keep(place_of(run, "right"), memory_bytes, self.described()))
        if self._pieces == 1:
            return [_Crossed(one, runs.sections(0), memory_bytes) for one in left for runs in kept]
        keeping = _KeepFew(place_of(run, "left"), memory_bytes, self.described())
        few: list[Runs | None] = self.stage(run, left, keeping)
        return [
            split
            for one, known in zip(left, few, strict=True)
            for runs in kept
            for split in self._cut(one, known, runs, memory_bytes)
        ]

    def _cut(self, left: Split, known: Runs | None, right: Runs, memory_bytes: int) -> list[Split]:
        if known is None:
            return [_Crossed(left, right.sections(0), memory_bytes), *[ItemsSplit(())] * (self._pieces - 1)]
        rights = right.record_counts[0]
        return [
            _CrossedSpan(left.describe(), known.sections(0), right.sections(0), rights, begin, end, memory_bytes)
            for begin, end in even_spans(known.record_counts[0] * rights, self._pieces)
        ]


@dataclass(frozen=True)
class _Keep:
    place: SpillPlace
    memory_bytes: int
    operator: str

    def __call__(self, elements: Iterator[Any]) -> Runs:
        return collect(
            ((0, element) for element in elements),
            NumberPartitioner(1),
            place=unique_place(self.place),
            memory_bytes=self.memory_bytes,
            shape="records",
            operator=self.operator,
        )


@dataclass(frozen=True)
class _KeepFew(_Keep):
    """Keeps what is not too much, or nothing."""

    def __call__(self, elements: Iterator[Any]) -> Runs | None:  # type: ignore[override]  # or nothing
        few = _Few(elements, self.memory_bytes)
        runs = super().__call__(few.elements())
        if few.ended:
            return runs
        runs.remove()
        return None


class _Few:
    """The elements of an iterator, as long as they are few."""

    def __init__(self, source: Iterator[Any], bytes_max: int) -> None:
        self._source = source
        self._bytes_max = bytes_max
        self.ended = False

    def elements(self) -> Iterator[Any]:
        scale = Scale()
        seen_bytes = 0
        for element in islice(self._source, _LEFT_MAX):
            yield element
            seen_bytes += scale.weigh(element)
            if seen_bytes > self._bytes_max:
                return
        self.ended = next(self._source, self) is self


def _values(sections: Sequence[Section]) -> Iterator[Any]:
    return (value for _, value in records(sections))


def _held(sections: Sequence[Section], memory_bytes: int) -> list[Any] | None:
    """What is small is decoded once: objects take a few times their bytes."""
    small = sum(section.end - section.begin for section in sections) * 8 <= memory_bytes
    return list(_values(sections)) if small else None


@dataclass(frozen=True, eq=False)
class _Crossed(Split):
    """All of a partition of the left, as it is made, with all of one of the right."""

    left: Split
    right: list[Section]
    memory_bytes: int

    def describe(self) -> str:
        return self.left.describe()

    def open(self) -> Iterator[Any]:
        held = _held(self.right, self.memory_bytes)
        for one in self.left.open():
            yield from zip(repeat(one), held if held is not None else _values(self.right), strict=False)


@dataclass(frozen=True, eq=False)
class _CrossedSpan(Split):
    """The pairs with numbers from `begin` to `end`, both sides kept."""

    source: str
    left: list[Section]
    right: list[Section]
    right_count: int
    begin: int
    end: int
    memory_bytes: int

    def describe(self) -> str:
        return self.source

    def open(self) -> Iterator[Any]:
        return islice(self._from_begin(), self.end - self.begin) if self.begin < self.end else iter(())

    def _from_begin(self) -> Iterator[Any]:
        held = _held(self.right, self.memory_bytes)
        first, offset = divmod(self.begin, self.right_count)
        for one in islice(_values(self.left), first, None):
            others = held if held is not None else _values(self.right)
            yield from zip(repeat(one), islice(others, offset, None) if offset else others, strict=False)
            offset = 0
