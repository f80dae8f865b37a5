"""What sections share: what was asked for, tuples, pools of pages, memcpy to compare with, and a word of progress."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from esker.bench.rounds import Memcpy, Rounds, Sample, measure_rounds
from esker.bench.tuples import Tuples, Width, make_tuples
from esker.bench.way import Combination, Way, combinations
from esker.core.memory import MemoryBudget
from esker.kernel import _kernel

# Partitions at which strategies are compared when their number is not what is asked about.
USUAL_PARTITIONS = 256
K = TypeVar("K")


@dataclass(frozen=True)
class Asked:
    """What is to be measured; `rows` of a cell are `cell_bytes` of tuples unless given."""

    widths: tuple[Width, ...]
    partitions: tuple[int, ...]
    threads: tuple[int, ...]
    strategies: tuple[str, ...] = ()
    cell_bytes: int = 64 << 20
    rows: int | None = None
    rounds: int = 5
    memory_partitions: int = 64
    memory_rows: tuple[int, ...] = (256, 4096, 65536)
    complexity_rows: int = 1_000_000
    latency_rates: tuple[int, ...] = (100_000, 1_000_000, 5_000_000)
    latency_seconds: float = 1.0
    flush_seconds: float = 0.01

    @classmethod
    def usual(cls, *, quick: bool = False) -> Asked:
        """What is measured unless asked otherwise: all widths and partitions; `quick`, some of them."""
        threads = tuple(dict.fromkeys((1, min(2, len(os.sched_getaffinity(0))))))
        if not quick:
            return cls(tuple(map(Width.of, ("4", "16", "100", "var"))), (1, 4, 32, 256, 1024, 4096), threads)
        return cls(
            (Width.of("16"), Width.of("var")),
            (1, 32, 256),
            threads,
            cell_bytes=16 << 20,
            rounds=3,
            memory_partitions=16,
            memory_rows=(256, 16384),
            complexity_rows=100_000,
            latency_rates=(100_000, 1_000_000),
            latency_seconds=0.25,
        )

    def to_json(self) -> dict[str, Any]:
        """What was asked for, as JSON has it."""
        return {**asdict(self), "widths": [width.name for width in self.widths]}

    @property
    def partitions_usual(self) -> int:
        """256 if that is among what was asked for, else the largest below, else the smallest."""
        return self.partitions_below(USUAL_PARTITIONS)

    def partitions_below(self, most: int) -> int:
        """The largest number of partitions asked for that is at most `most`, else the smallest."""
        below = [count for count in self.partitions if count <= most]
        return max(below) if below else min(self.partitions)

    @property
    def threads_most(self) -> int:
        """The most threads."""
        return max(self.threads)

    def rows_of(self, width: Width) -> int:
        """Rows of a cell."""
        return self.rows if self.rows is not None else max(self.cell_bytes // width.tuple_bytes, 1)


class Bench:
    """Measures; keeps what is dear to make from section to section."""

    def __init__(
        self,
        asked: Asked,
        *,
        progress: Callable[[str], None] = lambda line: None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self.asked = asked
        self.progress = progress
        self.check = check
        self.pool_bytes = MemoryBudget().total_bytes
        self.pool = _kernel.PagePool(self.pool_bytes)
        self._tuples: tuple[tuple[str, int], Tuples] | None = None
        self._memcpy: dict[tuple[int, int], Memcpy] = {}

    def combinations(self, width: Width, *, usual: bool = False) -> list[Combination]:
        """Strategies that were asked for, with the page managers that take tuples of a width."""
        return [way for way in combinations(self.asked.strategies, usual=usual) if way.takes(width.schema)]

    def tuples(self, width: Width, rows: int | None = None) -> Tuples:
        """Tuples of a width; those last asked for are kept."""
        key = (width.name, rows or self.asked.rows_of(width))
        if self._tuples is None or self._tuples[0] != key:
            self._tuples = None
            self._tuples = (key, make_tuples(width, key[1]))
        return self._tuples[1]

    def memcpy(self, size: int, thread_count: int) -> Memcpy:
        """memcpy of so many bytes; its usual time is learnt from section to section, its memory is not kept."""
        if (size, thread_count) not in self._memcpy:
            for key in [key for key in self._memcpy if key[0] != size]:
                del self._memcpy[key]
            self._memcpy[size, thread_count] = Memcpy(size, thread_count)
        return self._memcpy[size, thread_count]

    def rounds(self, tuples: Tuples, ways: Mapping[K, Way], thread_count: int) -> Rounds[K]:
        """Time ways to shuffle the same tuples, against memcpy with as many threads, over one warm pool."""
        cases = {key: self._case(tuples, way) for key, way in ways.items()}
        return self.time(cases, tuples.size, thread_count, threads_of=lambda key: ways[key].threads)

    def time(
        self,
        cases: Mapping[K, Callable[[], Sample]],
        size: int,
        thread_count: int,
        *,
        threads_of: Callable[[K], int] | None = None,
    ) -> Rounds[K]:
        """Time any cases against memcpy of `size` bytes."""
        return measure_rounds(
            cases,
            self.memcpy(size, thread_count),
            self.asked.rounds,
            threads_of=threads_of or (lambda key: thread_count),
            check=self.check,
        )

    def _case(self, tuples: Tuples, way: Way) -> Callable[[], Sample]:
        return lambda: way.run(tuples, self.pool)
