"""A thaw that kills itself at a step: run by test_thaw_kill.py, with a disk tier that writes down what it serves.

python -m tests.faults.thaw_kill FOLDER STEP
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa

from esker.core.context import QueryContext
from esker.core.extent import ByteRange, Extent
from esker.core.memory import MemoryBudget
from esker.core.row_set import RowSet
from esker.frozen import FrozenCatalog
from esker.storage import ReadRequest
from esker.storage.tiers.disk import DiskTier
from esker.thaw import StoredRows
from esker.thaw.fetch_cache import FetchCache

ROWS = RowSet.of([0, 1, 450, 901, 1999])
COLUMNS = ["text", "real"]
_steps = {"left": -1}


def step() -> None:
    """Die here, if this is the step to die at."""
    if _steps["left"] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    _steps["left"] -= 1


class PayingTier(DiskTier):
    """A tier that writes down every range it serves: what is in the file is paid for."""

    def fetch(self, requests: Iterable[ReadRequest]) -> Iterator[tuple[ReadRequest, bytes | memoryview]]:
        for request in self.order(requests):
            step()
            data = self.read(request.key, [request.range])[0]
            with (self.folder.parent / "paid").open("a") as file:
                file.write(f"{request.key} {request.range.start} {request.range.stop}\n")
            step()
            yield request, data


class DyingCache(FetchCache):
    """A cache that may die before and after it keeps something."""

    def keep(self, extent: Extent, part: ByteRange, data: bytes | memoryview) -> None:
        step()
        super().keep(extent, part, data)
        step()


def thawed(folder: Path) -> pa.Table:
    """Run the thaw, with a cache in `folder`."""
    tier = PayingTier(folder / "tier")
    context = QueryContext(budget=MemoryBudget("64MiB"), cache_folder=folder / "cache")
    with context, FrozenCatalog.open(folder / "s.esker", tier=tier) as catalog:
        store = StoredRows(catalog, read_ahead_bytes=1)
        plan = store.plan(ROWS, COLUMNS, context)
        found = []
        for rows in store.run(plan, context):
            step()
            found.append(rows.batch)
        return pa.Table.from_batches(found)


if __name__ == "__main__":
    import esker.thaw.reader

    esker.thaw.reader.FetchCache = DyingCache  # type: ignore[attr-defined,misc]
    _steps["left"] = int(sys.argv[2])
    thawed(Path(sys.argv[1]))
