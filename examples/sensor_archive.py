"""Keep a year of sensor readings on tape; find, join and regroup what matters without reading the rest.

Run it: `python examples/sensor_archive.py [FOLDER]`. It makes its own data, takes a few seconds, and says what each
step read. The tape library is simulated: bytes are really stored, time passes on a virtual clock.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa

import esker

HOURS = 24 * 365
SENSORS = 40


def readings(seed: int = 7) -> pa.Table:
    """One reading an hour of each sensor; the note is the wide payload that decisions do not need."""
    random = np.random.default_rng(seed)
    hour = np.repeat(np.arange(HOURS), SENSORS)
    sensor = np.tile(np.arange(SENSORS), HOURS)
    season = 10 - 12 * np.cos(hour / HOURS * 2 * np.pi)
    celsius = season + random.normal(0, 4, len(hour))
    note = [
        f"reading {h:05} of sensor {s:02}, seal {seal:016x}"
        for h, s, seal in zip(hour, sensor, random.integers(0, 2**62, len(hour)), strict=True)
    ]
    return pa.table(
        {
            "month": pa.array(hour * 12 // HOURS + 1, pa.int8()),
            "hour": pa.array(hour, pa.int32()),
            "sensor": pa.array(sensor, pa.int16()),
            "celsius": celsius,
            "note": note,
        }
    )


def hottest_run(group: pa.Table) -> dict[str, object]:
    """The longest run of hours above 25 degrees: a loop, which Python says plainly."""
    longest = run = 0
    for celsius in group.sort_by("hour")["celsius"].to_pylist():
        run = run + 1 if celsius > 25 else 0
        longest = max(longest, run)
    return {"place": group["place"][0].as_py(), "hours": longest}


def main(folder: Path) -> None:
    archive = folder / "readings.esker"
    report = esker.freeze(
        readings(),
        archive,
        keys=["sensor", "hour"],
        index={"month": "equality", "celsius": esker.Bins([0, 10, 20, 25, 30])},
        order_by=["hour"],
        split_by="month",
        tier=f"tape:{folder / 'library'}?device=lto9-hh&cartridge=2MiB",
    )
    print(f"frozen: {report}\n")

    heat = esker.find(archive, "month BETWEEN 6 AND 8 AND celsius >= 30", columns=["hour", "sensor", "note"])
    print(heat.explain())
    print(f"{heat.count():,} readings of 30 degrees and more in summer\n")

    places = esker.from_arrow({"sensor": pa.array([3, 11, 29], pa.int16()), "place": ["roof", "cellar", "yard"]})
    summer = esker.read_frozen(archive).filter("month = 7").join(places, on="sensor").with_options(memory="128MiB")
    runs = summer.group_by("place", partitions=8).map_groups(hottest_run)
    for row in sorted(runs.to_arrow().to_pylist(), key=lambda row: row["place"]):
        print(f"{row['place']:>7}: {row['hours']} hours above 25 degrees in a row")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as scratch:
            main(Path(scratch))
