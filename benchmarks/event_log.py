"""What counting and the event log cost: the same queries bare, counted as they always are, and with a log.

Run it: `python -m benchmarks.event_log` (`--seconds 60` for how long, `--rows N`). Of each round the three are run one
after the other, another one first each time; figures are ratios to the bare run of the same round, median, least and
greatest. Bare is a run whose steps do not count rows, batches and keys, and whose log nobody hears: users cannot have
it, it is there to be compared with. Rows are in memory, and threads as many as cores, so that nothing hides the cost.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa

import esker
from benchmarks.machine import describe_machine
from esker.bench.tables import machine_words
from esker.collection.dataset import Dataset
from esker.core.activity import Meter
from esker.core.key_sample import KeySample

Query = Callable[[dict[str, Any]], None]


def queries(rows: int) -> dict[str, Query]:
    """The jobs, each taking the options of its run."""
    random = np.random.default_rng(7)
    table = pa.table(
        {
            "k": pa.array(random.integers(0, 10_000, rows)),
            "v": pa.array(random.random(rows)),
            "text": pa.array(random.integers(0, 1_000_000, rows).astype("U")),
        }
    )
    data = esker.from_arrow(table).with_options(memory="1GiB")
    numbers = esker.range(rows // 4).with_options(runtime="inline")
    lines = esker.of(["to be or not to be that is the question"] * (rows // 80)).with_options(runtime="inline")

    def read(dataset: Dataset) -> Query:
        return lambda options: list(dataset.execute(**options)).clear()

    bag = numbers.map(lambda n: n + 1).filter(lambda n: n % 2)
    words = lines.flat_map(str.split).map(lambda word: (word, 1)).reduce_by_key(lambda a, b: a + b)
    return {
        "scan with a filter": read(data.filter("v < 0.9")),
        "shuffle": read(data.shuffle("k", 64)),
        "sort": read(data.sort("v")),
        "Bag: map, filter": lambda options: bag.with_options(**options).foreach_partition(_drain),
        "Bag: words by key": lambda options: words.with_options(**options).foreach_partition(_drain),
    }


def _drain(elements: Iterator[object]) -> None:
    for _ in elements:
        pass


@contextlib.contextmanager
def uncounted() -> Iterator[None]:
    """Nothing counts, and no key is looked at."""
    with contextlib.ExitStack() as stack:
        for name in ("begin", "count", "took", "end"):
            stack.enter_context(mock.patch.object(Meter, name, lambda *_: None))
        stack.enter_context(mock.patch.object(KeySample, "see", lambda *_: None))
        yield


def timed(query: Query, way: str, log: Path) -> float:
    """Seconds of one run in one of the three ways."""
    options: dict[str, Any] = {"log": log} if way == "logged" else {}
    with uncounted() if way == "bare" else contextlib.nullcontext():
        start = time.perf_counter()
        query(options)
        seconds = time.perf_counter() - start
    log.unlink(missing_ok=True)
    return seconds


def main() -> None:
    """Measure all queries in rounds, and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    given = parser.parse_args()
    ways = ("bare", "counted", "logged")
    print(machine_words(describe_machine()))
    jobs = queries(given.rows)
    found: dict[tuple[str, str], list[float]] = {(name, way): [] for name in jobs for way in ways}
    rounds = 0
    end = time.perf_counter() + given.seconds
    with tempfile.TemporaryDirectory() as folder:
        for name, query in jobs.items():  # warm
            timed(query, "bare", Path(folder) / name)
        while rounds < 3 or time.perf_counter() < end:
            turned = ways[rounds % 3 :] + ways[: rounds % 3]
            for name, query in jobs.items():
                seconds = {way: timed(query, way, Path(folder) / "query.jsonl") for way in turned}
                for way in ways:
                    found[name, way].append(seconds[way] / seconds["bare"])
            rounds += 1
    print(f"{given.rows:,} rows, {rounds} rounds; time, the bare run of the same round = 1")
    for name in jobs:
        cells = []
        for way in ("counted", "logged"):
            ratios = found[name, way]
            cells.append(f"{way} {statistics.median(ratios):.3f} ({min(ratios):.2f} to {max(ratios):.2f})")
        print(f"{name:20} {'   '.join(cells)}")


if __name__ == "__main__":
    main()
