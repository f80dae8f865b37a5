"""The cartesian product: pairs of partitions, cut into ranges where there are fewer of them than workers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, repeat
from typing import TYPE_CHECKING, Any

from esker.engine.bag.moved import AnyRuns, Moved, Place, Side, Sides, at_hand, left_at, place_of, sent, unique_place
from esker.engine.bag.pipeline import ItemsSplit, Split, even_spans
from esker.engine.bag.plan import Node
from esker.engine.bag.wide import WideNode, share_of_memory
from esker.engine.objects import NumberPartitioner, Runs, Section, collect, records
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
        one_side, right = (run.pipelines(parent) for parent in self.parents)
        memory_bytes = share_of_memory(run)
        kept = self.stage(run, right, _Keep(place_of(run, "right"), memory_bytes, self.described()))
        place = place_of(run, "crossed")
        rights = [kept.side(0, [number]) for number in range(len(right))]
        if self._pieces == 1:
            return [_Crossed([side], place, memory_bytes, one) for one in one_side for side in rights]
        keeping = _KeepFew(place_of(run, "left"), memory_bytes, self.described())
        few = self.stage(run, one_side, keeping, runs_of=_few_or_none)
        counts = [kept.runs(number).record_counts[0] for number in range(len(right))]
        return [
            split
            for number, one in enumerate(one_side)
            for side, count in zip(rights, counts, strict=True)
            for split in self._cut(one, few, number, side, count, place, memory_bytes)
        ]

    def _cut(
        self, left: Split, few: Moved, number: int, right: Side, rights: int, place: Place, memory_bytes: int
    ) -> list[Split]:
        known: AnyRuns | None = few.values[number]
        if known is None:
            return [_Crossed([right], place, memory_bytes, left), *[ItemsSplit(())] * (self._pieces - 1)]
        sides = [right, few.side(0, [number])]
        return [
            _CrossedSpan(sides, place, memory_bytes, left.describe(), rights, begin, end)
            for begin, end in even_spans(known.record_counts[0] * rights, self._pieces)
        ]


def _few_or_none(runs: AnyRuns | None) -> AnyRuns:
    """What was kept, or nothing in no file."""
    return Runs(1) if runs is None else runs


@dataclass(frozen=True)
class _Keep:
    place: Place
    memory_bytes: int
    operator: str

    def __call__(self, elements: Iterator[Any]) -> AnyRuns:
        runs = collect(
            ((0, element) for element in elements),
            NumberPartitioner(1),
            place=unique_place(self.place),
            memory_bytes=self.memory_bytes,
            shape="records",
            operator=self.operator,
        )
        return left_at(runs, self.place)


@dataclass(frozen=True)
class _KeepFew(_Keep):
    """Keeps what is not too much, or nothing."""

    def __call__(self, elements: Iterator[Any]) -> AnyRuns | None:  # type: ignore[override]  # or nothing
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
class _OfFiles(Split):
    """Pairs of what lies in files: the right side, and the left where that is kept."""

    sides: Sides
    place: Place
    memory_bytes: int

    def __getstate__(self) -> dict[str, Any]:
        return sent(self)

    def open(self) -> Iterator[Any]:
        with at_hand(self.sides, self.place) as sides:
            yield from self.pairs(sides)

    @abstractmethod
    def pairs(self, sides: Sequence[Sequence[Section]]) -> Iterator[Any]:
        """The pairs."""


@dataclass(frozen=True, eq=False)
class _Crossed(_OfFiles):
    """All of a partition of the left, as it is made, with all of one of the right."""

    left: Split

    def describe(self) -> str:
        return self.left.describe()

    def pairs(self, sides: Sequence[Sequence[Section]]) -> Iterator[Any]:
        (right,) = sides
        held = _held(right, self.memory_bytes)
        for one in self.left.open():
            yield from zip(repeat(one), held if held is not None else _values(right), strict=False)


@dataclass(frozen=True, eq=False)
class _CrossedSpan(_OfFiles):
    """The pairs with numbers from `begin` to `end`, both sides kept."""

    source: str
    right_count: int
    begin: int
    end: int

    def describe(self) -> str:
        return self.source

    def open(self) -> Iterator[Any]:
        return super().open() if self.begin < self.end else iter(())

    def pairs(self, sides: Sequence[Sequence[Section]]) -> Iterator[Any]:
        right, left = sides
        return islice(self._from_begin(left, right), self.end - self.begin)

    def _from_begin(self, left: Sequence[Section], right: Sequence[Section]) -> Iterator[Any]:
        held = _held(right, self.memory_bytes)
        first, offset = divmod(self.begin, self.right_count)
        for one in islice(_values(left), first, None):
            others = held if held is not None else _values(right)
            yield from zip(repeat(one), islice(others, offset, None) if offset else others, strict=False)
            offset = 0
