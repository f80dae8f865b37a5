"""One seed, one run: a cluster made by chance, faults for a while, healing, and then all must be well."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from esker.cluster.blocks import is_within
from esker.cluster.coordinator import TOMBSTONES_MOST, Coordinator
from esker.cluster.node import Node
from esker.cluster.placement import Placement
from esker.cluster.placements import PLACEMENTS
from esker.cluster.placements.dynamic import DynamicPlacement
from esker.cluster.placements.row_block import RowBlockPlacement
from esker.cluster.placements.vector import VectorPlacement
from esker.cluster.planners import PLANNERS
from esker.cluster.sessions import SESSIONS_MOST
from esker.cluster.simulation.check import GENERATION, LAYOUT, Violation
from esker.cluster.simulation.dice import Dice
from esker.cluster.simulation.faults import HEALED_BOUNDS, Faults
from esker.cluster.simulation.world import Network, World

FAULT_SECONDS = 7.0
CHURN_SECONDS = 14.0
HEAL_SECONDS = 60.0


class Outcome(NamedTuple):
    """What a run did, in counts; `violation` is empty when all was well."""

    seed: int
    violation: str
    counts: dict[str, int]


def run(
    seed: int,
    *,
    node_class: type[Node] = Node,
    coordinator_class: type[Coordinator] = Coordinator,
    trace: Callable[[str], None] | None = None,
) -> Outcome:
    """Run a seed.

    >>> run(1).violation
    ''
    >>> run(1) == run(1)
    True
    """
    dice = Dice(seed)
    gentle, losses = _mood(dice)
    placement, vectors = _placement(dice)
    copies = 2 if dice.roll() < 0.8 else 3
    world = World(
        dice,
        placement,
        PLANNERS[dice.choice(_PLANNERS)](),
        node_count=copies + 1 + dice.below(3),
        copies=copies,
        vectors=vectors,
        network=_network(dice, gentle),
        virtual_nodes=1 if dice.roll() < 0.7 else 3,
        through_bytes=seed % 16 == 0,
        # Fewer than there are clients: they are forgotten, and come anew.
        sessions_most=2 if seed % 8 == 3 else SESSIONS_MOST,
        # The index is dropped and built again; in half of these nobody remembers its name.
        with_drops=seed % 5 == 3,
        tombstones_most=0 if seed % 10 == 3 else TOMBSTONES_MOST,
        node_class=node_class,
        coordinator_class=coordinator_class,
        trace=trace,
    )
    for _ in range(3):
        world.add_client(7)
    churn = world.network.slow_seconds > 2.0
    seconds = CHURN_SECONDS if churn else FAULT_SECONDS
    faults = Faults(world, gentle=gentle, losses=losses, churn=churn, until=seconds)
    violation = ""
    try:
        world.run_until(seconds)
        _heal(world, faults)
    except (Violation, AssertionError) as error:
        violation = f"{type(error).__name__}: {error}"
        world.say("{}", violation)
    return Outcome(seed, violation, _counts(world, faults))


_PLANNERS = tuple(PLANNERS)
assert set(PLACEMENTS) == {"row_block", "vector", "dynamic"}


def _mood(dice: Dice) -> tuple[bool, bool]:
    roll = dice.roll()
    return roll < 0.4, roll > 0.85


def _placement(dice: Dice) -> tuple[Placement, int]:
    vectors = 3 + dice.below(3)
    roll = dice.roll()
    if roll > 0.7:
        return DynamicPlacement("census", row_count=8 * (12 + dice.below(24)), block_rows=128), vectors
    if roll < 0.35:
        return RowBlockPlacement("census", row_count=64 * (2 + dice.below(3)), block_rows=64), vectors
    return VectorPlacement(row_count=64), vectors


def _network(dice: Dice, gentle: bool) -> Network:
    if gentle:
        # Nothing that could be taken for a death.
        return Network(loss=0.0, repeat=0.1 * dice.roll(), slow=0.1 * dice.roll(), slow_seconds=0.2)
    if dice.roll() < 0.3:
        return Network(loss=0.0, repeat=0.0, slow=0.0, slow_seconds=0.0)
    if dice.roll() < 0.7:
        return Network(loss=0.02 * dice.roll(), repeat=0.1 * dice.roll(), slow=0.1 * dice.roll(), slow_seconds=1.0)
    # Messages from long ago: those of epochs before.
    return Network(loss=0.01, repeat=0.2 + 0.2 * dice.roll(), slow=0.05 * dice.roll(), slow_seconds=4.0)


def _heal(world: World, faults: Faults) -> None:
    """End all faults; then everything must come to rest, and be right."""
    faults.heal()
    world.network = Network(0.0, 0.0, 0.0, 0.0)
    deadline = world.now + HEAL_SECONDS
    while open_matters := _open_matters(world):
        if world.now >= deadline:
            raise Violation(f"not at rest {HEAL_SECONDS:.0f} s after healing: {'; '.join(open_matters)}")
        world.run_until(world.now + 0.5)
    _check_rest(world)


def _open_matters(world: World) -> list[str]:
    machine = world.coordinator.machine
    assert isinstance(machine, Coordinator)
    found = [
        f"client {-client.number - 1} waits"
        for client in world.clients.values()
        if client.left or client.pending or client.script is not None
    ]
    if not machine.ready or machine.expecting:
        found.append("membership changes")
    for number, process in world.nodes.items():
        # Of an earlier life the coordinator may still be content.
        if machine.incarnations.get(number) != getattr(process.machine, "incarnation", None):
            found.append(f"node {number} is not in")
    units = machine.directory.units
    if short := sorted(name for name in machine.directory.short if units[name].copies):
        found.append(f"units {short} are short of copies")
    if len(machine.directory.tombstones) > machine._tombstones_most:
        found.append("names are to be forgotten")
    if machine.directory.surplus or machine._discards or machine._dropped or machine._clears:
        found.append("copies are left over")
    if machine.puts.active or machine.puts.unacknowledged or machine.puts._waiting:
        found.append("puts are open")
    if machine.reshapes.changes or not _is_balanced(machine, world):
        found.append("blocks are being divided or joined")
    nodes = [process.machine for process in world.nodes.values() if isinstance(process.machine, Node)]
    return found + [f"node {node.number} is in doubt of {node.in_doubt()}" for node in nodes if node.in_doubt()]


def _is_balanced(machine: Coordinator, world: World) -> bool:
    """Whether no block is too big, and no two neighbours are too small; an index that lost one stays as it is."""
    units = machine.directory.units
    for prefix, blocks in machine.directory.maps.items():
        lost = any(units[block.name].version and not units[block.name].copies for block in blocks.blocks)
        if machine.directory.may_reshape(prefix) and not lost:
            sizes = {
                block.name: float(sum(map(len, world.checker.contents(block.name, version).values())))
                for block in blocks.blocks
                if (version := units[block.name].version)
            }
            limit = HEALED_BOUNDS.split_bytes
            placement = DynamicPlacement.of(blocks.blocks)
            if placement.rebalanced(sizes, limit, HEALED_BOUNDS.merge_part * limit, HEALED_BOUNDS.align_rows)[1]:
                return False
    return True


def _check_rest(world: World) -> None:
    """All that was acknowledged is on all nodes that should have it, to the byte; what is lost is truly lost."""
    machine = world.coordinator.machine
    assert isinstance(machine, Coordinator)
    machine.directory.validate()
    if machine.counts.get("diverged"):
        raise Violation("copies of a unit came to different digests")
    nodes = {number: process.machine for number, process in world.nodes.items() if isinstance(process.machine, Node)}
    for node in nodes.values():
        node.validate()
    _check_maps(machine, world)
    _check_dropped(machine, nodes, world)
    for name, versions in world.checker.history.items():
        if is_within(name, world.checker.dropped) or not _is_remembered(name, machine, world):
            continue
        placed = machine.directory.units[name]
        if placed.version != versions[-1] or placed.version < world.checker.floor.get(name, 0):
            raise Violation(f"unit {name} is at {placed.version:#x}; committed: {versions[-1]:#x}")
        if placed.retired:
            continue
        if not placed.copies:
            _check_lost(name, placed.version, nodes, world)
            continue
        for number in placed.wanted:
            unit = nodes[number].units.get(name)
            entries = None if unit is None else unit.at(placed.version)
            if entries is None:
                raise Violation(f"node {number} should have unit {name} at {placed.version:#x}")
            contents = {vector: value for vector, (_, value) in entries.items()}
            if contents != world.checker.contents(name, placed.version):
                raise Violation(f"node {number} has other bytes of unit {name} than were put")


def _check_maps(machine: Coordinator, world: World) -> None:
    """The blocks that the coordinator knows are those that there are."""
    known = {prefix: set(blocks.blocks) for prefix, blocks in machine.directory.maps.items() if blocks.blocks}
    live = {prefix: blocks for prefix, blocks in world.checker.live.items() if prefix not in world.checker.dropped}
    if known != live:
        raise Violation(f"the map is {known}, and not {live}")


def _check_dropped(machine: Coordinator, nodes: dict[int, Node], world: World) -> None:
    """What was dropped is nowhere: not in the catalogue, on no node's disk, and waits for nothing."""
    dropped = world.checker.dropped
    if left := [name for name in machine.directory.units if is_within(name, dropped)]:
        raise Violation(f"the catalogue has {left}, which were dropped")
    for number, node in nodes.items():
        if left := [name for name in (*node.units, *node._locks) if is_within(name, dropped)]:
            raise Violation(f"node {number} has {left}, which were dropped")


def _is_remembered(name: str, machine: Coordinator, world: World) -> bool:
    """Whether a unit is known: of an index that was dropped the name may be forgotten."""
    if name != LAYOUT or name in machine.directory.units:
        return True
    if GENERATION in world.checker.contents(LAYOUT, world.checker.history[LAYOUT][-1]):
        raise Violation("the index is there, and its name was forgotten")
    return False


def _check_lost(name: str, version: int, nodes: dict[int, Node], world: World) -> None:
    if not world.data_lost:
        raise Violation(f"unit {name} is lost")
    for number, node in nodes.items():
        unit = node.units.get(name)
        if unit is not None and unit.at(version) is not None:
            raise Violation(f"unit {name} is called lost, and node {number} has it")


def _counts(world: World, faults: Faults) -> dict[str, int]:
    machine = world.coordinator.machine
    counts = dict(machine.counts) if isinstance(machine, Coordinator) else {}
    return counts | faults.counts | world.counts | {
        "events": world.events,
        "answers": world.checker.answers,
        "puts": world.checker.acknowledged,
        "failed": len(world.failures),
    }  # fmt: skip
