"""The index on many machines: ring, commits, repair, planners as machines, and the processes that run them.

`connect` opens a cluster; `esker node serve`, `esker cluster up` start one (docs/cluster.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from esker.cluster.client import Cluster, connect

__all__ = ["Cluster", "connect"]


def __getattr__(name: str) -> Any:
    # The machines are wanted without Arrow: simulations start thousands of processes' worth of them.
    if name in __all__:
        from esker.cluster import client

        return getattr(client, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
