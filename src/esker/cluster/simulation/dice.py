"""Chance for a simulated run: one seeded stream, drawn in blocks because single draws are slow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from esker.core.seeded import generator

T = TypeVar("T")
_BLOCK = 1024


class Dice:
    """Numbers by chance, the same for the same seed.

    >>> Dice(7).below(100) == Dice(7).below(100)
    True
    """

    def __init__(self, seed: int) -> None:
        self._generator = generator(seed)
        self._numbers: list[float] = []

    def roll(self) -> float:
        """Give a number in [0, 1)."""
        try:
            return self._numbers.pop()
        except IndexError:
            # The list is the same one always: others take from it directly.
            self._numbers += self._generator.random(_BLOCK).tolist()
            return self._numbers.pop()

    def below(self, count: int) -> int:
        """Give an integer in [0, count)."""
        return int(self.roll() * count)

    def between(self, low: float, high: float) -> float:
        """Give a number in [low, high)."""
        return low + (high - low) * self.roll()

    def choice(self, items: Sequence[T]) -> T:
        """Pick one."""
        return items[int(self.roll() * len(items))]
