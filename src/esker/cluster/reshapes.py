"""Dynamic partitioning at the coordinator: blocks that are divided and joined with what they have and what is read."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, NamedTuple

from esker.cluster.blocks import ALIGN_ROWS, is_within
from esker.cluster.messages import Weigh, Weights
from esker.cluster.placements.dynamic import DynamicPlacement, Split
from esker.errors import OptionError

if TYPE_CHECKING:
    from esker.cluster.coordinator import Coordinator

_CHANGES_MOST = 8


class Bounds(NamedTuple):
    """When a block is divided: above so many bytes of values, or of values read between two weighings.

    Two neighbours are joined when both together have less than `merge_part` of either.
    """

    split_bytes: int = 64 << 20
    split_read_bytes: int = 1 << 30
    merge_part: float = 0.25
    align_rows: int = ALIGN_ROWS

    def check(self) -> Bounds:
        """Give them; OptionError for bounds by which blocks would be divided and joined in turn."""
        if self.split_bytes < 1 or self.split_read_bytes < 1 or self.align_rows < 1:
            raise OptionError(f"bounds of blocks are at least 1: {self}")
        if not 0.0 <= self.merge_part <= 0.5:
            raise OptionError(f"merge_part={self.merge_part}: from 0 to 0.5, or what was divided is joined again")
        return self


class Change:
    """A block that is to be divided, or two that are to be joined."""

    __slots__ = ("begun", "sources", "started", "targets", "ticks")

    def __init__(self, sources: tuple[str, ...], targets: tuple[str, ...]) -> None:
        self.sources = sources
        self.targets = targets
        self.begun = False
        self.started = False
        self.ticks = 0


class Reshapes:
    """Weighs blocks, and has them divided and joined, some at a time.

    A round of changes begins with an epoch of its own: what was said before of blocks with these names (an order to
    discard one, a copy of it) is not listened to any more. Two that are to be joined are first brought together, the
    second's copies to where the first's are, as after a failure. The change itself is a transaction of those nodes
    that have the blocks (esker.cluster.puts): its commit in the log is when the map changes. New puts wait for it;
    queries do not. What does not succeed is let go, and decided upon again by what is weighed then.
    """

    def __init__(self, coordinator: Coordinator, bounds: Bounds) -> None:
        self._coordinator = coordinator
        self.bounds = bounds.check()
        self.reserved: set[str] = set()
        self.changes: list[Change] = []
        self._go_home: list[str] = []
        self._bytes: dict[str, int] = {}
        self._read_bytes: dict[str, int] = {}
        self._ticks = 0

    # ---- events ----

    def tick(self) -> None:
        """Let a moment pass: weigh, and see what can be started or must be given up."""
        coordinator = self._coordinator
        if not coordinator.directory.maps:
            return
        self._ticks += 1
        if self._ticks % coordinator.timing.weigh_ticks == 0:
            self._plan()
            self._weigh()
        for change in list(self.changes):
            change.ticks += 1
            if not change.started and change.ticks > 4 * coordinator.timing.transfer_ticks:
                self._give_up(change)
        self.start()

    def begin_epoch(self) -> None:
        """Learn that an epoch began: units may be wanted elsewhere from now on."""
        directory = self._coordinator.directory
        for name in self._go_home:
            placed = directory.units[name]
            if placed.block is not None:
                directory.relocate(name, placed.block.place)
        self._go_home = []
        for change in self.changes:
            if not change.begun:
                change.begun = True
                for name in change.sources[1:]:
                    directory.relocate(name, directory.units[change.sources[0]].place)

    def start(self) -> None:
        """Start the changes whose blocks are whole in one place; no new put to those begins before."""
        self.reserved = set()
        for change in list(self.changes):
            if change.begun and not change.started and self._is_gathered(change) and not self._is_going(change):
                if not self._coordinator.puts.busy.isdisjoint(change.sources):
                    self.reserved.update(change.sources)
                elif self._may_be_discarded(change):
                    self._give_up(change)
                else:
                    change.started = True
                    self._coordinator.puts.begin_change(change)

    def ended(self, change: Change, *, committed: bool) -> None:
        """Learn how the transaction of a change ended."""
        if committed:
            self._coordinator.count("splits" if len(change.sources) == 1 else "merges")
            self.changes.remove(change)
        else:
            self._give_up(change)

    def dropped(self, prefixes: Collection[str]) -> None:
        """Learn that blocks are gone for good: what was to be done with them is not done. None of it has started."""
        self.changes = [change for change in self.changes if not is_within(change.sources[0], prefixes)]
        self._go_home = [name for name in self._go_home if not is_within(name, prefixes)]

    def on_weights(self, message: Weights) -> None:
        """Take what a node says of its blocks."""
        for name, size, read in message.blocks:
            self._bytes[name] = max(size, self._bytes.get(name, 0))
            self._read_bytes[name] = read + self._read_bytes.get(name, 0)

    # ---- plans ----

    def _weigh(self) -> None:
        self._bytes, self._read_bytes = {}, {}
        for node in self._coordinator.incarnations:
            self._coordinator.tell(node, Weigh())

    def _plan(self) -> None:
        coordinator = self._coordinator
        if self.changes or coordinator.expecting:
            return
        for prefix in coordinator.directory.maps:
            if coordinator.directory.may_reshape(prefix):
                self.changes += self.planned(prefix)[: _CHANGES_MOST - len(self.changes)]
        if self.changes:
            coordinator.begin_epoch()

    def planned(self, prefix: str) -> list[Change]:
        """Say what is to be done, as far as blocks were weighed and all their copies are there."""
        blocks = self._coordinator.directory.maps[prefix].blocks
        if any(block.name not in self._bytes for block in blocks):
            return []
        bounds = self.bounds
        load = {
            block.name: max(
                self._bytes[block.name] / bounds.split_bytes, self._read_bytes[block.name] / bounds.split_read_bytes
            )
            for block in blocks
        }
        _, steps = DynamicPlacement.of(blocks).rebalanced(load, 1.0, bounds.merge_part, bounds.align_rows)
        changes = [
            Change((step.unit,), step.units) if isinstance(step, Split) else Change(step.units, (step.unit,))
            for step in steps
        ]
        return [change for change in changes if all(self._is_whole(name) for name in change.sources)]

    def _is_whole(self, name: str) -> bool:
        """Whether just the nodes that should have a block have it."""
        placed = self._coordinator.directory.units[name]
        enough = len(placed.copies) >= self._coordinator.copies
        return enough and placed.copies == set(placed.wanted) and self._coordinator.incarnations.keys() >= placed.copies

    def _is_gathered(self, change: Change) -> bool:
        units = self._coordinator.directory.units
        together = {frozenset(units[name].copies) for name in change.sources}
        return len(together) == 1 and all(self._is_whole(name) for name in change.sources)

    def _is_going(self, change: Change) -> bool:
        """Whether its blocks are being dropped."""
        return self._coordinator.puts.is_dropping(change.sources[0])

    def _may_be_discarded(self, change: Change) -> bool:
        """Whether a node may yet hear, in this epoch, to discard a block of a name that is to be."""
        nodes = self._coordinator.directory.units[change.sources[0]].copies
        return any(self._coordinator.was_told_to_discard(node, name) for node in nodes for name in change.targets)

    def _give_up(self, change: Change) -> None:
        self.changes.remove(change)
        self._coordinator.count("changes given up")
        units = self._coordinator.directory.units
        away = [name for name in change.sources[1:] if change.begun and not units[name].retired]
        if away:
            # Nodes may yet hear to discard what comes back to them: not in the next epoch.
            self._go_home += away
            self._coordinator.begin_epoch()
