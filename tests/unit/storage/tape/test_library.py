"""The moving parts against figures worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esker.core.device_profile import DeviceProfile
from esker.core.seeded import generator
from esker.errors import OptionError
from esker.storage import device_profile
from esker.storage.tape.library import Library, Passage
from esker.storage.tape.motion import locate_seconds, rewind_seconds, transfer_seconds
from esker.storage.tape.order import ORDERS, way_seconds

EXABYTE = device_profile("exabyte-220l")
LTO = device_profile("lto9-hh")
MB = 1_000_000


def one_drive(device: DeviceProfile) -> Library:
    return Library(replace(device, drives=1))


def test_reading_a_whole_cartridge_takes_a_mount_and_its_transfer() -> None:
    # The paper's library: 71 s, then 10 GB at 3.5 MB/s.
    outcome = one_drive(EXABYTE).serve([Passage(0, 0, 10_000 * MB)])
    assert outcome.seconds == pytest.approx(71 + 10_000 / 3.5)
    assert outcome.mounts == 1


def test_the_head_is_positioned_at_its_own_speed() -> None:
    # 5 GB away at 5 MB/s.
    outcome = one_drive(EXABYTE).serve([Passage(0, 5_000 * MB, 5_007 * MB)])
    assert outcome.seconds == pytest.approx(71 + 1000 + 2)


def test_reading_on_from_the_head_costs_no_locate() -> None:
    library = one_drive(EXABYTE)
    library.serve([Passage(0, 0, 700 * MB)])
    outcome = library.serve([Passage(0, 700 * MB, 1_400 * MB)])
    assert outcome.seconds == pytest.approx(200)
    assert [event.kind for event in outcome.events] == ["transfer"]


def test_changing_cartridges_costs_a_rewind_and_a_mount() -> None:
    library = one_drive(EXABYTE)
    library.serve([Passage(0, 0, 1_000 * MB)])
    outcome = library.serve([Passage(1, 0, 35 * MB)])
    assert outcome.seconds == pytest.approx(1_000 / 5 + 71 + 10)


def test_requests_on_a_cartridge_pass_in_order_of_position_in_one_mount() -> None:
    passages = [Passage(0, 60 * MB, 70 * MB, 1), Passage(0, 0, 7 * MB, 2), Passage(0, 30 * MB, 35 * MB, 3)]
    outcome = one_drive(EXABYTE).serve(passages)
    assert [passage.number for passage in outcome.served] == [2, 3, 1]
    assert outcome.mounts == 1
    assert outcome.seconds == pytest.approx(71 + 2 + 23 / 5 + 5 / 3.5 + 25 / 5 + 10 / 3.5)


def test_two_drives_work_side_by_side_and_wait_for_the_one_arm() -> None:
    outcome = Library(EXABYTE).serve([Passage(0, 0, 350 * MB), Passage(1, 0, 350 * MB)])
    # The second mount starts when the arm is back, 20 s later.
    assert outcome.seconds == pytest.approx(20 + 71 + 100)
    assert {event.device for event in outcome.events} == {"drive 0", "drive 1", "arm"}


def test_a_second_arm_ends_the_waiting() -> None:
    library = Library(replace(EXABYTE, arms=2))
    outcome = library.serve([Passage(0, 0, 350 * MB), Passage(1, 0, 350 * MB)])
    assert outcome.seconds == pytest.approx(71 + 100)


def test_a_mounted_cartridge_is_read_before_it_is_unmounted() -> None:
    library = one_drive(EXABYTE)
    library.serve([Passage(7, 0, 7 * MB)])
    outcome = library.serve([Passage(0, 0, 7 * MB, 1), Passage(7, 7 * MB, 14 * MB, 2)])
    assert [passage.number for passage in outcome.served] == [2, 1]
    assert outcome.mounts == 1


def test_the_drive_used_longest_ago_gives_up_its_cartridge() -> None:
    library = Library(EXABYTE)
    for cartridge in (0, 1, 0):
        library.serve([Passage(cartridge, 0, 7 * MB)])
    library.serve([Passage(2, 0, 7 * MB)])
    assert sorted(library.mounted()) == [0, 2]


def test_a_serpentine_drive_takes_a_mean_time_to_locate_and_rewind() -> None:
    places = [LTO.capacity_bytes * number // 10_007 for number in range(1, 10_007)]
    assert mean(locate_seconds(LTO, 0, place) for place in places) == pytest.approx(65, rel=0.01)
    assert mean(rewind_seconds(LTO, place) for place in places) == pytest.approx(62, rel=0.01)
    assert max(rewind_seconds(LTO, place) for place in places) <= 124
    assert rewind_seconds(LTO, 0) == locate_seconds(LTO, places[5], places[5]) == 0


def test_bytes_that_are_far_apart_may_lie_side_by_side_on_a_serpentine_tape() -> None:
    wrap = LTO.capacity_bytes // LTO.wraps
    # The end of the second wrap is back at the load point, the end of the first at the far end.
    assert locate_seconds(LTO, 0, 2 * wrap) == pytest.approx(3, abs=0.01)
    assert locate_seconds(LTO, 0, wrap) == pytest.approx(3 + 124, abs=0.01)
    without = replace(LTO, wraps=0)
    assert locate_seconds(without, 0, wrap) == locate_seconds(without, 0, 2 * wrap) == 65
    assert rewind_seconds(without, wrap) == 62


def test_a_short_way_forward_is_run_over() -> None:
    assert locate_seconds(LTO, 0, 600 * MB) == pytest.approx(2)
    assert locate_seconds(LTO, 600 * MB, 0) == pytest.approx(3 + 124 * 600 * MB * 280 / 18e12)


def test_an_lto_unmount_rewinds_unloads_and_needs_the_arm() -> None:
    library = one_drive(LTO)
    library.serve([Passage(0, 0, 300 * MB)])
    outcome = library.serve([Passage(1, 0, 300 * MB)])
    assert outcome.seconds == pytest.approx(124 * 300 * MB * 280 / 18e12 + 56 + 20 + 36 + 1)
    assert [event.kind for event in outcome.events if event.device == "arm"] == ["unmount", "mount"]


passages = st.lists(
    st.builds(
        lambda cartridge, start, length: Passage(cartridge, start * MB, (start + length) * MB),
        st.integers(0, 5),
        st.integers(0, 9000),
        st.integers(0, 500),
    ),
    max_size=12,
)
devices = st.sampled_from([EXABYTE, LTO, replace(LTO, drives=1), replace(EXABYTE, drives=3, arms=2)])


@given(device=devices, batches=st.lists(passages, max_size=4))
def test_no_device_does_two_things_at_once_and_every_passage_is_served_once(
    device: DeviceProfile, batches: list[list[Passage]]
) -> None:
    library = Library(device)
    for batch in batches:
        before = library.now
        mounted = set(library.mounted())
        outcome = library.serve(batch)
        assert sorted(outcome.served) == sorted(batch)
        assert outcome.mounts == len({passage.cartridge for passage in batch} - mounted)
        assert library.now == pytest.approx(before + outcome.seconds)
        assert len(library.mounted()) <= device.drives
        busy: dict[str, float] = {}
        for event in outcome.events:
            assert event.start >= busy.get(event.device, before) - 1e-6, event
            busy[event.device] = event.stop
            assert event.stop <= library.now + 1e-6
        moved = sum(event.seconds for event in outcome.events if event.kind == "transfer")
        wanted = sum(transfer_seconds(device, passage.stop - passage.start) for passage in batch)
        assert moved == pytest.approx(wanted)


@given(device=devices, batch=passages, order=st.sampled_from(list(ORDERS)))
def test_every_order_serves_every_passage_once(device: DeviceProfile, batch: list[Passage], order: str) -> None:
    outcome = Library(device).serve(batch, order)
    assert sorted(outcome.served) == sorted(batch)
    assert outcome.mounts == len({passage.cartridge for passage in batch})


@given(position=st.integers(0, 17_000_000), starts=st.lists(st.integers(0, 17_000_000), max_size=12))
def test_the_recommended_order_is_never_longer_than_the_others(position: int, starts: list[int]) -> None:
    passages = [Passage(0, start * MB, start * MB + 100, number) for number, start in enumerate(starts)]
    ways = {name: way_seconds(LTO, position * MB, make(LTO, position * MB, passages)) for name, make in ORDERS.items()}
    assert all(ways["recommended"] <= seconds + 1e-6 for name, seconds in ways.items() if name != "fifo")


def test_the_recommended_order_saves_much_of_the_way_on_a_serpentine_tape() -> None:
    random = generator(3)
    passages = [Passage(0, int(start), int(start) + 100) for start in random.integers(0, int(17e12), 100)]
    ways = {name: way_seconds(LTO, 0, make(LTO, 0, passages)) for name, make in ORDERS.items()}
    assert ways["recommended"] <= ways["nearest"] < ways["scan"] / 3
    assert ways["recommended"] < ways["fifo"] / 3


def test_an_elevator_goes_on_from_where_it_stands() -> None:
    passages = [Passage(0, start, start + 1) for start in (5, 20, 10)]
    assert [passage.start for passage in ORDERS["elevator"](EXABYTE, 8, passages)] == [10, 20, 5]


def test_first_come_first_served_keeps_the_order_of_asking() -> None:
    asked = [Passage(1, 60 * MB, 70 * MB, 1), Passage(0, 0, 7 * MB, 2), Passage(1, 0, 7 * MB, 3)]
    outcome = one_drive(EXABYTE).serve(asked, "fifo")
    assert [passage.number for passage in outcome.served] == [1, 3, 2]


def test_an_order_that_there_is_not_is_refused() -> None:
    with pytest.raises(OptionError, match="fifo, scan, elevator, nearest, recommended"):
        Library(EXABYTE).serve([], "random")


@given(device=devices, before=passages, batch=passages)
def test_a_copy_foretells_what_happens(device: DeviceProfile, before: list[Passage], batch: list[Passage]) -> None:
    library = Library(device)
    library.serve(before)
    foretold = library.copy().serve(batch)
    assert library.serve(batch) == foretold
