"""Streams and parallel helpers, measured: `python -m benchmarks.streams [--markdown FILE] [--sections ...]`.

    flight       how far a file is read ahead of a slow sink, against what the buffers allow; peers beside
    elements     what one small element costs, step by step
    throughput   a file through concurrent calls into a sink, beside plain loops and peers (suite stream_files)
    pairs        a metric between all pairs of vertices on two workers against one (suite all_pairs)
    stop         how long after the answer the other workers are gone: find and first

Peers (aiostream, streamable, reactivex) run where they are installed, see benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import all_pairs, stream_files
from benchmarks.harness import Outcome, measure
from benchmarks.interpreter import find_interpreter
from benchmarks.machine import describe_machine
from benchmarks.stream_files import CHUNK_BYTES, ENGINES, most_ahead, read_position
from esker import Sink, Stream, first, par

FLIGHT_CHUNKS = 128
STOPS = 20
# Of the suites of the harness: a file of 250 MiB, about 5,000 pairs.
ROWS = 5_000_000


def main(arguments: list[str]) -> None:
    """Measure the sections named, print them, and write the page when asked."""
    sections = {"flight": flight, "elements": elements, "throughput": throughput, "pairs": pairs, "stop": stop}
    parser = argparse.ArgumentParser(prog="python -m benchmarks.streams", description=__doc__)
    parser.add_argument("--markdown", type=Path, help="write the tables to this file")
    parser.add_argument("--sections", nargs="*", choices=sections, default=list(sections))
    parser.add_argument("--repetitions", type=int, default=4, help="rounds that must count")
    options = parser.parse_args(arguments)
    pages = [head()]
    for name in options.sections:
        print(f"measuring {name}", file=sys.stderr)
        pages.append(sections[name](options.repetitions))
        print(pages[-1])
    if options.markdown:
        options.markdown.parent.mkdir(parents=True, exist_ok=True)
        options.markdown.write_text("\n".join(pages), encoding="utf-8")


def head() -> str:
    """Name the machine and the versions."""
    machine = describe_machine()
    peers = {name: version for name, version in machine["peers"].items() if name in _stream_peers()}
    versions = ", ".join(f"{name} {version}" for name, version in peers.items())
    return f"""# Streams and parallel helpers, measured

Written by `python -m benchmarks.streams --markdown docs/benchmarks/streams.md`.

{machine["processor"]}, {machine["cores"]} cores, {machine["system"]}, Python {machine["python"]};
{versions or "no peers"}.
"""


def _stream_peers() -> set[str]:
    return {name for _, _, requires in ENGINES.values() for name in requires}


def table(headings: list[str], rows: list[list[str]]) -> str:
    """Write rows as a table of Markdown, numbers to the right.

    >>> print(table(["a", "b"], [["x", "1"]]))
    | a | b |
    | --- | ---: |
    | x | 1 |
    """
    lines = [headings, ["---", *["---:"] * (len(headings) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


# ---- bytes in flight ----


def flight(repetitions: int) -> str:
    """Bytes read beyond those that a slow sink has let go."""
    with tempfile.TemporaryDirectory(prefix="esker-bench-") as folder:
        stream_files.write(Path(folder), FLIGHT_CHUNKS)
        path = Path(folder).resolve() / "data"
        limits = [
            [name, str(limit), f"{ahead_of_esker(make(path), path) / CHUNK_BYTES:g}"] for name, limit, make in _FLOWS
        ]
        engines = [[name, _ahead_of(name, path), does] for name, (_, does, _) in ENGINES.items()]
    return f"""## Bytes in flight

A file of {FLIGHT_CHUNKS} MiB in chunks of 1 MiB, a sink that takes 5 ms a chunk. How far the file was read beyond what
the sink had let go, at most, as the system tells it (`/proc/self/fdinfo`); in MiB.

{table(["Esker", "allowed", "measured"], limits)}

The same by engine: two concurrent calls, then the sink.

