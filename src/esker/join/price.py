"""What the algorithms that read relations several times would cost, in closed form."""

from __future__ import annotations

import math
from dataclasses import dataclass

from esker.core.cost import NO_COST, Cost
from esker.core.device_profile import DeviceProfile
from esker.join.account import tape_of
from esker.join.chunked import chunk_count
from esker.join.limits import JoinLimits
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


def disk_cost(size_bytes: int, limits: JoinLimits) -> Cost:
    """Writing or reading so much of the join's disk."""
    return Cost(size_bytes, 1 if size_bytes else 0, seconds=size_bytes / limits.disk.bytes_per_second)


def elapsed(cost: Cost, seconds: float) -> Cost:
    """The same cost in another time: devices work side by side."""
    return Cost(cost.bytes, cost.requests, cost.mounts, seconds, cost.money, cost.devices)


def chunked_on_disk(build: Scans, probe: Scans, limits: JoinLimits) -> tuple[Cost, int]:
    """CDT-GH: the build side scanned once onto the disk, the probe side once in chunks; gives the number of chunks."""
    chunks = chunk_count(build.held_bytes, probe.held_bytes, limits, on_disk=True)
    written = disk_cost(build.held_bytes + probe.held_bytes, limits)
    read = disk_cost(chunks * build.held_bytes + probe.held_bytes, limits)
    total = build.first + probe.first + written + read
    # Writing goes on behind reading; the parts of a chunk are read while the next is.
    one = max(build.first.seconds, disk_cost(build.held_bytes, limits).seconds)
    fill = max(probe.first.seconds, disk_cost(probe.held_bytes, limits).seconds) / chunks
    join = read.seconds / chunks
    return elapsed(total, one + fill + (chunks - 1) * max(fill, join) + join), chunks


def chunked_on_tape(build: Scans, probe: Scans, limits: JoinLimits, tape: DeviceProfile) -> tuple[Cost, int, int]:
    """CTT-GH: gives also how often the build side is scanned, and the number of chunks of the probe side."""
    size = build.held_bytes
    scans = max(1, math.ceil(size / limits.disk_bytes))
    chunks = chunk_count(size, probe.held_bytes, limits, on_disk=False)
    moved = build.times(scans) + probe.first + Cost(size * (1 + chunks), 2 * scans)
    last = transfer_seconds(tape, size - (scans - 1) * limits.disk_bytes)
    step_one = build.times(scans).seconds + last + tape.mount_seconds
    fill = probe.first.seconds / chunks
    join = transfer_seconds(tape, size) + locate_seconds(tape, size, 0)
    step_two = fill + join + (chunks - 1) * max(join, fill)
    return elapsed(moved, step_one + step_two), scans, chunks
