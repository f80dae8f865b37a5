from __future__ import annotations

import errno
from pathlib import Path
from typing import BinaryIO

import pytest

from esker.core.file_system import ASIDE_MARK, LOCAL, FileSystem
from esker.errors import OutputExistsError


def test_a_failed_write_leaves_neither_the_target_nor_the_aside(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), LOCAL.write_aside(tmp_path / "out") as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_old_file_as_it_was(tmp_path: Path) -> None:
    class FullDisk(FileSystem):
        def sync(self, file: BinaryIO) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    target = tmp_path / "out"
    target.write_bytes(b"old")
    with pytest.raises(OSError, match="No space"), FullDisk().write_aside(target, overwrite=True) as file:
        file.write(b"new")
    assert target.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_an_existing_target_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"old")
    with pytest.raises(OutputExistsError, match="out exists"), LOCAL.write_aside(tmp_path / "out"):
        raise AssertionError("the block must not run")
    assert (tmp_path / "out").read_bytes() == b"old"


def test_the_file_is_private_until_it_has_its_final_name(tmp_path: Path) -> None:
    with LOCAL.write_aside(tmp_path / "out") as file:
        file.write(b"x")
        (aside,) = tmp_path.iterdir()
        assert aside.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o644


def test_a_sweep_removes_what_a_killed_writer_left_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "kept").write_bytes(b"x")
    (tmp_path / f".out{ASIDE_MARK}0badcafe").write_bytes(b"half")
    swept = LOCAL.sweep_aside(tmp_path)
    assert [path.name for path in swept] == [f".out{ASIDE_MARK}0badcafe"]
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
