"""Measure a workload: every case in its own process, repetitions interleaved, disturbed rounds thrown away.

A figure is a ratio to the reference within the same round. A round counts when the reference took what it usually
takes (within 20 %), and a case that should keep every thread busy counts where it did. When too few rounds were calm
the figures come from all of them and the outcome says that it is noisy.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.case import Case, Digest, Setting, Workload
from benchmarks.contestant import Contestant, Sample

REFERENCE_TOLERANCE = 0.2
BUSY_SHARE = 0.9
MEMORY_FOLDER = "/dev/shm"


@dataclass(frozen=True)
class Figure:
    """What one case came to: ratios to the reference (1 is as fast, 2 twice as fast) over the rounds that count."""

    case: Case
    ratios: tuple[float, ...]
    samples: tuple[Sample, ...]
    failure: str
    # How many times as fast as this case the workload's subject was, in the same rounds.
    behind: tuple[float, ...] = ()

    @property
    def ratio(self) -> float:
        """The median ratio; 0 when there is none."""
        return median(self.ratios) if self.ratios else 0.0

    def to_json(self) -> dict[str, Any]:
        """Everything, the samples of rejected rounds included."""
        return {
            "name": self.case.name,
            "does": self.case.does,
            "share": self.case.share,
            "failure": self.failure,
            "ratio": _low_high(self.ratios),
            "behind": _low_high(self.behind),
            "rounds": len(self.ratios),
            "samples": [sample.to_json() for sample in self.samples],
        }


def _low_high(ratios: tuple[float, ...]) -> dict[str, float] | None:
    return {"median": median(ratios), "min": min(ratios), "max": max(ratios)} if ratios else None


@dataclass(frozen=True)
class Outcome:
    """A measured workload. `calm` is False when too few rounds were: then the figures are only a hint."""

    workload: Workload
    figures: tuple[Figure, ...]
    digest: Digest | None
    rounds: int
    calm: bool

    def to_json(self) -> dict[str, Any]:
        """The outcome as a document."""
        return {
            "workload": self.workload.name,
            "title": self.workload.title,
            "facts": self.workload.facts,
            "threads": self.workload.threads,
            "memory_bytes": self.workload.memory_bytes,
            "reference": self.workload.reference,
            "digest": self.digest,
            "rounds": self.rounds,
            "calm": self.calm,
            "cases": [figure.to_json() for figure in self.figures],
        }


def measure(workload: Workload, repetitions: int = 5, progress: Callable[[str], None] = lambda line: None) -> Outcome:
    """Run a workload until `repetitions` calm rounds are in, or twice as many rounds were tried."""
    parent = _memory_folder() if workload.in_memory else None
    with tempfile.TemporaryDirectory(prefix="esker-bench-", dir=parent) as folder:
        progress(f"{workload.name}: writing the data")
        workload.generate(Path(folder))
        setting = Setting(Path(folder), workload.threads)
        contestants: list[Contestant] = []
        try:
            for case in workload.cases:
                contestants.append(_contestant(workload, case, setting))
                if not workload.fresh:
                    progress(f"{workload.name}: preparing {case.name}")
                    contestants[-1].start()
            return _measure(workload, contestants, repetitions, progress, setting)
        finally:
            for contestant in contestants:
                contestant.close()


def _measure(
    workload: Workload,
    contestants: list[Contestant],
    repetitions: int,
    progress: Callable[[str], None],
    setting: Setting,
) -> Outcome:
    reference = next(contestant for contestant in contestants if contestant.case.name == workload.reference)
    digests = _digests(workload, reference, setting, progress)
    if not workload.fresh:
        _warm_up(contestants, digests, progress)
    repetitions = min(repetitions, workload.rounds_max or repetitions)
    rounds = 0
    calm: set[int] = set()
    while not reference.failure and len(calm) < repetitions and rounds < 2 * repetitions:
        rounds += 1
        progress(f"{workload.name}: round {rounds}, {len(calm)} of {repetitions} counted")
        # Another one goes first each time, so that nobody always runs after the same neighbour.
        turn = rounds % len(contestants)
        for contestant in contestants[turn:] + contestants[:turn]:
            if not _had_enough(contestant, calm, workload.seconds_max):
                contestant.run(rounds)
            if workload.fresh:
                contestant.stop()
        calm = calm_rounds(reference.samples, BUSY_SHARE * workload.threads if reference.case.busy else 0.0)
    was_calm = len(calm) >= repetitions
    counted = calm if was_calm else set(range(1, rounds + 1))
    cores_min = BUSY_SHARE * workload.threads if was_calm else 0.0
    for contestant in contestants:
        if digest := digests.get(contestant.case.share):
            contestant.reject(digest)
    subject = next((contestant for contestant in contestants if contestant.case.name == workload.subject), None)
    figures = tuple(_figure(contestant, reference, subject, counted, cores_min) for contestant in contestants)
    return Outcome(workload, figures, reference.digest, rounds, was_calm)


def _memory_folder() -> str | None:
    return MEMORY_FOLDER if os.access(MEMORY_FOLDER, os.W_OK) else None


def _digests(
    workload: Workload, reference: Contestant, setting: Setting, progress: Callable[[str], None]
) -> dict[int, Digest]:
    """Let the reference say what comes of the rows, and of each share of them that a case works on."""
    progress(f"warming up {reference.case.name}")
    reference.run(0)
    if workload.fresh:
        reference.stop()
    digests = {} if reference.digest is None else {reference.case.share: reference.digest}
    for share in sorted({case.share for case in workload.cases} - set(digests)):
        case = replace(reference.case, share=share)
        with closing(_contestant(workload, case, setting)) as contestant:
            contestant.run(0)
            if contestant.digest is not None:
                digests[share] = contestant.digest
    return digests


def _warm_up(contestants: list[Contestant], digests: dict[int, Digest], progress: Callable[[str], None]) -> None:
    """Run everybody once, unmeasured, and take out who computes something else."""
    for contestant in contestants:
        progress(f"warming up {contestant.case.name}")
        contestant.run(0)
        if digest := digests.get(contestant.case.share):
            contestant.reject(digest)


def _contestant(workload: Workload, case: Case, setting: Setting) -> Contestant:
    return Contestant(case, workload.digest, setting, workload.memory_bytes, workload.seconds_max)


def _had_enough(contestant: Contestant, calm: set[int], seconds_max: float | None = None) -> bool:
    if seconds_max is not None and sum(sample.runs * sample.seconds for sample in contestant.samples) >= seconds_max:
        return True
    counted = sum(sample.round_number in calm for sample in contestant.samples)
    return contestant.case.rounds_max is not None and counted >= contestant.case.rounds_max


def calm_rounds(samples: list[Sample], cores_min: float = 0.0) -> set[int]:
    """Find the rounds in which the reference took within 20 % of its usual time and had its cores.

    >>> times = [1.0, 1.1, 1.9, 0.95]
    >>> samples = [Sample(number, 1, seconds, 2 * seconds, 0, 0) for number, seconds in enumerate(times, 1)]
    >>> sorted(calm_rounds(samples, cores_min=1.8))
    [1, 2, 4]
    """
    if not samples:
        return set()
    usual = median(sample.seconds for sample in samples)
    return {
        sample.round_number
        for sample in samples
        if abs(sample.seconds - usual) <= REFERENCE_TOLERANCE * usual and sample.cores_used >= cores_min
    }


def round_ratios(
    samples: list[Sample], reference: list[Sample], counted: set[int], cores_min: float = 0.0, share: int = 1
) -> list[float]:
    """Divide the reference's time by the case's, round by round, for the rounds that count.

    A case on a `share` of the rows is held against that share of the reference's time.

    >>> usual = [Sample(1, 1, 1.0, 2.0, 0, 0), Sample(2, 1, 1.2, 2.4, 0, 0), Sample(3, 1, 9.0, 9.0, 0, 0)]
    >>> slower = [Sample(1, 1, 2.0, 4.0, 0, 0), Sample(2, 1, 4.8, 5.0, 0, 0), Sample(3, 1, 3.0, 6.0, 0, 0)]
    >>> round_ratios(slower, usual, {1, 2}), round_ratios(slower, usual, {1, 2}, cores_min=1.8)
    ([0.5, 0.25], [0.5])
    >>> round_ratios(slower, usual, {1}, share=4)
    [0.125]
    """
    seconds = {sample.round_number: sample.seconds for sample in reference}
    return [
        seconds[sample.round_number] / share / sample.seconds
        for sample in samples
        if sample.round_number in counted & seconds.keys() and sample.cores_used >= cores_min
    ]


def _figure(
    contestant: Contestant, reference: Contestant, subject: Contestant | None, counted: set[int], cores_min: float
) -> Figure:
    failure = contestant.failure or (f"nothing to compare with: {reference.failure}" if reference.failure else "")
    if contestant.over_time and subject is not None and subject.samples:
        # The least that it lost by: a peer that is stopped has lost, and is not left out.
        seconds = median(sample.seconds for sample in subject.samples)
        failure += f", where {subject.case.name} took {seconds:,.1f}"
    busy_min = cores_min if contestant.case.busy else 0.0
    ratios = round_ratios(contestant.samples, reference.samples, counted, busy_min, contestant.case.share)
    if not failure and not ratios:
        failure = "no figure: every round was disturbed"
    if failure:
        return Figure(contestant.case, (), tuple(contestant.samples), failure)
    behind: list[float] = []
    if subject is not None and not subject.failure:
        # Rounds in which the subject was disturbed would count against it.
        subject_min = cores_min if subject.case.busy else 0.0
        seen = {sample.round_number for sample in subject.samples if sample.cores_used >= subject_min}
        behind = round_ratios(contestant.samples, subject.samples, counted & seen, busy_min, contestant.case.share)
    behind = [1 / share_of_subject for share_of_subject in behind]
    return Figure(contestant.case, tuple(ratios), tuple(contestant.samples), failure, tuple(behind))
