"""One script on this machine, in worker processes, or on a Ray cluster.

    python examples/one_script_many_places.py FOLDER                     this machine, then worker processes
    python examples/one_script_many_places.py FOLDER ray                 and a Ray cluster (needs esker[ray])

Readings of weather stations are grouped by station; a Python function goes through each group. What is printed is the
same everywhere.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import esker

SUMMARY = pa.schema({"station": pa.int64(), "readings": pa.int64(), "longest_frost": pa.int64()})


def write_readings(path: Path) -> None:
    """Write 200,000 readings of 40 stations."""
    chance = np.random.default_rng(1)
    count = 200_000
    table = pa.table(
        {
            "station": chance.integers(0, 40, count),
            "hour": np.arange(count) // 40,
            "degrees": chance.normal(4, 6, count).round(1),
        }
    )
    pq.write_table(table, path, row_group_size=25_000)


def summarise(group: pa.Table) -> dict[str, int]:
    """Find the longest run of frost of a station: Python that no engine sees through."""
    longest = current = 0
    for degrees in group["degrees"].to_pylist():
        current = current + 1 if degrees < 0 else 0
        longest = max(longest, current)
    return {"station": group["station"][0].as_py(), "readings": group.num_rows, "longest_frost": longest}


def report(path: Path) -> list[dict[str, int]]:
    """Find the stations with the longest frost."""
    stations = esker.read_parquet(path).group_by("station", partitions=8).map_groups(summarise, SUMMARY)
    return (
        stations.to_arrow().sort_by([("longest_frost", "descending"), ("station", "ascending")]).slice(0, 5).to_pylist()
    )


def main(arguments: list[str]) -> None:
    """Run the report in each place and print it."""
    path = Path(arguments[0]) / "readings.parquet"
    write_readings(path)
    expected = None
    for where in ("local", "processes", *arguments[1:]):
        with esker.connect(where):
            found = report(path)
        if expected is None:
            expected = found
            for row in found:
                print(
                    f"station {row['station']:2}: {row['readings']:,} readings, {row['longest_frost']} hours of frost"
                )
        print(f"{where}: {'the same rows' if found == expected else 'OTHER ROWS'}")


if __name__ == "__main__":
    main(sys.argv[1:] or ["."])
