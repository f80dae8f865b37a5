"""The real operators, scaled down, count what the closed form counts and take about what it says."""

from __future__ import annotations

import pytest

from esker.bench.paper import model
from esker.bench.paper.operators import matches, run_operator
from esker.bench.paper.relation_tape import RelationTape
from esker.bench.paper.setting import Setting
from esker.core.extent import ByteRange
from esker.errors import OptionError, OutputExistsError, TierError
from esker.storage.devices import DEVICES

EXABYTE = DEVICES["exabyte-220l"]
# Objects of Arrow have some bytes around them, and the operators leave cartridges where they will be wanted.
OPERATOR = 0.12


@pytest.mark.parametrize(("algorithm", "r_gb"), [("asj", 1), ("asj", 3), ("ctt_gh", 1), ("ctt_gh_half", 1)])
def test_a_tape_join_takes_what_the_closed_form_says(algorithm: str, r_gb: int) -> None:
    point = Setting.of_r(r_gb)
    found, wanted = run_operator(algorithm, point, EXABYTE), model.predict(algorithm, point)
    assert found.seconds == pytest.approx(wanted.seconds, rel=OPERATOR)
    for name, count in found.counts.items():
        assert count == wanted.counts[name], name
    assert found.rows == matches(point)


def test_a_nested_loop_on_disk_scans_once_a_memory() -> None:
    point = Setting.of_r(0.4, disk_mb=1000.0)
    found, wanted = run_operator("nested_loop", point, EXABYTE), model.nested_loop(point)
    assert found.seconds == pytest.approx(wanted.seconds, rel=OPERATOR)
    assert found.rows == matches(point)


def test_measurements_on_disk_do_not_meet() -> None:
    point = Setting.of_r(0.2, disk_mb=1000.0)
    one, other = (run_operator(algorithm, point, EXABYTE) for algorithm in ("nested_loop", "grace"))
    assert one.rows == other.rows == matches(point)
    assert other.seconds == pytest.approx(model.grace(point).seconds, rel=OPERATOR)


def test_the_same_seed_gives_the_same_time_to_the_bit() -> None:
    one, other = (run_operator("asj", Setting.of_r(0.5), EXABYTE, seed=4) for _ in range(2))
    assert one == other


def test_rows_no_wider_than_their_keys_and_unknown_operators_are_refused() -> None:
    with pytest.raises(OptionError, match="rows wider than their keys"):
        run_operator("asj", Setting.of_r(1, c=1), EXABYTE)
    with pytest.raises(OptionError, match="no operator runs 'grace_staged'"):
        run_operator("grace_staged", Setting.of_r(1), EXABYTE)


class TestRelationTape:
    def test_relations_lie_on_cartridges_of_their_own(self) -> None:
        tape = RelationTape(EXABYTE)
        for key in ("r/0", "s/0", "r/1"):
            tape.write(key, b"x" * 10)
        transfers = [event.detail["cartridge"] for event in tape.timeline if event.kind == "transfer"]
        assert transfers == [0, 1, 0]

    def test_what_is_made_from_a_relation_goes_elsewhere(self) -> None:
        tape = RelationTape(EXABYTE)
        tape.write("scratch/0", b"abc")
        assert tape.read("scratch/0", [ByteRange(1, 3)]) == [b"bc"]
        tape.write("scratch/1", b"def")
        assert tape.timeline[-1].detail["cartridge"] == 1

    def test_shelving_begins_the_clock_again(self) -> None:
        tape = RelationTape(EXABYTE)
        tape.write("r/0", b"abc")
        tape.shelve()
        assert not tape.timeline
        tape.read("r/0", [ByteRange(0, 3)])
        assert [event.kind for event in tape.timeline if event.device == "drive 0"] == ["mount", "transfer"]

    def test_objects_are_never_overwritten_and_unknown_ones_refused(self) -> None:
        tape = RelationTape(EXABYTE)
        tape.write("r/0", b"abc")
        with pytest.raises(OutputExistsError):
            tape.write("r/0", b"abc")
        with pytest.raises(TierError, match="no object 'r/1'"):
            tape.read("r/1", [ByteRange(0, 1)])
        with pytest.raises(OptionError):
            RelationTape.open("x", {})
