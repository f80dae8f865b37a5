from __future__ import annotations

import random
import threading

import pyarrow as pa
import pytest

from esker.core.cancellation import Cancellation
from esker.engine.exchange import Exchange
from esker.errors import CancelledError


def batch(value: int, rows: int = 10) -> pa.RecordBatch:
    return pa.record_batch({"v": pa.array([value] * rows, pa.int64())})


def produce(exchange: Exchange, partition: int, count: int, delays: random.Random) -> threading.Thread:
    def work() -> None:
        try:
            for number in range(count):
                if delays.random() < 0.2:
                    threading.Event().wait(0.0005)
                exchange.put(partition, batch(partition * 1000 + number))
        except CancelledError:
            pass
        finally:
            exchange.finish(partition)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


@pytest.mark.parametrize("seed", range(5))
def test_batches_come_out_in_partition_order_whatever_the_threads_do(seed: int) -> None:
    delays = random.Random(seed)
    exchange = Exchange(6, 200, Cancellation(), ordered=True)
    threads = [produce(exchange, partition, 20, delays) for partition in range(6)]
    got = [part["v"][0].as_py() for part in exchange]
    for thread in threads:
        thread.join()
    assert got == [partition * 1000 + number for partition in range(6) for number in range(20)]


def test_the_channel_holds_no_more_than_its_limit_and_one_batch() -> None:
    exchange = Exchange(4, 200, Cancellation(), ordered=True)
    threads = [produce(exchange, partition, 30, random.Random(1)) for partition in range(4)]
    most = 0
    for _ in exchange:
        most = max(most, exchange._bytes)
    for thread in threads:
        thread.join()
    assert 0 < most <= 200 + 80


def test_unordered_gives_every_batch_once() -> None:
    exchange = Exchange(5, 100, Cancellation(), ordered=False)
    threads = [produce(exchange, partition, 20, random.Random(3)) for partition in range(5)]
    got = sorted(part["v"][0].as_py() for part in exchange)
    for thread in threads:
        thread.join()
    assert got == sorted(partition * 1000 + number for partition in range(5) for number in range(20))


def test_an_error_in_one_partition_reaches_the_reader_and_stops_the_others() -> None:
    exchange = Exchange(3, 100, Cancellation(), ordered=True)
    threads = [produce(exchange, partition, 1000, random.Random(0)) for partition in (0, 1)]
    exchange.finish(2, ValueError("broken"))
    with pytest.raises(ValueError, match="broken"):
        list(exchange)
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive()


def test_producers_stop_when_the_reader_leaves_or_the_query_is_cancelled() -> None:
    for stop in ("abandon", "cancel"):
        cancellation = Cancellation()
        exchange = Exchange(2, 100, cancellation, ordered=True)
        threads = [produce(exchange, partition, 1000, random.Random(0)) for partition in range(2)]
        next(iter(exchange))
        if stop == "abandon":
            exchange.abandon()
        else:
            cancellation.cancel("test")
        for thread in threads:
            thread.join(timeout=60)
            assert not thread.is_alive()
