"""The tape tier: placement, faults, what it foretells."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esker.core.extent import ByteRange, Extent
from esker.core.file_system import FileSystem
from esker.errors import CatalogCorruptError, NotThawedError, OptionError, PayloadCorruptError, TierError
from esker.storage import ReadRequest, Recall, RecallState, device_profile, open_tier
from esker.storage.tiers.tape import TapeTier

GOLDEN = Path(__file__).parents[3] / "golden" / "tape-library-1"


def library(folder: Path, cartridge: int = 1000, options: str = "") -> TapeTier:
    tier = open_tier(f"tape:{folder}?device=exabyte-220l&cartridge={cartridge}{options}")
    assert isinstance(tier, TapeTier)
    return tier


def test_objects_fill_cartridges_and_never_span_them(tmp_path: Path) -> None:
    tier = library(tmp_path)
    for number in range(5):
        tier.write(f"part-{number}", bytes([number]) * 400)
    sizes = {path.name: path.stat().st_size for path in tmp_path.glob("cartridge-*")}
    assert sizes == {"cartridge-000.bin": 800, "cartridge-001.bin": 800, "cartridge-002.bin": 400}
    tier.write("exact", bytes(600))
    assert (tmp_path / "cartridge-002.bin").stat().st_size == 1000


def test_an_object_larger_than_a_cartridge_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="never spans"):
        library(tmp_path).write("big", bytes(1001))


def test_a_library_whose_slots_are_full_says_so(tmp_path: Path) -> None:
    tier = library(tmp_path, options="&slots=2")
    tier.write("a", bytes(1000))
    tier.write("b", bytes(1000))
    with pytest.raises(TierError, match="2 slots"):
        tier.write("c", b"x")
    assert [stored.key for stored in tier.list()] == ["a", "b"]


def test_writing_takes_time_on_the_clock(tmp_path: Path) -> None:
    tier = library(tmp_path, cartridge=35_000_000)
    tier.write("a", bytes(7_000_000))
    tier.write("b", bytes(3_500_000))
    assert tier.counted.seconds == tier.clock.seconds() == pytest.approx(71 + 2 + 1)
    assert [event.kind for event in tier.timeline] == ["mount", "mount", "transfer", "transfer"]


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 900), min_size=1, max_size=10),
    batches=st.lists(
        st.lists(st.tuples(st.integers(0, 9), st.integers(0, 900), st.integers(0, 900)), max_size=8), max_size=4
    ),
    drives=st.integers(1, 3),
    together=st.booleans(),
)
def test_predicted_and_counted_are_equal(
    sizes: list[int], batches: list[list[tuple[int, int, int]]], drives: int, together: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        tier = library(Path(folder), options=f"&drives={drives}")
        for number, size in enumerate(sizes):
            tier.write(str(number), bytes(size))
        # A second opening starts with empty drives; going on with the first starts where writing left them.
        tier = tier if together else library(Path(folder), options=f"&drives={drives}")
        asked = [
            [
                ReadRequest(str(key % len(sizes)), ByteRange(*sorted((a % (size + 1), b % (size + 1)))))
                for key, a, b in batch
                for size in [sizes[key % len(sizes)]]
            ]
            for batch in batches
        ]
        before, predicted = tier.counted, tier.estimate_each(asked)
        for batch in asked:
            for _ in tier.fetch(batch):
                pass
        counted = tier.counted.since(before)
        assert (counted.bytes, counted.requests, counted.mounts) == (
            predicted.bytes,
            predicted.requests,
            predicted.mounts,
        )
        assert counted.seconds == pytest.approx(predicted.seconds, abs=1e-9)
        assert {name: pytest.approx(seconds) for name, seconds in counted.devices.items()} == {
            name: seconds for name, seconds in predicted.devices.items() if name in counted.devices
        }


def test_the_timeline_is_the_counted_time(tmp_path: Path) -> None:
    tier = library(tmp_path)
    for number in range(4):
        tier.write(str(number), bytes(900))
    busy = sum(event.seconds for event in tier.timeline if event.device == "drive 0")
    assert busy == pytest.approx(tier.counted.devices["drive 0"])
    assert tier.timeline[0].to_json()["detail"] == {"cartridge": 0, "drive": 0}


def test_a_tape_recalls(tmp_path: Path) -> None:
    tier = library(tmp_path, options="&drives=1")
    extents = [Extent(str(number), number, 1, 900, "") for number in range(3)]
    for extent in extents:
        tier.write(extent.key, bytes(900))
    assert isinstance(tier, Recall)
    assert [tier.state(extent) for extent in extents] == [RecallState.COLD, RecallState.COLD, RecallState.READY]
    # The mounted cartridge first, then each after a mount.
    ready = tier.request(extents)
    assert ready[2] < ready[0] < ready[1]
    assert tier.price(extents).mounts == 2
    with pytest.raises(NotThawedError, match="deadline") as caught:
        tier.request(extents, deadline=100)
    assert caught.value.ready_seconds == max(ready)


def test_a_library_is_opened_as_it_was_made(tmp_path: Path) -> None:
    library(tmp_path, cartridge=4096, options="&drives=1").write("a", b"x")
    again = open_tier(f"tape:{tmp_path}")
    assert (again.device.name, again.device.capacity_bytes) == ("exabyte-220l", 4096)
    assert open_tier(f"tape:{tmp_path}?device=lto10").device.name == "lto10"
    with pytest.raises(OptionError, match="cartridge=4096"):
        open_tier(f"tape:{tmp_path}?cartridge=1MiB")


@pytest.mark.parametrize("options", ["drives=0", "drives=two", "cartridge=much", "device=nvme", "device=lto11"])
def test_an_option_out_of_range_is_named(tmp_path: Path, options: str) -> None:
    with pytest.raises(OptionError, match=options.split("=")[0]):
        open_tier(f"tape:{tmp_path}?{options}")


def test_opening_a_library_makes_nothing(tmp_path: Path) -> None:
    tier = library(tmp_path / "new")
    assert [*tier.list()] == []
    assert not (tmp_path / "new").exists()


def test_a_damaged_object_is_named_with_its_cartridge(tmp_path: Path) -> None:
    tier = library(tmp_path)
    tier.write("a", b"first object")
    tier.write("b", b"second object")
    with (tmp_path / "cartridge-000.bin").open("r+b") as file:
        file.seek(14)
        file.write(b"!")
    assert bytes(tier.read("a", [ByteRange(0, 12)])[0]) == b"first object"
    with pytest.raises(PayloadCorruptError, match=r"'b' at byte 12 of .*cartridge-000.bin"):
        tier.read("b", [ByteRange(0, 13)])


def test_a_cartridge_that_is_short_or_missing_is_named(tmp_path: Path) -> None:
    tier = library(tmp_path)
    tier.write("a", bytes(100))
    path = tmp_path / "cartridge-000.bin"
    path.write_bytes(bytes(60))
    with pytest.raises(PayloadCorruptError, match=r"cartridge-000.bin ends at byte 60"):
        tier.read("a", [ByteRange(50, 100)])
    with pytest.raises(PayloadCorruptError, match=r"cartridge-000.bin has 60 bytes"):
        tier.write("b", b"after")
    path.unlink()
    with pytest.raises(PayloadCorruptError, match=r"cartridge-000.bin cannot be read"):
        tier.read("a", [ByteRange(0, 1)])


@pytest.mark.parametrize("content", [b"not a database" * 400, b"SQLite format 3\0" + bytes(4000)])
def test_a_damaged_catalogue_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "library.db").write_bytes(content)
    with pytest.raises(CatalogCorruptError, match=r"library.db"):
        library(tmp_path)


def test_a_catalogue_that_points_past_its_cartridge_is_refused(tmp_path: Path) -> None:
    import apsw

    library(tmp_path).write("a", b"12345")
    database = apsw.Connection(str(tmp_path / "library.db"))
    database.execute("UPDATE object SET start = 1")
    database.close()
    with pytest.raises(CatalogCorruptError, match="'a' lies at byte 1"):
        library(tmp_path).read("a", [ByteRange(0, 5)])


class Torn(FileSystem):
    """Writes half of what it is given, then fails."""

    def write(self, file: BinaryIO, data: bytes | memoryview) -> None:
        super().write(file, memoryview(data)[: len(data) // 2])
        raise OSError(5, "Input/output error")


def test_a_torn_write_leaves_only_a_tail_that_the_next_cuts_off(tmp_path: Path) -> None:
    library(tmp_path).write("a", b"first")
    torn = TapeTier(tmp_path, library(tmp_path).device, file_system=Torn())
    with pytest.raises(TierError, match="'b': Input/output error"):
        torn.write("b", bytes(100))
    tier = library(tmp_path)
    assert [stored.key for stored in tier.list()] == ["a"]
    tier.write("b", b"second")
    assert (tmp_path / "cartridge-000.bin").read_bytes() == b"firstsecond"


KILLED = """
import os, sys
from pathlib import Path
from esker.core.file_system import FileSystem
from esker.storage import open_tier
from esker.storage.tape import catalog
from esker.storage.tiers.tape import TapeTier

