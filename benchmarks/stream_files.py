"""A binary file in chunks through two concurrent calls into a sink: plain loops, Esker, other streams.

The file has just been written, so it lies in the page cache. Each chunk of 1 MiB is hashed by one of two threads
(BLAKE2b, which releases the interpreter's lock), in order, and goes to the sink with its hash: a quick sink keeps the
hash, a slow one hashes the chunk again (SHA-256). Nothing here imports Esker at the top: peers may be installed apart.

    python -m benchmarks.stream_files ENGINE FILE    how far FILE is read ahead of a sink that takes 5 ms a chunk
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.case import Case, Digest, Setting, Workload

CHUNK_BYTES = 1 << 20
WORKERS = 2
# So that --rows 20000000 means a file of 1 GiB.
ROWS_OF_A_CHUNK = 20_000

Result = tuple[int, bytes]
Take = Callable[[Result], None]
Engine = Callable[[Path, Take], None]


def work(chunk: bytes) -> Result:
    """Hash a chunk; the chunk goes on with its hash."""
    return int.from_bytes(hashlib.blake2b(chunk, digest_size=8).digest()), chunk


def keep(results: list[int], result: Result) -> None:
    """Take a result quickly."""
    results.append(result[0])


def keep_slowly(results: list[int], result: Result) -> None:
    """Take a result, with as much work as the calls had."""
    results.append(result[0] ^ int.from_bytes(hashlib.sha256(result[1]).digest()[:8]))


def run_loop(path: Path, take: Take) -> None:
    """Read, hash and take, one after the other."""
    with path.open("rb", buffering=0) as file:
        for chunk in iter(partial(file.read, CHUNK_BYTES), b""):
            take(work(chunk))


def run_window(path: Path, take: Take) -> None:
    """Write the loop that one writes with a thread pool: futures in a window, oldest first."""
    from concurrent.futures import Future, ThreadPoolExecutor

    waiting: deque[Future[Result]] = deque()
    with path.open("rb", buffering=0) as file, ThreadPoolExecutor(WORKERS) as pool:
        for chunk in iter(partial(file.read, CHUNK_BYTES), b""):
            waiting.append(pool.submit(work, chunk))
            if len(waiting) > WORKERS:
                take(waiting.popleft().result())
        while waiting:
            take(waiting.popleft().result())


def run_pool_map(path: Path, take: Take) -> None:
    """Let a thread pool map: it reads everything before it gives anything."""
    from concurrent.futures import ThreadPoolExecutor

    with path.open("rb", buffering=0) as file, ThreadPoolExecutor(WORKERS) as pool:
        for result in pool.map(work, iter(partial(file.read, CHUNK_BYTES), b"")):
            take(result)


def run_esker(path: Path, take: Take) -> None:
    """Stream the file, two calls at a time, into a sink that is called in the event loop."""
    from esker import Sink, Stream

    Stream.file(path, chunk_bytes=CHUNK_BYTES).map_async(work, workers=WORKERS).run(Sink.foreach(take))


def run_esker_threaded(path: Path, take: Take) -> None:
    """Do the same with the sink's work in a thread of its own, where work that takes long belongs."""
    from esker import Sink, Stream

    hashed = Stream.file(path, chunk_bytes=CHUNK_BYTES).map_async(work, workers=WORKERS)
    hashed.map_async(take, workers=1).run(Sink.ignore())


def run_aiostream(path: Path, take: Take) -> None:
    """Read by threads of asyncio, map with a limit of two tasks."""
    import asyncio

    from aiostream import pipe, stream

    async def read() -> Any:
        with path.open("rb", buffering=0) as file:
            while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
                yield chunk

    async def call(chunk: bytes, *_: Any) -> Result:
        return await asyncio.to_thread(work, chunk)

    async def main() -> None:
        mapped = stream.iterate(read()) | pipe.map(call, ordered=True, task_limit=WORKERS)
        async with mapped.stream() as results:
            async for result in results:
                take(result)

    asyncio.run(main())


def run_streamable(path: Path, take: Take) -> None:
    """Map with a concurrency of two threads."""
    from streamable import stream

    with path.open("rb", buffering=0) as file:
        for result in stream(iter(partial(file.read, CHUNK_BYTES), b"")).map(work, concurrency=WORKERS):
            take(result)


