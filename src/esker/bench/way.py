"""One way to shuffle, strategy, page manager and all, and a run of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from esker.bench.rounds import Sample, timed
from esker.bench.tuples import Tuples
from esker.errors import OptionError
from esker.kernel import _kernel

PROBE_BYTES = 1 << 20


@dataclass(frozen=True)
class Way:
    """What a shuffle is told."""

    strategy: str
    pages: str
    partitions: int
    threads: int = 1
    ordered: bool = False
    function: str = "hash"
    key: int = 0
    key_only: int = 0
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def make(self, tuples: Tuples, pool: _kernel.PagePool) -> _kernel.Shuffle:
        """A shuffle of the kernel for such tuples."""
        return _kernel.Shuffle(
            tuples.whole.schema,
            [self.key],
            self.partitions,
            pool,
            strategy=self.strategy,
            pages=self.pages,
            function=self.function,
            thread_count=self.threads,
            ordered=self.ordered,
            key_only_columns=self.key_only,
            **self.options,
        )

    def run(self, tuples: Tuples, pool: _kernel.PagePool) -> Sample:
        """Time a shuffle, from nothing to closed pages; they go back to the pool afterwards."""
        made: list[_kernel.Shuffle] = []

        def work() -> None:
            made.append(self.make(tuples, pool))
            made[0].push(tuples.batches)
            made[0].finish()

        sample = timed(work)
        rows = sum(made[0].partition_rows())
        made[0].free()
        assert rows == tuples.rows, f"{self}: {rows} of {tuples.rows} rows arrived"
        return sample

    def count(self, tuples: Tuples, pool: _kernel.PagePool) -> Counted:
        """Run once, and say what the kernel counted."""
        shuffle = self.make(tuples, pool)
        shuffle.push(tuples.batches)
        shuffle.finish()
        counted = Counted(shuffle.statistics(), shuffle.partition_rows(), shuffle.partition_bytes())
        shuffle.free()
        return counted


@dataclass(frozen=True)
class Counted:
    """What a shuffle counted, and the rows and payload bytes of each partition."""

    statistics: Mapping[str, Any]
    partition_rows: list[int]
    partition_bytes: list[int]


@dataclass(frozen=True)
class Combination:
    """A strategy with a page manager, as the kernel lists them."""

    strategy: str
    pages: str
    ordered: bool

    def takes(self, schema: pa.Schema) -> bool:
        """Whether it takes rows of a schema: some take columns of fixed width only."""
        try:
            _kernel.Shuffle(
                schema, [0], 1, _kernel.PagePool(PROBE_BYTES), strategy=self.strategy, pages=self.pages, ordered=False
            )
        except ValueError:
            return False
        return True


def combinations(strategies: tuple[str, ...] = (), *, usual: bool = False) -> list[Combination]:
    """All pairs of strategy and page manager, of some strategies; with `usual`, each strategy's first.

    >>> combinations(("radix",))
    [Combination(strategy='radix', pages='radix', ordered=True)]
    """
    there = [Combination(*found) for found in _kernel.Shuffle.combinations()]
    names = list(dict.fromkeys(found.strategy for found in there))
    for name in strategies:
        if name not in names:
            raise OptionError(f"no shuffle strategy {name!r} in the kernel; there is: {', '.join(names)}")
    chosen = [found for found in there if not strategies or found.strategy in strategies]
    if not usual:
        return chosen
    first: dict[str, Combination] = {}
    for found in chosen:
        first.setdefault(found.strategy, found)
    return list(first.values())
