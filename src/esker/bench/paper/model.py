"""The closed form: what the paper's algorithms take, phase by phase, from the sizes alone.

Written from source 003 in the readings of docs/paper-joins.md. Sizes in MB, times in seconds. Tape and disk work side
by side wherever double buffering lets them; what is exposed is added up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import ceil, log

from esker.bench.paper.setting import Setting, times
from esker.errors import OptionError


@dataclass(frozen=True)
class Prediction:
    """What an algorithm takes: seconds by phase, how often it scans both relations, and its counts.

    `scans_1` and `scans_2` are how often CTT-GH reads R to divide it and again to join it; `passes` how often ASJ's
    materialisation reads A_R; `levels` how often a disk join divides or merges.
    """

    phases: Mapping[str, float]
    scans: float
    counts: Mapping[str, int] = field(default_factory=dict)
    method: str = ""

    @property
    def seconds(self) -> float:
        """All phases."""
        return sum(self.phases.values())


def ctt_gh(point: Setting, *, half: bool = False) -> Prediction:
    """Concurrent tape-tape Grace hash join: section 4 of the paper, steps I and II.

    Step I scans R once for each disk of it, and writes the partitions one after the other on another cartridge while
    the next scan goes on; step II reads S a disk (or, `half`, half a disk) at a time, and R's partitions for each.

    >>> found = ctt_gh(Setting.of_r(1))
    >>> round(found.seconds), found.counts
    (3170, {'scans_1': 2, 'scans_2': 4})
    """
    scans_1 = times(point.r_mb, point.disk_mb)
    scans_2 = times(point.s_mb, point.disk_mb / (2 if half else 1))
    scan, rewind = point.r_mb / point.tape, point.rewind(point.r_mb)
    last_mb = point.r_mb - (scans_1 - 1) * point.disk_mb
    divide = scans_1 * scan + (scans_1 - 1) * rewind + last_mb / point.tape + rewind
    chunk = point.s_mb / scans_2 / point.tape
    join = chunk + (scans_2 - 1) * max(scan + rewind, chunk) + scan
    # R and its partitions, each as often as it is read, and S once.
    swaps = (point.cartridges(point.r_mb) - 1) * (scans_1 + scans_2)
    mounts = 2 + point.cartridges(point.s_mb) + swaps
    return Prediction(
        {"mount": mounts * point.mount_seconds, "divide": divide, "join": join},
        ((scans_1 + scans_2) * point.r_mb + point.s_mb) / point.both_mb,
        {"scans_1": scans_1, "scans_2": scans_2},
        "CTT-GH",
    )


def cdt_gh(point: Setting) -> Prediction | None:
    """The same with R on disk already; None when S has no room beside it.

    Chunks of S are of one size. While one is joined, which reads it and R from disk, the next is read from tape and
    written there.
    """
    free_mb = point.disk_mb - point.r_mb
    if free_mb <= 0:
        return None
    chunks = times(point.s_mb, free_mb)
    chunk_mb = point.s_mb / chunks
    step = max(chunk_mb / point.tape, (2 * chunk_mb + point.r_mb) / point.disk)
    join = chunk_mb / point.tape + (chunks - 1) * step + (point.r_mb + chunk_mb) / point.disk
    return Prediction(
        {"mount": point.cartridges(point.s_mb) * point.mount_seconds, "join": join},
        ((1 + chunks) * point.r_mb + point.s_mb) / point.both_mb,
        {"scans_1": 1, "scans_2": chunks},
        "CDT-GH",
    )


def dd_gh(point: Setting) -> Prediction | None:
    """The same with both relations on disk already; None when they do not fit."""
    if point.both_mb > point.disk_mb:
        return None
    return Prediction({"join": point.both_mb / point.disk}, 0.0, {"scans_1": 0, "scans_2": 0}, "DD-GH")


def tape_hash(point: Setting) -> Prediction:
    """The better of CDT-GH, with R read from tape to disk first, and CTT-GH: the tape join ASJ is compared with."""
    tape, one = ctt_gh(point), cdt_gh(point)
    if one is None:
        return tape
    read = point.cartridges(point.r_mb) * point.mount_seconds + point.r_mb / point.tape
    staged = Prediction({"divide": read, **one.phases}, one.scans, one.counts, one.method)
    return staged if staged.seconds < tape.seconds else tape


def key_join(point: Setting) -> Prediction:
    """ASJ's join phase: the cheapest of the three for J_R and J_S, which the separation left where it wants them."""
    keys = point.keys
    if (both := dd_gh(keys)) is not None:
        return both
    one, tape = cdt_gh(keys), ctt_gh(keys)
    return one if one is not None and one.seconds < tape.seconds else tape


