"""The circle that places keys on nodes: SHA-1 mod 2^64, clockwise to the next nodes (source 004)."""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from esker.errors import OptionError

POINTS = 1 << 64


@lru_cache(maxsize=1 << 14)
def point(identifier: int | str) -> int:
    """Give the place of an identifier on the circle: SHA-1 of its decimal text, mod 2^64.

    >>> point(0), point("0") == point(0)
    (14038857730604155148, True)
    """
    return int.from_bytes(hashlib.sha1(str(identifier).encode()).digest()[-8:], "big")


class Arc(NamedTuple):
    """Keys in [start, stop) clockwise, and who holds them before and after a change of the ring."""

    start: int
    stop: int
    before: tuple[int, ...]
    after: tuple[int, ...]

    @property
    def share(self) -> float:
        """Which part of the circle it is."""
        return _distance(self.start, self.stop) / POINTS

    def contains(self, place: int) -> bool:
        """Say whether a point lies on it."""
        return (place - self.start) % POINTS < _distance(self.start, self.stop)


class Ring:
    """Nodes on the circle, each at one point (the source's way) or at `virtual_nodes` points; never changed in place.

    >>> ring = Ring(range(6))
    >>> ring.holders(point(17), 2)
    (3, 5)
    >>> smaller = ring.without(3)
    >>> smaller.holders(point(17), 2)[0] == ring.successor(3)
    True
    >>> max(len(set(arc.after) - set(arc.before)) for arc in ring.changes(smaller, 2))
    1

    Points are kept in a sorted list: looking up is a bisection, a changed ring is a new list.
    """

    def __init__(self, nodes: Iterable[int] = (), virtual_nodes: int = 1) -> None:
        """Place `nodes`; OptionError when `virtual_nodes` is below one or two nodes fall on one point."""
        if virtual_nodes < 1:
            raise OptionError(f"virtual_nodes={virtual_nodes}: a node needs at least one point on the ring")
        self.virtual_nodes = virtual_nodes
        self.nodes = frozenset(nodes)
        placed = sorted((place, node) for node in self.nodes for place in node_points(node, virtual_nodes))
        self._points = [place for place, _ in placed]
        self._owners = [node for _, node in placed]
        for index in range(1, len(placed)):
            if placed[index][0] == placed[index - 1][0]:
                raise _same_point(placed[index][1], placed[index - 1][1])

    def __len__(self) -> int:
        return len(self.nodes)

    def __contains__(self, node: object) -> bool:
        return node in self.nodes

    def with_node(self, node: int) -> Ring:
        """Give the ring with one node more."""
        return self.changed(self.nodes | {node})

    def without(self, *nodes: int) -> Ring:
        """Give the ring with these nodes gone."""
        return self.changed(self.nodes - set(nodes))

    def changed(self, nodes: Iterable[int]) -> Ring:
        """Give the ring of these nodes; only points of those that come or go are looked for."""
        ring = Ring((), self.virtual_nodes)
        ring.nodes = frozenset(nodes)
        ring._points, ring._owners = self._points.copy(), self._owners.copy()
        for node in self.nodes - ring.nodes:
            for place in node_points(node, self.virtual_nodes):
                index = bisect_left(ring._points, place)
                del ring._points[index], ring._owners[index]
        for node in ring.nodes - self.nodes:
            for place in node_points(node, self.virtual_nodes):
                index = bisect_left(ring._points, place)
                if index < len(ring._points) and ring._points[index] == place:
                    raise _same_point(node, ring._owners[index])
                ring._points.insert(index, place)
                ring._owners.insert(index, node)
        return ring

    def holders(self, place: int, copies: int) -> tuple[int, ...]:
        """Give the first `copies` nodes clockwise from a point, primary first; fewer when there are fewer nodes.

        A key on a node's own point belongs to the next node, as TREE-SUCC has it (source 004, Algorithms 1 and 2).
        """
        return self._walk(bisect_right(self._points, place), copies)

    def successor(self, node: int) -> int:
        """Give the next other node clockwise from a node's (first) point; itself when alone."""
        return self._neighbour(node, 1)

    def predecessor(self, node: int) -> int:
        """Give the next other node counter-clockwise from a node's (first) point; itself when alone."""
        return self._neighbour(node, -1)

    def arcs(self, copies: int) -> Iterator[Arc]:
        """Give every arc between neighbouring points with its holders (`before` and `after` are the same)."""
        for index, stop in enumerate(self._points):
            held = self._walk(index, copies)
            yield Arc(self._points[index - 1], stop, held, held)

    def changes(self, after: Ring, copies: int) -> list[Arc]:
        """List the arcs whose holders differ in `after`; looks only near the points of nodes that came or went.

        Of K keys evenly spread over n nodes these arcs have O(K/n) for each such node (source 004, Fault Tolerance).
        """
        if not self._points or not after._points:
            everything = (after if not self._points else self).arcs(copies)
            return [
                Arc(arc.start, arc.stop, self.holders(arc.start, copies), after.holders(arc.start, copies))
                for arc in everything
            ]
        if self.nodes == after.nodes:
            return []
        bounds = sorted(self._bounds_near(after, copies))
        arcs = []
        for start, stop in zip([bounds[-1], *bounds[:-1]], bounds, strict=True):
            was, now = self.holders(start, copies), after.holders(start, copies)
            if was != now:
                arcs.append(Arc(start, stop, was, now))
        return arcs

    def _bounds_near(self, after: Ring, copies: int) -> set[int]:
        """Points of both rings behind every point that came or went, as far as `copies` other nodes reach."""
        bounds: set[int] = set()
        for node in self.nodes ^ after.nodes:
            for place in node_points(node, self.virtual_nodes):
                bounds.add(place)
                for ring in (self, after):
                    bounds.update(ring._behind(place, copies))
        return bounds

    def _behind(self, place: int, copies: int) -> Iterator[int]:
        """Points counter-clockwise from `place`, until `copies` different nodes (and one to begin at) were passed."""
        seen: set[int] = set()
        index = bisect_left(self._points, place) - 1
        for step in range(len(self._points)):
            yield self._points[index - step]
            seen.add(self._owners[index - step])
            if len(seen) > copies:
                return

    def _walk(self, index: int, copies: int) -> tuple[int, ...]:
        found: list[int] = []
        owners = self._owners
        count = len(owners)
        for step in range(count):
            if len(found) >= copies:
                break
            node = owners[(index + step) % count]
            if node not in found:
                found.append(node)
        return tuple(found)

    def _neighbour(self, node: int, direction: int) -> int:
        if node not in self.nodes:
            raise OptionError(f"node {node} is not on the ring; there are: {sorted(self.nodes)}")
        index = bisect_left(self._points, point(node))
        for step in range(1, len(self._owners)):
            found = self._owners[(index + direction * step) % len(self._owners)]
            if found != node:
                return found
        return node


def node_points(node: int, virtual_nodes: int) -> list[int]:
    """Give a node's points: the source's own first, then one for each further virtual node."""
    return [point(node), *(point(f"{node}:{number}") for number in range(1, virtual_nodes))]


def _same_point(one: int, other: int) -> OptionError:
    return OptionError(f"nodes {one} and {other} fall on one point of the ring; give one of them another number")


def _distance(start: int, stop: int) -> int:
    """How far clockwise; once around when both are the same point."""
    return (stop - start - 1) % POINTS + 1
