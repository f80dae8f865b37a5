from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.frozen.tools import MEMORY_FOLDER


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder in memory where there is one: every commit syncs, and on a busy disk hundreds of syncs take minutes."""
    with tempfile.TemporaryDirectory(dir=MEMORY_FOLDER, prefix="esker-test-") as folder:
        yield Path(folder).resolve()
