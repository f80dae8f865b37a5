"""The ltfs tier: plain files, an index that lies twice, and nothing lost silently."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO

import pytest

from esker.core.checksum import checksum_bytes
from esker.core.extent import ByteRange
from esker.core.file_system import FileSystem
from esker.errors import CatalogCorruptError, EskerError, OptionError, PayloadCorruptError, TierError
from esker.storage import ReadRequest, device_profile, open_tier
from esker.storage.tiers.ltfs import LtfsTier


def library(folder: Path, cartridge: int = 1000, options: str = "") -> LtfsTier:
    tier = open_tier(f"ltfs:{folder}?device=exabyte-220l&cartridge={cartridge}{options}")
    assert isinstance(tier, LtfsTier)
    return tier


def content(tier: LtfsTier, key: str) -> bytes:
    return bytes(tier.read(key, [ByteRange(0, tier.stat(key).bytes)])[0])


def copies(folder: Path, number: int = 0) -> tuple[Path, Path]:
    name = f"cartridge-{number:03}"
    return folder / "index" / f"{name}.json", folder / name / "index.json"


def test_objects_are_plain_files_in_the_folder_of_their_cartridge(tmp_path: Path) -> None:
    tier = library(tmp_path)
    for number in range(5):
        tier.write(f"sales/part-{number}", bytes([number]) * 400)
    found = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("part-*"))
    assert found == [f"cartridge-{number // 2:03}/files/sales/part-{number}" for number in range(5)]
    assert (tmp_path / found[3]).read_bytes() == bytes([3]) * 400


def test_reading_takes_the_time_of_the_tape(tmp_path: Path) -> None:
    library(tmp_path, cartridge=35_000_000).write("a", bytes(7_000_000))
    tier = library(tmp_path, cartridge=35_000_000)
    estimated = tier.estimate([ReadRequest("a", ByteRange(3_500_000, 7_000_000))])
    tier.read("a", [ByteRange(3_500_000, 7_000_000)])
    assert tier.counted.seconds == estimated.seconds == pytest.approx(71 + 0.7 + 1)


def test_either_copy_of_the_index_is_enough(tmp_path: Path) -> None:
    tier = library(tmp_path / "made")
    tier.write("a", b"first")
    tier.write("b", b"second")
    for number in range(2):
        for damage in (lambda path: path.unlink(), lambda path: path.write_bytes(path.read_bytes()[:-9])):
            folder = tmp_path / f"copy-{number}"
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(tmp_path / "made", folder)
            damage(copies(folder)[number])
            again = library(folder)
            assert [stored.key for stored in again.list()] == ["a", "b"]
            again.write("c", b"third")
            # Both copies are whole again.
            damage(copies(folder)[1 - number])
            assert content(library(folder), "c") == b"third"


def test_an_older_copy_that_lacks_a_file_is_not_believed(tmp_path: Path) -> None:
    tier = library(tmp_path)
    tier.write("a", b"first")
    older = copies(tmp_path)[1].read_bytes()
    tier.write("b", b"second")
    copies(tmp_path)[1].write_bytes(older)
    assert content(library(tmp_path), "b") == b"second"
    copies(tmp_path)[0].write_bytes(b"damaged")
    with pytest.raises(CatalogCorruptError, match=r"does not know .*files/b"):
        [*library(tmp_path).list()]


def test_two_damaged_copies_are_named(tmp_path: Path) -> None:
    library(tmp_path).write("a", b"first")
    for path in copies(tmp_path):
        path.write_bytes(b"{}\nnothing")
    with pytest.raises(CatalogCorruptError, match=r"cartridge-000\.json is damaged.*second copy"):
        library(tmp_path).read("a", [ByteRange(0, 1)])


@pytest.mark.parametrize(
    "change",
    [
        {"used_bytes": 3},
        {"cartridge": 1},
        {"generation": 0},
        {"files": [["../../out", 0, 5, "crc32:00000000"]]},
        {"files": [["a", -1, 5, "crc32:00000000"]]},
        {"files": [["a", 0]]},
        {"files": 7},
        {"version": 2},
    ],
)
def test_an_index_that_cannot_be_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    library(tmp_path).write("a", b"first")
    document = json.loads(copies(tmp_path)[0].read_bytes().splitlines()[0]) | change
    text = json.dumps(document).encode()
    for path in copies(tmp_path):
        path.write_bytes(text + b"\n" + checksum_bytes(text).encode() + b"\n")
    with pytest.raises(EskerError):
        [*library(tmp_path).list()]


def test_another_process_sees_what_was_written_and_deleted(tmp_path: Path) -> None:
    first, second = library(tmp_path), library(tmp_path)
    first.write("a", b"first")
    assert content(second, "a") == b"first"
    second.write("b", b"second")
    assert [stored.key for stored in first.list()] == ["a", "b"]
    first.delete("a")
    with pytest.raises(TierError, match="no object 'a'"):
        second.read("a", [ByteRange(0, 1)])
    assert not (tmp_path / "cartridge-000/files/a").exists()


def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    tier = library(tmp_path)
    tier.write("a", b"first object")
    (tmp_path / "cartridge-000/files/a").write_bytes(b"First object")
    with pytest.raises(PayloadCorruptError, match=r"'a' at byte 0 of .*cartridge-000/files/a is damaged"):
        tier.read("a", [ByteRange(0, 12)])
    (tmp_path / "cartridge-000/files/a").write_bytes(b"fir")
    with pytest.raises(PayloadCorruptError, match="ends at byte 3"):
        tier.read("a", [ByteRange(0, 5)])


class Failing(FileSystem):
    """Fails at the n-th step that counts."""

    def __init__(self, at: int) -> None:
        self.left = at

    def _step(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise OSError(28, "No space left on device")

    def write(self, file: BinaryIO, data: bytes | memoryview) -> None:
        self._step()
        super().write(file, data)

    def rename(self, source: Path, target: Path) -> None:
        self._step()
        super().rename(source, target)


@pytest.mark.parametrize("at", range(1, 7))
def test_a_write_that_fails_at_any_step_leaves_all_or_nothing(tmp_path: Path, at: int) -> None:
    library(tmp_path).write("a", b"first")
    device = device_profile("exabyte-220l")
    from dataclasses import replace

    tier = LtfsTier(tmp_path, replace(device, capacity_bytes=1000), file_system=Failing(at))
    with pytest.raises(TierError, match="'b'"):
        tier.write("b", b"second")
    again = library(tmp_path)
    found = [stored.key for stored in again.list()]
    assert found in (["a"], ["a", "b"])
    assert content(again, "a") == b"first"
    if found == ["a"]:
        again.write("b", b"second")
    assert content(again, "b") == b"second"


def test_a_killed_write_leaves_what_was_there(tmp_path: Path) -> None:
    library(tmp_path).write("a", b"first")
    code = f"""
import os, signal
from esker.core.file_system import FileSystem
rename, count = FileSystem.rename, [0]
def die(self, source, target):
    rename(self, source, target)
    count[0] += 1
    if count[0] == int(os.environ["AT"]):
        os.kill(os.getpid(), signal.SIGKILL)
FileSystem.rename = die
from esker.storage import open_tier
open_tier("ltfs:{tmp_path}?device=exabyte-220l&cartridge=1000").write("b-" + os.environ["AT"], b"second")
"""
    for at in ("1", "2", "3"):
        ended = subprocess.run([sys.executable, "-c", code], env={"AT": at, "PATH": ""}, check=False)
        assert ended.returncode == -9
        again = library(tmp_path)
        assert content(again, "a") == b"first"
        if at == "1":
            again.write("b-1", b"second")
        assert content(again, f"b-{at}") == b"second"


def test_a_library_is_opened_as_it_was_made(tmp_path: Path) -> None:
    library(tmp_path).write("a", b"x")
    assert open_tier(f"ltfs:{tmp_path}").device.capacity_bytes == 1000
    with pytest.raises(OptionError, match="cartridge=1000"):
        library(tmp_path, cartridge=2000)
