"""Name the machine and the versions behind a figure: without them it cannot be compared with anything."""

from __future__ import annotations

from typing import Any

from benchmarks.interpreter import peer_versions
from esker.bench import machine

PACKAGES = ("esker", "numpy", "pyarrow", "duckdb", "polars")
PEERS = (
    "pyarrow",
    "pandas",
    "datafusion",
    "dask",
    "distributed",
    "pyspark",
    "ray",
    "daft",
    "aiostream",
    "streamable",
    "reactivex",
)


def describe_machine() -> dict[str, Any]:
    """Tell processor, cores this process may use, memory, kernel, and the version of every package measured."""
    return {**machine.describe_machine(PACKAGES), "peers": peer_versions(PEERS)}
