"""`python -m esker.cluster.simulation SEEDS`: run seeds on all cores, print what happened, replay what failed."""

from __future__ import annotations

import argparse
import gc
import hashlib
import os
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

from esker.cluster.simulation import run as runs
from esker.cluster.simulation.run import run
from esker.core.clock import SYSTEM_CLOCK
from esker.errors import OptionError

_BATCH = 250
_SHOWN = 10


def main() -> int:
    """Run seeds, or trace one; gives 1 when a run was not as it must be."""
    parser = argparse.ArgumentParser(prog="python -m esker.cluster.simulation", description=__doc__)
    parser.add_argument("seeds", nargs="?", default="10000", help="how many, or FIRST:STOP")
    parser.add_argument("--trace", type=int, metavar="SEED", help="run one seed and print all that happened")
    parser.add_argument("--digest", action="store_true", help="print a checksum of all that happens in these seeds")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="processes")
    options = parser.parse_args()
    if options.trace is not None:
        return _trace(options.trace)
    seeds = _seeds(options.seeds)
    return _digest(seeds) if options.digest else _sweep(seeds, options.jobs)


def _sweep(seeds: range, jobs: int) -> int:
    begin = SYSTEM_CLOCK.seconds()
    batches = [seeds[at : at + _BATCH] for at in range(0, len(seeds), _BATCH)]
    counts: Counter[str] = Counter()
    violations: list[tuple[int, str]] = []
    done = 0
    for batch_counts, batch_violations in _each(batches, jobs):
        counts.update(batch_counts)
        violations += batch_violations
        done += _BATCH
    seconds = SYSTEM_CLOCK.seconds() - begin
    how = "plain Python" if str(runs.__file__).endswith(".py") else "compiled"
    print(f"{len(seeds):,} seeds in {seconds:.1f} s, {len(seeds) / seconds:,.0f} seeds/s with {jobs} processes, {how}")
    for name, count in sorted(counts.items(), key=lambda item: -item[1]):
        print(f"  {name:20} {count:12,}")
    for seed, violation in sorted(violations)[:_SHOWN]:
        print(f"seed {seed}: {violation}\n  replay: python -m esker.cluster.simulation --trace {seed}")
    print(f"{len(violations)} violations")
    return 1 if violations else 0


def _each(batches: list[range], jobs: int) -> Iterator[tuple[Counter[str], list[tuple[int, str]]]]:
    if jobs == 1:
        yield from map(_run_batch, batches)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(_run_batch, batches)


def _run_batch(seeds: range) -> tuple[Counter[str], list[tuple[int, str]]]:
    counts: Counter[str] = Counter()
    violations = []
    # A run leaves cycles of some 100 KB: they are looked for after the batch, and what was there before it is not.
    gc.disable()
    gc.freeze()
    try:
        for seed in seeds:
            outcome = run(seed)
            counts.update(outcome.counts)
            if outcome.violation:
                violations.append((seed, outcome.violation))
    finally:
        gc.collect()
        gc.unfreeze()
        gc.enable()
    return counts, violations


def _trace(seed: int) -> int:
    outcome = run(seed, trace=print)
    print(f"seed {seed}: {outcome.violation or 'all was well'}")
    return 1 if outcome.violation else 0


def _digest(seeds: range) -> int:
    """Print what is the same wherever, and by whatever Python, the same machines run the same seeds."""
    events = 0
    digest = hashlib.sha256()
    for seed in seeds:
        outcome = run(seed, trace=lambda line: digest.update(line.encode()))
        events += outcome.counts["events"]
        digest.update(repr(outcome).encode())
    print(f"{len(seeds):,} seeds, {events:,} events, digest {digest.hexdigest()}")
    return 0


def _seeds(text: str) -> range:
    first, colon, stop = text.rpartition(":")
    try:
        return range(int(first or 0) if colon else 0, int(stop))
    except ValueError as error:
        raise OptionError(f"{text!r} is no number of seeds, nor FIRST:STOP") from error


if __name__ == "__main__":
    sys.exit(main())
