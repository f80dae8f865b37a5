"""Run benchmarks: `python -m benchmarks [suite ...] [--rows N] [--repetitions N] [--json FILE]`."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from benchmarks import (
    all_pairs,
    bags,
    graphs,
    join_out_of_core,
    map_groups,
    scale_out,
    shuffle_peers,
    spill_to_parquet,
    stream_files,
)
from benchmarks.harness import Outcome, measure
from benchmarks.machine import describe_machine
from benchmarks.report import print_outcome
from esker.core.byte_size import parse_bytes

SUITES = {
    "shuffle_peers": shuffle_peers.workloads,
    "shuffle_slow_peers": shuffle_peers.slow_workloads,
    "map_groups": map_groups.workloads,
    "scale_out": scale_out.workloads,
    "spill_to_parquet": spill_to_parquet.workloads,
    "join_out_of_core": join_out_of_core.workloads,
    "stream_files": stream_files.workloads,
    "all_pairs": all_pairs.workloads,
    "bags": bags.workloads,
    "bag_groups": bags.group_workloads,
    "bag_budget": bags.budget_workloads,
    "graphs": graphs.workloads,
}
# What is told of all workloads of a suite together, after them.
SUMMARIES = {"map_groups": map_groups.print_scales, "bag_groups": map_groups.print_scales}
# Minutes each, and most of their peers are installed apart: they run when they are named.
OPTIONAL = (
    "shuffle_slow_peers",
    "map_groups",
    "scale_out",
    "spill_to_parquet",
    "join_out_of_core",
    "stream_files",
    "all_pairs",
    "bags",
    "bag_groups",
    "bag_budget",
    "graphs",
)


def main(arguments: list[str]) -> int:
    """Measure the suites named (all of them by default), print each as it is done, write JSON when asked."""
    usual = [name for name in SUITES if name not in OPTIONAL]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "suites", nargs="*", metavar="suite", help=f"any of: {', '.join(SUITES)}; {', '.join(usual)} by default"
    )
    parser.add_argument("--rows", type=int, default=20_000_000, help="rows of the largest input; the others follow")
    parser.add_argument("--repetitions", type=int, default=5, help="rounds that must count")
    parser.add_argument("--threads", type=int, default=min(2, len(os.sched_getaffinity(0))))
    parser.add_argument("--memory", default="6GiB", help="limit of each case's process")
    parser.add_argument("--workload", default="", help="only workloads with this in their name, for example '16 bytes'")
    parser.add_argument("--cases", help="only these cases (and the reference and Esker), with commas between them")
    parser.add_argument("--seconds", type=float, help="a case may take so long for a run, and for all its rounds")
    parser.add_argument("--json", type=Path, help="write every sample to this file")
    options = parser.parse_args(arguments)
    unknown = set(options.suites) - set(SUITES)
    if unknown:
        parser.error(f"no suite {', '.join(sorted(unknown))}; there is: {', '.join(SUITES)}")

    console = Console(width=None if sys.stdout.isatty() else 160)
    notes = Console(stderr=True)
    machine = describe_machine()
    console.print(", ".join(f"{key}: {value}" for key, value in machine.items()), markup=False, soft_wrap=True)
    outcomes: list[Outcome] = []
    for name in options.suites or usual:
        first = len(outcomes)
        for whole in SUITES[name](options.rows, options.threads, parse_bytes(options.memory, "memory")):
            if options.workload not in whole.name:
                continue
            workload = whole.with_cases(options.cases.split(",")) if options.cases else whole
            if options.seconds:
                workload = replace(workload, seconds_max=options.seconds)
            outcome = measure(workload, options.repetitions, lambda line: notes.print(line, markup=False))
            print_outcome(console, outcome)
            outcomes.append(outcome)
        if name in SUMMARIES:
            SUMMARIES[name](console, outcomes[first:])
    if options.json:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        document = {
            "version": 1,
            "when": now,
            "machine": machine,
            "outcomes": [outcome.to_json() for outcome in outcomes],
        }
        options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    wrong = [figure for outcome in outcomes for figure in outcome.figures if figure.failure.startswith("wrong result")]
    return 1 if wrong else 0


if __name__ == "__main__":
    # Whoever ends us leaves no processes and no data behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    sys.exit(main(sys.argv[1:]))