def run_reactivex(path: Path, take: Take) -> None:
    """Start each chunk on a pool of two threads; merging two at a time keeps no order, so results are numbered."""
    import threading

    import reactivex
    from reactivex import operators
    from reactivex.scheduler import ThreadPoolScheduler

    scheduler = ThreadPoolScheduler(WORKERS)
    done = threading.Event()
    early: dict[int, Result] = {}
    following = 0
    lock = threading.RLock()

    def numbered(pair: tuple[int, bytes]) -> Any:
        return reactivex.start(lambda: (pair[0], work(pair[1])), scheduler)

    def in_order(pair: tuple[int, Result]) -> None:
        nonlocal following
        with lock:
            early[pair[0]] = pair[1]
            while following in early:
                take(early.pop(following))
                following += 1

    with path.open("rb", buffering=0) as file:
        source = reactivex.from_iterable(enumerate(iter(partial(file.read, CHUNK_BYTES), b"")))
        mapped = source.pipe(operators.map(numbered), operators.merge(max_concurrent=WORKERS))
        mapped.subscribe(in_order, lambda error: done.set(), done.set)
        done.wait()
    scheduler.executor.shutdown()


ENGINES: dict[str, tuple[Engine, str, tuple[str, ...]]] = {
    "loop": (run_loop, "for chunk in file: one after the other, no threads", ()),
    "window": (run_window, "thread pool and a window of futures, by hand", ()),
    "pool.map": (run_pool_map, "ThreadPoolExecutor.map; reads the whole file first", ()),
    "esker": (run_esker, "Stream.file.map_async(workers=2).run(Sink.foreach)", ()),
    "esker threaded": (run_esker_threaded, "the same, and .map_async(take, workers=1) as the sink", ()),
    "aiostream": (run_aiostream, "pipe.map(ordered=True, task_limit=2), asyncio.to_thread", ("aiostream",)),
    "streamable": (run_streamable, "stream.map(concurrency=2)", ("streamable",)),
    "reactivex": (
        run_reactivex,
        "start on a thread pool, merge(max_concurrent=2), put in order by hand",
        ("reactivex",),
    ),
}
_HERE = "benchmarks.stream_files"


def _target(name: str) -> str:
    return name.replace(".", "_").replace(" ", "_")


def workloads(rows: int, threads: int, memory_bytes: int) -> Iterator[Workload]:
    """Give a quick and a slow sink; `rows` over 20,000 are the chunks of the file."""
    count = max(rows // ROWS_OF_A_CHUNK, 8)
    for sink in ("quick", "slow"):
        yield Workload(
            name=f"stream {sink} sink",
            title=f"stream: a file of {count:,} MiB in chunks of 1 MiB, hashed by {WORKERS} threads, {sink} sink",
            generate=partial(write, count=count),
            cases=tuple(
                Case(name, f"{_HERE}:prepare_{_target(name)}_{sink}", does, requires)
                for name, (_, does, requires) in ENGINES.items()
            ),
            reference="loop",
            subject="esker",
            digest=f"{_HERE}:digest",
            memory_bytes=memory_bytes,
            threads=threads,
            facts={"chunks": count, "chunk_bytes": CHUNK_BYTES},
        )


def write(folder: Path, count: int) -> None:
    """Write `count` chunks of noise, all different."""
    noise = bytearray(os.urandom(CHUNK_BYTES))
    with (folder / "data").open("wb") as file:
        for number in range(count):
            noise[:8] = number.to_bytes(8)
            file.write(noise)


def most_ahead(engine: Engine, path: Path) -> int:
    """Measure how many bytes are read beyond those that the sink has let go, at most, as the system tells it."""
    taken = most = 0

    def take(result: Result) -> None:
        nonlocal taken, most
        time.sleep(0.005)
        most = max(most, read_position(path, taken) - taken)
        taken += len(result[1])

    engine(path, take)
    return most


def read_position(path: Path, otherwise: int) -> int:
    """How far this process has read the file: the position of its descriptor, or all of it once that is closed."""
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            if descriptor.readlink() == path:
                return int(Path(f"/proc/self/fdinfo/{descriptor.name}").read_text(encoding="ascii").split()[1])
    return max(path.stat().st_size, otherwise)


def _prepare(engine: Engine, sink: Callable[[list[int], Result], None], setting: Setting) -> Callable[[], list[int]]:
    def run() -> list[int]:
        results: list[int] = []
        engine(setting.data / "data", partial(sink, results))
        return results

    return run


for _name, (_engine, *_) in ENGINES.items():
    for _sink, _keep in (("quick", keep), ("slow", keep_slowly)):
        globals()[f"prepare_{_target(_name)}_{_sink}"] = partial(_prepare, _engine, _keep)


def digest(result: list[int], data: Path) -> Digest:
    """Count the chunks and sum their hashes up by place, so that order counts; in a process that may lack all else."""
    return {"chunks": len(result), "checksum": sum(n * value for n, value in enumerate(result, 1)) % 2**64}


if __name__ == "__main__":
    print(most_ahead(ENGINES[sys.argv[1]][0], Path(sys.argv[2])))
