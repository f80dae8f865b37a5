"""Search from some vertices outwards, a level at a time: an edge is read once its owner is reached."""

from __future__ import annotations

import numpy as np

from esker.graph.adjacency import Adjacency
from esker.graph.workspace import Array, Workspace, distinct

UNREACHED = np.int32(-1)


def distances_from(
    adjacency: Adjacency,
    sources: Array,
    workspace: Workspace,
    levels_max: int | None = None,
    within: Array | None = None,
) -> Array:
    """How many edges each vertex is from the nearest of `sources`, int32; UNREACHED (-1) where none leads there.

    Edges lead from owner to neighbour; `within` says which vertices may be entered.
    """
    distance = workspace.array(len(adjacency.starts) - 1, np.int32, int(UNREACHED))
    frontier = distinct(sources)
    distance[frontier] = 0
    level = 0
    while len(frontier) and (levels_max is None or level < levels_max):
        level += 1
        reached = []
        for neighbours in adjacency.neighbours_of(frontier, workspace):
            new = neighbours[distance[neighbours] == UNREACHED]
            if within is not None:
                new = new[within[new]]
            distance[new] = level
            reached.append(distinct(new))
        workspace.context.check()
        # A vertex is new once: what one array has marked the next one does not find again.
        frontier = np.sort(np.concatenate(reached)) if reached else np.empty(0, np.uint32)
    return distance
