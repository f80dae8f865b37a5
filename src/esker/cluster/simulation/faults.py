"""What goes wrong in a simulated run, and when it must not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from esker.cluster.coordinator import Coordinator
from esker.cluster.messages import COORDINATOR
from esker.cluster.node import Node
from esker.cluster.reshapes import Bounds

HEALED_BOUNDS = Bounds(split_bytes=64, merge_part=0.4, align_rows=8)
"""No block is asked too much any more: how they are divided in the end follows from what they have."""

if TYPE_CHECKING:
    from esker.cluster.simulation.world import Process, World


class Faults:
    """Draws faults and ends them.

    `gentle` has one node at fault at a time, and the next only when all copies are back: then no query may fail.
    `churn` has nodes hang just long enough to be taken for dead, so that units go to and fro between epochs.
    A disk is lost only while every unit is whole on two nodes that are up, unless `losses` asks for `copies` at once.
    """

    def __init__(self, world: World, *, gentle: bool, losses: bool, churn: bool, until: float) -> None:
        self._world = world
        self._gentle = gentle
        self._losses = losses
        self._churn = churn
        self._until = until
        self._spoiled: set[int] = set()
        self.counts: dict[str, int] = {}
        world.failures_allowed = not gentle
        world.at(1.5 + world.dice.roll(), self._next)
        if world.dynamic is not None:
            self._change_bounds()

    def _next(self) -> None:
        world = self._world
        if world.now >= self._until:
            return
        world.after(0.2 + 1.6 * world.dice.roll(), self._next)
        roll = world.dice.roll()
        if self._churn and roll < 0.8:
            self._take_for_dead(world.dice.choice(list(world.nodes.values())))
        elif roll < 0.15:
            self._coordinator_fault()
        elif roll < 0.22 and len(world.nodes) < 8:
            self._count("join")
            world.add_node()
        elif roll < 0.28 and not self._gentle:
            self._power_failure()
        elif not self._gentle or (not self._spoiled and self.intact()):
            self._node_fault(world.dice.choice(list(world.nodes.values())))

    def _change_bounds(self) -> None:
        """Have blocks be too big or too small, or asked too much, for a while."""
        world, dice = self._world, self._world.dice
        if world.now < self._until:
            if dice.roll() < 0.5:
                world.set_bounds(Bounds(8 + dice.below(100), 100 + dice.below(1000), 0.5 * dice.roll(), align_rows=8))
            else:
                # Hardly a block is too small then not to be joined.
                world.set_bounds(Bounds(400 + dice.below(400), 1 << 20, 0.5, align_rows=8))
            world.after(0.5 + 2.0 * dice.roll(), self._change_bounds)

    def _coordinator_fault(self) -> None:
        world = self._world
        process = world.coordinator
        if process.machine is None:
            return
        if world.dice.roll() < 0.3:
            self._count("coordinator hangs")
            world.hang(process, world.dice.between(0.3, 2.5))
        else:
            self._count("coordinator crashes")
            world.crash(process)
            world.after(world.dice.between(0.1, 4.0), self._restart, process)

    def _power_failure(self) -> None:
        """Let everything stop at once: what was promised must be on the disks."""
        world = self._world
        self._count("power failure")
        for process in [world.coordinator, *world.nodes.values()]:
            world.crash(process)
            world.after(world.dice.between(0.1, 1.5), self._restart, process)

    def _node_fault(self, process: Process) -> None:
        world, dice = self._world, self._world.dice
        if process.number in self._spoiled:
            return
        seconds = dice.between(0.1, 4.0)
        roll = dice.roll()
        if roll < 0.35:
            self._count("crash")
            world.crash(process)
        elif roll < 0.5:
            self._count("hang")
            world.hang(process, seconds)
        elif roll < 0.7:
            self._count("partition")
            self._cut_off(process, seconds)
        elif self._losses and roll < 0.8 and self.intact():
            self._count("losses")
            world.data_lost = True
            for victim in list(world.nodes.values())[: world.copies]:
                world.wipe(victim)
                world.after(seconds, self._restart, victim)
        elif self.intact():
            self._count("wipe")
            world.wipe(process)
        else:
            return
        self._spoiled.add(process.number)
        world.after(seconds, self._end, process)

    def _take_for_dead(self, process: Process) -> None:
        if not self._spoiled:
            self._count("taken for dead")
            seconds = self._world.dice.between(2.0, 2.6)
            self._world.hang(process, seconds)
            self._spoiled.add(process.number)
            self._world.after(seconds, self._end, process)

    def _cut_off(self, process: Process, seconds: float) -> None:
        """Cut a node off from all, or from some."""
        world = self._world
        others = [COORDINATOR, *(number for number in world.nodes if number != process.number)]
        if world.dice.roll() < 0.5:
            others = [other for other in others if world.dice.roll() < 0.5]
        links = {(process.number, other) for other in others}
        world.say("node {} is cut off from {}", process.number, others)
        world.cut |= links
        world.after(seconds, world.cut.difference_update, links)

    def _end(self, process: Process) -> None:
        self._spoiled.discard(process.number)
        self._restart(process)

    def _restart(self, process: Process) -> None:
        if process.machine is None:
            self._world.start(process)

    def intact(self) -> bool:
        """Whether the coordinator is content, and every unit really is whole on two nodes that are up."""
        machine = self._world.coordinator.machine
        if not isinstance(machine, Coordinator) or not machine.ready or machine.expecting or machine.directory.short:
            return False
        if max(machine._silence.values(), default=0) > 2:
            # A node that is about to be taken for dead.
            return False
        live = {number: process.machine for number, process in self._world.nodes.items()}
        if any(getattr(live[node], "incarnation", None) != known for node, known in machine.incarnations.items()):
            # A restart that it has not heard of: votes of the life before may still count.
            return False
        nodes = [node for node in live.values() if isinstance(node, Node)]
        return all(
            sum(node._entries(name, placed.version) is not None for node in nodes) >= 2
            for name, placed in machine.directory.units.items()
            if placed.version and not placed.retired
        )

    def heal(self) -> None:
        """End all that is wrong."""
        world = self._world
        world.say("all heals")
        world.cut.clear()
        if world.dynamic is not None:
            world.set_bounds(HEALED_BOUNDS)
        self._spoiled.clear()
        for process in [world.coordinator, *world.nodes.values()]:
            process.hung_until = 0.0
            self._restart(process)

    def _count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1
