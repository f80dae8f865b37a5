"""Wide steps of Bags over four budgets of elements stay within `memory=` plus 5 %; lazy pairs need next to nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from esker.testing.peak_memory import run_measured

MEMORY = 64 << 20
ELEMENTS = 400_000
TEXT_BYTES = 600

# The processes that are there whatever is done: driver, server, two workers, each with what wide steps load.
IDLE = """
import sys, esker
pairs = esker.range(100, partitions=4).with_options(workers=2).map(lambda n: (n % 7, n))
assert pairs.group_by_key().sort_by_key().join(pairs).count() == 100
print("ready", flush=True)
sys.stdin.read()
"""
PREPARE = """
import sys, esker
elements, text_bytes, memory, spill = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
assert elements * text_bytes > 3.5 * memory
numbers = esker.range(elements, partitions=6).with_options(workers=2, memory=memory, spill_folder=spill)
def text_of(n):
    return f"{n * 2654435761 % (1 << 32):010d}".rjust(text_bytes, "x")
texts = numbers.map(text_of)
"""
STEPS = {
    "group_by_key": "texts.key_by(lambda t: hash_of(t) % 9_000).group_by_key().values().map(measure)",
    "one group": "texts.key_by(lambda t: None).group_by_key().values().map(measure)",
    "reduce_by_key": "texts.map(lambda t: (t, len(t))).union(texts.map(lambda t: (t, 0))).reduce_by_key(int.__add__)"
    ".map(lambda pair: (1, pair[1]))",
    "sort_by": "texts.sort_by(lambda t: t[::-1]).map_partitions(in_order)",
    "join": "texts.key_by(lambda t: hash_of(t) % 9_000).join(esker.range(9_000).map(lambda n: (n, n)))"
    ".map(lambda pair: (1, len(pair[1][0])))",
    "distinct": "texts.union(texts).distinct().map(lambda t: (1, len(t)))",
    "repartition": "texts.repartition(5).map(lambda t: (1, len(t)))",
    "cartesian": "numbers.filter(lambda n: n < 1).cartesian(texts).map(lambda pair: (1, len(pair[1])))",
}
MORE = ("one group", "repartition", "cartesian")
ACTIONS = """
def measure(group):
    return len(group), sum(map(len, group))
def hash_of(t):
    return int(t[-10:])
def add(left, right):
    return left[0] + right[0], left[1] + right[1]
def in_order(texts):
    before = ""
    for text in texts:
        assert before <= text[::-1]
        before = text[::-1]
        yield 1, len(text)
print(*{step}.aggregate((0, 0), add, add))
"""


@pytest.mark.memory
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in MORE else name for name in STEPS]
)
def test_four_budgets_of_elements_go_through_one_budget_of_memory(name: str, tmp_path: Path) -> None:
    code = PREPARE + ACTIONS.replace("{step}", STEPS[name])
    run = run_measured(code, [str(ELEMENTS), str(TEXT_BYTES), str(MEMORY), str(tmp_path)], idle=IDLE)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == [str(ELEMENTS), str(ELEMENTS * TEXT_BYTES)]
    assert run.over_idle_bytes <= MEMORY * 1.05, (
        f"{name}: {run.over_idle_bytes / 2**20:.0f} MiB over idle processes, budget {MEMORY >> 20} MiB"
    )
    assert list(tmp_path.iterdir()) == []


# A group of 100,000 elements has 5,000 million pairs: a few of them, then 50 million of them.
PAIRS = """
import itertools, operator, sys, esker
numbers = esker.range(100_000, partitions=4).with_options(workers=2, memory="32MiB", spill_folder=sys.argv[1])
group = numbers.map(lambda n: (None, n)).group_by_key(1)
def all_pairs(pair):
    return itertools.combinations(pair[1], 2)
def many_pairs(pair):
    return itertools.islice(all_pairs(pair), 50_000_000)
print(group.flat_map(all_pairs).take(10)[-1])
print(group.flat_map(many_pairs).count())
counted = group.flat_map(many_pairs).map(lambda pair: (pair[1] % 1000, 1)).reduce_by_key(operator.add)
print(sum(counted.values().collect()))
"""


@pytest.mark.memory
@pytest.mark.slow
def test_all_pairs_of_a_group_of_100_000_stream_in_150_megabytes_in_all(tmp_path: Path) -> None:
    run = run_measured(PAIRS, [str(tmp_path)], idle=IDLE)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines() == ["(0, 10)", "50000000", "50000000"]
    # Of all processes, with what they take when they do nothing.
    assert run.peak_bytes <= 150_000_000, f"{run.peak_bytes / 1e6:.0f} MB, idle {run.idle_bytes / 1e6:.0f}"