def asj(point: Setting, *, apart: bool = False) -> Prediction:
    """Attribute separation join (section 3); `apart`: keys were separated when the data was archived.

    >>> found = asj(Setting.of_r(10))
    >>> {phase: round(seconds) for phase, seconds in found.phases.items()}, found.counts["passes"], found.method
    ({'separate': 14855, 'join': 3170, 'materialise': 25784}, 5, 'CTT-GH')
    """
    keys = key_join(point)
    passes = times(point.rc_mb, point.room_mb)
    phases = {} if apart else {"separate": separate_seconds(point)}
    phases["join"] = keys.seconds + (index_write_seconds(point) if point.index_on_tape else 0.0)
    phases["materialise"] = materialise_seconds(point)
    moved = keys.scans * point.keys.both_mb + point.s_mb + passes * point.r_mb + (0.0 if apart else point.both_mb)
    return Prediction(phases, moved / point.both_mb, {**keys.counts, "passes": passes}, keys.method)


def separate_seconds(point: Setting) -> float:
    """Read both relations and rewind each; keys go beside, to disk or to the other drive.

    A relation of several cartridges is left as it was found, its first one in the drive.
    """
    seconds = 0.0
    for size_mb in (point.r_mb, point.s_mb):
        cartridges = point.cartridges(size_mb)
        mounts = cartridges + (cartridges > 1)
        last_mb = size_mb - (cartridges - 1) * point.cartridge_mb if cartridges > 1 else size_mb
        rewinds = (cartridges - 1) * point.rewind(point.cartridge_mb) if cartridges > 1 else 0.0
        seconds += mounts * point.mount_seconds + size_mb / point.tape + rewinds + point.rewind(last_mb)
    return seconds


def materialise_seconds(point: Setting) -> float:
    """Fill the disk with RC by reading S, read A_R for it, and again until S is through.

    A_R is rewound while the disk fills; where a relation goes on on another cartridge, everything waits for it.
    """
    passes = times(point.rc_mb, point.room_mb)
    fill = min(point.room_mb, point.rc_mb) / point.rc_mb * point.s_mb / point.tape
    rest = point.s_mb / point.tape - (passes - 1) * fill
    rewind = point.rewind(point.r_mb)
    seconds = 2 * point.mount_seconds + passes * point.r_mb / point.tape
    fills = [fill] * (passes - 1) + [rest] if passes > 1 else [rest]
    seconds += fills[0] + sum(max(rewind, each) for each in fills[1:])
    changes = point.cartridges(point.s_mb) - 1 + passes * (point.cartridges(point.r_mb) - 1)
    if changes:
        seconds += changes * (point.rewind(point.cartridge_mb) + point.mount_seconds)
    if point.index_on_tape:
        # For every fill its part of JRI comes in, and what was in the drive comes back.
        seconds += 2 * passes * point.mount_seconds + point.index_mb / point.tape
    return seconds


def index_write_seconds(point: Setting) -> float:
    """Write JRI to a cartridge of its own."""
    return point.mount_seconds + point.index_mb / point.tape


