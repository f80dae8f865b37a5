"""A metric between all pairs of vertices of a graph, by random walks: `python examples/all_pairs.py`.

The question of many a graph project: n (n - 1) / 2 runs of something that costs unequally, with chance in it, on all
processors, and the same numbers tomorrow. Then the first pair of a kind, and the first of two ways to an answer.
"""

from __future__ import annotations

import time

import numpy as np

import esker
from esker import first, gather, par

VERTICES = 40
WALKS = 30
STEPS_MAX = 80


def some_graph(seed: int = 3) -> list[list[int]]:
    """Few vertices have many neighbours, most have few."""
    random = np.random.default_rng(seed)
    neighbours: list[list[int]] = [[] for _ in range(VERTICES)]
    for left in range(VERTICES):
        for right in (VERTICES * random.random(3) ** 3).astype(int).tolist():
            neighbours[left].append(right)
            neighbours[right].append(left)
    return neighbours


def main() -> None:
    neighbours = some_graph()

    def hitting_steps(pair: tuple[int, int]) -> float:
        """How many steps random walks take from one vertex to the other, on the mean."""
        at, end = pair
        steps = 0
        for draws in esker.rng().random((WALKS, STEPS_MAX)).tolist():  # of this pair, whoever works on it
            here = at
            for draw in draws:
                here = neighbours[here][int(draw * len(neighbours[here]))]
                steps += 1
                if here == end:
                    break
        return steps / WALKS

    pairs = par(range(VERTICES), seed=7).combinations(2)
    metric = pairs.map(lambda pair: (hitting_steps(pair), pair)).to_list()
    nearest, farthest = min(metric), max(metric)
    print(f"{len(metric)} pairs of {VERTICES} vertices")
    print(f"nearest:  {nearest[1]}, {nearest[0]:.1f} steps")
    print(f"farthest: {farthest[1]}, {farthest[0]:.1f} steps")

    again = par(range(VERTICES), workers=1, seed=7).combinations(2).map(hitting_steps)
    print(f"one worker comes to the same numbers: {again.to_list() == [steps for steps, _ in metric]}")

    found = pairs.find(lambda pair: hitting_steps(pair) < 25)
    print(f"the first pair within 25 steps: {found}; what other workers were at is ended")

    print(f"the first of two ways: {first([lambda: time.sleep(60) or 'slow', lambda: 'quick'])}")
    degrees = gather([lambda: max(map(len, neighbours)), lambda: min(map(len, neighbours))])
    print(f"most and fewest neighbours, side by side: {degrees}")


if __name__ == "__main__":
    main()
