"""The query planners of a cluster, by name."""

from __future__ import annotations

from esker.cluster.plan import Planner
from esker.core.family import Family

PLANNERS: Family[type[Planner]] = Family(
    "planner",
    {
        "one_call_per_node": "esker.cluster.planners.one_call_per_node:OneCallPerNode",
        "least_loaded": "esker.cluster.planners.least_loaded:LeastLoaded",
        "fewest_nodes": "esker.cluster.planners.fewest_nodes:FewestNodes",
        "random_replica": "esker.cluster.planners.random_replica:RandomReplica",
    },
)
