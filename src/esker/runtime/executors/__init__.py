"""The executor family: where tasks run."""

from __future__ import annotations

from collections.abc import Callable

from esker.core.family import Family
from esker.runtime.executor import Executor

EXECUTORS: Family[Callable[[int], Executor]] = Family(
    "executor",
    {
        "inline": "esker.runtime.executors.inline:InlineExecutor",
        "processes": "esker.runtime.executors.processes:ProcessExecutor",
        "ray": "esker.runtime.executors.ray:RayExecutor",
        "simulated": "esker.runtime.executors.simulated:SimulatedExecutor",
        "threads": "esker.runtime.executors.threads:ThreadExecutor",
    },
)
