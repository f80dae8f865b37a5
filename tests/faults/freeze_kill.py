"""Freeze or append, killed at the n-th operation: what is left.

python -m tests.faults.freeze_kill freeze|append <folder> <stride>
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from esker.core.checksum import checksum_bytes
from esker.core.context import QueryContext
from esker.core.file_system import LOCAL, FileSystem
from esker.core.memory import MemoryBudget
from esker.errors import InputFileError
from esker.frozen import FrozenCatalog, append, collect_garbage, freeze
from esker.storage.tiers.disk import DiskTier
from tests.faults.killing import files, kill_everywhere

SALES = pa.table({"id": range(40), "month": sorted([1, 2] * 20), "note": [f"row {row}" for row in range(40)]})


class Segment(NamedTuple):
    file: str
    bytes: int
    checksum: str
    column: str = "id"
    kind: str = "equality"
    spec: Any = {}  # noqa: RUF012


def index_builder(file_system: FileSystem) -> Any:
    """Write one segment that holds the ids as text."""

    def build(batches: Any, row_count: int, folder: Path) -> Sequence[Segment]:
        content = repr([value for batch in batches for value in batch["id"].to_pylist()]).encode()
        name = f"id.{os.getpid()}.seg"
        with file_system.write_aside(folder / name) as file:
            file_system.write(file, content)
        return [Segment(name, len(content), checksum_bytes(content))]

    return build


def act(scenario: str, folder: Path, file_system: FileSystem) -> None:
    target = folder / "s.esker"
    tier = DiskTier(folder / "tier", file_system=file_system)
    options: dict[str, Any] = {"index_builder": index_builder(file_system), "file_system": file_system, "tier": tier}
    with QueryContext(budget=MemoryBudget("64MiB"), threads=1) as context:
        batches = iter(SALES.to_batches())
        if scenario == "append":
            append(target, batches, context=context, **options)
        else:
            freeze(batches, SALES.schema, target, hot_columns=["id"], split_by="month", context=context, **options)


def rows_of(folder: Path) -> int:
    """Check all that a reader can see; gives the number of rows, 0 when there is no data set."""
    try:
        catalog = FrozenCatalog.open(folder / "s.esker", tier=DiskTier(folder / "tier"))
    except InputFileError as error:
        assert any(words in str(error) for words in ("no such folder", "no catalog.db", "not finished")), error
        return 0
    with catalog, QueryContext(threads=1) as context:
        catalog.verify(deep=True)
        ids = [value for part in catalog.read_hot(["id"], context) for value in part.batch["id"].to_pylist()]
        assert ids == list(range(40)) * (catalog.row_count // 40)
        (segment,) = catalog.segments
        assert (catalog.index_folder / segment.file).read_text() == repr(ids)
        return catalog.row_count


def referenced(folder: Path) -> set[str]:
    with FrozenCatalog.open(folder / "s.esker") as catalog:
        return {
            "s.esker/catalog.db",
            *(f"s.esker/keys/{part.file}" for part in catalog.parts),
            *(f"s.esker/index/{segment.file}" for segment in catalog.segments),
            *(f"tier/{frozen.extent.key}" for frozen in catalog.extents),
        }


def check(scenario: str, folder: Path) -> None:
    before, after = (0, 40) if scenario == "freeze" else (40, 80)
    found = rows_of(folder)
    assert found in (before, after), f"{found} rows"
    if found:
        collect_garbage(folder / "s.esker")
        assert rows_of(folder) == found, "collecting garbage changes nothing that is committed"
        assert files(folder) == referenced(folder)
    if found == before:
        act(scenario, folder, LOCAL)
        assert rows_of(folder) == after
    assert files(folder) == referenced(folder)


if __name__ == "__main__":
    name = sys.argv[1]
    kill_everywhere(
        act,
        check,
        ["freeze"] if name == "append" else [],
        scenario=name,
        folder=Path(sys.argv[2]),
        stride=int(sys.argv[3]),
        operations_min=60,
    )
