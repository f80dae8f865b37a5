"""How many different elements there are, about: HyperLogLog (Flajolet, Fusy, Gandouet and Meunier, 2007).

Each element's hash picks a register, and the register remembers the longest run of zeros that was seen there. Small
counts are told from the registers that are still empty.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from esker.engine.objects import stable_hash
from esker.errors import OptionError

Registers = npt.NDArray[np.uint8]

_BITS_MIN, _BITS_MAX = 4, 20
_BATCH = 4096
_MASK = (1 << 64) - 1


@dataclass(frozen=True)
class Registered:
    """Fill registers with the elements of a partition."""

    bits: int

    def __call__(self, elements: Iterator[Any]) -> Registers:
        registers = np.zeros(1 << self.bits, np.uint8)
        while batch := list(islice(elements, _BATCH)):
            hashes = _mixed(np.array([stable_hash(element) & _MASK for element in batch], np.uint64))
            places = (hashes >> np.uint64(64 - self.bits)).astype(np.intp)
            np.maximum.at(registers, places, self._ranks(hashes))
        return registers

    def _ranks(self, hashes: npt.NDArray[np.uint64]) -> Registers:
        """Where the first one is among the bits that do not pick the register, counted from 1."""
        rest = hashes << np.uint64(self.bits)
        width = 64 - self.bits
        # frexp tells the highest bit; of 64 bits, cut in two, as a double holds 53.
        high = np.frexp((rest >> np.uint64(32)).astype(np.float64))[1]
        low = np.frexp((rest & np.uint64(0xFFFFFFFF)).astype(np.float64))[1]
        zeros = np.where(high > 0, 32 - high, 64 - low)
        return np.minimum(zeros, width).astype(np.uint8) + np.uint8(1)


def _mixed(hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Spread hashes over all 64 bits (splitmix64): those of whole numbers are the numbers themselves."""
    hashes = (hashes ^ (hashes >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    hashes = (hashes ^ (hashes >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return hashes ^ (hashes >> np.uint64(31))


def bits_for(relative_error: float) -> int:
    """How many bits pick a register, for a standard error of 1.04 / sqrt(registers)."""
    least = 1.04 / math.sqrt(1 << _BITS_MAX)
    if not least <= relative_error < 1:
        raise OptionError(f"relative_error={relative_error}: give a number from {least:.4f} to below 1")
    return max(_BITS_MIN, math.ceil(2 * math.log2(1.04 / relative_error)))


def merged(parts: Iterable[Registers], bits: int) -> Registers:
    """The registers of all partitions."""
    total: Registers = np.zeros(1 << bits, np.uint8)
    for part in parts:
        np.maximum(total, part, out=total)
    return total


def estimate(registers: Registers) -> int:
    """How many elements the registers have seen, about.

    >>> estimate(np.zeros(16, np.uint8))
    0
    """
    count = len(registers)
    alpha = {16: 0.673, 32: 0.697, 64: 0.709}.get(count, 0.7213 / (1 + 1.079 / count))
    raw = alpha * count * count / float(np.sum(np.exp2(-registers.astype(np.float64))))
    empty = int(np.count_nonzero(registers == 0))
    if raw <= 2.5 * count and empty:
        raw = count * math.log(count / empty)
    return round(raw)


def estimated(parts: Sequence[Registers], bits: int) -> int:
    """How many different elements all partitions have, about."""
    return estimate(merged(parts, bits))
