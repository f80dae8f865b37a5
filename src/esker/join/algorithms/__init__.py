"""Ways to join: one file each, by name."""

from __future__ import annotations

from esker.core.family import Family
from esker.join.problem import JoinAlgorithm

ALGORITHMS: Family[type[JoinAlgorithm]] = Family(
    "join algorithm",
    {
        "asj": "esker.join.algorithms.asj:AttributeSeparationJoin",
        "cdt_gh": "esker.join.algorithms.cdt_gh:DiskGraceJoin",
        "ctt_gh": "esker.join.algorithms.ctt_gh:TapeGraceJoin",
        "hash": "esker.join.algorithms.hash:HashJoin",
        "in_memory": "esker.join.algorithms.in_memory:InMemoryJoin",
        "nested_loop": "esker.join.algorithms.nested_loop:BlockNestedLoopJoin",
        "sort_merge": "esker.join.algorithms.sort_merge:ExternalSortMergeJoin",
    },
)