class Killed(FileSystem):
    def write(self, file, data):
        super().write(file, data)
        file.flush()
        step("write")
    def sync(self, file):
        step("before sync")
        super().sync(file)
        step("after sync")
    def sync_folder(self, folder):
        step("folder")
        super().sync_folder(folder)

left = int(sys.argv[2])
def step(name):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), 9)

folder = Path(sys.argv[1])
tier = TapeTier(folder, open_tier(f"tape:{folder}?device=exabyte-220l&cartridge=1000").device, file_system=Killed())
tier.write("new", bytes(600))
"""


@pytest.mark.parametrize("step", range(6))
def test_a_killed_write_leaves_the_library_as_it_was(tmp_path: Path, step: int) -> None:
    library(tmp_path).write("old", b"old" * 200)
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), str(step)], check=False)
    tier = library(tmp_path)
    keys = [stored.key for stored in tier.list()]
    assert keys == (["new", "old"] if done.returncode == 0 else ["old"])
    assert bytes(tier.read("old", [ByteRange(0, 600)])[0]) == b"old" * 200
    if done.returncode:
        tier.write("new", b"later")
        assert bytes(tier.read("new", [ByteRange(0, 5)])[0]) == b"later"


def test_a_library_whose_making_was_killed_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "library.db").write_bytes(b"")
    tier = library(tmp_path)
    assert [*tier.list()] == []
    tier.write("a", b"x")
    assert [stored.key for stored in library(tmp_path).list()] == ["a"]


def test_two_openings_write_to_one_library(tmp_path: Path) -> None:
    first, second = library(tmp_path), library(tmp_path)
    for number in range(6):
        (first, second)[number % 2].write(str(number), bytes([number]) * 300)
    for number in range(6):
        assert bytes(first.read(str(number), [ByteRange(0, 300)])[0]) == bytes([number]) * 300


def test_the_first_format_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "library"
    shutil.copytree(GOLDEN, folder)
    tier = open_tier(f"tape:{folder}")
    assert [(stored.key, stored.bytes) for stored in tier.list()] == [
        ("sales/a", 5),
        ("sales/b", 900),
        ("sales/c", 200),
    ]
    assert bytes(tier.read("sales/a", [ByteRange(0, 5)])[0]) == b"Esker"
    assert bytes(tier.read("sales/c", [ByteRange(0, 200)])[0]) == bytes(range(200))
    assert tier.device == device_profile("exabyte-220l").__class__(
        **{**vars(device_profile("exabyte-220l")), "capacity_bytes": 1000}
    )


def test_another_format_is_refused(tmp_path: Path) -> None:
    import apsw

    library(tmp_path).write("a", b"x")
    database = apsw.Connection(str(tmp_path / "library.db"))
    database.execute("PRAGMA user_version=2")
    database.close()
    with pytest.raises(CatalogCorruptError, match="format 2"):
        library(tmp_path)


def test_striped_objects_are_read_by_as_many_drives(tmp_path: Path) -> None:
    seconds = {}
    for stripes in (1, 2, 4):
        words = f"device=exabyte-220l&cartridge=1MiB&drives=4&arms=4&stripes={stripes}"
        tier = open_tier(f"tape:{tmp_path}/{stripes}?{words}")
        for number in range(8):
            tier.write(f"part-{number}", bytes([number]) * 100_000)
        again = open_tier(tier.uri)
        asked = [ReadRequest(f"part-{number}", ByteRange(0, 100_000)) for number in range(8)]
        estimated = again.estimate(asked)
        served = {request.key: bytes(data) for request, data in again.fetch(asked)}
        assert served == {f"part-{number}": bytes([number]) * 100_000 for number in range(8)}
        assert again.counted.mounts == estimated.mounts == stripes
        transfers = [event for event in again.timeline if event.kind == "transfer"]
        assert len({event.device for event in transfers}) == stripes
        seconds[stripes] = again.counted.seconds - 71
    assert seconds[4] == pytest.approx(seconds[1] / 4, rel=0.05)
    assert seconds[2] == pytest.approx(seconds[1] / 2, rel=0.05)


def test_stripes_stay_within_the_slots_and_use_all_of_them(tmp_path: Path) -> None:
    tier = open_tier(f"tape:{tmp_path}/full?device=exabyte-220l&cartridge=1000&slots=3&stripes=2")
    for number in range(6):
        tier.write(f"part-{number}", bytes(500))
    with pytest.raises(TierError, match="full"):
        tier.write("more", bytes(500))


@pytest.mark.parametrize("order", ["fifo", "scan", "elevator", "nearest", "recommended"])
def test_what_is_estimated_is_counted_in_every_order(order: str, tmp_path: Path) -> None:
    tier = open_tier(f"tape:{tmp_path}/library?device=lto9-fh&cartridge=1MiB&order={order}")
    for number in range(20):
        tier.write(f"part-{number:02}", bytes([number]) * 10_000)
    asked = [ReadRequest(f"part-{number * 7 % 20:02}", ByteRange(0, 5_000)) for number in range(20)]
    estimated, before = tier.estimate(asked), tier.counted
    served = [request.key for request, _ in tier.fetch(asked)]
    assert sorted(served) == sorted(request.key for request in asked)
    if order == "fifo":
        assert served == [request.key for request in asked]
    counted = tier.counted.since(before)
    assert (counted.bytes, counted.requests, counted.mounts) == (estimated.bytes, estimated.requests, estimated.mounts)
    assert counted.seconds == pytest.approx(estimated.seconds)
