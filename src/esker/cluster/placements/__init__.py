"""The placements of an index on nodes, by name."""

from __future__ import annotations

from esker.cluster.placement import Placement
from esker.core.family import Family

PLACEMENTS: Family[type[Placement]] = Family(
    "placement",
    {
        "row_block": "esker.cluster.placements.row_block:RowBlockPlacement",
        "vector": "esker.cluster.placements.vector:VectorPlacement",
        "dynamic": "esker.cluster.placements.dynamic:DynamicPlacement",
    },
)
