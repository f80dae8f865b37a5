"""The disk tier and what can go wrong below it."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import BinaryIO

import pytest

from esker.core.extent import ByteRange
from esker.core.file_system import FileSystem
from esker.errors import InputError, OptionError, TierError
from esker.storage import open_tier
from esker.storage.tiers.disk import DiskTier


class Failing(FileSystem):
    """Fails on the n-th write with an error, or damages what it writes."""

    def __init__(self, error: BaseException | None = None, *, at: int = 0) -> None:
        self.error = error
        self.left = at

    def write(self, file: BinaryIO, data: bytes | memoryview) -> None:
        self.left -= 1
        if self.left < 0 and self.error is not None:
            raise self.error
        super().write(file, b"?" * len(data) if self.left < 0 else data)


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    tier = DiskTier(tmp_path, file_system=Failing(OSError(errno.ENOSPC, "No space left on device"), at=1))
    with pytest.raises(TierError, match=r"could not write 'a/b': No space left"):
        tier.write("a/b", bytes(3 << 20))
    assert files_below(tmp_path) == []


def test_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    tier = DiskTier(tmp_path, file_system=Failing(KeyboardInterrupt(), at=1))
    with pytest.raises(KeyboardInterrupt):
        tier.write("a/b", bytes(3 << 20))
    assert files_below(tmp_path) == []


def test_bytes_that_read_back_wrong_are_not_kept(tmp_path: Path) -> None:
    with pytest.raises(TierError, match="reads back other bytes"):
        DiskTier(tmp_path, file_system=Failing()).write("a", b"right")
    assert files_below(tmp_path) == []


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "tier").mkdir()
    (tmp_path / "tier" / "folder").symlink_to(tmp_path)
    (tmp_path / "tier" / "file").symlink_to(tmp_path / "secret")
    tier = DiskTier(tmp_path / "tier")
    for key in ("folder/secret", "file"):
        with pytest.raises(TierError, match="symbolic link"):
            tier.read(key, [ByteRange(0, 6)])
    with pytest.raises(TierError, match="symbolic link"):
        tier.write("folder/new", b"x")
    assert [*tier.list()] == []
    assert not (tmp_path / "new").exists()


def test_a_plain_path_is_a_disk_tier(tmp_path: Path) -> None:
    assert open_tier(str(tmp_path)).uri == f"disk:{tmp_path}"


def test_a_relative_path_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert open_tier("payload").uri == f"disk:{tmp_path}/payload"
    assert not (tmp_path / "payload").exists()


def test_the_device_prices_the_reads(tmp_path: Path) -> None:
    tier = open_tier(f"disk:{tmp_path}?device=hdd")
    tier.write("a", bytes(1000))
    assert tier.uri.endswith("?device=hdd")
    assert tier.device.gap_bytes == 2_440_000


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OptionError, match="is a file"):
        open_tier(str(tmp_path / "file"))


def test_what_a_killed_writer_left_is_no_object(tmp_path: Path) -> None:
    tier = DiskTier(tmp_path)
    tier.write("a/whole", b"x")
    (tmp_path / "a" / ".half.esker-aside-00ff").write_bytes(b"ha")
    assert [stored.key for stored in tier.list("a/")] == ["a/whole"]
    with pytest.raises(InputError):
        tier.read("a/.half.esker-aside-00ff", [ByteRange(0, 1)])
