"""What the coordinator knows of units: version, digest, who should have them, who has them whole."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Collection, Iterable, Iterator

from esker.cluster.blocks import (
    Block,
    BlockMap,
    block_of,
    dropped_digest,
    every_block,
    is_within,
    place_of,
    retired_digest,
)
from esker.cluster.ring import Arc, Ring


class Placed:
    """A unit: its last committed version, the nodes that should have it (`wanted`), those that have it whole.

    A block that became others is `retired`: it is wanted nowhere, and its version stays known.
    """

    __slots__ = ("block", "copies", "digest", "had", "place", "retired", "version", "wanted")

    def __init__(self, place: int, wanted: tuple[int, ...], block: Block | None) -> None:
        self.block = block
        self.retired = False
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
        self.maps: dict[str, BlockMap] = {}
        # Dictionaries, not sets: sets of texts come in another order in every process, and runs must replay.
        # Units of indexes that were dropped, whose names were not taken again.
        self.tombstones: dict[str, None] = {}
        self.short: dict[str, None] = {}
        self.surplus: dict[str, None] = {}
        self._copies = copies
        self._places: list[tuple[int, str]] = []
        self._held: dict[int, dict[str, None]] = {}

    def __getitem__(self, name: str) -> Placed:
        """Give a unit, made at version 0 when nobody heard of it."""
        placed = self.units.get(name)
        if placed is None:
            place = place_of(name)
            placed = self.units[name] = Placed(place, self.ring.holders(place, self._copies), block_of(name))
            insort(self._places, (place, name))
        return placed

    def committed(self, name: str, version: int, digest: int, nodes: Iterable[int]) -> None:
        """Enter a commit and the nodes that have it whole."""
        placed = self[name]
        self._enter(name, placed, version, digest)
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
            self._enter(name, placed, version, digest)
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
                placed.wanted = self._wanted(placed)
                self._classify(name, placed)

    def drop(self, prefixes: Collection[str]) -> list[str]:
        """Forget all units whose names begin with prefixes, and name them."""
        names = [name for name in self.units if is_within(name, prefixes)]
        self.remove(names)
        for prefix in prefixes:
            self.maps.pop(prefix, None)
        return names

    def remove(self, names: Collection[str]) -> None:
        """Forget units; no block that is still on a map."""
        for name in names:
            for node in self.units.pop(name).copies:
                self._held[node].pop(name, None)
            for kept in (self.short, self.surplus, self.tombstones):
                kept.pop(name, None)
        gone = set(names)
        if gone:
            self._places = [one for one in self._places if one[1] not in gone]

    # ---- blocks that change ----

    def relocate(self, name: str, place: int) -> None:
        """Want a unit at another point of the ring."""
        placed = self.units[name]
        del self._places[bisect_left(self._places, (placed.place, name))]
        placed.place = place
        insort(self._places, (place, name))
        placed.wanted = self._wanted(placed)
        self._classify(name, placed)

    def may_reshape(self, prefix: str) -> bool:
        """Whether the blocks of a prefix may be divided and joined: its index is whole."""
        placed = self.units.get(every_block(prefix))
        return placed is not None and placed.version > 0

    def moved(self, names: Iterable[str]) -> list[str]:
        """Name the blocks there are in place of those among `names` that are no blocks (any more); none: all are."""
        prefixes: dict[str, None] = {}
        # Sets of texts come in another order in every process, and units are made here.
        for name in sorted(names):
            placed = self[name]
            if placed.block is not None and (placed.retired or self._overlaps(placed)):
                prefixes[placed.block.prefix] = None
        return [block.name for prefix in prefixes for block in self.maps[prefix].blocks]

    def _overlaps(self, placed: Placed) -> bool:
        """Whether a block that was never put has rows of others."""
        block = placed.block
        if placed.version or block is None or block.prefix not in self.maps:
            return False
        return bool(self.maps[block.prefix].between(block.start, block.stop))

    def _enter(self, name: str, placed: Placed, version: int, digest: int) -> None:
        """Set what a unit is at, and with a block's first put or its end the map."""
        was_there = placed.version > 0 and not placed.retired
        placed.version, placed.digest = version, digest
        block = placed.block
        if block is None:
            if name[0] == "@":
                self.tombstones.pop(name, None)
                if digest == dropped_digest(version):
                    self.tombstones[name] = None
            return
        placed.retired = digest == retired_digest(version)
        if was_there == (not placed.retired):
            return
        blocks = self.maps.setdefault(block.prefix, BlockMap())
        if was_there:
            blocks.remove(block)
        elif not placed.retired:
            blocks.add(block)
        if placed.retired and placed.place != block.place:
            self.relocate(name, block.place)
        placed.wanted = self._wanted(placed)

    def _wanted(self, placed: Placed) -> tuple[int, ...]:
        return () if placed.retired else self.ring.holders(placed.place, self._copies)

    def validate(self) -> None:
        """Check that the short cuts say what the units say."""
        for prefix, blocks in self.maps.items():
            blocks.validate()
            live = [one for one in self.units.values() if one.block and one.version and not one.retired]
            assert blocks.blocks == sorted(one.block for one in live if one.block and one.block.prefix == prefix)
        assert len(self._places) == len(self.units), "places of units that are not there"
        for name, placed in self.units.items():
            assert placed.wanted == self._wanted(placed), f"{name} is wanted elsewhere"
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
