"""From a new interpreter to a Bag's first result, in parts: `python -m benchmarks.bag_start [RUNS]`.

Each run is a process of its own, from a copy of the package as a wheel has it. Printed are the median, the least and
the greatest of the seconds that pass until `import esker` is done, from there until the first Bag is made, from there
until its result is there, and from the interpreter's start to its end.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys

from benchmarks.bag_engines import wheel_environment
from esker.core.clock import SYSTEM_CLOCK

_CODE = """
import time
begin = time.perf_counter()
import esker
imported = time.perf_counter()
numbers = esker.of(range(10), partitions=2)
made = time.perf_counter()
assert numbers.map(lambda n: n + 1).sum() == 55
print(imported - begin, made - imported, time.perf_counter() - made, time.perf_counter() - imported)
"""
PARTS = ("import esker", "esker.of", "first result", "esker.of to first result", "whole process")


def measure(runs: int) -> dict[str, list[float]]:
    """Time so many processes, after one that does not count."""
    found: dict[str, list[float]] = {part: [] for part in PARTS}
    environment = wheel_environment()
    for number in range(runs + 1):
        begin = SYSTEM_CLOCK.seconds()
        done = subprocess.run(
            [sys.executable, "-c", _CODE], check=True, capture_output=True, text=True, env=environment
        )
        whole = SYSTEM_CLOCK.seconds() - begin
        if number:
            for part, seconds in zip(PARTS, [*map(float, done.stdout.split()), whole], strict=True):
                found[part].append(seconds)
    return found


def main() -> None:
    """Print a line for each part."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    print(f"{runs} runs, {os.cpu_count()} cores; seconds: median, least, greatest")
    for part, seconds in measure(runs).items():
        print(f"{part:26}{statistics.median(seconds):8.3f}{min(seconds):8.3f}{max(seconds):8.3f}")


if __name__ == "__main__":
    main()
