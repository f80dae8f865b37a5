"""Processes share drives, arms and a disk: what can go on side by side does, and what cannot waits."""

from __future__ import annotations

import pytest

from esker.core.device_profile import DeviceProfile
from esker.storage.tape.room import DiskSpace, Piece, Process, Reel, Room

LIBRARY = DeviceProfile(
    "test",
    bytes_per_second=10.0,
    drives=2,
    capacity_bytes=100,
    mount_seconds=7.0,
    exchange_seconds=2.0,
    unmount_seconds=3.0,
    locate_bytes_per_second=20.0,
    rewind_bytes_per_second=50.0,
)
DISK = DeviceProfile("disk", bytes_per_second=5.0, request_seconds=0.5)


def room(capacity: int = 0) -> Room:
    return Room(LIBRARY, DiskSpace(DISK, capacity))


def test_two_drives_load_side_by_side_but_share_the_arm() -> None:
    place = room()

    def both() -> Process:
        other = place.start(place.mount(place.drives[1], 1))
        yield from place.mount(place.drives[0], 0)
        yield other

    place.run(both())
    # The second waits two seconds for the arm.
    assert (place.now, place.mounts) == (9.0, 2)


def test_a_cartridge_is_rewound_and_put_back_before_the_next_comes() -> None:
    place = room()

    def work() -> Process:
        yield from place.mount(place.drives[0], 0)
        yield from place.transfer(place.drives[0], 0, 100)
        yield from place.mount(place.drives[0], 1)

    place.run(work())
    assert place.now == 7 + 10 + 2 + 3 + 7
    assert [event.kind for event in place.events if event.device == "drive 0"] == [
        "mount",
        "transfer",
        "rewind",
        "unmount",
        "mount",
    ]


def test_a_relation_goes_on_on_the_next_cartridge() -> None:
    place = room()
    reel = Reel([Piece(4, 0, 100), Piece(5, 100, 130)])
    place.run(place.pass_over(place.drives[0], reel, 50, 130))
    assert place.mounts == 2
    # Locating byte 50 takes 2.5 s, both parts 8 s, the change a rewind, an unmount and a mount.
    assert place.now == 7 + 2.5 + 5 + 2 + 3 + 7 + 3


def test_the_disk_serves_one_after_the_other_and_seeks() -> None:
    place = room()

    def work() -> Process:
        first = place.disk_until(10)
        second = place.disk_until(10, requests=4)
        assert (first, second) == (2.0, 6.0)
        yield second

    place.run(work())
    assert place.now == 6.0


def test_a_process_waits_for_space_that_another_gives_back() -> None:
    place = room(capacity=10)
    place.disk.take(8)
    seen = []

    def taker() -> Process:
        yield lambda: place.disk.fits(5)
        place.disk.take(5)
        seen.append(place.now)

    def giver() -> Process:
        place.start(taker())
        yield 4.0
        place.disk.give(8)

    place.run(giver())
    assert seen == [4.0]
    assert (place.disk.peak_bytes, place.disk.used_bytes) == (8, 5)


def test_processes_that_wait_for_each_other_are_found_out() -> None:
    place = room()

    def work() -> Process:
        yield lambda: False

    with pytest.raises(AssertionError, match="wait for each other"):
        place.run(work())


def test_blocks_one_after_the_other_are_one_event() -> None:
    place = room()
    reel = Reel([Piece(0, 0, 100)])

    def work() -> Process:
        for start in range(0, 100, 10):
            yield from place.pass_over(place.drives[0], reel, start, start + 10)

    place.run(work())
    transfers = [event for event in place.events if event.kind == "transfer"]
    assert [(event.start, event.stop) for event in transfers] == [(7.0, 17.0)]
