"""The paper's algorithms event by event, at full size and without data: extents on tape, space on disk, and a clock.

Each algorithm is a process in a `Room` (esker.storage.tape.room) and does what the paper says, block by block: drives
and disk work side by side where it lets them, space is taken before it is written to and freed once it is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import inf, isfinite

from esker.bench.paper import model
from esker.bench.paper.setting import MB, Setting, times
from esker.core.device_profile import DeviceProfile
from esker.errors import OptionError
from esker.storage.device_event import DeviceEvent
from esker.storage.tape.room import DiskSpace, Piece, Process, Reel, Room, Task

# Finer steps than these change nothing; coarser ones are taken where there would be more of them.
BLOCKS_MAX = 20_000
# Parts of a disk that is used to its last byte are whole bytes, each rounded.
ROUNDED_BYTES = 64


@dataclass(frozen=True)
class Simulated:
    """What a simulation took. `busy` is seconds by phase, device and kind; `counts` are those of the closed form."""

    phases: Mapping[str, float]
    counts: Mapping[str, int]
    method: str
    mounts: int
    tape_bytes: int
    disk_bytes: int
    disk_peak_bytes: int
    busy: Mapping[tuple[str, str, str], float]
    events: Sequence[DeviceEvent]

    @property
    def seconds(self) -> float:
        """All phases."""
        return sum(self.phases.values())


def simulate(algorithm: str, point: Setting, device: DeviceProfile) -> Simulated:
    """Simulate an algorithm at a point on a tape library; OptionError for one that there is not.

    >>> from esker.storage.devices import DEVICES
    >>> found = simulate("asj", Setting.of_r(10), DEVICES["exabyte-220l"])
    >>> found.counts["passes"], found.mounts
    (5, 11)
    """
    if algorithm not in ALGORITHMS:
        raise OptionError(f"no algorithm {algorithm!r}; there is: {', '.join(ALGORITHMS)}")
    if device.drives < 2:
        raise OptionError(f"{device.name} has {device.drives} drive; these algorithms need two")
    run = _Run(algorithm, point, device)
    run.room.run(ALGORITHMS[algorithm](run))
    return run.result()


def device_of(point: Setting, device: DeviceProfile) -> DeviceProfile:
    """The tape library with the rates and times of a point."""
    if point.free_rewinds:
        device = replace(
            device,
            locate_seconds=0.0,
            locate_bytes_per_second=inf,
            rewind_seconds=0.0,
            rewind_bytes_per_second=inf,
            wraps=0,
        )
    mount = point.mount_seconds - device.unmount_seconds
    return replace(
        device,
        bytes_per_second=point.tape * MB,
        mount_seconds=max(mount, 0.0),
        capacity_bytes=round(point.cartridge_mb * MB) if isfinite(point.cartridge_mb) else 0,
    )


@dataclass
class _Run:
    """One simulation: the room, where relations lie, and what was counted."""

    algorithm: str
    point: Setting
    library: DeviceProfile
    counts: dict[str, int] = field(default_factory=dict)
    phases: dict[str, float] = field(default_factory=dict)
    method: str = ""
    index: Reel = field(default_factory=lambda: Reel([]))

    def __post_init__(self) -> None:
        point = self.point
        # "We set disk cache large enough" (section 4.4) for the joins on disk.
        endless = self.algorithm in ON_DISK
        disk = DeviceProfile("disk", point.disk * MB, request_seconds=point.seek_seconds)
        space = DiskSpace(disk, 0 if endless else _bytes(point.disk_mb) + ROUNDED_BYTES)
        self.room = Room(device_of(point, self.library), space)
        moved_mb = model.predict(self.algorithm, point).scans * point.both_mb
        self.block = max(_bytes(point.memory_mb) // 2, _bytes(moved_mb) // BLOCKS_MAX, 1)
        self._cartridges = 0

    def result(self) -> Simulated:
        room = self.room
        return Simulated(
            self.phases,
            self.counts,
            self.method,
            room.mounts,
            room.tape_bytes,
            room.disk.moved_bytes,
            room.disk.peak_bytes,
            dict(room.busy),
            room.events,
        )

    @contextmanager
    def phase(self, name: str, *, shelves: bool = True) -> Iterator[None]:
        """Account what is done inside to a phase; at its end cartridges that are rewound are put back (`shelves`)."""
        room = self.room
        room.phase, start = name, room.now
        yield
        self.phases[name] = self.phases.get(name, 0.0) + room.now - start
        for drive in room.drives:
            if shelves and not drive.position:
                drive.cartridge = None

    def reel(self, size: int, piece: int = 0) -> Reel:
        """Give a relation cartridges of its own; `piece` is the most that goes on one."""
        step = min(filter(None, (self.room.device.capacity_bytes, piece, size)), default=1)
        starts = range(0, size, step)
        pieces = [
            Piece(self._cartridges + number, start, min(start + step, size)) for number, start in enumerate(starts)
        ]
        self._cartridges += len(pieces)
        return Reel(pieces)

    def blocks(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Cut a range into blocks."""
        for first in range(start, stop, self.block):
            yield first, min(first + self.block, stop)

    def memories(self, size: int, scans: int) -> int:
        """Say in how many parts a divided relation is read, each time; no more than make a difference."""
        return min(times(size, _bytes(self.point.memory_mb)), max(BLOCKS_MAX // scans, 1))

    def count(self, name: str, more: int = 1) -> None:
        self.counts[name] = self.counts.get(name, 0) + more

    def load(self, drive: int, reel: Reel, start: int, stop: int, part: float, freed: int = 0) -> Process:
        """Read a range of a relation and put a part of each block on disk, while the next block is read.

        Waits for space. `freed` bytes that lie on the disk are used up as the range goes by.
        """
        room, written, taken, given = self.room, self.room.now, 0, 0
        for first, last in self.blocks(start, stop):
            yield from room.pass_over(room.drives[drive], reel, first, last)
            gone = freed * (last - start) // (stop - start) - given
            room.disk.give(gone)
            given += gone
            size = round(part * (last - start)) - taken
            taken += size
            yield written
            yield lambda size=size: room.disk.fits(size)  # type: ignore[misc]  # a default binds it now
            room.disk.take(size)
            written = room.disk_until(size)
        yield written

    def read_whole(self, drive: int, reel: Reel, start: int = 0, stop: int | None = None) -> Process:
        """Read a range of a relation that goes no further than memory."""
        for first, last in self.blocks(start, reel.bytes if stop is None else stop):
            yield from self.room.pass_over(self.room.drives[drive], reel, first, last)

    def unload(self, drive: int, reel: Reel, start: int, stop: int) -> Process:
        """Write a range of a relation from disk to tape, freeing it."""
        room = self.room
        for first, last in self.blocks(start, stop):
            yield room.disk_until(last - first)
            yield from room.pass_over(room.drives[drive], reel, first, last)
            room.disk.give(last - first)


def _bytes(size_mb: float) -> int:
    return round(size_mb * MB)


# --- Concurrent tape-tape Grace hash join -------------------------------------------------------------------------


def _ctt_gh(run: _Run, *, half: bool = False) -> Process:
    point = run.point
    run.method = "CTT-GH"
    left, right = run.reel(_bytes(point.r_mb)), run.reel(_bytes(point.s_mb))
    yield from _ctt(run, left, right, half=half)


def _ctt(run: _Run, left: Reel, right: Reel, *, half: bool = False, keys: bool = False) -> Process:
    """Steps I and II for two relations on tape, in the phases of the whole join or (`keys`) in that of the key join."""
    names = ("join", "join") if keys else ("divide", "join")
    parts = run.reel(left.bytes)
    with run.phase(names[0], shelves=False):
        yield from _divide(run, left, parts)
    with run.phase(names[1]):
        yield from _join_chunks(run, parts, right, half=half, flushes=keys)


def _divide(run: _Run, left: Reel, parts: Reel) -> Process:
    """Step I: each scan of R keeps a disk of its partitions, and they go to tape while R is rewound and read again."""
    room, disk_bytes = run.room, _bytes(run.point.disk_mb)
    yield from room.mount(room.drives[0], left.pieces[0].cartridge)
    yield from room.mount(room.drives[1], parts.pieces[0].cartridge)
    writer: Task | None = None
    for start in range(0, left.bytes, disk_bytes):
        stop = min(start + disk_bytes, left.bytes)
        if writer is not None:
            yield from room.rewind(room.drives[0])
        yield from run.load(0, left, 0, left.bytes, (stop - start) / left.bytes)
        run.count("scans_1")
        if writer is not None:
            yield writer
        writer = room.start(run.unload(1, parts, start, stop))
    back = room.start(room.unmount(room.drives[0]))
    assert writer is not None, "a relation has bytes"
    yield writer
    yield from room.rewind(room.drives[1])
    yield back


def _join_chunks(run: _Run, parts: Reel, right: Reel, *, half: bool, flushes: bool) -> Process:
    """Step II: chunks of S come to disk while the one before is joined with R's partitions, one by one from tape."""
    room, point = run.room, run.point
    count = times(right.bytes, _bytes(point.disk_mb) // (2 if half else 1))
    edges = [right.bytes * number // count for number in range(count + 1)]
    chunks = [edges[number + 1] - edges[number] for number in range(count)]
    state = {"read": 0, "joined": 0, "flushed": 0}
    # Without a disk beside for JRI, a chunk has to wait until that of the last one is on tape.
    waits = flushes and point.index_on_tape
    yield from room.mount(room.drives[0], right.pieces[0].cartridge)
    yield from room.mount(room.drives[1], parts.pieces[0].cartridge)

    def reader() -> Process:
        for number in range(count):
            if half:
                yield lambda number=number: state["joined"] >= number - 1  # type: ignore[misc]  # a default binds it now
            if waits:
                yield lambda number=number: state["flushed"] >= number  # type: ignore[misc]  # a default binds it now
            yield from run.load(0, right, edges[number], edges[number + 1], 1.0)
            state["read"] += 1

    room.start(reader())
    memories = run.memories(parts.bytes, count)
    for number in range(count):
        yield lambda number=number: state["read"] > number  # type: ignore[misc]  # a default binds it now
        for place in range(memories):
            part = [parts.bytes * each // memories for each in (place, place + 1)]
            piece = chunks[number] * (place + 1) // memories - chunks[number] * place // memories
            done = room.disk_until(piece)
            yield from room.pass_over(room.drives[1], parts, part[0], part[1])
            yield done
            room.disk.give(piece)
        run.count("scans_2")
        state["joined"] += 1
        if waits:
            yield from _flush_index(run, chunks[number] / right.bytes)
            state["flushed"] += 1
        elif number + 1 < count:
            yield from room.rewind(room.drives[1])


def _flush_index(run: _Run, part: float) -> Process:
    """Write a part of JRI to cartridges of its own, in the second drive; cut small, so that none is wound far."""
    size = _bytes(run.point.index_mb * part)
    # So that finding a part of it is no long way.
    reel = run.reel(size, max(_bytes(run.point.disk_mb) // 2, 1))
    yield from run.read_whole(1, reel)
    before = run.index.bytes
    moved = [Piece(cartridge, before + first, before + stop) for cartridge, first, stop in reel.pieces]
    run.index = Reel([*run.index.pieces, *moved])


# --- Attribute separation join ------------------------------------------------------------------------------------


def _asj(run: _Run, *, apart: bool = False) -> Process:
    point, keys, disk = run.point, run.point.keys, run.room.disk
    left, right = run.reel(_bytes(point.r_mb)), run.reel(_bytes(point.s_mb))
    # The planner's choice: which key relation stays on disk follows from it.
    run.method = model.key_join(point).method
    left_keys = None if run.method != "CTT-GH" else run.reel(_bytes(keys.r_mb))
    right_keys = None if run.method == "DD-GH" else run.reel(_bytes(keys.s_mb))
    if apart:
        disk.take((0 if left_keys else _bytes(keys.r_mb)) + (0 if right_keys else _bytes(keys.s_mb)))
    else:
        with run.phase("separate"):
            yield from _separate(run, left, left_keys)
            yield from _separate(run, right, right_keys)
    if left_keys is not None and right_keys is not None:
        yield from _ctt(run, left_keys, right_keys, keys=True)
    else:
        with run.phase("join"):
            yield from _join_keys_on_disk(run, right_keys)
    if not point.index_on_tape:
        disk.take(_bytes(point.index_mb))
    with run.phase("materialise"):
        yield from _materialise(run, left, right)


def _separate(run: _Run, relation: Reel, keys: Reel | None) -> Process:
    """Read a relation in the first drive; its keys go to disk, or to tape in the second."""
    room = run.room
    yield from room.mount(room.drives[0], relation.pieces[0].cartridge)
    if keys is None:
        yield from run.load(0, relation, 0, relation.bytes, 1 / run.point.c)
        yield from room.rewind(room.drives[0])
        return
    ready = 0

    def writer() -> Process:
        for first, last in run.blocks(0, keys.bytes):
            yield lambda last=last: ready >= last  # type: ignore[misc]  # a default binds it now
            yield from room.pass_over(room.drives[1], keys, first, last)
        yield from room.unmount(room.drives[1])

    writing = room.start(writer())
    for first, last in run.blocks(0, relation.bytes):
        yield from room.pass_over(room.drives[0], relation, first, last)
        ready = keys.bytes * last // relation.bytes
    yield from room.rewind(room.drives[0])
    yield writing


def _join_keys_on_disk(run: _Run, right_keys: Reel | None) -> Process:
    """CDT-GH: J_R is on disk, chunks of J_S come beside it; DD-GH: J_S is there as well."""
    room, keys = run.room, run.point.keys
    left_bytes, right_bytes = _bytes(keys.r_mb), _bytes(keys.s_mb)
    waits = run.point.index_on_tape
    if right_keys is None:
        run.counts.update(scans_1=0, scans_2=0)
        yield room.disk_until(left_bytes + right_bytes)
        room.disk.give(left_bytes + right_bytes)
        if waits:
            yield from _flush_index(run, 1.0)
        return
    run.count("scans_1")
    count = times(right_bytes, _bytes(run.point.disk_mb) - left_bytes)
    edges = [right_bytes * number // count for number in range(count + 1)]
    read = flushed = 0
    yield from room.mount(room.drives[0], right_keys.pieces[0].cartridge)

    def reader() -> Process:
        nonlocal read
        for number in range(count):
            if waits:
                yield lambda number=number: flushed >= number  # type: ignore[misc]  # a default binds it now
            yield from run.load(0, right_keys, edges[number], edges[number + 1], 1.0)
            read += 1

    room.start(reader())
    memories = run.memories(left_bytes, count)
    for number in range(count):
        yield lambda number=number: read > number  # type: ignore[misc]  # a default binds it now
        chunk = edges[number + 1] - edges[number]
        for place in range(memories):
            piece = chunk * (place + 1) // memories - chunk * place // memories
            yield room.disk_until(left_bytes // memories)
            yield room.disk_until(piece)
            room.disk.give(piece)
        run.count("scans_2")
        if waits:
            yield from _flush_index(run, chunk / right_bytes)
            flushed += 1
    room.disk.give(left_bytes)


def _materialise(run: _Run, left: Reel, right: Reel) -> Process:
    """Fill the disk with RC, merge it with A_R, and again; the last RC, which is not full, is merged as well."""
    room, point = run.room, run.point
    rc, room_bytes = _bytes(point.rc_mb), _bytes(point.room_mb)
    count = times(rc, room_bytes)
    # As the paper has it, RC fills the disk; where JRI comes in by parts, what is left over goes to those.
    step = -(-rc // count) if point.index_on_tape else room_bytes
    yield from room.mount(room.drives[0], right.pieces[0].cartridge)
    if not point.index_on_tape:
        yield from room.mount(room.drives[1], left.pieces[0].cartridge)
    index = _IndexParts(run, step, rc) if point.index_on_tape else None
    back: Task | None = None
    for start in range(0, rc, step):
        stop = min(start + step, rc)
        first, last = (right.bytes * edge // rc for edge in (start, stop))
        part = (stop - start) / (last - first)
        if index is None:
            yield from run.load(0, right, first, last, part)
        else:
            index.look(start, stop)
            back = room.start(index.bring(start, stop, left))
            ahead = first + int((last - first) * index.ahead_part)
            if ahead > first:
                yield from run.load(0, right, first, ahead, part, index.ahead_on_disk)
            if ahead < last:
                yield lambda: index.here
                # What both loads put on disk is RC to the byte, however the first was rounded.
                rest = (stop - start - round(part * (ahead - first))) / (last - ahead)
                yield from run.load(0, right, ahead, last, rest, index.brought)
        if back is not None:
            yield back
        used = room.disk.used_bytes
        yield from _merge(run, left, stop - start)
        assert room.disk.used_bytes == used - (stop - start), "RC is freed as it is merged"
        run.count("passes")
        if index is None and stop < rc:
            back = room.start(room.rewind(room.drives[1]))


def _merge(run: _Run, left: Reel, rc: int) -> Process:
    """Read A_R once, and RC beside it."""
    room, given = run.room, 0
    for first, last in run.blocks(0, left.bytes):
        piece = rc * last // left.bytes - given
        done = room.disk_until(piece)
        yield from room.pass_over(room.drives[1], left, first, last)
        yield done
        room.disk.give(piece)
        given += piece


class _IndexParts:
    """JRI from tape, in the drive of A_R: for each fill its part, and of the next what there is room for."""

    def __init__(self, run: _Run, step: int, rc: int) -> None:
        self._run = run
        self._rc = rc
        self._spare = _bytes(run.point.disk_mb) - step, _bytes(run.point.memory_mb) // 2
        self._next = 0
        self._next_on_disk = 0
        self.ahead_part = 0.0
        self.ahead_on_disk = 0
        self.brought = 0
        self.here = False

    def look(self, start: int, stop: int) -> None:
        """Say what is here already of the fill from byte `start` to `stop` of RC, and what has to be brought."""
        first, last = self._edge(start), self._edge(stop)
        self.ahead_part = (self._next - first) / max(last - first, 1)
        self.ahead_on_disk = self._next_on_disk
        self.brought = last - self._next
        self.here = not self.brought

    def bring(self, start: int, stop: int, left: Reel) -> Process:
        """Read what the fill from byte `start` to `stop` of RC lacks, then ahead, and bring A_R back."""
        run, room, disk = self._run, self._run.room, self._run.room.disk
        last = self._edge(stop)
        yield from run.read_whole(1, run.index, self._next, last)
        disk.take(self.brought)
        self.here = True
        following = self._edge(min(2 * stop - start, self._rc)) - last
        self._next_on_disk = min(following, self._spare[0])
        self._next = last + min(following, self._next_on_disk + self._spare[1])
        yield from run.read_whole(1, run.index, last, self._next)
        yield lambda: disk.fits(self._next_on_disk)
        disk.take(self._next_on_disk)
        yield from room.mount(room.drives[1], left.pieces[0].cartridge)

    def _edge(self, rc: int) -> int:
        return self._run.index.bytes * rc // self._rc


# --- Joins on disk ------------------------------------------------------------------------------------------------


def _grace(run: _Run, *, staged: bool = False) -> Process:
    """Divide until a partition fits memory, and read all once more; staged, each buffer of a partition has a seek."""
    point = run.point
    run.method = "Grace"
    if staged:
        with run.phase("stage"):
            yield from _stage(run)
    levels = _levels(point, point.r_mb)
    both = _bytes(point.both_mb)
    with run.phase("join"):
        yield from _disk_pass(run, both, seeks=False)
        for _ in range(levels):
            yield from _disk_pass(run, both, seeks=staged)
            yield from _disk_pass(run, both, seeks=staged)
            run.count("levels")


def _stage(run: _Run) -> Process:
    """Copy R and then S from tape to disk."""
    for drive, size_mb in enumerate((run.point.r_mb, run.point.s_mb)):
        reel = run.reel(_bytes(size_mb))
        yield from run.load(drive, reel, 0, reel.bytes, 1.0)


def _sort_merge(run: _Run) -> Process:
    """Sort runs, merge them to one a relation, and merge the two."""
    run.method = "sort-merge"
    sizes = [run.point.r_mb, run.point.s_mb]
    levels = [_levels(run.point, size_mb) for size_mb in sizes]
    run.counts["levels"] = max(levels)
    with run.phase("join"):
        for size_mb, merges in zip(sizes, levels, strict=True):
            for _ in range(2 + 2 * merges):
                yield from _disk_pass(run, _bytes(size_mb), seeks=False)
        yield from _disk_pass(run, _bytes(run.point.both_mb), seeks=False)


def _nested_loop(run: _Run) -> Process:
    """Read R a memory at a time, and S once for each."""
    run.method = "nested loop"
    memory, right = _bytes(run.point.memory_mb), _bytes(run.point.s_mb)
    with run.phase("join"):
        for start in range(0, _bytes(run.point.r_mb), memory):
            yield run.room.disk_until(min(memory, _bytes(run.point.r_mb) - start))
            yield run.room.disk_until(right)
            run.count("blocks")


def _disk_pass(run: _Run, size: int, *, seeks: bool) -> Process:
    yield run.room.disk_until(size, round(size / _bytes(run.point.buffer_mb)) if seeks else 0)


def _levels(point: Setting, size_mb: float) -> int:
    levels, part = 0, size_mb
    while part > point.memory_mb * (1 + 1e-9) or not levels:
        part /= point.memory_mb / point.buffer_mb
        levels += 1
    return levels


ON_DISK = ("grace", "grace_staged", "sort_merge", "nested_loop")
ALGORITHMS: Mapping[str, Callable[[_Run], Process]] = {
    "asj": _asj,
    "asj_apart": lambda run: _asj(run, apart=True),
    "ctt_gh": _ctt_gh,
    "ctt_gh_half": lambda run: _ctt_gh(run, half=True),
    "grace": _grace,
    "grace_staged": lambda run: _grace(run, staged=True),
    "sort_merge": _sort_merge,
    "nested_loop": _nested_loop,
}
