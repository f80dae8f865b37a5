"""What a log with positions (Kafka and its like) has to offer to be a source: an adapter's interface."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import anyio
import anyio.to_thread

from esker.errors import OptionError
from esker.stream.run import Elements, Stage

T = TypeVar("T")

Partition = tuple[str, int]


@dataclass(frozen=True)
class Record(Generic[T]):
    """A record of a log: where it lies, and what it is."""

    topic: str
    partition: int
    offset: int
    value: T
    key: object = None


class Consumer(Protocol[T]):
    """An adapter reads a log by this. Its calls may block: they run in a thread, one at a time.

    Wrapping a client library takes some twenty lines: `poll` gives what is there, at most `records_max` records, and
    waits up to `seconds` for the first; an empty answer means that nothing came yet. `commit` tells the log up to
    which offset (exclusive) each (topic, partition) has been dealt with.
    """

    def poll(self, records_max: int, seconds: float) -> Sequence[Record[T]]:
        """Give the next records."""

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Remember how far each partition was dealt with."""

    def close(self) -> None:
        """Leave; called once, whatever happened."""


async def consume(consumer: Consumer[T], records_max: int, poll_seconds: float) -> Elements[Record[T]]:
    """Give the records of a consumer; the next are polled for when these were taken."""
    one_at_a_time = anyio.CapacityLimiter(1)
    try:
        while True:
            records = await anyio.to_thread.run_sync(consumer.poll, records_max, poll_seconds, limiter=one_at_a_time)
            for record in records:
                yield record
    finally:
        consumer.close()


async def commit(source: Elements[Record[T]], stage: Stage, consumer: Consumer[T], count: int) -> Elements[Record[T]]:
    """Pass records on, and commit each when the next is asked for: then it has been dealt with below."""
    if count < 1:
        raise OptionError(f"{stage.operator}: count={count} is too few; commit after 1 record or more")
    async with aclosing(source), _committing(consumer) as dealt_with:
        pending = 0
        async for record in source:
            yield record
            dealt_with[record.topic, record.partition] = record.offset + 1
            pending += 1
            if pending >= count:
                await _commit(consumer, dealt_with)
                pending = 0


@asynccontextmanager
async def _committing(consumer: Consumer[T]) -> AsyncIterator[dict[Partition, int]]:
    """Commit what is left when the block ends, also when it fails: what was dealt with need not come again."""
    offsets: dict[Partition, int] = {}
    try:
        yield offsets
    finally:
        with anyio.CancelScope(shield=True):
            await _commit(consumer, offsets)


async def _commit(consumer: Consumer[T], offsets: dict[Partition, int]) -> None:
    if offsets:
        await anyio.to_thread.run_sync(consumer.commit, dict(offsets))
        offsets.clear()
