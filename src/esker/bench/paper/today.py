"""The same join on devices of today: one LTO-9 library, and S3 Glacier Deep Archive with its prices.

Keys are kept apart from the day the data is archived; then ASJ is one read of both relations, or of what matched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from esker.bench.document import Column, Plot, Section
from esker.bench.paper import model
from esker.bench.paper.setting import MB, Setting
from esker.bench.paper.simulation import simulate
from esker.storage.devices import device_profile
from esker.storage.prices import month_price, restore_price

LIBRARY, DISK, LINK = "lto9-fh", "nvme", "glacier-deep-archive"
R_TB = (1, 2, 4, 8, 16)
REDUCING = 50.0
MATCHED = 0.1
MEMORY_MB = 32_000.0
CACHE_MB = 2_000_000.0
# Objects of the archive: the unit of a restore. How long restored copies are paid for.
OBJECT_BYTES = 256_000_000
COPY_DAYS = 7
HOUR = 3600.0
TB = 10**12


def today_point(r_tb: float) -> Setting:
    """S is twice R, a tenth of it matches, keys are a fiftieth; 32 GB of memory, and 2 TB of NVMe as the cache."""
    disk = device_profile(DISK).bytes_per_second / MB
    point = Setting.of_r(
        r_tb * 1000, c=REDUCING, f=MATCHED, memory_mb=MEMORY_MB, disk_mb=CACHE_MB, disk=disk, seek_seconds=0.0
    )
    return point.on(device_profile(LIBRARY))


def library_table() -> Section:
    """One LTO-9 library of two drives: closed form, and simulated where an algorithm is."""
    return Section(
        "library",
        f"One LTO-9 library ({LIBRARY}): two drives, 2 TB of cache, c = 50, a tenth of S matches; hours",
        (
            Column("r_tb", "R, TB", "count"),
            Column("asj", "ASJ", "number"),
            Column("asj_simulated", "simulated", "number"),
            Column("asj_apart", "keys apart", "number"),
            Column("asj_apart_simulated", "simulated", "number"),
            Column("passes", "passes", "count"),
            Column("tape_hash", "CDT- or CTT-GH", "number"),
            Column("grace_staged", "staged Grace", "number"),
            Column("disk_tb", "disk it needs, TB", "number"),
            Column("read_once", "one read of both", "number"),
        ),
        [_library_row(r_tb) for r_tb in R_TB],
        Plot("r_tb", "asj", "passes"),
        ("Keys apart: the keys were separated when the data was archived, and lie on disk.",),
    )


def _library_row(r_tb: int) -> Mapping[str, Any]:
    point, library = today_point(r_tb), device_profile(LIBRARY)
    asj = model.asj(point)
    return {
        "r_tb": r_tb,
        "asj": asj.seconds / HOUR,
        "asj_simulated": simulate("asj", point, library).seconds / HOUR,
        "asj_apart": model.asj(point, apart=True).seconds / HOUR,
        "asj_apart_simulated": simulate("asj_apart", point, library).seconds / HOUR,
        "passes": asj.counts["passes"],
        "tape_hash": model.tape_hash(point).seconds / HOUR,
        "grace_staged": model.grace_staged(point).seconds / HOUR,
        "disk_tb": 2 * point.both_mb * MB / TB,
        "read_once": point.both_mb / point.tape / HOUR,
    }


def archive_table() -> Section:
    """Deep Archive: what is restored, how long it takes, and what it costs, by what has to come back."""
    date = restore_price("DEEP_ARCHIVE", "standard").date
    return Section(
        "archive",
        f"S3 Glacier Deep Archive, prices of {date} in US dollars, restored copies kept {COPY_DAYS} days",
        (
            Column("r_tb", "R, TB", "count"),
            Column("how", "keys"),
            Column("restored_tb", "restored, TB", "number"),
            Column("hours_standard", "hours, standard", "number"),
            Column("money_standard", "$, standard", "number"),
            Column("hours_bulk", "hours, bulk", "number"),
            Column("money_bulk", "$, bulk", "number"),
            Column("month_archive", "$ a month in the archive", "number"),
            Column("month_standard", "$ a month in S3 Standard", "number"),
        ),
        [_archive_row(r_tb, how) for r_tb in R_TB for how in _RESTORED],
        Plot("r_tb", "money_standard", "how"),
        (
            "not apart: both relations come back and are joined on NVMe. apart, uniform: every object of 256 MB holds"
            " a match, so all come back. apart, clustered: a tenth of S and at most two tenths of R come back.",
            "Hours: the longest a restore may take, and then the reading over the link.",
        ),
    )


# Of R and of S, what part has to be restored; whether keys decide first.
_RESTORED: Mapping[str, tuple[float, float]] = {
    "not apart": (1.0, 1.0),
    "apart, uniform": (1.0, 1.0),
    "apart, clustered": (2 * MATCHED, MATCHED),
}


def _archive_row(r_tb: int, how: str) -> Mapping[str, Any]:
    point = today_point(r_tb)
    parts = _RESTORED[how]
    restored = int((parts[0] * point.r_mb + parts[1] * point.s_mb) * MB)
    objects = -(-restored // OBJECT_BYTES)
    link = device_profile(LINK)
    seconds = restored / link.bytes_per_second + objects * link.request_seconds / link.concurrency
    if how == "not apart":
        seconds += model.grace(replace(point, seek_seconds=0.0)).seconds
    else:
        seconds += point.keys.both_mb / point.disk
    both = point.both_mb * MB
    row: dict[str, Any] = {"r_tb": r_tb, "how": how, "restored_tb": restored / TB}
    for speed in ("standard", "bulk"):
        price = restore_price("DEEP_ARCHIVE", speed)
        row[f"hours_{speed}"] = (price.seconds_max + seconds) / HOUR
        row[f"money_{speed}"] = price.money(restored, objects, COPY_DAYS) + objects * link.money_per_request
    row["month_archive"] = both * month_price("DEEP_ARCHIVE")
    row["month_standard"] = both * restore_price("DEEP_ARCHIVE", "standard").copy_money_per_byte_month
    return row
