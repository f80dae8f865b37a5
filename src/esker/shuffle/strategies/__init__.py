"""The strategies of a shuffle, by name."""

from __future__ import annotations

from esker.core.family import Family
from esker.shuffle.strategy import Strategy

STRATEGIES: Family[type[Strategy]] = Family(
    "shuffle strategy",
    {
        "on_demand": "esker.shuffle.strategies.on_demand:OnDemand",
        "software_managed_buffers": "esker.shuffle.strategies.software_managed_buffers:SoftwareManagedBuffers",
        "radix": "esker.shuffle.strategies.radix:Radix",
        "hybrid": "esker.shuffle.strategies.hybrid:Hybrid",
        "thread_local_merge": "esker.shuffle.strategies.thread_local_merge:ThreadLocalMerge",
        "collaborative_buffers": "esker.shuffle.strategies.collaborative_buffers:CollaborativeBuffers",
        "collaborative_units": "esker.shuffle.strategies.collaborative_units:CollaborativeUnits",
        "sort_first": "esker.shuffle.strategies.sort_first:SortFirst",
    },
)