{table(["engine", "MiB ahead", "what it does"], engines)}
"""


def _file(path: Path) -> Stream[bytes]:
    return Stream.file(path, chunk_bytes=CHUNK_BYTES)


# Each step's limit, and one chunk in the sink. A buffer of bytes may exceed them by the chunk that fills it.
_FLOWS: list[tuple[str, int, Callable[[Path], Stream[bytes]]]] = [
    ("Stream.file", 1, _file),
    (".buffer(4)", 5, lambda path: _file(path).buffer(4)),
    ('.buffer("16MiB")', 17, lambda path: _file(path).buffer("16MiB")),
    (".map_async(workers=2)", 3, lambda path: _file(path).map_async(bytes, workers=2)),
    (".map_async(workers=8, ordered=False)", 9, lambda path: _file(path).map_async(bytes, workers=8, ordered=False)),
    (
        ".buffer(4).map_async(workers=2).buffer(3)",
        10,
        lambda path: _file(path).buffer(4).map_async(bytes, workers=2).buffer(3),
    ),
]


def ahead_of_esker(stream: Stream[bytes], path: Path) -> int:
    """Take slowly; how many bytes were read beyond those let go, at most."""
    import anyio

    taken = most = 0

    async def take(chunk: bytes) -> None:
        nonlocal taken, most
        await anyio.sleep(0.005)
        most = max(most, read_position(path, taken) - taken)
        taken += len(chunk)

    stream.run(Sink.foreach(take))
    return most


def _ahead_of(name: str, path: Path) -> str:
    _, _, requires = ENGINES[name]
    interpreter, missing = find_interpreter(requires)
    if missing:
        return "not installed"
    if interpreter == sys.executable:
        return f"{most_ahead(ENGINES[name][0], path) / CHUNK_BYTES:g}"
    command = [interpreter, "-m", "benchmarks.stream_files", name, str(path)]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    return f"{int(ran.stdout) / CHUNK_BYTES:g}"


# ---- what an element costs ----


def elements(repetitions: int) -> str:
    """Microseconds for each of many small numbers."""
    rows = [[name, f"{_microseconds(run, count, repetitions):.2f}"] for name, run, count in _CHAINS]
    return f"""## What an element costs

Microseconds for each small number: the median of {repetitions} runs.

{table(["chain", "µs"], rows)}
"""


async def _same(number: int) -> int:
    return number


def _loop(count: int) -> None:
    kept = 0
    for number in range(count):
        if abs(number) >= 0:
            kept += 1


_CHAINS: list[tuple[str, Callable[[int], Any], int]] = [
    ("a for loop with a call and a comparison", _loop, 100_000),
    ("Stream(range).run(Sink.count())", lambda count: Stream(range(count)).run(Sink.count()), 100_000),
    ("the same with .map(abs)", lambda count: Stream(range(count)).map(abs).run(Sink.count()), 100_000),
    ("with four times .map(abs)", lambda count: _mapped(count).run(Sink.count()), 100_000),
    ("with .buffer(64)", lambda count: Stream(range(count)).buffer(64).run(Sink.count()), 50_000),
    (
        "with .map_async(an asynchronous function, workers=4)",
        lambda count: _called(count).run(Sink.count()),
        10_000,
    ),
]


def _mapped(count: int) -> Stream[int]:
    return Stream(range(count)).map(abs).map(abs).map(abs).map(abs)


def _called(count: int) -> Stream[int]:
    return Stream(range(count)).map_async(_same, workers=4)


def _microseconds(run: Callable[[int], Any], count: int, repetitions: int) -> float:
    times: list[float] = []
    for _ in range(repetitions):
        begin = time.perf_counter()
        run(count)
        times.append(time.perf_counter() - begin)
    return 1e6 * statistics.median(times) / count


# ---- the suites of the harness ----


def throughput(repetitions: int) -> str:
    """Ratios to a plain loop, over two sinks."""
    tables = [_outcome_table(outcome) for outcome in _measured(stream_files.workloads(ROWS, 2, 6 << 30), repetitions)]
    return f"""## Throughput

The time of the plain loop over that of the case in the same round: higher is faster. Median, and the least and the
greatest of the rounds that counted; memory is the peak of the process.

