"""A node's folder: checkpoints move values into mapped segments, and nothing that is in use is lost."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from esker.cluster.machine import Append
from esker.cluster.messages import COORDINATOR, Compare, Copies, Discard, Outcome, Prepare, UnitWrite
from esker.cluster.node import Node
from esker.cluster.node_store import NodeStore
from esker.cluster.simulation.check import Masks
from esker.cluster.unit import Unit, copy_of
from esker.errors import LogCorruptError


class Process:
    """A node on its folder, as a host runs it."""

    def __init__(self, folder: Path, incarnation: int) -> None:
        self.store = NodeStore(folder)
        self.node = Node(0, incarnation, Masks(), self.store.records())
        self.carry_out()

    def carry_out(self) -> None:
        while effects := self.node.take():
            for effect in effects:
                if isinstance(effect, Append):
                    self.store.log.append(effect.record)
            self.store.log.sync()
            while not self.node.settled:
                self.node.synced()

    def hear(self, messages: Iterable[Any]) -> None:
        for message in messages:
            self.node.receive(COORDINATOR, 1, message)
            self.carry_out()

    def checkpoint(self) -> None:
        values = self.store.to_move(self.node.values())
        if values:
            views = self.store.write_segment(values)
            self.node.hold_elsewhere({id(value): view for value, view in zip(values, views, strict=True)})
        self.store.replace(self.node.checkpoint())

    def contents(self) -> dict[str, tuple[int, dict[int, bytes]]]:
        self.node.validate()
        return {
            name: (unit.version, {vector: bytes(value) for vector, (_, value) in unit.entries.items()})
            for name, unit in self.node.units.items()
        }


def put(version: int, unit: str, entries: dict[int, bytes], base: int = 0, digest: int = 0) -> list[Any]:
    write = UnitWrite(unit, base, digest, False, tuple(entries.items()))
    return [Prepare(version, (0,), (write,)), Outcome(version, True)]


def value(number: int) -> bytes:
    return number.to_bytes(8, "little")


def segments(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("values-*.seg"))


def test_values_go_into_segments_and_come_back(tmp_path: Path) -> None:
    process = Process(tmp_path, 1)
    process.hear([Compare(1, 1)])
    process.hear(put(10, "a", {1: value(1), 2: value(2)}) + put(11, "b", {1: value(3)}))
    expected = process.contents()
    process.checkpoint()
    assert segments(tmp_path) == ["values-1.seg"]
    assert process.contents() == expected
    assert all(type(held) is memoryview for held in process.node.values())
    # What comes later is in the log, and both are there after a restart.
    unit = process.node.units["a"]
    process.hear(put(12, "a", {2: value(9), 3: value(4)}, base=unit.version, digest=unit.digest))
    expected = process.contents()
    process.store.close()
    again = Process(tmp_path, 2)
    assert again.contents() == expected
    again.checkpoint()
    again.store.close()
    third = Process(tmp_path, 3)
    assert third.contents() == expected and third.node.born == 1
    third.store.close()


def test_segments_that_are_hardly_used_are_copied_from_and_go(tmp_path: Path) -> None:
    process = Process(tmp_path, 1)
    process.hear([Compare(1, 1)])
    for number in range(10):
        process.hear(put(10 + number, f"u{number}", {1: value(number)}))
    process.checkpoint()
    process.hear([Discard(tuple(f"u{number}" for number in range(8)))])
    process.checkpoint()
    assert segments(tmp_path) == ["values-2.seg"]
    expected = process.contents()
    assert sorted(expected) == ["u8", "u9"]
    process.store.close()
    again = Process(tmp_path, 2)
    assert again.contents() == expected
    again.store.close()


def test_a_checkpoint_killed_between_segment_and_log_leaves_the_state_before(tmp_path: Path) -> None:
    process = Process(tmp_path, 1)
    process.hear([Compare(1, 1)])
    process.hear(put(10, "a", {1: value(1)}))
    expected = process.contents()
    process.store.write_segment(process.store.to_move(process.node.values()))
    (tmp_path / ".values-2.seg.esker-aside-00").write_bytes(b"half")
    process.store.close()
    again = Process(tmp_path, 2)
    assert again.contents() == expected
    # Nothing refers to it: it is gone, as is what was half-written.
    assert segments(tmp_path) == [] and not list(tmp_path.glob(".values*"))
    again.store.close()


@pytest.mark.parametrize("damage", ["missing", "short", "magic", "cut"])
def test_a_damaged_segment_is_refused_by_name(tmp_path: Path, damage: str) -> None:
    process = Process(tmp_path, 1)
    process.hear([Compare(1, 1)])
    process.hear([Copies((copy_of("a", 5, {1: (5, value(1)), 2: (5, value(2))}),))])
    process.checkpoint()
    process.store.close()
    path = tmp_path / "values-1.seg"
    data = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes({"short": data[:10], "magic": b"X" + data[1:], "cut": data[:-1]}[damage])
    with pytest.raises(LogCorruptError, match=r"values-1\.seg"):
        NodeStore(tmp_path)
    # The lock is not held by what failed to open.
    path.write_bytes(data)
    again = Process(tmp_path, 2)
    assert again.contents()["a"] == (5, {1: value(1), 2: value(2)})
    again.store.close()


def test_partial_units_and_what_is_prepared_survive_a_checkpoint(tmp_path: Path) -> None:
    process = Process(tmp_path, 1)
    process.hear([Compare(1, 1)])
    # Made over a version that this node never had.
    process.hear(put(12, "gap", {1: value(1)}, base=7, digest=99))
    process.hear([Prepare(13, (0, 1), (UnitWrite("open", 0, 0, False, ((4, value(4)),)),))])
    process.checkpoint()
    process.checkpoint()
    process.store.close()
    again = Process(tmp_path, 2)
    assert not again.node.units["gap"].complete and isinstance(again.node.units["gap"], Unit)
    assert [one.version for one in again.node.in_doubt()] == [13]
    again.hear([Outcome(13, True)])
    assert again.contents()["open"] == (13, {4: value(4)})
    again.store.close()
