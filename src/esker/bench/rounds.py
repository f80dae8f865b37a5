"""Time cases against memcpy in interleaved rounds, and throw disturbed rounds away.

A figure is a ratio to memcpy within the same round. A round is disturbed when memcpy, run before and after its cases,
was more than 20 % off its usual time or did not get its cores; so is a one-thread case that did not get its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from esker.core.clock import SYSTEM_CLOCK
from esker.kernel import _kernel

TOLERANCE = 0.2
BUSY_SHARE = 0.9
# What memcpy moves at least for one sample: short copies are lost in what a thread takes to start.
SAMPLE_BYTES = 256 << 20
Bytes = npt.NDArray[np.uint8]
K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True)
class Sample:
    """One run: seconds, and how many cores were at work meanwhile."""

    seconds: float
    cores: float


def timed(work: Callable[[], object]) -> Sample:
    """Run `work` and time it.

    >>> timed(lambda: None).seconds >= 0
    True
    """
    wall, cpu = SYSTEM_CLOCK.seconds(), time.process_time()
    work()
    cpu, wall = time.process_time() - cpu, SYSTEM_CLOCK.seconds() - wall
    return Sample(max(wall, 1e-9), cpu / max(wall, 1e-9))


class Memcpy:
    """memcpy of so many bytes by so many threads between buffers that are warm."""

    def __init__(self, size: int, thread_count: int) -> None:
        self.size = size
        self.thread_count = thread_count
        self.samples: list[Sample] = []
        self._source: Bytes = np.ones(size, np.uint8)
        self._target: Bytes = np.zeros(size, np.uint8)
        self._repeats = max(1, min(SAMPLE_BYTES, 64 * size) // max(size, 1))

    def run(self) -> Sample:
        """Time it once more."""
        sample = timed(lambda: _kernel.copy_bytes(self._source, self._target, self.thread_count, self._repeats))
        self.samples.append(Sample(sample.seconds / self._repeats, sample.cores))
        return self.samples[-1]

    def is_usual(self, sample: Sample) -> bool:
        """Whether a sample is within 20 % of the median, and had its cores."""
        return is_usual(sample, [each.seconds for each in self.samples], self.thread_count)


def is_usual(sample: Sample, all_seconds: list[float], cores: int) -> bool:
    """Whether `sample` is within 20 % of the median of `all_seconds` and had its cores.

    >>> is_usual(Sample(1.1, 1.9), [1.0, 1.0, 5.0], 2), is_usual(Sample(1.1, 1.5), [1.0], 2)
    (True, False)
    """
    usual = median(all_seconds)
    return abs(sample.seconds - usual) <= TOLERANCE * usual and sample.cores >= BUSY_SHARE * cores


@dataclass(frozen=True)
class Figure:
    """What a case came to over the rounds that count: ratios to memcpy (1 is as fast) and seconds."""

    ratios: tuple[float, ...]
    seconds: tuple[float, ...]
    calm: bool

    def to_row(self, prefix: str = "") -> dict[str, Any]:
        """Median and range, as cells of a row."""
        return {
            f"{prefix}ratio": median(self.ratios),
            f"{prefix}ratio_min": min(self.ratios),
            f"{prefix}ratio_max": max(self.ratios),
            f"{prefix}seconds": median(self.seconds),
            f"{prefix}rounds": len(self.ratios),
            f"{prefix}calm": self.calm,
        }


@dataclass
class Rounds(Generic[K]):
    """All samples of some cases and the memcpy around them, round by round."""

    memcpy: Memcpy
    threads_of: Mapping[K, int]
    references: list[tuple[Sample, Sample]] = field(default_factory=list)
    samples: dict[K, list[Sample]] = field(default_factory=dict)

    def calm(self) -> list[int]:
        """The numbers of the rounds in which memcpy was as usual."""
        return [
            number for number, pair in enumerate(self.references) if all(self.memcpy.is_usual(each) for each in pair)
        ]

    def _counted(self, case: K, calm: list[int]) -> list[int]:
        # A thread that waits for another uses less than its core; one alone never waits.
        alone = self.threads_of[case] == 1
        return [number for number in calm if not alone or self.samples[case][number].cores >= BUSY_SHARE]

    def figure(self, case: K) -> Figure:
        """The figure of a case; from all rounds, and not calm, where none counts."""
        counted = self._counted(case, self.calm())
        numbers = counted or list(range(len(self.references)))
        ratios, seconds = [], []
        for number in numbers:
            before, after = self.references[number]
            sample = self.samples[case][number]
            ratios.append((before.seconds + after.seconds) / 2 / sample.seconds)
            seconds.append(sample.seconds)
        return Figure(tuple(ratios), tuple(seconds), bool(counted))

    def beside(self, case: K, other: K) -> list[float]:
        """How many times as fast as `other` a case was, in the rounds that count for both."""
        calm = self.calm()
        both = sorted(set(self._counted(case, calm)) & set(self._counted(other, calm)))
        numbers = both or range(len(self.references))
        return [self.samples[other][number].seconds / self.samples[case][number].seconds for number in numbers]


def measure_rounds(
    cases: Mapping[K, Callable[[], Sample]],
    memcpy: Memcpy,
    rounds: int,
    *,
    threads_of: Callable[[K], int],
    check: Callable[[], None] = lambda: None,
    warm: bool = True,
) -> Rounds[K]:
    """Run every case once a round until `rounds` calm ones are in, or twice as many were tried.

    `check` is called between runs, and raises to stop; a case runs once before that counts, to be `warm`.

    >>> found = measure_rounds({"slow": lambda: Sample(1.0, 1.0)}, Memcpy(1 << 16, 1), 2, threads_of=lambda case: 1)
    >>> 0 < found.figure("slow").ratios[0] < 1
    True
    """
    found = Rounds(memcpy, {case: threads_of(case) for case in cases}, samples={case: [] for case in cases})
    order = list(cases)
    if warm:
        memcpy.run()
        memcpy.samples.clear()
        for case in order:
            check()
            cases[case]()
    while len(found.references) < 2 * rounds and len(found.calm()) < rounds:
        # Another one goes first each time, so that nobody always runs after the same neighbour.
        turn = len(found.references) % max(len(order), 1)
        before = memcpy.run()
        for case in order[turn:] + order[:turn]:
            check()
            found.samples[case].append(cases[case]())
        found.references.append((before, memcpy.run()))
    return found
