"""Edges in the order of one of their ends: a sequential file of neighbours, and where each vertex's begin."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from esker.core.spill import SpillFolder
from esker.graph.edge_files import ColumnFile
from esker.graph.sorter import Sorter
from esker.graph.workspace import Array, Workspace

_LOW = np.uint64(0xFFFF_FFFF)
_HIGH = np.uint64(32)


@dataclass(frozen=True)
class Piece:
    """Some edges next to one another in the file.

    `owners` are the vertices they belong to, ascending; the edges of `owners[i]` begin at `starts[i]`, counted from the
    piece's first. A vertex of many edges may own the end of one piece and the beginning of the next.
    """

    owners: Array
    starts: Array
    neighbours: Array
    columns: Mapping[str, Array]

    def owner_of_each(self) -> Array:
        """The owner of each edge."""
        return np.repeat(self.owners, np.diff(self.starts, append=len(self.neighbours)))

    def reduce(self, function: np.ufunc, values: Array) -> Array:
        """Reduce the edges' `values` to one for each owner, in the order of the edges."""
        reduced: Array = function.reduceat(values, self.starts)
        return reduced


class Adjacency:
    """The neighbours of every vertex; `starts` has a place for each vertex and the end."""

    def __init__(self, starts: Array, neighbours: Array, columns: Mapping[str, Array]) -> None:
        self.starts = starts
        self.neighbours = neighbours
        self.columns = columns

    @property
    def edge_count(self) -> int:
        """How many edges there are."""
        return len(self.neighbours)

    def degree(self, part: slice) -> Array:
        """How many edges the vertices of a slice own."""
        return np.diff(self.starts[part.start : part.stop + 1])

    def pieces(self, workspace: Workspace) -> Iterator[tuple[int, int]]:
        """Cut the edges into ranges for `piece`: of few enough edges, that belong to few enough vertices."""
        first = 0
        vertex_count = len(self.starts) - 1
        while first < self.edge_count:
            owner = int(np.searchsorted(self.starts, first, "right")) - 1
            last_owner = min(owner + workspace.piece, vertex_count)
            stop = min(first + workspace.piece, self.edge_count, int(self.starts[last_owner]))
            if stop == first:  # vertices without edges only
                stop = min(first + 1, self.edge_count)
            yield first, stop
            first = stop

    def piece(self, bounds: tuple[int, int]) -> Piece:
        """The edges of a range."""
        first, stop = bounds
        low = int(np.searchsorted(self.starts, first, "right")) - 1
        high = int(np.searchsorted(self.starts, stop, "left"))
        starts = np.clip(self.starts[low : high + 1], first, stop) - first
        owning = np.flatnonzero(np.diff(starts))
        columns = {name: column[first:stop] for name, column in self.columns.items()}
        return Piece(owning + low, starts[owning], self.neighbours[first:stop], columns)

    def expand(self, vertices: Array, workspace: Workspace) -> Iterator[tuple[Array, Array]]:
        """The edges of `vertices` (ascending): for each the place of its owner in `vertices`, and its neighbour.

        They come in arrays of about a piece, in the order of the file, so that what is read of it lies ahead.
        """
        begins = self.starts[vertices]
        ends = np.cumsum(self.starts[vertices + 1] - begins)
        total = int(ends[-1]) if len(ends) else 0
        for start in range(0, total, workspace.piece):
            stop = min(start + workspace.piece, total)
            low = int(np.searchsorted(ends, start, "right"))
            high = int(np.searchsorted(ends, stop, "left")) + 1
            before = ends[low - 1] if low else 0
            counts = np.diff(np.minimum(ends[low:high], stop), prepend=max(before, start))
            owners = np.repeat(np.arange(low, high), counts)
            # Where an owner's edges begin in the file, less how many edges of all came before it.
            shift = begins[low:high] - np.concatenate([[before], ends[low : high - 1]])
            yield owners, self.neighbours[np.arange(start, stop) + np.repeat(shift, counts)]

    def neighbours_of(self, vertices: Array, workspace: Workspace) -> Iterator[Array]:
        """The neighbours of `vertices` (ascending), in arrays of about a piece."""
        for _, neighbours in self.expand(vertices, workspace):
            yield neighbours


def pack(owners: Array, neighbours: Array) -> Array:
    """One number for an edge, whose order is that of owner, then neighbour."""
    packed: Array = (owners.astype(np.uint64) << _HIGH) | neighbours
    return packed


def unpack(edges: Array) -> tuple[Array, Array]:
    """Owners and neighbours of packed edges.

    >>> [column.tolist() for column in unpack(pack(np.array([1, 2]), np.array([3, 0], np.uint32)))]
    [[1, 2], [3, 0]]
    """
    return (edges >> _HIGH).astype(np.uint32), (edges & _LOW).astype(np.uint32)


def build(
    edges: Iterable[tuple[Array, ...]],
    vertex_count: int,
    workspace: Workspace,
    folder: SpillFolder,
    *,
    unique: bool = False,
    dtypes: Mapping[str, npt.DTypeLike] | None = None,
) -> Adjacency:
    """Sort edges (packed, with other columns beside) into a file of `folder`; `unique` keeps one of equal ones."""
    kinds = dict(dtypes or {})
    names = list(kinds)
    starts = workspace.array(vertex_count + 1, np.int64)
    files = {name: ColumnFile(folder, "edges", dtype) for name, dtype in {"": np.dtype(np.uint32), **kinds}.items()}
    try:
        with Sorter(workspace, [np.uint64, *kinds.values()], unique=unique) as sorter:
            for packed, *columns in edges:
                sorter.add(packed, *columns)
            for packed, *columns in sorter.sorted():
                for start in range(0, len(packed), workspace.piece):
                    owners, neighbours = unpack(packed[start : start + workspace.piece])
                    count_sorted(starts[1:], owners)
                    files[""].append(neighbours)
                for name, column in zip(names, columns, strict=True):
                    files[name].append(column)
        np.cumsum(starts, out=starts)
        read = {name: file.read() for name, file in files.items()}
    finally:
        for file in files.values():
            file.remove()
    return Adjacency(starts, read.pop(""), read)


def count_sorted(counts: Array, numbers: Array) -> None:
    """Add to `counts[v]` how often v is among ascending `numbers`."""
    if len(numbers):
        edges = np.flatnonzero(numbers[1:] != numbers[:-1]) + 1
        firsts = np.concatenate([[0], edges])
        counts[numbers[firsts]] += np.diff(firsts, append=len(numbers))


def count_into(counts: Array, numbers: Array) -> None:
    """Add to `counts[v]` how often v is among `numbers`, in any order."""
    count_sorted(counts, np.sort(numbers))


Combine = Callable[[Array, Array], Array]
