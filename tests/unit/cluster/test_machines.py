"""The machines on log files, without chance: what is written before what is said, and what a restart remembers."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from esker.cluster.codec import pack
from esker.cluster.coordinator import Coordinator, Timing
from esker.cluster.log_file import LogFile
from esker.cluster.machine import Append, Machine, Send, Sync
from esker.cluster.messages import (
    COORDINATOR,
    ROWS,
    Answer,
    Ask,
    Compare,
    Done,
    Enumerate,
    Failed,
    Held,
    InquirePeer,
    Lacks,
    Outcome,
    Prepare,
    Put,
    Query,
    Read,
    Refuse,
    Sums,
    Transfer,
    UnitWrite,
    Vote,
    Write,
)
from esker.cluster.node import Node
from esker.cluster.placements.row_block import RowBlockPlacement
from esker.cluster.placements.vector import VectorPlacement
from esker.cluster.plan import WHOLE
from esker.cluster.planners import PLANNERS
from esker.cluster.records import Decided, Ended, Prepared
from esker.cluster.simulation.check import Masks
from esker.errors import DamagedValueError, OptionError

CLIENT = -2


class Cluster:
    """Machines on log files and a network that loses nothing; `dead` nodes hear nothing."""

    def __init__(self, folder: Path, placement: Any, nodes: int = 4, planner: str = "one_call_per_node") -> None:
        self.folder = folder
        self.placement = placement
        self.planner = planner
        self.logs: dict[int, LogFile] = {}
        self.machines: dict[int, Any] = {}
        self.messages: deque[tuple[int, int, int, Any]] = deque()
        self.dead: set[int] = set()
        self.sent: list[tuple[int, int, Any]] = []
        self.told: list[Any] = []
        self.starts = 0
        for number in [COORDINATOR, *range(nodes)]:
            self.start(number)
        self.settle()

    def start(self, number: int) -> None:
        self.starts += 1
        if number in self.logs:
            self.logs[number].close()
        log = self.logs[number] = LogFile(self.folder / f"{number}.log")
        if number == COORDINATOR:
            self.machines[number] = Coordinator(PLANNERS[self.planner](), Masks(), lambda count: 0, log.records())
        else:
            self.machines[number] = Node(number, self.starts, Masks(), log.records())
        self.carry_out(number)

    def carry_out(self, number: int) -> None:
        machine: Machine = self.machines[number]
        while effects := machine.take():
            syncs = 0
            for effect in effects:
                if isinstance(effect, Send):
                    self.messages.append((number, *effect))
                elif isinstance(effect, Append):
                    self.logs[number].append(effect.record)
                else:
                    assert isinstance(effect, Sync)
                    self.logs[number].sync()
                    syncs += 1
            for _ in range(syncs):
                machine.synced()

    def settle(self, ticks: int = 0) -> None:
        """Deliver everything; then let ticks pass, with everything delivered after each."""
        for tick in range(ticks + 1):
            if tick:
                for number in self.machines.keys() - self.dead:
                    self.machines[number].tick()
                    self.carry_out(number)
            while self.messages:
                source, target, stamp, message = self.messages.popleft()
                self.sent.append((source, target, message))
                if target <= CLIENT:
                    self.told.append(message)
                elif target not in self.dead and source not in self.dead:
                    self.machines[target].receive(source, stamp, message)
                    self.carry_out(target)

    def ask(self, message: Put | Query) -> Any:
        self.told.clear()
        self.machines[COORDINATOR].receive(CLIENT, 0, message)
        self.carry_out(COORDINATOR)
        self.settle(1)
        return self.told[-1] if self.told else None

    def query(self, number: int, *queries: list[list[tuple[int, int]]]) -> Query:
        units = [part.unit for part in self.placement.parts(0)] if self.placement.whole_queries else []
        return Query(number, tuple(tuple(map(tuple, terms)) for terms in queries), units=tuple(units))

    def close(self) -> None:
        for log in self.logs.values():
            log.close()


@pytest.fixture
def blocks(tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path, RowBlockPlacement("census", 192, 64))
    yield cluster
    cluster.close()


def value(number: int) -> bytes:
    return number.to_bytes(8, "little")


def put(cluster: Cluster, sequence: int, vectors: dict[int, int]) -> Put:
    whole = not cluster.placement.whole_queries
    return Put(
        sequence,
        tuple(
            Write(part.unit, vector, value(mask), whole)
            for vector, mask in vectors.items()
            for part in cluster.placement.parts(vector)
        ),
    )


def test_a_put_is_answered_and_read_back_from_every_block(blocks: Cluster) -> None:
    assert blocks.ask(put(blocks, 1, {2: 0b1100, 3: 0b0010, 4: 0b0110})) == Done(1)
    answer = blocks.ask(blocks.query(1, [[(2, 3)], [(4, 4)]]))
    assert isinstance(answer, Answer)
    assert answer.results == tuple((f"census/{block}", pack([value(0b0110)])) for block in range(3))


@pytest.mark.parametrize("planner", PLANNERS)
def test_every_planner_gives_the_sources_answer(tmp_path: Path, planner: str) -> None:
    cluster = Cluster(tmp_path, VectorPlacement(64), nodes=6, planner=planner)
    cluster.ask(put(cluster, 1, {2: 0b00101, 3: 0b01000, 4: 0b00001, 5: 0b00010, 6: 0b01100}))
    answer = cluster.ask(cluster.query(1, [[(2, 3)], [(4, 6)]], [[(2, 6)]]))
    cluster.close()
    assert isinstance(answer, Answer)
    assert answer.results == (("", pack([value(0b01101), value(0b01111)])),)


def test_slaves_call_slaves_in_the_sources_plan(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, VectorPlacement(64), nodes=6, planner="random_replica")
    cluster.ask(put(cluster, 1, {vector: 1 << vector for vector in range(12)}))
    cluster.sent.clear()
    cluster.ask(cluster.query(1, [[(0, 11)]]))
    cluster.close()
    asks = [(source, target) for source, target, message in cluster.sent if isinstance(message, Ask)]
    assert asks[0][0] == COORDINATOR
    # Each asked node asks the next, and only the last asks nobody.
    assert [target for _, target in asks[:-1]] == [source for source, _ in asks[1:]] and len(asks) > 2


def test_a_dead_replica_is_dropped_and_the_put_begins_again(blocks: Cluster) -> None:
    blocks.ask(put(blocks, 1, {1: 1}))
    blocks.dead.add(blocks.machines[COORDINATOR].directory["census/0"].wanted[0])
    assert blocks.ask(put(blocks, 2, {1: 7})) is None
    blocks.settle(10)
    assert Done(2) in blocks.told
    assert blocks.machines[COORDINATOR].directory.ring.nodes == set(range(4)) - blocks.dead
    assert not blocks.machines[COORDINATOR].status().short


def test_a_failure_is_repaired_in_two_batched_transfers(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, VectorPlacement(64), nodes=6)
    cluster.ask(put(cluster, 1, {vector: vector for vector in range(100)}))
    machine = cluster.machines[COORDINATOR]
    held = set(machine.directory.held_by(3))
    cluster.sent.clear()
    cluster.dead.add(3)
    cluster.settle(12)
    cluster.close()
    transfers = [message for _, _, message in cluster.sent if isinstance(message, Transfer)]
    assert len(transfers) == 2
    assert {unit for message in transfers for unit, _ in message.units} == held
    machine.directory.validate()
    assert not machine.directory.short


def test_a_query_is_answered_at_once_while_a_node_is_dead(blocks: Cluster) -> None:
    blocks.ask(put(blocks, 1, {1: 5}))
    blocks.dead.add(blocks.machines[COORDINATOR].directory["census/0"].wanted[0])
    blocks.ask(blocks.query(1, [[(1, 1)]]))
    # Two ticks, half a second: a hedged read, long before the node is taken for dead.
    blocks.settle(1)
    assert isinstance(blocks.told[-1], Answer)


def test_losing_all_copies_names_units_and_nodes(blocks: Cluster) -> None:
    blocks.ask(put(blocks, 1, {1: 5}))
    wanted = blocks.machines[COORDINATOR].directory["census/0"].wanted
    blocks.dead.update(wanted)
    blocks.settle(12)
    # They may have been taken for dead all at once, and say hello yet: a loss is one after a time.
    assert blocks.ask(blocks.query(1, [[(1, 1)]])) is None
    blocks.settle(Timing().lost_ticks)
    (failed,) = blocks.told
    assert isinstance(failed, Failed) and failed.reason == "lost"
    assert "census/0" in failed.units and set(wanted) <= set(failed.nodes)
    # They come back with their disks.
    blocks.dead.clear()
    for node in wanted:
        blocks.start(node)
    blocks.settle(12)
    assert isinstance(blocks.ask(blocks.query(2, [[(1, 1)]])), Answer)


def test_a_new_start_of_all_remembers_what_was_acknowledged(blocks: Cluster) -> None:
    blocks.ask(put(blocks, 1, {1: 5, 2: 6}))
    epoch = blocks.machines[COORDINATOR].epoch
    for number in [COORDINATOR, *range(4)]:
        blocks.start(number)
    blocks.settle(4)
    assert blocks.machines[COORDINATOR].epoch > epoch
    assert blocks.ask(put(blocks, 1, {1: 0})) == Done(1)
    answer = blocks.ask(blocks.query(1, [[(1, 1)]]))
    assert isinstance(answer, Answer) and answer.results[0] == ("census/0", pack([value(5)]))


def test_a_checkpoint_is_the_state_in_few_records(blocks: Cluster) -> None:
    for sequence in range(1, 30):
        blocks.ask(put(blocks, sequence, {sequence % 3: sequence}))
    blocks.settle(8)
    before = {number: log.bytes for number, log in blocks.logs.items()}
    for number, machine in blocks.machines.items():
        blocks.logs[number].replace(machine.checkpoint())
        assert blocks.logs[number].bytes < before[number]
        blocks.start(number)
    blocks.settle(4)
    answer = blocks.ask(blocks.query(1, [[(29 % 3, 29 % 3)]]))
    assert isinstance(answer, Answer) and answer.results[0] == ("census/0", pack([value(29)]))


# ---- a node alone ----


def node() -> Node:
    machine = Node(0, 7, Masks())
    machine.receive(COORDINATOR, 1, Compare(1, 7))
    machine.take()
    machine.synced()
    machine.take()
    return machine


def prepare(version: int, base: int = 0) -> Prepare:
    return Prepare(version, (0, 1), (UnitWrite("u", base, 0, True, ((1, value(version)),)),))


def test_a_vote_leaves_after_its_record_is_durable() -> None:
    machine = node()
    machine.receive(COORDINATOR, 1, prepare((1 << 32) + 1))
    effects = machine.take()
    assert [type(effect) for effect in effects] == [Append, Sync]
    assert isinstance(effects[0], Append) and isinstance(effects[0].record, Prepared)
    machine.synced()
    (sent,) = machine.take()
    assert isinstance(sent, Send) and isinstance(sent.message, Vote) and sent.message.yes


def test_a_node_that_is_compared_with_shows_what_it_is_in_doubt_of() -> None:
    machine = node()
    version = (1 << 32) + 1
    machine.receive(COORDINATOR, 1, prepare(version))
    sums, held = compared(machine)
    assert any(sums) and held == (("u", 0, 0),), "it may commit, and is not durable yet"
    machine.synced()
    sums, ((unit, held_version, digest),) = compared(machine)
    assert any(sums) and (unit, held_version) == ("u", version) and digest
    machine.receive(COORDINATOR, 2, Outcome(version, False))
    sums, held = compared(machine)
    assert not any(sums) and held == ()


def compared(machine: Node) -> tuple[tuple[int, ...], tuple[tuple[str, int, int], ...]]:
    machine.receive(COORDINATOR, 2, Compare(2, 7))
    machine.receive(COORDINATOR, 2, Enumerate(2, tuple(range(64))))
    said = [effect.message for effect in machine.take() if isinstance(effect, Send)]
    (sums,) = (one.sums for one in said if isinstance(one, Sums))
    (held,) = (one.units for one in said if isinstance(one, Held))
    return sums, held


def test_an_earlier_epoch_is_not_listened_to() -> None:
    machine = node()
    machine.receive(COORDINATOR, 5, Outcome(1, False))
    machine.take()
    machine.receive(COORDINATOR, 4, prepare((4 << 32) + 1))
    assert machine.take() == []
    machine.receive(COORDINATOR, 4, Ask(9, ROWS, ((),), (), ()))
    (sent,) = machine.take()
    assert isinstance(sent, Send) and sent.message == Refuse(9, 0)


def test_a_node_reads_the_version_asked_for_or_refuses() -> None:
    machine = node()
    first, second = (1 << 32) + 1, (1 << 32) + 2
    for version, base in ((first, 0), (second, first)):
        machine.receive(COORDINATOR, 1, prepare(version, base))
        machine.take()
        machine.synced()
        machine.take()
    for version, readable in ((first, True), (second, True), (second + 1, False), (5, False)):
        machine.receive(COORDINATOR, 1, Ask(1, ROWS, ((((1, 1),),),), (Read(0, WHOLE, "u", version),), ()))
        (sent,) = machine.take()
        assert isinstance(sent, Send)
        assert sent.message.results[0][3] == pack([value(version)]) if readable else isinstance(sent.message, Refuse)
    assert [one.version for one in machine.in_doubt()] == [second]


def test_who_never_saw_a_transaction_promises_durably_to_refuse_it() -> None:
    machine = node()
    version = (1 << 32) + 1
    machine.receive(1, 1, InquirePeer(version))
    effects = machine.take()
    assert [type(effect) for effect in effects] == [Append, Sync]
    assert isinstance(effects[0], Append) and effects[0].record == Ended(version, False)
    machine.synced()
    (sent,) = machine.take()
    assert isinstance(sent, Send) and sent.message == Outcome(version, False)
    machine.receive(COORDINATOR, 1, prepare(version))
    (refused,) = machine.take()
    assert isinstance(refused, Send) and refused.message == Vote(version, False, ())


def test_a_node_promises_nothing_about_times_before_it_was_born() -> None:
    machine = node()
    machine.receive(1, 1, InquirePeer((0 << 32) + 1))
    assert machine.take() == []


def test_a_coordinator_does_not_take_a_nodes_log() -> None:
    with pytest.raises(OptionError, match="Ended record is a node's"):
        Coordinator(PLANNERS["fewest_nodes"](), Masks(), lambda n: 0, [Ended(1, True)])


def test_one_copy_is_refused() -> None:
    with pytest.raises(OptionError, match="copies=1"):
        Coordinator(PLANNERS["fewest_nodes"](), Masks(), lambda n: 0, copies=1)


def test_a_decision_is_durable_before_anyone_is_told(blocks: Cluster) -> None:
    machine = blocks.machines[COORDINATOR]
    told_before: list[Any] = []
    synced = machine.synced

    def watch() -> None:
        on_disk = LogReader(blocks.folder / f"{COORDINATOR}.log").versions()
        synced()
        told_before.extend(
            effect.message.version in on_disk
            for effect in machine._effects
            if isinstance(effect, Send) and isinstance(effect.message, Outcome) and effect.message.commit
        )

    machine.synced = watch
    blocks.ask(put(blocks, 1, {1: 5}))
    assert told_before and all(told_before)


class LogReader:
    """Reads a log that somebody else writes."""

    def __init__(self, path: Path) -> None:
        self.data = path.read_bytes()

    def versions(self) -> set[int]:
        from esker.cluster.log_file import MAGIC, scan
        from esker.cluster.records import decode

        records = [decode(frame.payload) for frame in scan(self.data[len(MAGIC) :])[0]]
        return {record.version for record in records if isinstance(record, Decided)}


class Rotten(Masks):
    """Finds that a value is not what was put."""

    def answer(self, terms: Any) -> bytes:
        raise DamagedValueError("a bit fell over")


def test_a_copy_that_is_damaged_is_let_go_and_made_again(blocks: Cluster) -> None:
    blocks.ask(put(blocks, 1, {1: 5}))
    placed = blocks.machines[COORDINATOR].directory["census/0"]
    node = blocks.machines[placed.wanted[0]]
    sound, node._algebra = node._algebra, Rotten()
    answer = blocks.ask(blocks.query(1, [[(1, 1)]]))
    assert isinstance(answer, Answer) and answer.results[0] == ("census/0", pack([value(5)]))
    node._algebra = sound
    blocks.settle(3)
    assert placed.copies == set(placed.wanted) and blocks.machines[COORDINATOR].counts["lacks"] > 0
    assert node.units["census/0"].at(placed.version) is not None


@pytest.mark.parametrize("has_it", [True, False])
def test_what_a_node_lacked_in_an_epoch_before_is_found_by_comparing(blocks: Cluster, has_it: bool) -> None:
    blocks.ask(put(blocks, 1, {1: 5}))
    machine = blocks.machines[COORDINATOR]
    placed = machine.directory["census/0"]
    late = Lacks(machine.epoch, ("census/0",))
    machine.begin_epoch()
    blocks.carry_out(COORDINATOR)
    blocks.settle()
    # Taken at its word, it would leave a unit without copies: nobody could send it.
    for node in placed.wanted:
        if not has_it:
            del blocks.machines[node].units["census/0"]
        machine.receive(node, blocks.machines[node].incarnation, late)
    blocks.carry_out(COORDINATOR)
    assert placed.copies == set(placed.wanted)
    blocks.settle(1)
    assert placed.copies == (set(placed.wanted) if has_it else set())


def test_a_partial_answer_of_all_rows_asks_no_further_node(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, VectorPlacement(64), nodes=6, planner="random_replica")
    cluster.ask(put(cluster, 1, dict.fromkeys(range(12), (1 << 64) - 1)))
    cluster.sent.clear()
    answer = cluster.ask(cluster.query(1, [[(0, 11)]]))
    assert isinstance(answer, Answer) and answer.results == (("", pack([b"\xff" * 8])),)
    assert not [target for source, target, message in cluster.sent if type(message) is Ask and source >= 0]
    cluster.close()
