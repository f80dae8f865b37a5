"""The real operators on generated relations: sizes, rates, memory and disk scaled down alike, so that time is the same.

A scale of 200 makes a relation of 1 GB one of 5 MB, on a tape of 17.5 KB/s: every second on the devices' clock is one
of the full size. Times come from the operators' own account of drives, arm and disk (esker.join.account).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isfinite

import numpy as np
import pyarrow as pa

from esker.bench.paper.relation_disk import RelationDisk
from esker.bench.paper.relation_tape import RelationTape
from esker.bench.paper.setting import MB, Setting
from esker.bench.paper.simulation import device_of
from esker.core.context import QueryContext
from esker.core.device_profile import DeviceProfile
from esker.core.seeded import generator
from esker.errors import OptionError
from esker.join import JoinInput, JoinLimits, TapeRows, plan_join
from esker.storage import Tier

SCALE = 200
# A key and the id of its row: what a tuple of J_R has, of 8 bytes each.
KEY_BYTES = 16
# Arrow writes some bytes around every batch, and a cartridge that the paper fills to its last byte has to hold those.
OVERHEAD = 1.02
DISK_BYTES_ENDLESS = 1 << 40
# Which operator runs for which of the paper's, whether half of the disk is filled while half is joined, and on disk.
OPERATORS: Mapping[str, tuple[str, bool, bool]] = {
    "asj": ("asj", False, False),
    "ctt_gh": ("ctt_gh", False, False),
    "ctt_gh_half": ("ctt_gh", True, False),
    "grace": ("cdt_gh", False, True),
    "sort_merge": ("sort_merge", False, True),
    "nested_loop": ("nested_loop", False, True),
}
_COUNTS = {
    "scans of the build side": "scans_1",
    "chunks of the probe side": "scans_2",
    "passes": "passes",
}


@dataclass(frozen=True)
class Measured:
    """What an operator took on the devices' clock, what it counted, and the rows that came out."""

    phases: Mapping[str, float]
    counts: Mapping[str, int]
    rows: int
    seconds: float


def run_operator(
    algorithm: str, point: Setting, library: DeviceProfile, *, scale: float = SCALE, seed: int = 0
) -> Measured:
    """Join generated relations of a point by the real operator; OptionError for an algorithm that has none.

    `on disk` algorithms read relations from a disk of the point's rate; a disk large enough for all (section 4.4).
    """
    if algorithm not in OPERATORS:
        raise OptionError(f"no operator runs {algorithm!r}; there is: {', '.join(OPERATORS)}")
    operator, halved, on_disk = OPERATORS[algorithm]
    disk = DeviceProfile("disk", point.disk * MB / scale)
    device = device_of(point, library)
    tape = replace(
        device,
        bytes_per_second=device.bytes_per_second / scale,
        locate_bytes_per_second=device.locate_bytes_per_second / scale,
        rewind_bytes_per_second=device.rewind_bytes_per_second / scale,
        capacity_bytes=_bytes(point.cartridge_mb * OVERHEAD, scale) if isfinite(point.cartridge_mb) else 1 << 62,
    )
    tier: Tier = RelationDisk(disk) if on_disk else RelationTape(tape)
    inputs = _inputs(tier, point, scale, seed)
    if isinstance(tier, RelationTape):
        tier.shelve()
    limits = JoinLimits(
        _bytes(point.memory_mb, scale),
        DISK_BYTES_ENDLESS if on_disk else _bytes(point.disk_mb, scale),
        disk,
        max(_bytes(point.buffer_mb, scale), 1),
        halved=halved,
        even_passes=False,
    )
    with QueryContext() as context:
        plan = plan_join(*inputs, [("k", "k")], "inner", algorithm=operator, context=context, limits=limits)
        rows = sum(batch.num_rows for batch in plan.run(context))
        account = plan.problem.account
    counts = {_COUNTS[name]: count for name, count in account.counts.items() if name in _COUNTS}
    return Measured(dict(account.phases), counts, rows, account.seconds)


def matches(point: Setting, *, scale: float = SCALE, seed: int = 0) -> int:
    """How many rows the join has: those of S whose key refers to R."""
    keys = _keys(point, scale, seed)
    return int(np.count_nonzero(keys[1] < len(keys[0])))


def _inputs(tier: Tier, point: Setting, scale: float, seed: int) -> tuple[JoinInput, JoinInput]:
    """S and R: keys of R are distinct, those of S refer to R with the probability that the switch is 1."""
    width = _width(point)
    block = max(_bytes(point.memory_mb, scale) // 2 // width, 1)
    keys = _keys(point, scale, seed)
    inputs = []
    for name, values, stream in (("s", keys[1], 2), ("r", keys[0], 3)):
        payload = generator(seed, stream).bytes(len(values) * (width - KEY_BYTES))
        rest = pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(width - KEY_BYTES), len(values), [None, pa.py_buffer(payload)]
        )
        batch = pa.record_batch({"k": values, f"{name}_rest": rest})
        parts = [batch.slice(start, block) for start in range(0, len(values), block)]
        inputs.append(JoinInput(TapeRows.write(tier, name, parts), None, ("k", f"{name}_rest")))
    return inputs[0], inputs[1]


def _keys(point: Setting, scale: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    width = _width(point)
    left_count, right_count = (max(_bytes(size, scale) // width, 1) for size in (point.r_mb, point.s_mb))
    chance = generator(seed, 1)
    left = chance.permutation(left_count).astype(np.int64)
    right = chance.integers(0, left_count, right_count)
    right[chance.random(right_count) >= point.f] += left_count
    return left, right


def _width(point: Setting) -> int:
    width = round(KEY_BYTES * point.c)
    if width <= KEY_BYTES:
        raise OptionError(f"c is {point.c:g}: the real operators need rows wider than their keys")
    return width


def _bytes(size_mb: float, scale: float) -> int:
    return round(size_mb * MB / scale)
