from __future__ import annotations

import numpy as np
import pyarrow as pa

import esker
from esker.bitmap import Bitmap
from esker.core.context import QueryContext
from esker.core.memory import MemoryBudget
from esker.index.vector_cache import BUDGET_SHARE, VectorCache

ROWS = 64_000


def vector(number: int) -> Bitmap:
    """8 KB in a word for each group."""
    return Bitmap.from_positions(np.arange(number % 7, ROWS, 7, np.uint64), ROWS, "dense")


def test_what_is_kept_is_charged_to_a_query_once_and_until_its_end():
    cache = VectorCache()
    context = QueryContext(budget=MemoryBudget("16MiB"))
    with context:
        cache.charge(context)
        cache.charge(context)
        assert context.budget.holders() == {"vectors kept": (16 << 20) // BUDGET_SHARE}
    assert context.budget.held_bytes == 0


def test_no_more_is_kept_than_the_least_budget_allows():
    cache = VectorCache()
    for number in range(1_000):
        cache.put(("a", number), vector(number))
    assert cache.held_bytes > 8 << 20
    with QueryContext(budget=MemoryBudget("512MiB")) as large, QueryContext(budget=MemoryBudget("16MiB")) as small:
        cache.charge(large)
        assert cache.held_bytes > 8 << 20
        cache.charge(small)
        assert cache.held_bytes <= 2 << 20
        for number in range(1_000, 2_000):
            cache.put(("a", number), vector(number))
        assert cache.held_bytes <= 2 << 20
        # The last ones read are the ones kept.
        assert cache.get_many("a", [1_999, 0])[1] == [0]
    for number in range(1_000):
        cache.put(("a", number), vector(number))
    assert cache.held_bytes > 2 << 20


def test_a_budget_that_is_spent_leaves_no_room_and_no_error():
    cache = VectorCache()
    cache.put(("a", 1), vector(1))
    with QueryContext(budget=MemoryBudget("16MiB")) as context, context.budget.reserve("rows", 16 << 20):
        cache.charge(context)
        assert (cache.held_bytes, context.budget.free_bytes) == (0, 0)


def test_questions_on_an_index_are_charged(tmp_path, monkeypatch):
    table = pa.table({"k": np.arange(50_000) % 100})
    seen = []
    close = QueryContext.close

    def closing(context):
        seen.append(dict(context.budget.holders()))
        close(context)

    with esker.build_index(table, tmp_path / "k.index", ["k"], memory="32MiB") as index:
        monkeypatch.setattr(QueryContext, "close", closing)
        assert index.count("k = 7") == 500
        assert index.find("k = 7").num_rows == 500
        assert index.store.cache.held_bytes > 0
    assert [held.get("vectors kept") for held in seen] == [4 << 20] * len(seen) and len(seen) >= 2
