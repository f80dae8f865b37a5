"""Triangles: edges point to the end of more neighbours, and the two ends of each pair of edges are looked up."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from esker.core.spill import SpillFolder
from esker.graph.adjacency import Adjacency, build, pack
from esker.graph.workspace import Array, Workspace

# A filter of this many bits for each edge lets about one in eleven of those through that are not there.
_BITS = 12
_MULTIPLIER = np.uint64(0x9E37_79B9_7F4A_7C15)
_FILTER_SHARE = 4


def triangle_counts(neighbours: Adjacency, workspace: Workspace, folder: SpillFolder) -> Array:
    """How many triangles each vertex is in.

    `neighbours` has each edge from both ends, once, without loops. Vertices are ranked by degree and each edge points
    up, so no vertex has more than the root of twice the edges (Chiba and Nishizeki, 1985; Latapy, 2008). For u -> v
    and u -> w the edge v -> w is looked up in a filter in memory, and in the file where that says maybe. Where the
    filter of all edges does not fit, v goes by blocks of vertices, with one pass over the edges for each.
    """
    ranks = _ranks(neighbours, workspace)
    upward = build(_upward(neighbours, ranks, workspace), len(ranks), workspace, folder)
    counts = workspace.array(len(ranks), np.int64)
    budget = workspace.context.budget
    block_edges = max(workspace.piece, budget.free_bytes // _FILTER_SHARE * 8 // _BITS)
    for first, stop in _blocks(upward, block_edges):
        with budget.reserve(f"{workspace.operator}: filter") as held:
            edges = int(upward.starts[stop] - upward.starts[first])
            held.resize(_Filter.size_bytes(edges))
            block = _Block(upward, first, stop, _Filter.of(upward, first, stop, edges, workspace))
            for corners in workspace.map(block.triangles, _wedge_ranges(upward, workspace)):
                for corner in corners:
                    np.add.at(counts, corner, 1)
    found: Array = counts[ranks]
    return found


def _ranks(neighbours: Adjacency, workspace: Workspace) -> Array:
    """The place of each vertex in the order of degree, then number."""
    degrees = workspace.array(len(neighbours.starts) - 1, np.int64)
    for part in workspace.parts(len(degrees)):
        degrees[part] = neighbours.degree(part)
    order = np.argsort(degrees, kind="stable")
    ranks = workspace.array(len(degrees), np.uint32)
    ranks[order] = np.arange(len(order), dtype=np.uint32)
    return ranks


def _upward(neighbours: Adjacency, ranks: Array, workspace: Workspace) -> Iterator[tuple[Array]]:
    for bounds in neighbours.pieces(workspace):
        piece = neighbours.piece(bounds)
        low, high = ranks[piece.owner_of_each()], ranks[piece.neighbours]
        up = low < high
        yield (pack(low[up], high[up]),)


def _blocks(upward: Adjacency, edges_max: int) -> Iterator[tuple[int, int]]:
    """Ranges of vertices that own at most `edges_max` edges (or are one vertex)."""
    vertex_count = len(upward.starts) - 1
    first = 0
    while first < vertex_count:
        limit = int(upward.starts[first]) + edges_max
        stop = max(first + 1, int(np.searchsorted(upward.starts, limit, "right")) - 1)
        yield first, min(stop, vertex_count)
        first = stop


def _wedge_ranges(upward: Adjacency, workspace: Workspace) -> Iterator[tuple[int, int]]:
    """Ranges of edges, each with about a piece of pairs: an edge is paired with those after it of the same owner."""
    for first, stop in upward.pieces(workspace):
        pairs = np.cumsum(_pair_counts(upward, first, stop))
        begin = 0
        while begin < len(pairs):
            done = int(pairs[begin - 1]) if begin else 0
            end = max(begin + 1, int(np.searchsorted(pairs, done + workspace.piece, "right")))
            yield first + begin, first + end
            begin = end


def _pair_counts(upward: Adjacency, first: int, stop: int) -> Array:
    piece = upward.piece((first, stop))
    ends = np.repeat(upward.starts[piece.owners + 1], np.diff(piece.starts, append=stop - first))
    counts: Array = ends - np.arange(first, stop) - 1
    return counts


class _Filter:
    """A bit for each hash of an edge: what has none is not there."""

    def __init__(self, bits: Array, shift: int) -> None:
        self._bits = bits
        self._shift = np.uint64(shift)

    @staticmethod
    def size_bytes(edges: int) -> int:
        return 1 << max(_BITS * edges - 1, 64).bit_length() - 3

    @staticmethod
    def of(upward: Adjacency, first: int, stop: int, edges: int, workspace: Workspace) -> _Filter:
        """The filter of the edges that vertices `first` up to `stop` own."""
        size = _Filter.size_bytes(edges)
        made = _Filter(np.zeros(size, np.uint8), 64 - (size.bit_length() - 1 + 3))
        begin, end = int(upward.starts[first]), int(upward.starts[stop])
        for start in range(begin, end, workspace.piece):
            bounds = (start, min(start + workspace.piece, end))
            piece = upward.piece(bounds)
            places = made._places(piece.owner_of_each(), piece.neighbours)
            np.bitwise_or.at(
                made._bits, places >> np.uint64(3), np.uint8(1) << (places & np.uint64(7)).astype(np.uint8)
            )
        return made

    def may_have(self, owners: Array, neighbours: Array) -> Array:
        """Whether edges may be there."""
        places = self._places(owners, neighbours)
        found: Array = (self._bits[places >> np.uint64(3)] >> (places & np.uint64(7)).astype(np.uint8)) & 1
        return found.astype(bool)

    def _places(self, owners: Array, neighbours: Array) -> Array:
        places: Array = (pack(owners, neighbours) * _MULTIPLIER) >> self._shift
        return places


class _Block:
    """Finds the triangles u, v, w whose v is in a range."""

    def __init__(self, upward: Adjacency, first: int, stop: int, edges: _Filter) -> None:
        self._upward = upward
        self._first, self._stop = first, stop
        self._filter = edges

    def triangles(self, bounds: tuple[int, int]) -> tuple[Array, Array, Array]:
        """The corners of triangles whose edge u -> v is in a range of edges."""
        first, stop = bounds
        upward = self._upward
        piece = upward.piece(bounds)
        counts = _pair_counts(upward, first, stop)
        middle = piece.neighbours
        counts[(middle < self._first) | (middle >= self._stop)] = 0
        edge = np.repeat(np.arange(stop - first), counts)
        after = np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts)
        far = upward.neighbours[edge + after + (first + 1)]
        maybe = self._filter.may_have(middle[edge], far)
        edge, far = edge[maybe], far[maybe]
        there = self._has(middle[edge], far)
        edge, far = edge[there], far[there]
        return piece.owner_of_each()[edge], middle[edge], far

    def _has(self, owners: Array, neighbours: Array) -> Array:
        """Whether edges are there: a binary search in the owner's part of the file."""
        low, high = self._upward.starts[owners], self._upward.starts[owners.astype(np.int64) + 1]
        end = high
        while len(low) and (low < high).any():
            between = (low + high) >> 1
            less = (low < high) & (
                self._upward.neighbours[np.minimum(between, self._upward.edge_count - 1)] < neighbours
            )
            low, high = np.where(less, between + 1, low), np.where(less, high, between)
        inside = low < end
        found = np.zeros(len(owners), bool)
        found[inside] = self._upward.neighbours[low[inside]] == neighbours[inside]
        return found