def least_seconds(point: Setting) -> float:
    """The least I/O of ASJ: separation and materialisation, with no keys to join and a JRI of no size."""
    passes = times(point.rc_mb, point.disk_mb)
    fill = min(point.disk_mb / point.f, point.s_mb) / point.tape
    rest = point.s_mb / point.tape - (passes - 1) * fill
    rewind = point.rewind(point.r_mb)
    fills = [max(rewind, fill)] * (passes - 2) + [max(rewind, rest)] if passes > 1 else []
    changes = (point.cartridges(point.s_mb) - 1) * (point.rewind(point.cartridge_mb) + point.mount_seconds)
    reads = passes * point.r_mb / point.tape + fill + sum(fills)
    return separate_seconds(point) + 2 * point.mount_seconds + reads + changes


def grace(point: Setting) -> Prediction:
    """Grace hash join of relations on disk, with nothing charged for seeks.

    >>> grace(Setting.of_r(6)).seconds, grace(Setting.of_r(7)).seconds
    (5400.0, 10500.0)
    """
    levels = _levels(point, point.r_mb)
    seconds = (1 + 2 * levels) * point.both_mb / point.disk
    return Prediction({"join": seconds}, 1.0 + levels, {"levels": levels}, "Grace")


def grace_staged(point: Setting) -> Prediction:
    """The same, copied from tape to disk first, each buffer that goes to or comes from a partition with a seek."""
    on_disk = grace(point)
    levels = on_disk.counts["levels"]
    mounts = 1 + point.cartridges(point.r_mb) + point.cartridges(point.s_mb)
    seeks = 2 * levels * point.both_mb / point.buffer_mb * point.seek_seconds
    return Prediction(
        {"stage": mounts * point.mount_seconds + point.both_mb / point.tape, "join": on_disk.seconds + seeks},
        on_disk.scans + 1,
        on_disk.counts,
        "Grace, staged, with seeks",
    )


def sort_merge(point: Setting) -> Prediction:
    """Sort-merge join of relations on disk: runs, merges down to one run a relation, and a last read of both."""
    levels = [_levels(point, size_mb) for size_mb in (point.r_mb, point.s_mb)]
    passes = (3 + 2 * levels[0]) * point.r_mb + (3 + 2 * levels[1]) * point.s_mb
    return Prediction({"join": passes / point.disk}, 2.0 + max(levels), {"levels": max(levels)}, "sort-merge")


def nested_loop(point: Setting) -> Prediction:
    """Block nested loop of relations on disk: R a memory at a time, S once for each."""
    blocks = times(point.r_mb, point.memory_mb)
    moved = point.r_mb + blocks * point.s_mb
    return Prediction({"join": moved / point.disk}, moved / point.both_mb, {"blocks": blocks}, "nested loop")


def _levels(point: Setting, size_mb: float) -> int:
    """How often a relation is divided (or its runs merged) `memory / buffer` ways until parts are of memory's size."""
    fan_out = point.memory_mb / point.buffer_mb
    return max(ceil(log(max(size_mb / point.memory_mb, 1.0)) / log(fan_out) - 1e-9), 1)


ALGORITHMS: Mapping[str, Callable[[Setting], Prediction]] = {
    "asj": asj,
    "asj_apart": lambda point: asj(point, apart=True),
    "ctt_gh": ctt_gh,
    "ctt_gh_half": lambda point: ctt_gh(point, half=True),
    "grace": grace,
    "grace_staged": grace_staged,
    "sort_merge": sort_merge,
    "nested_loop": nested_loop,
}


def predict(algorithm: str, point: Setting) -> Prediction:
    """The closed form of an algorithm by name; OptionError for one that there is not."""
    if algorithm not in ALGORITHMS:
        raise OptionError(f"no algorithm {algorithm!r}; there is: {', '.join(ALGORITHMS)}")
    return ALGORITHMS[algorithm](point)
