"""The strategies of a shuffle, by name."""

from __future__ import annotations

from esker.core.family import Family
from esker.shuffle.strategy import Strategy

STRATEGIES: Family[type[Strategy]] = Family(
    "shuffle strategy",
    {
        "software_managed_buffers": "esker.shuffle.strategies.software_managed_buffers:SoftwareManagedBuffers",
        "sort_first": "esker.shuffle.strategies.sort_first:SortFirst",
    },
)
