"""A metric between all pairs of vertices, by random walks: one worker process, two, and multiprocessing's pool.

From a vertex walks go out until they meet the other one or have gone too far; the metric is how far they came on the
mean. Chance comes from `esker.rng()`, which belongs to the pair, so one worker and two come to the same numbers.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from functools import partial
from itertools import combinations
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.case import Case, Digest, Setting, Workload

WALKS = 20
STEPS_MAX = 60
SEED = 7
# So that --rows 20000000 means 20,000 pairs and some.
ROWS_OF_A_PAIR = 1000

Neighbours = list[list[int]]
_HERE = "benchmarks.all_pairs"
_CASES = (
    Case("one worker", f"{_HERE}:prepare_one", "par(vertices, workers=1).combinations(2).map(metric), one process"),
    Case("two workers", f"{_HERE}:prepare_two", "the same with workers=2; chance belongs to the pair"),
    Case("inline", f"{_HERE}:prepare_inline", "the same with runtime='inline', no other process"),
    Case("pool", f"{_HERE}:prepare_pool", "multiprocessing.Pool(2).starmap over the pairs, chunks of its own choice"),
)


def workloads(rows: int, threads: int, memory_bytes: int) -> Iterator[Workload]:
    """Give the one workload; `rows` over 1000 are about the pairs."""
    vertices = max(round((2 * rows / ROWS_OF_A_PAIR) ** 0.5), 8)
    yield Workload(
        name="all pairs",
        title=f"all pairs of {vertices:,} vertices, {WALKS} random walks each of up to {STEPS_MAX} steps",
        generate=partial(write, vertices=vertices),
        cases=_CASES,
        reference="one worker",
        subject="two workers",
        digest=f"{_HERE}:digest",
        memory_bytes=memory_bytes,
        threads=threads,
        facts={"vertices": vertices, "walks": WALKS},
    )


def write(folder: Path, vertices: int) -> None:
    """Write a graph in which few vertices have many neighbours, so that pairs cost unequally."""
    chance = np.random.default_rng(3)
    left = np.arange(vertices).repeat(3)
    right = (vertices * chance.random(len(left)) ** 3).astype(np.int64)
    np.savez(folder / "graph.npz", left=left, right=right, vertices=vertices)


def read(folder: Path) -> Neighbours:
    """Read the neighbours of each vertex, both ways."""
    graph = np.load(folder / "graph.npz")
    neighbours: Neighbours = [[] for _ in range(int(graph["vertices"]))]
    for left, right in zip(graph["left"].tolist(), graph["right"].tolist(), strict=True):
        neighbours[left].append(right)
        neighbours[right].append(left)
    return neighbours


def walk(neighbours: Neighbours, pair: tuple[int, int], chance: np.random.Generator) -> float:
    """Walk from one vertex towards the other; how many steps it took on the mean."""
    begin, end = pair
    steps = 0
    for draws in chance.random((WALKS, STEPS_MAX)).tolist():
        at = begin
        for draw in draws:
            around = neighbours[at]
            at = around[int(draw * len(around))]
            steps += 1
            if at == end:
                break
    return steps / WALKS


def _metric(neighbours: Neighbours) -> Callable[[tuple[int, int]], float]:
    import esker

    return lambda pair: walk(neighbours, pair, esker.rng())


def _prepare(setting: Setting, **options: Any) -> Callable[[], list[float]]:
    from esker import par

    neighbours = read(setting.data)
    metric = _metric(neighbours)
    vertices = range(len(neighbours))
    par(range(8), **options).map(abs).to_list()  # the processes are there before anything is timed
    return lambda: par(vertices, seed=SEED, **options).combinations(2).map(metric).to_list()


prepare_one = partial(_prepare, workers=1)
prepare_two = partial(_prepare, workers=2)
prepare_inline = partial(_prepare, workers=1, runtime="inline")

_POOLED: dict[str, Neighbours] = {}


def _begin(neighbours: Neighbours) -> None:
    _POOLED["neighbours"] = neighbours


def _pooled(number: int, pair: tuple[int, int]) -> float:
    from esker.core.seeded import generator

    return walk(_POOLED["neighbours"], pair, generator(SEED, 0, number))


def prepare_pool(setting: Setting) -> Callable[[], list[float]]:
    """Let a pool whose processes have the graph from the beginning go through the numbered pairs."""
    neighbours = read(setting.data)
    pool = get_context("forkserver").Pool(2, _begin, (neighbours,))

    def run() -> list[float]:
        return pool.starmap(_pooled, enumerate(combinations(range(len(neighbours)), 2)))

    weakref.finalize(run, pool.terminate)
    run()  # as warm as the others
    return run


def digest(result: list[float], data: Path) -> Digest:
    """Count the pairs and sum their metrics up by place: random numbers and all must be the same."""
    steps = (round(metric * WALKS) for metric in result)
    return {"pairs": len(result), "checksum": sum(n * value for n, value in enumerate(steps, 1)) % 2**64}
