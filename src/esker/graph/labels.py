"""Label propagation: each vertex takes the label that most of its neighbours have, all at once."""

from __future__ import annotations

import numpy as np

from esker.graph.adjacency import Adjacency, Piece, pack, unpack
from esker.graph.workspace import Array, Workspace


def propagate_labels(neighbours: Adjacency, iterations: int, workspace: Workspace) -> tuple[Array, int]:
    """Labels after at most `iterations` rounds, and the rounds done; it ends early when no label changes.

    Each vertex begins with a label of its own (Raghavan et al., 2007). Of labels that are equally frequent the least
    wins, so that the outcome is the same every time; a vertex without edges keeps its label.
    """
    vertex_count = len(neighbours.starts) - 1
    labels = workspace.array(vertex_count, np.uint32)
    following = workspace.array(vertex_count, np.uint32)
    for part in workspace.parts(vertex_count):
        labels[part] = np.arange(part.start, part.stop, dtype=np.uint32)
    pieces = list(neighbours.pieces(workspace))
    for done in range(1, iterations + 1):
        following[:] = labels
        _vote(neighbours, pieces, labels, following, workspace)
        if np.array_equal(labels, following):
            return labels, done
        labels, following = following, labels
    return labels, iterations


def _vote(
    neighbours: Adjacency, pieces: list[tuple[int, int]], labels: Array, following: Array, workspace: Workspace
) -> None:
    """Let every vertex count its neighbours' labels; one whose edges are in several pieces is counted when all are."""
    open_owner, open_votes = -1, np.empty(0, np.uint64)
    open_counts = np.empty(0, np.int64)

    def count(bounds: tuple[int, int]) -> tuple[Array, Array]:
        return _count(neighbours.piece(bounds), labels)

    for votes, counts in workspace.map(count, pieces):
        votes, counts = _merge(open_votes, open_counts, votes, counts)
        owners = unpack(votes)[0]
        # The last owner may go on in the next piece.
        open_owner = int(owners[-1])
        first_open = int(np.searchsorted(owners, open_owner))
        _decide(votes[:first_open], counts[:first_open], following)
        open_votes, open_counts = votes[first_open:], counts[first_open:]
    _decide(open_votes, open_counts, following)


def _count(piece: Piece, labels: Array) -> tuple[Array, Array]:
    votes: tuple[Array, Array] = np.unique(pack(piece.owner_of_each(), labels[piece.neighbours]), return_counts=True)
    return votes


def _merge(votes: Array, counts: Array, more_votes: Array, more_counts: Array) -> tuple[Array, Array]:
    if not len(votes):
        return more_votes, more_counts
    merged, places = np.unique(np.concatenate([votes, more_votes]), return_inverse=True)
    sums = np.zeros(len(merged), np.int64)
    np.add.at(sums, places, np.concatenate([counts, more_counts]))
    return merged, sums


def _decide(votes: Array, counts: Array, following: Array) -> None:
    """Give each owner its most frequent label; votes are in the order of owner, then label."""
    if not len(votes):
        return
    owners, labels = unpack(votes)
    starts = np.concatenate([[0], np.flatnonzero(owners[1:] != owners[:-1]) + 1])
    most = np.maximum.reduceat(counts, starts)
    winners = np.flatnonzero(counts == np.repeat(most, np.diff(starts, append=len(votes))))
    # The first winner of each owner has the least label.
    chosen = winners[np.searchsorted(winners, starts)]
    following[owners[chosen]] = labels[chosen]
