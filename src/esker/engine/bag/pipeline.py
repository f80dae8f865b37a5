"""A partition as a recipe: where its elements come from, and the steps they go through."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from esker.engine.bag.steps import COUNT, Step, can_feed, chain_steps, feed_steps
from esker.runtime.pickled import Shared, dump, load


class Split(ABC):
    """Where the elements of one partition come from. Goes to other processes; may be opened again after a failure."""

    @abstractmethod
    def open(self) -> Iterator[Any]:
        """Read the elements, in order; the same each time."""

    def describe(self) -> str:
        """What an error calls it: a file and its bytes, or nothing."""
        return ""

    def made_by(self) -> str:
        """The step that makes the elements as they are read, where one does: as an error names it."""
        return ""


@dataclass(frozen=True, eq=False)
class Pipeline(Split):
    """A split and the steps over it; `index` is the number of the partition where the steps were added."""

    split: Split
    program: Shared
    index: int

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps, in order."""
        found: tuple[Step, ...] = self.program.value
        return found

    def all_steps(self) -> tuple[Step, ...]:
        """The steps, with those before a union, and without those that only count."""
        before = self.split.all_steps() if isinstance(self.split, Pipeline) else ()
        return (*before, *(step for step in self.steps if step.kind != COUNT))

    def open(self) -> Iterator[Any]:
        return chain_steps(self.steps, self.index, self.split.open())

    def can_feed(self) -> bool:
        """Whether the elements can be had by the iterable, with `feed`."""
        return can_feed(self.steps)

    def feed(self, take: Callable[[Iterable[Any]], None]) -> None:
        """Let `take` read the elements, an iterable of some at a time."""
        feed_steps(self.steps, self.index, self.split.open(), take)

    def describe(self) -> str:
        return self.split.describe()

    def made_by(self) -> str:
        return self.split.made_by()


def even_spans(total: int, count: int) -> list[tuple[int, int]]:
    """Cut the numbers below `total` into `count` spans as even as can be, as Spark slices sequences.

    >>> even_spans(10, 4)
    [(0, 2), (2, 5), (5, 7), (7, 10)]
    """
    return [(n * total // count, (n + 1) * total // count) for n in range(count)]


_NO_STEPS = Shared(())


def pipelines_of(splits: Sequence[Split]) -> list[Pipeline]:
    """Partitions without steps yet."""
    return [Pipeline(split, _NO_STEPS, index) for index, split in enumerate(splits)]


def with_step(pipelines: Sequence[Pipeline], step: Step) -> list[Pipeline]:
    """Add a step to each partition; partitions that share their steps still do."""
    programs: dict[int, Shared] = {}
    single = Shared((step,))

    def extended(pipeline: Pipeline, index: int) -> Pipeline:
        if pipeline.index != index:
            # Its steps belong to the numbering before a union: they keep it.
            return Pipeline(pipeline, single, index)
        known = programs.get(id(pipeline.program))
        if known is None:
            known = programs[id(pipeline.program)] = Shared((*pipeline.steps, step))
        return Pipeline(pipeline.split, known, index)

    return [extended(pipeline, index) for index, pipeline in enumerate(pipelines)]


class ItemsSplit(Split):
    """Elements that the driver holds, or their bytes in another process."""

    def __init__(self, items: Sequence[Any]) -> None:
        self._items = items

    def open(self) -> Iterator[Any]:
        return iter(self._items)

    def __reduce__(self) -> tuple[Any, ...]:
        items = self._items
        if isinstance(items, range):
            return ItemsSplit, (items,)
        # Apart from the task, whose pickler asks of each object whether it is shared.
        data, buffers = dump(items)
        return _unpacked, (bytes(data), [bytes(buffer) for buffer in buffers])


def _unpacked(data: bytes, buffers: list[bytes]) -> ItemsSplit:
    return ItemsSplit(load(data, buffers))


@dataclass(frozen=True, eq=False)
class JoinedSplit(Split):
    """Several partitions, one after the other."""

    parts: tuple[Split, ...]

    def open(self) -> Iterator[Any]:
        for part in self.parts:
            yield from part.open()


@dataclass(frozen=True, eq=False)
class ZippedSplit(Split):
    """Two partitions side by side; they must be of one length."""

    left: Split
    right: Split

    def open(self) -> Iterator[Any]:
        return zip_strict(self.left.open(), self.right.open())


def zip_strict(left: Iterator[Any], right: Iterator[Any]) -> Iterator[Any]:
    """Pairs of elements; InputError when one side is longer."""
    from esker.errors import InputError

    missing = object()
    for x in left:
        y = next(right, missing)
        if y is missing:
            raise InputError("zip: the right Bag has fewer elements in this partition than the left one")
        yield x, y
    if next(right, missing) is not missing:
        raise InputError("zip: the right Bag has more elements in this partition than the left one")
