"""`esker.partition`: regroup any Arrow data, nothing else needed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import pyarrow as pa

from esker.core.batch import require_columns, to_reader
from esker.core.memory import MemoryBudget
from esker.core.spill import SpillFolder
from esker.kernel import _kernel
from esker.shuffle.choose import AUTO
from esker.shuffle.operator import ShuffleOperator

THREADS_MAX = 16


class _Shared:
    """The operator of all partitions, with its spill folder; freed when the last partition is gone."""

    def __init__(self, operator: ShuffleOperator, spill: SpillFolder) -> None:
        self.operator = operator
        self._spill = spill

    def __del__(self) -> None:
        self.operator.close()
        self._spill.close()


class Partition:
    """One partition: any Arrow consumer reads it, once."""

    def __init__(self, shared: _Shared, index: int) -> None:
        self._shared = shared
        self.index = index
        self.schema: pa.Schema = shared.operator.schema

    @property
    def num_rows(self) -> int:
        """Rows of the partition."""
        return self._shared.operator.partition_rows[self.index]

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows."""
        # The generator holds the partition, and so the pages, while it runs.
        yield from self._shared.operator.partition(self.index)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        stream = self._shared.operator.stream(self.index, self._shared) if requested_schema is None else None
        if stream is not None:
            return stream.__arrow_c_stream__()
        reader = pa.RecordBatchReader.from_batches(self.schema, self.batches())
        return reader.__arrow_c_stream__(requested_schema)

    def __arrow_c_schema__(self) -> object:
        return self.schema.__arrow_c_schema__()

    def __repr__(self) -> str:
        return f"<partition {self.index}: {self.num_rows:,} rows>"


@cache
def _process_pool() -> _kernel.PagePool:
    """Pages that stay warm from call to call: faulting them in again costs more than filling them."""
    return _kernel.PagePool(MemoryBudget().total_bytes)


def release_memory() -> None:
    """Give the memory kept for the next call back to the system: pages of `partition`, blocks of bitmaps.

    >>> release_memory()
    """
    _process_pool().trim()
    _kernel.release_blocks()


def partition(
    source: Any,
    by: str | Sequence[str],
    n: int,
    strategy: str = AUTO,
    threads: int | None = None,
    *,
    memory: int | str | None = None,
    ordered: bool = True,
    function: str = "hash",
    seed: int = 0,
    views: bool = False,
    pages: str = "",
    buffer_bytes: int = 0,
    optimisations: Mapping[str, bool] | None = None,
) -> list[Partition]:
    """Regroup the rows of any Arrow object into `n` partitions by the key columns `by`.

    >>> parts = partition(pa.table({"k": [1, 2, 1], "v": ["a", "b", "c"]}), "k", 2)
    >>> sum(pa.table(part).num_rows for part in parts)
    3

    Each partition is read once, by anything that takes an Arrow stream; rows are in the order of the input unless
    `ordered=False`, which is faster. `function` is "hash" of any columns, or "modulo" or "id" of one integer column.
    With `views`, strings and binaries are given as views (`pa.string_view()`), as pages hold them: reading a partition
    then copies nothing. `strategy` is chosen by width, partitions and threads unless named (see docs/shuffle.md).

    Rows beyond `memory` (bytes; default: half of the machine's) are spilled to disk until read. Without `memory` the
    pages of earlier calls are used again, which is several times faster than fresh memory; `esker.release_memory()`
    gives them back. For measurements: `pages` is the page manager where a strategy has several, `buffer_bytes` what the
    buffers of a thread take, `optimisations` those to turn off, as {"streaming_stores": False}.

    Raises UnknownColumnError and OptionError for what does not fit, SpillError when the disk is full.
    """
    keys = [by] if isinstance(by, str) else list(by)
    reader = to_reader(source)
    require_columns(keys, reader.schema, "the input")
    budget = MemoryBudget(memory)
    spill = SpillFolder()
    operator = ShuffleOperator(
        reader.schema,
        keys,
        n,
        strategy=strategy,
        budget=budget,
        memory_bytes=budget.total_bytes,
        spill=spill,
        thread_count=threads or min(len(os.sched_getaffinity(0)), THREADS_MAX),
        ordered=ordered,
        seed=seed,
        views=views,
        function=function,
        pool=_process_pool() if memory is None else None,
        pages=pages,
        buffer_bytes=buffer_bytes,
        optimisations=optimisations,
    )
    shared = _Shared(operator, spill)
    for batch in reader:
        operator.push(batch)
    operator.finish()
    return [Partition(shared, index) for index in range(n)]
