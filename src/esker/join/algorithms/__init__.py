"""Ways to join: one file each, by name."""

from __future__ import annotations

from esker.core.family import Family
from esker.join.problem import JoinAlgorithm

ALGORITHMS: Family[type[JoinAlgorithm]] = Family(
    "join algorithm",
    {
        "asj": "esker.join.algorithms.asj:AttributeSeparationJoin",
        "hash": "esker.join.algorithms.hash:HashJoin",
        "in_memory": "esker.join.algorithms.in_memory:InMemoryJoin",
    },
)
