"""The barrier of a shuffle: takes every row of its input, then gives the partitions."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import pyarrow as pa

from esker.core.context import QueryContext
from esker.core.explanation import Explanation
from esker.core.key_sample import KeySample
from esker.core.plan_words import short
from esker.engine.distributed_shuffle import DistributedShuffle, FetchedPartition, ShuffleSpec
from esker.engine.placement import Placement, numbered_schema
from esker.engine.session import Session, session_of
from esker.engine.stages import count_stage
from esker.engine.stream import PartitionedStream, run
from esker.shuffle.border import to_page_schema
from esker.shuffle.choose import AUTO, Choice, choose_strategy
from esker.shuffle.operator import ShuffleOperator

# Of the budget's free bytes, the share a shuffle may hold in pages; the rest is for batches on both sides of it. What
# these take beside their shares (allocators' slack, scanning threads) grows slower than the budget: so may the share.
SHUFFLE_SHARES = ((128 << 20, 0.375), (512 << 20, 0.6))
# More internal threads than this never paid on the machines measured.
THREADS_MAX = 16
# What a shuffle's memory is asked for beside the pages that are full in the end: staged batches, buffers of threads,
# a page that each partition is filling.
PAGES_SHARE = 1.25
BUDGET_STEP = 16 << 20
KEY_CHARACTERS = 40
# Of how many partitions the event log is told the rows.
PARTITIONS_TOLD_MAX = 4096


# Whatever gives the partitions of a shuffle: pages here, or at other nodes.
Partitions = ShuffleOperator | DistributedShuffle | FetchedPartition


class ShuffleBarrier:
    """Runs its input on first use and keeps the rows in pages, spilling over its share of the budget.

    `partition(p)` gives the rows of a partition once; partitions may be read from several threads, each by one.
    `function` of the columns `by` says where a row goes, unless a `placement` does, or the rows are `numbered`: the
    last column of the stream is the number of the partition, and is not kept. Nor are the last `key_only` columns,
    which are then among `by`. What is done is counted for `explanation`; the rows that
    come out only with `counts_rows`, where no stage behind the barrier counts them.
    """

    def __init__(
        self,
        stream: PartitionedStream,
        by: Sequence[str],
        partition_count: int,
        context: QueryContext,
        *,
        strategy: str = AUTO,
        function: str = "hash",
        placement: Placement | None = None,
        numbered: bool = False,
        key_only: int = 0,
        explanation: Explanation | None = None,
        counts_rows: bool = False,
        seed: int | None = None,
        threads: int | None = None,
    ) -> None:
        self._stream = stream
        by_number = numbered or placement is not None
        self._key_only = 1 if by_number else key_only
        self._input_schema = stream.schema if placement is None else numbered_schema(stream.schema)
        self._keys = (self._input_schema.names[-1],) if by_number else tuple(by)
        self._schema = pa.schema(list(self._input_schema)[: len(self._input_schema) - self._key_only])
        if self._schema.metadata != stream.schema.metadata:
            self._schema = self._schema.with_metadata(stream.schema.metadata)
        self._by = tuple(by)
        self._partition_count = partition_count
        self._context = context
        self._strategy = strategy
        self._function = "id" if by_number else function
        self._placement = placement
        self._seed = context.seed if seed is None else seed
        self._threads = min(threads or context.threads, THREADS_MAX)
        self._explanation = explanation
        self._meter = (
            context.activity.meter(explanation, partition_count if counts_rows else None)
            if explanation is not None
            else None
        )
        self._counts_rows = counts_rows
        self._free_bytes = context.budget.free_bytes
        self._lock = threading.Lock()
        self._operator: Partitions | None = None

    @property
    def partition_count(self) -> int:
        return self._partition_count

    @property
    def schema(self) -> pa.Schema:
        """The columns of the rows of a partition."""
        return self._schema

    def choice(self) -> Choice:
        """The strategy, and why; before the run, judged by the memory that is free now."""
        if self._operator is not None:
            return self._operator.choice
        if self._strategy != AUTO:
            return Choice(self._strategy, "asked for")
        return choose_strategy(
            to_page_schema(self._schema),
            self._partition_count,
            self._threads,
            ordered=self._context.ordered,
            memory_bytes=self._memory_bytes(),
        )

    def _memory_bytes(self) -> int:
        budget = self._context.budget
        return int(budget.free_bytes * shuffle_share(budget.total_bytes))

    def _budget_wanted(self, page_bytes: int) -> int:
        """The least budget, to 16 MiB, that would keep these pages in memory; others hold what they hold now."""
        others = self._context.budget.total_bytes - self._free_bytes
        total = -(-others // BUDGET_STEP) * BUDGET_STEP or BUDGET_STEP
        while (total - others) * shuffle_share(total) < page_bytes * PAGES_SHARE:
            total += BUDGET_STEP
        return total

    @property
    def distributed(self) -> bool:
        """Whether the rows go from process to process, and not through this one."""
        return self._session() is not None

    def shuffle(self) -> DistributedShuffle:
        """The filled shuffle of a barrier that is `distributed`."""
        operator = self.operator()
        assert isinstance(operator, DistributedShuffle), "asked of a barrier that is not distributed"
        return operator

    def operator(self) -> Partitions:
        """The filled operator; the first call runs the input."""
        with self._lock:
            if self._operator is None:
                self._operator = self._fill()
            return self._operator

    def partition(self, index: int) -> Iterator[pa.RecordBatch]:
        """Yield the rows of partition `index`, in the order of the input."""
        batches = self.operator().partition(index)
        if self._meter is not None and self._counts_rows:
            batches = count_stage(self._meter)(batches)
        yield from batches

    def stream(self) -> PartitionedStream:
        """The partitions as a stream."""
        return PartitionedStream(self._schema, self._partition_count, self.partition)

    def close(self) -> None:
        """Free pages and spill."""
        if self._operator is not None:
            self._operator.close()

    def _session(self) -> Session | None:
        return session_of(self._context) if self._stream.remote is not None and self._placement is None else None

    def _input(self) -> Iterator[pa.RecordBatch]:
        if self._placement is not None:
            return self._placement.numbered(self._stream, self._context)
        return run(self._stream, self._context, "scan before shuffle")

    def _fill(self) -> Partitions:
        context = self._context
        session = self._session()
        operator, rows = self._fill_here() if session is None else self._fill_apart(session)
        statistics = operator.statistics()
        spilled_bytes = int(statistics.get("spilled_bytes", 0))
        context.activity.spilled(spilled_bytes)
        partition_rows = operator.partition_rows
        found = {
            **{name: statistics[name] for name in sorted(statistics)},
            "step": self._explanation.step if self._explanation is not None else None,
            "by": list(self._by),
            "rows": rows,
            "partitions": len(partition_rows),
            "largest_partition_rows": max(partition_rows, default=0),
            "budget_bytes": context.budget.total_bytes,
            "budget_bytes_wanted": (
                # What nodes of a cluster would want is theirs to know.
                self._budget_wanted(int(statistics.get("allocated_bytes", 0))) if session is None else None
            ),
        }
        if len(partition_rows) <= PARTITIONS_TOLD_MAX:
            found["partition_rows"] = list(partition_rows)
        context.log.emit("shuffled", **found)
        if self._meter is not None:
            self._meter.spilled(spilled_bytes)
            context.activity.tell(self._meter)
        if self._explanation is not None:
            self._explanation.detail |= {
                name: statistics[name] for name in ("pages", "spilled_bytes") if name in statistics
            }
        return operator

    def _fill_apart(self, session: Session) -> tuple[DistributedShuffle, int]:
        assert self._stream.remote is not None
        spec = ShuffleSpec(
            session.pages().new_shuffle(),
            self._input_schema,
            self._keys,
            self._partition_count,
            self._function,
            self._strategy,
            self._seed,
            self._key_only,
        )
        shuffle = DistributedShuffle(
            spec, self._stream.remote, self._stream.partition_count, self.choice(), session, self._context
        )
        rows = 0
        for taken in shuffle.fill():
            rows += taken
            if self._meter is not None:
                self._meter.took(taken)
        return shuffle, rows

    def _fill_here(self) -> tuple[ShuffleOperator, int]:
        context = self._context
        self._free_bytes = context.budget.free_bytes
        operator = context.resources.enter_context(
            ShuffleOperator(
                self._input_schema,
                self._keys,
                self._partition_count,
                strategy=self._strategy,
                budget=context.budget,
                memory_bytes=self._memory_bytes(),
                spill=context.spill,
                thread_count=self._threads,
                ordered=context.ordered,
                seed=self._seed,
                function=self._function,
                cancellation=context.cancellation,
                # The number of a row's partition is not a column of the row.
                key_only=self._key_only,
            )
        )
        rows = 0
        meter = self._meter
        # Not where the rows go where they go whatever their keys are.
        keys = KeySample(self._by, context.seed) if meter is not None and self._by and not self._key_only else None
        for batch in self._input():
            if keys is not None:
                keys.see(batch)
            operator.push(batch)
            rows += batch.num_rows
            if meter is not None:
                if context.activity.due():
                    meter.spilled(int(operator.statistics().get("spilled_bytes", 0)))
                meter.took(batch.num_rows)
        operator.finish()
        if keys is not None:
            self._tell_keys(keys, rows)
        return operator, rows

    def _tell_keys(self, keys: KeySample, rows: int) -> None:
        largest = keys.largest()
        if largest is None:
            return
        key, share = largest
        self._context.log.emit(
            "key_sampled",
            step=self._explanation.step if self._explanation is not None else None,
            by=list(self._by),
            key=[short(str(value), KEY_CHARACTERS) for value in key],
            share=round(share, 4),
            rows=rows,
            rows_seen=keys.rows_seen,
        )


class FetchedBarrier(ShuffleBarrier):
    """The barrier of a shuffle that has been, at a worker: gives the one partition that the worker is to read."""

    def __init__(
        self, fetched: FetchedPartition, by: Sequence[str], context: QueryContext, explanation: Explanation
    ) -> None:
        super().__init__(
            PartitionedStream(fetched.schema, fetched.partition_count, fetched.partition),
            by,
            fetched.partition_count,
            context,
            explanation=explanation,
            counts_rows=True,
        )
        self._operator = fetched


def shuffle_share(budget_bytes: int) -> float:
    """Of the bytes that are free in a budget, the part a shuffle may hold in pages.

    >>> [round(shuffle_share(mebibytes << 20), 3) for mebibytes in (96, 256, 512, 8192)]
    [0.375, 0.45, 0.6, 0.6]
    """
    (low_bytes, low), (high_bytes, high) = SHUFFLE_SHARES
    part = (budget_bytes - low_bytes) / (high_bytes - low_bytes)
    return low + (high - low) * min(max(part, 0.0), 1.0)
