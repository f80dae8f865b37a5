"""Waiting until the nodes that were started are on the ring."""

from __future__ import annotations

from esker.cluster.client import Cluster
from esker.core.clock import SYSTEM_CLOCK
from esker.errors import DeadlineExceededError

START_SECONDS = 60.0
_LOOK_SECONDS = 0.05


def wait_for_nodes(cluster: Cluster, nodes: int, hint: str, seconds: float = START_SECONDS) -> None:
    """Return when the coordinator is ready and counts on `nodes` nodes.

    Raises DeadlineExceededError, with `hint` on where to look, when that takes too long.
    """
    deadline = SYSTEM_CLOCK.seconds() + seconds
    while True:
        status = cluster.coordinator_status()
        counted = [node for node in status["nodes"] if node["counted"]]
        if status["ready"] and len(counted) >= nodes:
            return
        if SYSTEM_CLOCK.seconds() >= deadline:
            raise DeadlineExceededError(f"{len(counted)} of {nodes} nodes joined; {hint}")
        SYSTEM_CLOCK.sleep(_LOOK_SECONDS)
