"""Build, append, delete, compact or put in children that are killed at the n-th operation, and check what is left.

python -m tests.faults.index_kill build|append|delete|compact|put <folder> <stride>
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pyarrow as pa

from esker.bitmap import Bitmap
from esker.core.context import QueryContext
from esker.core.file_system import LOCAL, FileSystem
from esker.core.memory import MemoryBudget
from esker.core.row_set import RowSet
from esker.errors import InputFileError
from esker.index import BitSliced, Equality
from esker.index.store import IndexStore, StoreOptions, StoreWriter
from esker.index.vectors import VectorIndex
from tests.faults.killing import files, kill_everywhere

ROWS = pa.table({"id": range(40), "month": sorted([1, 2] * 20), "note": [f"row {row}" for row in range(40)]})
OPTIONS = StoreOptions({"month": Equality(), "id": BitSliced()})
# What a reader sees before and after each scenario: rows there are, of them live.
STATES = {"build": (None, (40, 40)), "append": ((40, 40), (80, 80)), "delete": ((40, 40), (40, 30))}
STATES["compact"] = ((40, 30), (30, 30))


def act(scenario: str, folder: Path, file_system: FileSystem) -> None:
    if scenario == "put":
        with VectorIndex.open(folder / "v", 40, file_system=file_system) as vectors:
            vectors.put_many({0: Bitmap.from_positions([1, 2], 40), 1: Bitmap.from_positions([39], 40)})
            vectors.put(0, Bitmap.from_positions([3], 40))
        return
    with QueryContext(budget=MemoryBudget("64MiB"), threads=1) as context:
        writer = StoreWriter(folder / "s.index", context, file_system)
        if scenario == "build":
            writer.build(iter(ROWS.to_batches()), ROWS.schema, OPTIONS)
        elif scenario == "append":
            writer.append(iter(ROWS.to_batches()))
        elif scenario == "delete":
            writer.delete(lambda store: RowSet.range(5, 15))
        else:
            writer.compact()


def seen(folder: Path) -> tuple[int, int] | None:
    """Check all that a reader can see; gives rows there are and live ones, None when there is no index."""
    try:
        store = IndexStore.open(folder / "s.index")
    except InputFileError as error:
        assert any(words in str(error) for words in ("no such folder", "no index.db", "not finished")), error
        return None
    with store, QueryContext(threads=1) as context:
        store.verify()
        ids = [value for found in store.scan(["id"], context) for value in found.batch["id"].to_pylist()]
        assert len(ids) == store.live_count
        return store.row_count, store.live_count


def check(scenario: str, folder: Path) -> None:
    if scenario == "put":
        check_vectors(folder)
        return
    before, after = STATES[scenario]
    found = seen(folder)
    assert found in (before, after), f"{found} rows"
    if found == before:
        act(scenario, folder, LOCAL)
        assert seen(folder) == after
    with IndexStore.open(folder / "s.index") as store:
        kept = store.contents.files
    if found == after:
        with QueryContext() as context:
            StoreWriter(folder / "s.index", context).collect()
        assert seen(folder) == after
    there = {path.rpartition("/")[2] for path in files(folder)} - {"index.db"}
    assert there == kept, (there, kept)


def check_vectors(folder: Path) -> None:
    wanted = {0: [3], 1: [39]}
    first = {0: [1, 2], 1: [39]}
    try:
        with VectorIndex.open(folder / "v") as vectors:
            found = {number: vectors.get(number).to_numpy().tolist() for number in vectors.numbers()}
            assert found in ({}, first, wanted), found
    except InputFileError as error:
        assert any(words in str(error) for words in ("no such folder", "no index.db", "not finished")), error
        shutil.rmtree(folder / "v", ignore_errors=True)
    act("put", folder, LOCAL)
    with VectorIndex.open(folder / "v") as vectors:
        assert {number: vectors.get(number).to_numpy().tolist() for number in vectors.numbers()} == wanted


BEFORE = {"append": ["build"], "delete": ["build"], "compact": ["build", "delete"]}

if __name__ == "__main__":
    name = sys.argv[1]
    kill_everywhere(
        act,
        check,
        BEFORE.get(name, []),
        scenario=name,
        folder=Path(sys.argv[2]),
        stride=int(sys.argv[3]),
        operations_min=10,
    )
