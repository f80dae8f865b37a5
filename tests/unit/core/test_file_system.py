from __future__ import annotations

import errno
from pathlib import Path
from typing import BinaryIO

import pytest

from esker.core.file_system import ASIDE_MARK, LOCAL, WITHIN_ASIDE, FileSystem
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


def test_a_name_aside_replaces_the_target_when_the_block_ends_well(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), LOCAL.name_aside(target) as aside:
        aside.write_bytes(b"half")
        raise KeyboardInterrupt
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]
    with LOCAL.name_aside(target) as aside:
        aside.write_bytes(b"whole")
        assert target.read_bytes() == b"old"
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"whole"]


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


def test_a_folder_appears_whole_with_files_that_others_may_read(tmp_path: Path) -> None:
    with LOCAL.folder_aside(tmp_path / "out") as aside:
        (aside / "inner").mkdir()
        with WITHIN_ASIDE.write_aside(aside / "inner" / "rows") as file:
            file.write(b"whole")
        assert not (tmp_path / "out").exists()
    assert (tmp_path / "out/inner/rows").read_bytes() == b"whole"
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "out/inner/rows").stat().st_mode & 0o777 == 0o644
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_every_file_and_folder_is_synced_before_the_folder_has_its_name(tmp_path: Path) -> None:
    class Watched(FileSystem):
        def sync_tree(self, folder: Path) -> None:
            super().sync_tree(folder)
            done.append("synced")

        def rename(self, source: Path, target: Path) -> None:
            done.append("renamed")
            super().rename(source, target)

        def sync_folder(self, folder: Path) -> None:
            super().sync_folder(folder)
            done.append("out" if folder == tmp_path else folder.name.partition(ASIDE_MARK)[0])

    done: list[str] = []
    with Watched().folder_aside(tmp_path / "rows") as aside:
        (aside / "inner").mkdir()
    assert done == [".rows", "inner", "synced", "renamed", "out"]


@pytest.mark.parametrize("at_once", [True, False])
def test_a_folder_is_exchanged_for_the_old_one(at_once: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not at_once:
        monkeypatch.setattr("esker.core.file_system._exchange", lambda new, old: False)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/old").touch()
    with LOCAL.folder_aside(tmp_path / "out", overwrite=True) as aside:
        (aside / "new").touch()
        assert (tmp_path / "out/old").exists()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_failed_folder_leaves_the_old_one_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/old").touch()
    with pytest.raises(KeyboardInterrupt), LOCAL.folder_aside(tmp_path / "out", overwrite=True) as aside:
        (aside / "new").touch()
        raise KeyboardInterrupt
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["old"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_folder_does_not_take_the_place_of_a_file_or_a_link(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path)
    for name in ("file", "link"):
        with (
            pytest.raises(OutputExistsError, match="not a folder"),
            LOCAL.folder_aside(tmp_path / name, overwrite=True),
        ):
            raise AssertionError("not reached")
    with pytest.raises(OutputExistsError, match="exists"), LOCAL.folder_aside(tmp_path / "file"):
        raise AssertionError("not reached")
