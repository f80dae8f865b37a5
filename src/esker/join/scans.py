"""Scans of a side, once and again: what algorithms that read a relation several times are priced by."""

from __future__ import annotations

from dataclasses import dataclass

from esker.core.cost import NO_COST, Cost
from esker.join.account import tape_of
from esker.join.orient import needed_bytes
from esker.join.problem import Side
from esker.join.work import read_cost
from esker.storage.tape.motion import locate_seconds, transfer_seconds


@dataclass(frozen=True)
class Scans:
    """What one scan of a side costs, and one more after it."""

    first: Cost
    again_seconds: float
    held_bytes: int

    @classmethod
    def of(cls, side: Side) -> Scans:
        """Price a side's scans; on tape the second one winds back instead of mounting."""
        first = read_cost(side)
        tape = tape_of(side.input.store)
        again = first.seconds
        if tape is not None:
            again = transfer_seconds(tape.device, first.bytes) + locate_seconds(tape.device, first.bytes, 0)
        return cls(first, again, needed_bytes(side))

    def times(self, count: int) -> Cost:
        """The cost of `count` scans, one after the other."""
        if not count:
            return NO_COST
        first = self.first
        more = Cost(first.bytes * (count - 1), first.requests * (count - 1), seconds=self.again_seconds * (count - 1))
        return first + more
