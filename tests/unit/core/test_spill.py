from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from esker.core.spill import SpillFolder, sweep


def test_the_folder_and_its_files_are_private_and_go_with_the_query(tmp_path: Path) -> None:
    with SpillFolder(root=tmp_path) as spill:
        path, fd = spill.new_file("pages")
        os.close(fd)
        assert spill.path.stat().st_mode & 0o777 == 0o700
        assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_swept_by_the_next_query(tmp_path: Path) -> None:
    code = f"""
import os, signal
from pathlib import Path
import pytest

from esker.core.spill import SpillFolder
spill = SpillFolder(root=Path({str(tmp_path)!r}))
spill.new_file("pages")
os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", code], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 1
    with SpillFolder(root=tmp_path) as spill:
        made = spill.path
        assert list(tmp_path.iterdir()) == [made]


def test_a_folder_in_use_is_not_swept(tmp_path: Path) -> None:
    with SpillFolder(root=tmp_path) as spill:
        assert spill.path.exists()
        assert sweep(tmp_path) == []
        assert spill.path.exists()


def test_a_full_disk_says_where_and_what_to_change(tmp_path: Path) -> None:
    error = SpillFolder(root=tmp_path).failure(OSError(errno.ENOSPC, "No space left on device"), 5 << 20)
    assert str(tmp_path) in str(error)
    assert "5.0 MiB" in str(error)
    assert "ESKER_SPILL_FOLDER" in str(error)


def test_the_room_left_is_the_cap_less_what_was_written(tmp_path: Path) -> None:
    with SpillFolder(root=tmp_path, limit=1000) as spill:
        path, fd = spill.new_file("pages")
        os.write(fd, b"x" * 300)
        os.close(fd)
        assert spill.room_bytes == 700
        path.unlink()
        assert spill.room_bytes == 1000
    with SpillFolder(root=tmp_path) as spill:
        assert spill.room_bytes > 0


def test_a_sweep_while_a_folder_is_made_leaves_it_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = fcntl.flock

    def lock_after_a_sweep(fd: int, operation: int) -> None:
        if operation == fcntl.LOCK_EX:
            assert sweep(tmp_path) == []
        lock(fd, operation)

    monkeypatch.setattr(fcntl, "flock", lock_after_a_sweep)
    with SpillFolder(root=tmp_path) as spill:
        assert spill.path.exists()