{chr(10).join(tables)}"""


def pairs(repetitions: int) -> str:
    """Two workers against one."""
    tables = [_outcome_table(outcome) for outcome in _measured(all_pairs.workloads(ROWS, 2, 6 << 30), repetitions)]
    return f"""## A metric between all pairs

`par(vertices).combinations(2).map(metric)`: the checksum of all results, random numbers included, is the same in every
case and in every round.

{chr(10).join(tables)}"""


def _measured(workloads: Iterator[Any], repetitions: int) -> list[Outcome]:
    return [measure(workload, repetitions, lambda line: print(line, file=sys.stderr)) for workload in workloads]


def _outcome_table(outcome: Outcome) -> str:
    rows = []
    for figure in sorted(outcome.figures, key=lambda figure: -figure.ratio):
        if not figure.ratios:
            rows.append([figure.case.name, figure.failure, "", "", figure.case.does])
            continue
        seconds = statistics.median(sample.seconds for sample in figure.samples)
        peak = max(sample.anonymous_peak_bytes for sample in figure.samples) / 2**20
        spread = f"{figure.ratio:.2f} ({min(figure.ratios):.2f} to {max(figure.ratios):.2f})"
        rows.append([figure.case.name, spread, f"{seconds:.2f}", f"{peak:,.0f}", figure.case.does])
    noisy = "" if outcome.calm else f"\nNoisy: too few of {outcome.rounds} rounds were calm; a hint, not a result.\n"
    headings = ["case", "ratio", "seconds", "peak MiB", "what it does"]
    return f"**{outcome.workload.title}**\n\n{table(headings, rows)}\n{noisy}"


# ---- ending what is not wanted any more ----


def stop(repetitions: int) -> str:
    """From the moment the answer is there until it is returned and the other processes are gone."""
    rows = [
        _stop_row(name, run)
        for name, run in (("par(...).find", _find), ("par(...).exists", _exists), ("first(...)", _first))
    ]
    return f"""## Ending what is not wanted any more

Two workers; one has the answer, or wins, while the other is within a call of C that does not return
(`time.sleep(600)`). From the moment the winner has the answer until the caller has it and the other process is
gone, in milliseconds, {STOPS} times.

{table(["call", "median", "greatest", "processes left"], rows)}
"""


def _stop_row(name: str, run: Callable[[Path], float]) -> list[str]:
    times: list[float] = []
    left = 0
    for _ in range(STOPS):
        with tempfile.TemporaryDirectory() as folder:
            answered = run(Path(folder))
            times.append(1000 * (time.monotonic() - answered))
            left += sum(Path(f"/proc/{path.name}").exists() for path in Path(folder).iterdir())
    return [name, f"{statistics.median(times):.1f}", f"{max(times):.1f}", str(left)]


def _hang(folder: Path) -> None:
    (folder / str(os.getpid())).touch()
    time.sleep(600)


def _answer(folder: Path) -> float:
    while not any(folder.iterdir()):
        time.sleep(0.001)
    time.sleep(0.01)  # the other one is within its call
    return time.monotonic()


def _find(folder: Path) -> float:
    answered = folder.with_suffix(".answered")

    def look(number: int) -> bool:
        if number:
            _hang(folder)
        answered.write_text(repr(_answer(folder)), encoding="ascii")
        return True

    assert par(range(2), 2, chunk=1).find(look) == 0
    return _told(answered)


def _exists(folder: Path) -> float:
    answered = folder.with_suffix(".answered")

    def look(number: int) -> bool:
        if not number:
            _hang(folder)
        answered.write_text(repr(_answer(folder)), encoding="ascii")
        return True

    assert par(range(2), 2, chunk=1).exists(look)
    return _told(answered)


def _told(path: Path) -> float:
    moment = float(path.read_text(encoding="ascii"))
    path.unlink()
    return moment


def _first(folder: Path) -> float:
    tasks: list[Callable[[], Any]] = [partial(_hang, folder), partial(_answer, folder)]
    return float(first(tasks))


if __name__ == "__main__":
    main(sys.argv[1:])
