"""Connected components in one pass: the forest lies in memory, edges are taken a piece at a time."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from esker.graph.workspace import Array, Workspace


def connected_components(edges: Iterable[tuple[Array, Array]], vertex_count: int, workspace: Workspace) -> Array:
    """The least vertex of each vertex's component, whichever way the edges point.

    A union-find over whole pieces: roots of both ends are found by jumping, larger roots are hooked to smaller ones
    (the least that is offered), and what is still apart goes round again. A tree's root is its least vertex.
    """
    parents = workspace.array(vertex_count, np.uint32)
    for part in workspace.parts(vertex_count):
        parents[part] = np.arange(part.start, part.stop, dtype=np.uint32)
    for src, dst in edges:
        _unite(parents, src, dst)
        if len(src) * 4 >= vertex_count:
            compress(parents, workspace)
    compress(parents, workspace)
    return parents


def _unite(parents: Array, src: Array, dst: Array) -> None:
    left, right = src, dst
    while len(left):
        left, right = find_roots(parents, left), find_roots(parents, right)
        apart = left != right
        left, right = left[apart], right[apart]
        low, high = np.minimum(left, right), np.maximum(left, right)
        np.minimum.at(parents, high, low)
        _double(parents, high)
        left, right = low, high


def _double(parents: Array, hooked: Array) -> None:
    """Make roots that were hooked to one another point to the last: jumps double, as a chain may be a piece long."""
    above = parents[hooked]
    while True:
        further = parents[above]
        if np.array_equal(further, above):
            return
        parents[hooked] = above = further


def find_roots(parents: Array, vertices: Array) -> Array:
    """The roots of `vertices`, by jumping."""
    roots = parents[vertices]
    while True:
        above = parents[roots]
        if np.array_equal(above, roots):
            return roots
        roots = above


def compress(parents: Array, workspace: Workspace) -> None:
    """Make every vertex point to its root: a parent is less than its child, so parts are done from the front."""
    for part in workspace.parts(len(parents)):
        parents[part] = find_roots(parents, parents[part])
