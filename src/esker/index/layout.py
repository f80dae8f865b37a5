"""What a layout of vectors gives: from the vectors of slots those that are stored, and back from slots to vectors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from esker.bitmap import Bitmap

Operation = Literal["unite", "intersect", "subtract"]
Span = tuple[int, int]
# Gives the vectors of slots, in the order asked for, each anew every time.
SlotVectors = Callable[[Iterable[int]], Iterator[Bitmap]]


@dataclass(frozen=True)
class Combination:
    """Stored vectors, by number, and how they are joined: any number united, two intersected or subtracted."""

    operation: Operation
    vectors: tuple[int, ...]


class Layout(ABC):
    """One way to store vectors over ordered slots 0 to n (values or bins; null and NaN lie apart).

    `arrange` gives one vector for each slot, or None where there is none to store, and then one for each of `spans`.
    `combinations` says which of them give the rows of the slots in some runs; they are united.
    """

    name: ClassVar[str]

    @abstractmethod
    def arrange(self, slot_count: int, vectors: SlotVectors, spans: Sequence[Span]) -> Iterator[Bitmap | None]:
        """Make the vectors to store."""

    @abstractmethod
    def combinations(self, runs: Sequence[Span], slot_count: int, spans: Sequence[Span]) -> list[Combination]:
        """Say how the rows of `runs` (from, to), ascending and apart, come from stored vectors."""
