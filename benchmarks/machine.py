"""Name the machine and the versions behind a figure: without them it cannot be compared with anything."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.interpreter import peer_versions

PACKAGES = ("esker", "numpy", "pyarrow", "duckdb", "polars")
PEERS = ("pyarrow", "pandas", "datafusion", "dask", "distributed", "pyspark", "ray", "daft")


def describe_machine() -> dict[str, Any]:
    """Tell processor, cores this process may use, memory, kernel, and the version of every package measured."""
    return {
        "processor": _first_value(Path("/proc/cpuinfo"), "model name") or platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": int((_first_value(Path("/proc/meminfo"), "MemTotal") or "0").split()[0]) * 1024,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "peers": peer_versions(PEERS),
    }


def _first_value(path: Path, key: str) -> str:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
