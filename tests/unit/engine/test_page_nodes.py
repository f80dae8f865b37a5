from __future__ import annotations

from pathlib import Path

from esker.core.file_system import LOCAL
from esker.engine.page_nodes import remove_pages


def test_files_of_a_shuffle_are_removed_whether_they_are_whole_or_not(tmp_path: Path) -> None:
    (tmp_path / "ab12-0-0").write_bytes(b"pages")
    (tmp_path / "ab12-1-0.aside").write_bytes(b"half")
    (tmp_path / "cd34-0-0").write_bytes(b"another's")
    with LOCAL.name_aside(tmp_path / "ab12-copy") as copy:
        copy.write_bytes(b"left by a task that was killed")
        remove_pages(tmp_path, "ab12")
        assert [path.name for path in tmp_path.iterdir()] == ["cd34-0-0"]
        copy.write_bytes(b"")
