"""What the algorithms that read relations several times would cost, in closed form."""

from __future__ import annotations

import math
from collections.abc import Sequence

from esker.core.cost import NO_COST, Cost
from esker.core.device_profile import DeviceProfile
from esker.join.chunked import chunk_count, keeps_on_disk, part_requests
from esker.join.limits import JoinLimits
from esker.join.materialise import left_rows_needed, right_rows_needed
from esker.join.orient import scratch_tape
from esker.join.passes import choose_passes
from esker.join.problem import JoinProblem, Side
from esker.join.reading import choose_read
from esker.join.scans import Scans
from esker.join.work import key_bytes
from esker.storage.tape.motion import locate_seconds, transfer_seconds


def disk_cost(size_bytes: int, limits: JoinLimits, requests: int = 1) -> Cost:
    """Writing or reading so much of the join's disk."""
    if not size_bytes:
        return NO_COST
    seconds = size_bytes / limits.disk.bytes_per_second + requests * limits.disk.request_seconds
    return Cost(size_bytes, requests, seconds=seconds)


def elapsed(cost: Cost, seconds: float) -> Cost:
    """The same cost in another time: devices work side by side."""
    return Cost(cost.bytes, cost.requests, cost.mounts, seconds, cost.money, cost.devices)


def chunked_on_disk(build: Scans, probe: Scans, limits: JoinLimits) -> tuple[Cost, int]:
    """CDT-GH: the build side scanned once onto the disk, the probe side once in chunks; gives the number of chunks."""
    chunks = chunk_count(build.held_bytes, probe.held_bytes, limits, on_disk=True)
    written = disk_cost(build.held_bytes + probe.held_bytes, limits)
    requests = chunks * part_requests(build.held_bytes, probe.held_bytes // chunks, limits)
    read = disk_cost(chunks * build.held_bytes + probe.held_bytes, limits, requests)
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
    requests = chunks * part_requests(size, probe.held_bytes // chunks, limits)
    parts = disk_cost(probe.held_bytes, limits, requests).seconds / chunks
    join = max(transfer_seconds(tape, size) + locate_seconds(tape, size, 0), parts)
    step_two = fill + join + (chunks - 1) * max(join, fill)
    return elapsed(moved, step_one + step_two), scans, chunks


def separated(problem: JoinProblem, limits: JoinLimits, share: float = 1.0) -> tuple[Cost, int]:
    """The separation join: keys of both sides scanned apart and joined, unless they are, and the payload's passes.

    Before the keys are joined `share` of the smaller side's rows is thought to match once each.
    """
    tape = scratch_tape(problem)
    sides = (problem.left, problem.right)
    if problem.index is not None:
        total, pairs = problem.decided, problem.index.pair_count
    else:
        pairs = math.ceil(share * min(side.input.candidate_count for side in sides))
        total = _keys_apart(sides, limits, tape.device if tape is not None else None)
    chosen = choose_passes(problem, pairs, limits)
    payload = NO_COST
    for number, side in enumerate(sides):
        payload += _payload(problem, side, number, 1 if (number == 1) != chosen.flipped else chosen.count)
    if tape is not None:  # each pass but the first goes back to where the last fill ended
        payload += Cost(seconds=(chosen.count - 1) * tape.device.locate_seconds)
    through = 2 * chosen.pass_bytes * chosen.count if chosen.count > 1 else 0
    return total + payload + disk_cost(through, limits, 20 * chosen.count), chosen.count


def _payload(problem: JoinProblem, side: Side, number: int, count: int) -> Cost:
    """`count` reads of what the output takes of a side; the first winds a tape back that keys were read from."""
    if not side.columns or not count or (number == 1 and not problem.layout.makes_pairs):
        return NO_COST
    scans = Scans.of(side)
    again = scans.again_seconds
    first = elapsed(scans.first, again)
    if problem.index is not None:
        needed = (left_rows_needed, right_rows_needed)[number](problem, problem.index)
        first = choose_read(side.input.store, needed, side.columns).cost
        again = min(again, first.seconds)
    more = Cost(first.bytes * (count - 1), first.requests * (count - 1), seconds=again * (count - 1))
    return first + more


def _keys_apart(sides: Sequence[Side], limits: JoinLimits, tape: DeviceProfile | None) -> Cost:
    """Phases 1 and 2: both sides scanned for their keys, and these joined from disk or tape."""
    scans = NO_COST
    for side in sides:
        scans += choose_read(side.input.store, side.input.candidates, side.input.deciding_columns(side.keys)).cost
    build, probe = sorted(key_bytes(side.input, side.keys) for side in sides)
    if tape is None or build + probe <= limits.disk_bytes:
        return scans + disk_cost(2 * (build + probe), limits, 20 + part_requests(build, probe, limits))
    first, second = _on_tape(build, tape), _on_tape(probe, tape)
    if keeps_on_disk(build, probe, limits, tape):
        return scans + chunked_on_disk(first, second, limits)[0]
    return scans + chunked_on_tape(first, second, limits, tape)[0]


def _on_tape(size_bytes: int, tape: DeviceProfile) -> Scans:
    seconds = transfer_seconds(tape, size_bytes)
    return Scans(Cost(size_bytes, 1, seconds=seconds), seconds + locate_seconds(tape, size_bytes, 0), size_bytes)
