"""Strongly connected components: trim, one search forwards and backwards, then colours."""

from __future__ import annotations

import numpy as np

from esker.graph.adjacency import Adjacency
from esker.graph.ids import NO_VERTEX
from esker.graph.workspace import Array, Workspace, distinct


def strongly_connected_components(outgoing: Adjacency, incoming: Adjacency, workspace: Workspace) -> Array:
    """The least vertex of each vertex's strongly connected component.

    The Multistep method (Slota, Rajamanickam and Madduri, 2014). Vertices that nothing enters or leaves any more are
    components of their own, and are trimmed; a search either way from one vertex of many edges finds the large
    component; the rest is coloured: each vertex takes the greatest vertex that reaches it, and those that a colour's
    own vertex can be reached from are its component. An edge is read when one of its ends changes, so rounds grow with
    the longest path, not with the edges.
    """
    search = _Search(outgoing, incoming, workspace)
    search.trim()
    search.take_pivot()
    while search.trim():
        search.take_colours()
    return search.least_members()


class _Search:
    def __init__(self, outgoing: Adjacency, incoming: Adjacency, workspace: Workspace) -> None:
        self._out, self._in = outgoing, incoming
        self._workspace = workspace
        self._count = len(outgoing.starts) - 1
        # Any member of its component, until `least_members` says the least.
        self._component = workspace.array(self._count, np.uint32, int(NO_VERTEX))
        self._there = workspace.array(self._count, np.bool_, 1)
        self._colour = workspace.array(self._count, np.uint32)
        self._degrees = {adjacency: workspace.array(self._count, np.int64) for adjacency in (outgoing, incoming)}

    def trim(self) -> bool:
        """Take out what no edge enters, or none leaves, again and again; whether anything is left."""
        alive = np.flatnonzero(self._there)
        if not len(alive):
            return False
        for adjacency, degrees in self._degrees.items():
            degrees[alive] = 0
            for owners, neighbours in adjacency.expand(alive, self._workspace):
                # A loop keeps nobody in.
                inside = owners[self._there[neighbours] & (alive[owners] != neighbours)]
                places, counts = np.unique(inside, return_counts=True)
                degrees[alive[places]] += counts
        leaving = alive[np.minimum(*(degrees[alive] for degrees in self._degrees.values())) == 0]
        while len(leaving):
            self._component[leaving] = leaving
            self._there[leaving] = False
            leaving = self._after(leaving)
        return bool(self._there.any())

    def take_pivot(self) -> None:
        """Find the component of one vertex of many edges."""
        degree = self._workspace.array(self._count, np.float64)
        for part in self._workspace.parts(self._count):
            degree[part] = (self._out.degree(part) + 1.0) * (self._in.degree(part) + 1.0) * self._there[part]
        pivot = int(degree.argmax()) if self._count else 0
        self._workspace.release(degree.nbytes)
        if not self._count or not self._there[pivot]:
            return
        start = np.array([pivot], np.int64)
        forwards = self._reached(self._out, start)
        backwards = self._reached(self._in, start)
        for part in self._workspace.parts(self._count):
            members = np.flatnonzero(forwards[part] & backwards[part]) + part.start
            self._component[members] = pivot
            self._there[members] = False
        self._workspace.release(forwards.nbytes + backwards.nbytes)

    def take_colours(self) -> None:
        """Find a component of each colour."""
        frontier = np.flatnonzero(self._there)
        # Any order of the vertices serves; a scattered one has no long way up it, as numbers along a path would.
        self._colour[frontier] = _scatter(frontier, self._count)
        roots_of = frontier
        while len(frontier):
            frontier = self._spread(frontier)
        roots = roots_of[self._colour[roots_of] == _scatter(roots_of, self._count)]
        self._gather(roots)

    def least_members(self) -> Array:
        """Name each component by its least vertex."""
        least = self._workspace.array(self._count, np.uint32, int(NO_VERTEX))
        for part in self._workspace.parts(self._count):
            # Ascending, so a component's first member is the least.
            members, firsts = np.unique(self._component[part], return_index=True)
            new = least[members] == NO_VERTEX
            least[members[new]] = firsts[new] + part.start
        for part in self._workspace.parts(self._count):
            self._component[part] = least[self._component[part]]
        return self._component

    def _after(self, leaving: Array) -> Array:
        """Who has no edge in, or none out, now that `leaving` are gone; ascending."""
        found = []
        for adjacency, other in ((self._out, self._in), (self._in, self._out)):
            degrees = self._degrees[other]
            for neighbours in adjacency.neighbours_of(leaving, self._workspace):
                self._workspace.context.check()
                losers, losses = np.unique(neighbours[self._there[neighbours]], return_counts=True)
                degrees[losers] -= losses
                found.append(losers[degrees[losers] == 0])
        return distinct(np.concatenate(found)).astype(np.int64) if found else np.empty(0, np.int64)

    def _reached(self, adjacency: Adjacency, start: Array) -> Array:
        reached = self._workspace.array(self._count, np.bool_)
        reached[start] = True
        frontier = start
        while len(frontier):
            found = []
            for neighbours in adjacency.neighbours_of(frontier, self._workspace):
                self._workspace.context.check()
                new = neighbours[self._there[neighbours] & ~reached[neighbours]]
                reached[new] = True
                found.append(distinct(new))
            frontier = np.sort(np.concatenate(found)).astype(np.int64) if found else np.empty(0, np.int64)
        return reached

    def _spread(self, frontier: Array) -> Array:
        """Carry colours one edge on; returns who took a greater one, ascending."""
        changed = []
        for owners, neighbours in self._out.expand(frontier, self._workspace):
            self._workspace.context.check()
            colours = self._colour[frontier[owners]]
            greater = self._there[neighbours] & (self._colour[neighbours] < colours)
            takers = neighbours[greater]
            np.maximum.at(self._colour, takers, colours[greater])
            changed.append(distinct(takers))
        return distinct(np.concatenate(changed)).astype(np.int64) if changed else np.empty(0, np.int64)

    def _gather(self, roots: Array) -> None:
        """Take out each root and what leads to it within its colour."""
        frontier = roots
        self._component[roots] = roots
        self._there[roots] = False
        while len(frontier):
            found = []
            for owners, neighbours in self._in.expand(frontier, self._workspace):
                self._workspace.context.check()
                owner = frontier[owners]
                same = self._there[neighbours] & (self._colour[neighbours] == self._colour[owner])
                members = neighbours[same]
                # All edges that reach a member come from its colour, which has one root.
                self._component[members] = self._component[owner[same]]
                self._there[members] = False
                found.append(distinct(members))
            frontier = np.sort(np.concatenate(found)).astype(np.int64) if found else np.empty(0, np.int64)


def _scatter(vertices: Array, count: int) -> Array:
    """A number for each vertex, no two alike: a multiplication that has an inverse modulo 2 to the 32nd."""
    return vertices.astype(np.uint32) * np.uint32(2_654_435_761)
