"""Core numbers by peeling: vertices of too few neighbours leave, and their neighbours lose one each."""

from __future__ import annotations

import numpy as np

from esker.graph.adjacency import Adjacency
from esker.graph.workspace import Array, Workspace, distinct


def core_numbers(neighbours: Adjacency, workspace: Workspace) -> Array:
    """The largest k for which each vertex is in a subgraph where all have at least k neighbours (Seidman, 1983).

    `neighbours` has each edge from both ends, once, without loops. Every edge is read once from each end, when its
    owner leaves (Batagelj and Zaversnik, 2003), a level at a time.
    """
    vertex_count = len(neighbours.starts) - 1
    cores = workspace.array(vertex_count, np.int32)
    left = workspace.array(vertex_count, np.int64)
    there = workspace.array(vertex_count, np.bool_, 1)
    for part in workspace.parts(vertex_count):
        left[part] = neighbours.degree(part)
    k = 0
    remaining = vertex_count
    while remaining:
        least, leaving = _least(left, there, workspace)
        k = max(k, least)
        while len(leaving):
            cores[leaving] = k
            there[leaving] = False
            remaining -= len(leaving)
            leaving = _peel(neighbours, leaving, left, there, k, workspace)
    return cores


def _least(left: Array, there: Array, workspace: Workspace) -> tuple[int, Array]:
    """The least degree of those that are there, and who has it."""
    least = min(int(left[part][there[part]].min()) for part in workspace.parts(len(left)) if there[part].any())
    found = [np.flatnonzero(there[part] & (left[part] <= least)) + part.start for part in workspace.parts(len(left))]
    return least, np.concatenate(found)


def _peel(neighbours: Adjacency, leaving: Array, left: Array, there: Array, k: int, workspace: Workspace) -> Array:
    """Take `leaving` away from their neighbours; returns those that cannot stay at `k`, ascending."""
    falling = []
    for reached in neighbours.neighbours_of(leaving, workspace):
        workspace.context.check()
        losers, losses = np.unique(reached[there[reached]], return_counts=True)
        left[losers] -= losses
        falling.append(losers[left[losers] <= k])
    return distinct(np.concatenate(falling)).astype(np.int64) if falling else np.empty(0, np.int64)
