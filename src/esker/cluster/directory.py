"""What the coordinator knows of units: version, digest, who should have them, who has them whole."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator

from esker.cluster.ring import Arc, Ring, point


class Placed:
    """A unit: its last committed version, the nodes that should have it (`wanted`), those that have it whole."""

    __slots__ = ("copies", "digest", "had", "place", "version", "wanted")

    def __init__(self, place: int, wanted: tuple[int, ...]) -> None:
        self.version = 0
        self.digest = 0
        self.place = place
        self.wanted = wanted
        self.copies: set[int] = set()
        self.had: tuple[int, ...] = ()

    def in_order(self) -> list[int]:
        """Give the nodes with a copy, those that should have it first, primary first."""
        copies = self.copies
        listed = [node for node in self.wanted if node in copies]
        if len(listed) < len(copies):
            listed += sorted(copies.difference(listed))
        return listed


class Directory:
    """All units. `short` are those that a wanted node lacks, `surplus` those that others have beside all wanted ones.

    A node's units are found by its number, and those whose place on the ring changes by their points, so that a change
    of the ring costs what moves and not what there is.
    """

    def __init__(self, copies: int, ring: Ring) -> None:
        self.ring = ring
        self.units: dict[str, Placed] = {}
        # Dictionaries, not sets: sets of texts come in another order in every process, and runs must replay.
        self.short: dict[str, None] = {}
        self.surplus: dict[str, None] = {}
        self._copies = copies
        self._places: list[tuple[int, str]] = []
        self._held: dict[int, dict[str, None]] = {}

    def __getitem__(self, name: str) -> Placed:
        """Give a unit, made at version 0 when nobody heard of it."""
        placed = self.units.get(name)
        if placed is None:
            place = point(name)
            placed = self.units[name] = Placed(place, self.ring.holders(place, self._copies))
            insort(self._places, (place, name))
        return placed

    def committed(self, name: str, version: int, digest: int, nodes: Iterable[int]) -> None:
        """Enter a commit and the nodes that have it whole."""
        placed = self[name]
        placed.version, placed.digest = version, digest
        for node in placed.copies:
            self._held[node].pop(name, None)
        placed.copies, placed.had = set(), ()
        for node in nodes:
            self._add(node, name, placed)
        self._classify(name, placed)

    def restored(self, name: str, version: int, digest: int) -> None:
        """Enter what a log says, unless something later is known."""
        placed = self[name]
        if version > placed.version:
            placed.version, placed.digest = version, digest
            self._classify(name, placed)

    def gained(self, node: int, name: str) -> None:
        """Enter that a node has a unit whole, at the version that counts."""
        placed = self.units[name]
        self._add(node, name, placed)
        self._classify(name, placed)

    def lost(self, node: int, name: str) -> None:
        """Enter that a node has a unit no more."""
        placed = self.units[name]
        placed.copies.discard(node)
        self._held.get(node, {}).pop(name, None)
        self._classify(name, placed)

    def forget(self, node: int) -> None:
        """Enter that nothing is known of what a node has."""
        for name in self._held.pop(node, ()):
            placed = self.units[name]
            placed.copies.discard(node)
            if node not in placed.had:
                placed.had = (*placed.had, node)
            self._classify(name, placed)

    def held_by(self, node: int) -> list[str]:
        """Name the units that a node has whole."""
        return list(self._held.get(node, {}))

    def wanted_at(self, node: int) -> Iterator[str]:
        """Name the units, put at least once, that a node should have."""
        for name, placed in self.units.items():
            if placed.version and node in placed.wanted:
                yield name

    def move_to(self, ring: Ring) -> None:
        """Change the ring, and with it who should have what."""
        arcs = self.ring.changes(ring, self._copies)
        self.ring = ring
        for arc in arcs:
            for name in self._on(arc):
                placed = self.units[name]
                placed.wanted = ring.holders(placed.place, self._copies)
                self._classify(name, placed)

    def validate(self) -> None:
        """Check that the short cuts say what the units say."""
        for name, placed in self.units.items():
            assert placed.wanted == self.ring.holders(placed.place, self._copies), f"{name} is wanted elsewhere"
            lacking = bool(placed.version) and not placed.copies.issuperset(placed.wanted)
            assert (name in self.short) == lacking, f"{name} is short: {lacking}"
            for node in placed.copies:
                assert name in self._held[node], f"{name} is not among the units of {node}"

    def _on(self, arc: Arc) -> list[str]:
        begin = bisect_left(self._places, (arc.start, ""))
        end = bisect_left(self._places, (arc.stop, ""))
        around = arc.start >= arc.stop
        found = self._places[begin:] + self._places[:end] if around else self._places[begin:end]
        return [name for _, name in found]

    def _add(self, node: int, name: str, placed: Placed) -> None:
        placed.had = ()
        placed.copies.add(node)
        self._held.setdefault(node, {})[name] = None

    def _classify(self, name: str, placed: Placed) -> None:
        wanted, copies = placed.wanted, placed.copies
        if placed.version and not copies.issuperset(wanted):
            self.short[name] = None
            self.surplus.pop(name, None)
            return
        self.short.pop(name, None)
        if len(copies) > len(wanted):
            self.surplus[name] = None
        else:
            self.surplus.pop(name, None)
