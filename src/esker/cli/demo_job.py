"""The demo's job, as a user would write it: freeze, find, join, regroup.

Each function is a whole use of the public API; nothing here knows about printing or reports.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

import esker

if TYPE_CHECKING:
    from esker import Dataset, FreezeReport

DELAY_BINS = [0, 15, 60, 120]
WIND_BINS = [10, 20, 35]
LATE_IN_SUMMER = "month IN (6,7) AND origin = 'JFK' AND dep_delay > 120"
STORMY = "wind_speed > 35"
PARTITIONS = 64


def read_csv(path: Path) -> Dataset:
    """The demo's CSV files write NA for what is not known."""
    return esker.read_csv(path, null_values=["NA", ""])


def freeze_flights(flights: Dataset, target: Path, tier: str, **options: Any) -> FreezeReport:
    """Freeze flights by time, each month an extent of its own, its payload on `tier`."""
    return esker.freeze(
        flights,
        target,
        keys=["tailnum", "origin", "time_hour"],
        index={
            "month": "equality",
            "carrier": "equality",
            "origin": "equality",
            "dest": "equality",
            "dep_delay": esker.Bins(DELAY_BINS),
        },
        order_by=["time_hour"],
        split_by="month",
        tier=tier,
        **options,
    )


def freeze_weather(weather: Dataset, target: Path, **options: Any) -> FreezeReport:
    """Freeze the hourly weather at each airport to local disk; storms are found by the bins of wind speed."""
    index = {"wind_speed": esker.Bins(WIND_BINS)}
    return esker.freeze(weather, target, keys=["origin", "time_hour"], index=index, order_by=["time_hour"], **options)


def freeze_planes(planes: Dataset, target: Path, **options: Any) -> FreezeReport:
    """Freeze the planes to local disk."""
    return esker.freeze(planes, target, keys=["tailnum"], **options)


def find_late_flights(frozen: Path) -> Dataset:
    """Flights from JFK that left more than two hours late in June and July."""
    return esker.find(frozen, LATE_IN_SUMMER)


def join_storms(frozen: Path, weather: Path, algorithm: str = "auto") -> Dataset:
    """Flights that were to leave in an hour of gale, with that hour's weather."""
    storms = esker.find(weather, STORMY)
    return esker.read_frozen(frozen).join(storms, on=["origin", "time_hour"], algorithm=algorithm)


def join_planes(frozen: Path, planes: Path) -> Dataset:
    """Flights with the plane that flew them; nearly every flight has one."""
    return esker.read_frozen(frozen).join(esker.read_frozen(planes), on="tailnum")


def regroup_by_destination(flights: Dataset) -> Dataset:
    """One row a destination, by a Python function that sees all its flights at once."""
    return flights.group_by("dest", partitions=PARTITIONS).map_groups(
        longest_late_streak,
        schema=pa.schema({"dest": pa.string(), "flights": pa.int64(), "seats": pa.int64(), "late_streak": pa.int64()}),
    )


def longest_late_streak(flights: pa.Table) -> dict[str, Any]:
    """How many flights in a row left late: a loop over time, which SQL says badly and Python says plainly."""
    in_order = flights.sort_by([(name, "ascending") for name in ("time_hour", "carrier", "flight")])
    longest = streak = 0
    for delay in in_order["dep_delay"].to_pylist():
        streak = streak + 1 if delay is not None and delay > 0 else 0
        longest = max(longest, streak)
    return {
        "dest": flights["dest"][0].as_py(),
        "flights": flights.num_rows,
        "seats": sum(flights["seats"].to_pylist()),
        "late_streak": longest,
    }
