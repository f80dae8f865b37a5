"""What a strategy of the shuffle is: it takes batches and gives partitions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pyarrow as pa

from esker.core.spill import SpillFolder
from esker.kernel import _kernel

PAGE_BYTES_MAX = 5 << 20
# Each can be turned off so that its effect can be measured; see docs/shuffle.md.
OPTIMISATIONS = ("padded_locks", "minimal_locking", "two_step", "streaming_stores", "power_of_two")


@dataclass(frozen=True)
class ShuffleTask:
    """What every strategy is told.

    `memory_bytes` bounds all a strategy holds, its pages and its own buffers; `spill` is None where nothing may be
    written to disk. `pool` is one to share, so that its pages stay warm from shuffle to shuffle. `function` is "hash",
    "modulo" or "id" (see `esker.shuffle.partition_function`). The last `key_only_columns` columns of `schema` say the
    partition and are not kept. `pages` names the page manager, where a strategy has several; `buffer_bytes` is what the
    buffers of a thread take together; both are chosen where not given. `optimisations` are those to turn off, as
    {"streaming_stores": False}. `views`: strings and binaries are given as views, which are what pages hold.
    """

    schema: pa.Schema
    keys: tuple[int, ...]
    partition_count: int
    memory_bytes: int
    spill: SpillFolder | None = None
    thread_count: int = 1
    ordered: bool = True
    seed: int = 0
    function: str = "hash"
    page_bytes_max: int = PAGE_BYTES_MAX
    pool: _kernel.PagePool | None = None
    key_only_columns: int = 0
    pages: str = ""
    buffer_bytes: int = 0
    optimisations: Mapping[str, bool] = field(default_factory=dict)
    views: bool = False


class Strategy(ABC):
    """Takes batches of `task.schema`, then gives each partition's rows, once, as batches.

    Ordered: rows of a partition come in the order they were pushed. A strategy whose `ordered` is False keeps that
    order with one thread only. Batches may hold views where the schema has strings; the operator casts them.
    """

    spills: ClassVar[bool]
    ordered: ClassVar[bool] = True

    @abstractmethod
    def __init__(self, task: ShuffleTask) -> None: ...

    @abstractmethod
    def push(self, batches: Sequence[pa.RecordBatch]) -> None:
        """Take rows; returns when the strategy no longer needs the batches."""

    @abstractmethod
    def finish(self) -> None:
        """Take no more; from now on partitions may be read, from any thread."""

    @abstractmethod
    def flush(self) -> None:
        """For streams: let `ready` give every row so far; more may come."""

    @abstractmethod
    def ready(self) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Yield what takes no more rows, before `finish`, each once."""

    @abstractmethod
    def partition(self, partition: int) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a partition, in batches of one schema; they are given once."""

    def stream(self, partition: int, keeper: object) -> _kernel.PartitionStream | None:
        """Give the same rows as an Arrow stream that needs no Python and keeps `keeper`; None if there is none."""
        return None

    @abstractmethod
    def statistics(self) -> dict[str, Any]:
        """Say rows, pages, bytes allocated and spilled, and what else the strategy counts."""

    @abstractmethod
    def partition_rows(self) -> list[int]:
        """Rows of each partition."""

    @abstractmethod
    def partition_bytes(self) -> list[int]:
        """Payload bytes of each partition."""

    def interrupt(self) -> None:  # noqa: B027  # a strategy without threads has nothing to stop
        """Make a running push end early; from any thread."""

    @abstractmethod
    def close(self) -> None:
        """Free pages and files; calling it again does nothing."""
