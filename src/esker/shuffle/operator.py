"""The shuffle operator: batches in, partitions out, within a budget."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any

import pyarrow as pa

from esker.core.batch import require_columns
from esker.core.cancellation import Cancellation
from esker.core.memory import MemoryBudget
from esker.core.spill import SpillFolder
from esker.errors import EskerError, InputError, OptionError, SchemaMismatchError
from esker.kernel import _kernel
from esker.shuffle.border import FromPages, as_view, page_keys, to_page_batch, to_page_schema
from esker.shuffle.choose import AUTO, Choice, choose_strategy
from esker.shuffle.joined import joined
from esker.shuffle.partition_function import check_partition_count, key_indices
from esker.shuffle.strategies import STRATEGIES
from esker.shuffle.strategy import ShuffleTask

# Of the memory, the share that gathers small batches before they are pushed together.
STAGING_PART = 16
# No more than this: larger pushes win nothing.
STAGING_BYTES_MAX = 16 << 20


class ShuffleOperator:
    """Regroups rows by the hash of their key columns.

    >>> batch = pa.record_batch({"k": [1, 2, 1], "v": ["a", "b", "c"]})
    >>> with ShuffleOperator(batch.schema, ["k"], 4, memory_bytes=64 << 20) as shuffle:
    ...     shuffle.push(batch)
    ...     shuffle.finish()
    ...     sorted(sum((part.column("v").to_pylist() for p in range(4) for part in shuffle.partition(p)), []))
    ['a', 'b', 'c']

    Pages and batches waiting to be pushed stay within `memory_bytes`, reserved from `budget`; what does not fit is
    spilled to files in `spill`, or raises MemoryBudgetExceededError where that is None. The last `key_only` columns say
    the partition and are not kept. With `views` strings and binaries come as views, without a copy. `choice` is the
    strategy and the reason for it. A partition may be read once, by one thread; different ones by different threads.
    Batches of a partition may refer to pages: these are used again only when the batches are gone.
    """

    def __init__(
        self,
        schema: pa.Schema,
        by: Sequence[str],
        partition_count: int,
        *,
        strategy: str = AUTO,
        pages: str = "",
        budget: MemoryBudget | None = None,
        memory_bytes: int,
        spill: SpillFolder | None = None,
        thread_count: int = 1,
        ordered: bool = True,
        seed: int = 0,
        function: str = "hash",
        cancellation: Cancellation | None = None,
        pool: _kernel.PagePool | None = None,
        buffer_bytes: int = 0,
        optimisations: Mapping[str, bool] | None = None,
        key_only: int = 0,
        views: bool = False,
    ) -> None:
        require_columns(by, schema, "the shuffle's input")
        check_partition_count(partition_count)
        self._input_schema = schema
        kept = list(schema)[: len(schema) - key_only]
        self.schema = pa.schema([as_view(field) for field in kept] if views else kept, schema.metadata)
        self._from_pages = FromPages(self.schema)
        self.partition_count = partition_count
        self._cancellation = cancellation or Cancellation()
        self._spill = spill
        self._budget = budget or MemoryBudget(max(memory_bytes, 16 << 20))
        self._reservation = self._budget.reserve("shuffle", memory_bytes)
        self._staged: list[pa.RecordBatch] = []
        self._staged_bytes = 0
        self._staging_bytes_max = min(memory_bytes // STAGING_PART, STAGING_BYTES_MAX)
        self._rows: list[int] | None = None
        self._bytes: list[int] | None = None
        self._closed = False
        try:
            self._keys = key_indices(schema.names, by)
            page_schema = to_page_schema(schema, self._keys)
            strategy_bytes = memory_bytes - 2 * self._staging_bytes_max
            self.choice = (
                choose_strategy(
                    page_schema, partition_count, thread_count, ordered=ordered, memory_bytes=strategy_bytes
                )
                if strategy == AUTO
                else Choice(strategy, "asked for")
            )
            _require_order(self.choice.strategy, ordered, thread_count)
            task = ShuffleTask(
                schema=page_schema,
                keys=page_keys(schema, self._keys),
                partition_count=partition_count,
                memory_bytes=strategy_bytes,
                spill=spill,
                thread_count=thread_count,
                ordered=ordered,
                seed=seed,
                function=function,
                pool=pool,
                # Keys as they are hashed stand behind the user's columns.
                key_only_columns=len(page_schema) - len(self.schema),
                pages=pages,
                buffer_bytes=buffer_bytes,
                optimisations=optimisations or {},
                views=views,
            )
            self._strategy = STRATEGIES[self.choice.strategy](task)
        except BaseException:
            self._reservation.release()
            raise
        self._cancellation.on_cancel(self._strategy.interrupt)

    def push(self, batch: pa.RecordBatch) -> None:
        """Take the rows of a batch of the operator's schema; small batches wait until there are enough of them."""
        self._cancellation.check()
        if batch.schema != self._input_schema:
            raise SchemaMismatchError(f"the shuffle takes {self._input_schema}; a batch has {batch.schema}")
        if batch.num_rows == 0:
            return
        with _Translated(self, batch.nbytes):
            staged = to_page_batch(batch, self._keys)
        self._staged.append(staged)
        self._staged_bytes += staged.nbytes
        if self._staged_bytes >= self._staging_bytes_max:
            self._flush()

    def flush(self) -> None:
        """Put every row so far in a page that takes no more, so that `ready` gives it; more rows may come."""
        self._flush()
        with _Translated(self, 0):
            self._strategy.flush()

    def ready(self) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Yield (partition, batch) of the pages that take no more rows, while rows still come; each once."""
        for partition, batch in self._strategy.ready():
            yield partition, self._from_pages(batch)

    def finish(self) -> None:
        """Take no more rows; the partitions may be read."""
        self._flush()
        self._strategy.finish()
        self._rows, self._bytes = self._strategy.partition_rows(), self._strategy.partition_bytes()

    def partition(self, partition: int) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a partition in the operator's schema, in the order of the input if `ordered`."""
        self._require(partition)
        batches = self._strategy.partition(partition)
        passes: bool | None = None
        while True:
            self._cancellation.check()
            with _Translated(self, 0):
                batch = next(batches, None)
            if batch is None:
                return
            if passes is None:
                passes = self._from_pages.passes(batch.schema)
            if not passes:
                with _Translated(self, batch.nbytes):
                    batch = self._from_pages(batch)
            yield batch
            del batch

    def stream(self, partition: int, keeper: object) -> _kernel.PartitionStream | None:
        """Give a partition as an Arrow stream of the kernel's, which keeps `keeper`; None where Python has to cast.

        It is read as `partition` is: once, instead of that. Its errors are the kernel's, as text.
        """
        self._require(partition)
        stream = self._strategy.stream(partition, keeper)
        return stream if stream is not None and self._from_pages.passes(pa.schema(stream)) else None

    @property
    def partition_rows(self) -> list[int]:
        """Rows of each partition."""
        return self._strategy.partition_rows() if self._rows is None else self._rows

    @property
    def partition_bytes(self) -> list[int]:
        """Payload bytes of each partition: what its rows take in pages, without unused space."""
        return self._strategy.partition_bytes() if self._bytes is None else self._bytes

    def statistics(self) -> dict[str, Any]:
        """Count rows, pages, bytes allocated and spilled, claims and waits."""
        return self._strategy.statistics()

    def close(self) -> None:
        """Free pages, files and the reservation; calling it again does nothing."""
        if self._closed:
            return
        self._closed = True
        self._staged.clear()
        try:
            self._strategy.close()
        finally:
            self._reservation.release()

    def __enter__(self) -> ShuffleOperator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _require(self, partition: int) -> None:
        if not 0 <= partition < self.partition_count:
            raise InputError(f"partition {partition} of a shuffle into {self.partition_count}")

    def _flush(self) -> None:
        if not self._staged:
            return
        staged, self._staged = self._staged, []
        staged_bytes, self._staged_bytes = self._staged_bytes, 0
        with _Translated(self, staged_bytes):
            self._strategy.push(joined(staged))

    def _failed(self, error: Exception, bytes_wanted: int) -> Exception:
        """Turn what the kernel raised into an error of ours."""
        self._cancellation.check()
        if isinstance(error, MemoryError):
            return self._budget.exceeded("shuffle", bytes_wanted)
        if isinstance(error, OSError) and self._spill is not None and error.errno != errno.EINTR:
            return self._spill.failure(error, bytes_wanted)
        if isinstance(error, ValueError):
            return InputError(f"shuffle: {error}")
        return error


def _require_order(strategy: str, ordered: bool, thread_count: int) -> None:
    if ordered and thread_count > 1 and not STRATEGIES[strategy].ordered:
        able = ", ".join(name for name, variant in STRATEGIES.items() if variant.ordered)
        raise OptionError(
            f"strategy={strategy!r} gives rows in the order of arrival when it has several threads; say ordered=False"
            f" or threads=1, or choose one of: {able}"
        )


class _Translated:
    """Raises the operator's error in place of the kernel's."""

    def __init__(self, operator: ShuffleOperator, bytes_wanted: int) -> None:
        self._operator = operator
        self._bytes_wanted = bytes_wanted

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, (MemoryError, OSError, ValueError)) and not isinstance(error, EskerError):
            translated = self._operator._failed(error, self._bytes_wanted)
            if translated is not error:
                raise translated from error
