"""The index on many machines: ring, commits, repair, planners as machines, and the processes that run them.

`connect` opens a cluster; `start`, `esker node serve` and `esker cluster up` start one (docs/cluster.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from esker.cluster.client import Cluster, connect
    from esker.cluster.starting import start

__all__ = ["Cluster", "connect", "start"]


def __getattr__(name: str) -> Any:
    # The machines are wanted without Arrow: simulations start thousands of processes' worth of them.
    if name == "start":
        from esker.cluster.starting import start

        return start
    if name in __all__:
        from esker.cluster import client

        return getattr(client, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
