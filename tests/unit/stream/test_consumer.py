"""A log with positions is read and committed through an adapter, at least once and in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import pytest

from esker import Sink, Stream
from esker.errors import UserFunctionError
from esker.stream import Record


class Log:
    """A log of two partitions, as a broker would keep it."""

    def __init__(self, count: int) -> None:
        self.records = [Record("events", n % 2, n // 2, n) for n in range(count)]
        self.committed: dict[tuple[str, int], int] = {}
        self.commits = 0
        self.polled = 0
        self.open = 0

    def consumer(self) -> LogConsumer:
        return LogConsumer(self)


class LogConsumer:
    def __init__(self, log: Log) -> None:
        self._log = log
        log.open += 1
        at = log.committed
        self._left = self._after(at)

    def _after(self, at: Mapping[tuple[str, int], int]) -> Iterator[Record[int]]:
        for record in self._log.records:
            if record.offset >= at.get((record.topic, record.partition), 0):
                self._log.polled += 1
                yield record

    def poll(self, records_max: int, seconds: float) -> Sequence[Record[int]]:
        return list(islice(self._left, records_max))

    def commit(self, offsets: Mapping[tuple[str, int], int]) -> None:
        self._log.commits += 1
        self._log.committed.update(offsets)

    def close(self) -> None:
        self._log.open -= 1


def test_records_are_polled_as_they_are_asked_for() -> None:
    log = Log(100)
    values = Stream.consumer(log.consumer, records_max=10).map(lambda record: record.value).take(15).collect()
    assert values == list(range(15))
    assert log.polled == 20
    assert log.open == 0


def test_what_was_dealt_with_is_committed_and_the_rest_comes_again() -> None:
    log = Log(20)
    seen: list[int] = []

    def deal(record: Record[int]) -> Record[int]:
        if record.value == 7 and 7 not in seen:
            seen.append(7)
            raise OSError("crashed")
        seen.append(record.value)
        return record

    def run() -> None:
        consumer = log.consumer()
        Stream.consumer(lambda: consumer).map_async(deal, workers=3).commit(consumer, count=2).take(20 - 7).run(
            Sink.ignore()
        )

    with pytest.raises(UserFunctionError, match="crashed"):
        run()
    assert log.committed == {("events", 0): 4, ("events", 1): 3}  # 0 to 6
    assert log.open == 0
    # From here on; workers saw records in no order, and some beyond the one that crashed.
    seen[:] = [7]
    run()
    assert sorted(seen[1:]) == list(range(7, 20))


def test_commits_come_every_so_many_records_and_at_the_end() -> None:
    log = Log(10)
    consumer = log.consumer()
    Stream.consumer(lambda: consumer).take(10).commit(consumer, count=4).run(Sink.ignore())
    assert log.commits == 3
    assert log.committed == {("events", 0): 5, ("events", 1): 5}


def test_a_record_that_is_being_dealt_with_is_not_committed() -> None:
    log = Log(4)
    consumer = log.consumer()

    def look(record: Record[int]) -> None:
        partition = ("events", record.partition)
        assert log.committed.get(partition, 0) == record.offset

    Stream.consumer(lambda: consumer).take(4).commit(consumer, count=1).run(Sink.foreach(look))
    assert log.committed == {("events", 0): 2, ("events", 1): 2}
