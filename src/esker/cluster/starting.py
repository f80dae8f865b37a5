"""`esker.cluster.start`: a coordinator and nodes, as processes here or as actors of a Ray cluster."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from esker.cluster.local import LocalCluster
from esker.errors import OptionError

if TYPE_CHECKING:
    from esker.cluster.ray_cluster import RayCluster

PLACES = ("processes", "ray")


def start(
    folder: str | Path,
    nodes: int,
    *,
    on: str = "processes",
    copies: int = 2,
    planner: str = "fewest_nodes",
    **options: Any,
) -> LocalCluster | RayCluster:
    """Start a cluster that keeps its data below `folder`, and give it: connect to it, look at it, end it.

    >>> import esker.cluster, tempfile
    >>> from esker.bitmap import Bitmap
    >>> with esker.cluster.start(tempfile.mkdtemp(), nodes=2) as hosts, hosts.connect() as cluster:
    ...     cluster.put(2, Bitmap.from_positions([0, 3], 5))
    ...     cluster.count("R:[2,2]")
    2

    `on` is `"processes"` (of this machine) or `"ray"`: actors of the Ray cluster that this process is connected to (see
    `esker.connect("ray")`), for which `options` are those of `RayCluster`: `machines`, `path`, `keep`, `security`. Each
    vector is on `copies` nodes. As a context manager it is ended at the end of the block.

    Raises OptionError for a place or option that is not there, ResourceError when no Ray cluster is connected.
    """
    if on not in PLACES:
        raise OptionError(f"on={on!r}: there is {', '.join(PLACES)}")
    if on == "processes":
        if options:
            raise OptionError(f"a cluster of processes has no {', '.join(sorted(options))}")
        local = LocalCluster(Path(folder))
        local.up(nodes, copies=copies, planner=planner)
        return local
    from esker.cluster.ray_cluster import RayCluster

    unknown = sorted(set(options) - {"machines", "path", "keep", "security"})
    if unknown:
        raise OptionError(f"a cluster on Ray has no {', '.join(unknown)}")
    hosts = RayCluster(folder, **options)
    try:
        hosts.up(nodes, copies=copies, planner=planner)
    except BaseException:
        hosts.down()
        raise
    return hosts
