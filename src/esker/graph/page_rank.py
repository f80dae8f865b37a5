"""PageRank by power iteration: the ranks lie in memory, the edges are read in order once an iteration."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from esker.graph.adjacency import Adjacency, count_into
from esker.graph.workspace import Array, Workspace


def page_rank(
    incoming: Adjacency,
    out_weight: Array,
    start: Array | None,
    damping: float,
    iterations: int,
    tolerance: float | None,
    workspace: Workspace,
) -> tuple[Array, int, float]:
    """Iterate `iterations` times, or until ranks change by less than `tolerance` in all; ranks sum up to 1.

    `out_weight` is the weight that each vertex gives away (the number of its edges), `start` the chance to start anew
    at each vertex (all alike if None). A vertex without edges out gives its rank away as a new start does, as in Brin
    and Page's model. Returns the ranks, the iterations done, and the last change.
    """
    vertex_count = len(out_weight)
    ranks = workspace.array(vertex_count, np.float64, 1 / max(vertex_count, 1))
    if start is not None:
        ranks[:] = start
    given = workspace.array(vertex_count, np.float64)
    received = workspace.array(vertex_count, np.float64)
    pieces = list(incoming.pieces(workspace))
    change = float("inf")
    for iteration in range(1, iterations + 1):
        dangling = _give(ranks, out_weight, given, workspace)
        received[:] = 0
        for owners, sums in workspace.map(lambda bounds: _gather(incoming, bounds, given), pieces):
            received[owners] += sums
        change = _move(ranks, received, start, damping, dangling, workspace)
        if tolerance is not None and change < tolerance:
            return ranks, iteration, change
    return ranks, iterations, change


def out_weights(edges: Iterator[tuple[Array, Array]], vertex_count: int, workspace: Workspace) -> Array:
    """How many edges leave each vertex."""
    counts = workspace.array(vertex_count, np.float64)
    for src, _ in edges:
        count_into(counts, src)
    return counts


def _give(ranks: Array, out_weight: Array, given: Array, workspace: Workspace) -> float:
    """What each vertex gives along an edge of weight 1; returns the rank of those that have none."""
    dangling = 0.0
    for part in workspace.parts(len(ranks)):
        weight, rank = out_weight[part], ranks[part]
        ending = weight == 0
        dangling += float(rank[ending].sum())
        np.divide(rank, weight, out=given[part], where=~ending)
        given[part][ending] = 0
    return dangling


def _gather(incoming: Adjacency, bounds: tuple[int, int], given: Array) -> tuple[Array, Array]:
    piece = incoming.piece(bounds)
    values = given[piece.neighbours]
    if "weight" in piece.columns:
        values *= piece.columns["weight"]
    return piece.owners, piece.reduce(np.add, values)


def _move(
    ranks: Array, received: Array, start: Array | None, damping: float, dangling: float, workspace: Workspace
) -> float:
    """Put the new ranks in place; returns by how much they changed in all."""
    change = 0.0
    even = 1 / len(ranks) if len(ranks) else 0.0
    for part in workspace.parts(len(ranks)):
        restart = even if start is None else start[part]
        new = damping * (received[part] + dangling * restart) + (1 - damping) * restart
        change += float(np.abs(new - ranks[part]).sum())
        ranks[part] = new
    return change
