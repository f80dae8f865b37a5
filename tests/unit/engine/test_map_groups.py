"""Groups as iterators of batches: every row of a group once, in order, whatever its size."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import esker
from esker.errors import MemoryBudgetExceededError, UserFunctionError
from tests.unit.collection.wide import rows_of, wide_table

TABLE = wide_table(400, seed=1)
ROWS = 400_000
TEXT = pa.array(["x" * 100] * ROWS)
SMALL = "16MiB"
SEEN = pa.schema(
    {"key": pa.int64(), "rows": pa.int64(), "sum": pa.int64(), "in_order": pa.bool_(), "batches": pa.int64()}
)


def seen(batches: Iterator[pa.RecordBatch]) -> dict[str, object]:
    """What is in a group; it fails on a group of two keys."""
    keys: set[int | None] = set()
    rows = total = count = 0
    last, in_order = -1, True
    for batch in batches:
        keys |= set(batch["k"].unique().to_pylist())
        numbers = batch["n"].to_numpy()
        in_order &= bool((np.diff(numbers) > 0).all()) and last < numbers[0]
        last = int(numbers[-1])
        rows, total, count = rows + len(numbers), total + int(numbers.sum()), count + 1
    (key,) = keys
    return {"key": key, "rows": rows, "sum": total, "in_order": in_order, "batches": count}


def expected(keys: np.ndarray) -> dict[int, tuple[int, int]]:
    found, inverse = np.unique(keys, return_inverse=True)
    sums = np.bincount(inverse, weights=np.arange(len(keys)))
    return {int(k): (int(n), int(s)) for k, n, s in zip(found, np.bincount(inverse), sums, strict=True)}


random = np.random.default_rng(11)
SHAPES = {
    "one key": np.zeros(ROWS, np.int64),
    "two keys one after the other": np.arange(ROWS) // (ROWS // 2),
    "one key among many": np.where(random.random(ROWS) < 0.5, 7, random.integers(0, 3_000, ROWS)),
    "a large key after all others": np.concatenate([random.integers(0, 3_000, ROWS // 2), np.full(ROWS // 2, 7)]),
    "forty large keys": random.integers(0, 40, ROWS),
    "small keys": random.integers(0, 3_000, ROWS),
}


@pytest.mark.parametrize(("partitions", "memory", "threads"), [(1, SMALL, 1), (4, "128MiB", 2)])
@pytest.mark.parametrize("shape", list(SHAPES))
def test_every_group_streams_whole_and_in_order(
    shape: str, partitions: int, memory: str, threads: int, tmp_path: Path
) -> None:
    keys = SHAPES[shape]
    rows = esker.from_arrow(pa.table({"k": keys, "n": np.arange(ROWS), "text": TEXT}))
    mapped = rows.group_by("k", partitions=partitions).map_groups(seen, SEEN, batches=True)
    found = mapped.to_arrow(memory=memory, threads=threads, spill_folder=tmp_path).to_pylist()
    assert all(row["in_order"] for row in found)
    assert {row["key"]: (row["rows"], row["sum"]) for row in found} == expected(keys)
    assert len(found) == len(set(keys.tolist()))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("by", [["k"], ["s"], ["f64"], ["money", "flag"]])
def test_batches_hold_the_rows_of_the_table_that_is_passed_without_them(by: list[str]) -> None:
    grouped = esker.from_arrow(TABLE).group_by(by, partitions=4)
    as_tables = grouped.map_groups(lambda group: group, TABLE.schema).to_arrow()
    as_batches = grouped.map_groups(lambda batches: batches, TABLE.schema, batches=True).to_arrow()
    assert as_batches["id"].to_pylist() == as_tables["id"].to_pylist()
    assert rows_of(as_batches) == rows_of(as_tables) == rows_of(TABLE)


def test_a_large_group_of_every_kind_of_key_is_one_group() -> None:
    keys = pa.array([None, float("nan"), -0.0, 0.0] * (ROWS // 4))
    rows = esker.from_arrow(pa.table({"k": keys, "text": TEXT}))
    count = rows.group_by("k", partitions=1).map_groups(
        lambda batches: {"n": sum(batch.num_rows for batch in batches)}, pa.schema({"n": pa.int64()}), batches=True
    )
    assert sorted(count.to_arrow(memory=SMALL)["n"].to_pylist()) == [ROWS // 4, ROWS // 4, ROWS // 2]


def test_a_function_may_stop_early_and_the_iterator_then_ends() -> None:
    kept: list[Iterator[pa.RecordBatch]] = []

    def first(batches: Iterator[pa.RecordBatch]) -> dict[str, int]:
        kept.append(batches)
        return {"n": next(batches)["n"][0].as_py()}

    rows = esker.from_arrow(pa.table({"k": SHAPES["forty large keys"], "n": np.arange(ROWS), "text": TEXT}))
    mapped = rows.group_by("k", partitions=2).map_groups(first, pa.schema({"n": pa.int64()}), batches=True)
    firsts = np.unique(SHAPES["forty large keys"], return_index=True)[1]
    assert sorted(mapped.to_arrow(memory=SMALL)["n"].to_pylist()) == sorted(firsts.tolist())
    assert len(kept) == 40 and all(next(batches, None) is None for batches in kept)


def test_results_of_a_generator_are_taken_as_they_come() -> None:
    asked = 0

    def doubled(batches: Iterator[pa.RecordBatch]) -> Iterator[dict[str, object]]:
        nonlocal asked
        for batch in batches:
            asked += 1
            yield {"n": batch["n"], "text": batch["text"]}

    rows = esker.from_arrow(pa.table({"k": SHAPES["one key"], "n": np.arange(ROWS), "text": TEXT}))
    schema = pa.schema({"n": pa.int64(), "text": pa.string()})
    mapped = rows.group_by("k").map_groups(doubled, schema, batches=True).with_options(memory=SMALL, threads=1)
    found = 0
    for batch in mapped:
        found += batch.num_rows
        assert asked <= found
    assert found == ROWS


def test_a_function_that_fails_on_a_large_group_names_its_key() -> None:
    def broken(batches: Iterator[pa.RecordBatch]) -> Iterator[dict[str, int]]:
        yield {"n": next(batches).num_rows}
        raise ValueError("no such plane")  # the user's line

    rows = esker.from_arrow(pa.table({"k": SHAPES["one key"], "text": TEXT})).group_by("k")
    with pytest.raises(UserFunctionError, match=r"(?s)no such plane.*the user's line.*k=0"):
        rows.map_groups(broken, pa.schema({"n": pa.int64()}), batches=True).to_arrow(memory=SMALL)


def test_the_schema_is_seen_on_the_batches_of_a_first_group() -> None:
    mapped = (
        esker.from_arrow({"k": [1, 2], "v": [1.5, 2.5]})
        .group_by("k")
        .map_groups(lambda batches: {"v": sum(sum(batch["v"].to_pylist()) for batch in batches)}, batches=True)
    )
    assert mapped.schema == pa.schema({"v": pa.float64()})
    assert sorted(mapped.to_arrow()["v"].to_pylist()) == [1.5, 2.5]
    assert "iterators of batches" in str(mapped.explain())


def test_a_group_beyond_the_budget_is_told_of_batches() -> None:
    rows = esker.from_arrow(pa.table({"k": SHAPES["one key"], "text": TEXT})).group_by("k")
    with pytest.raises(MemoryBudgetExceededError, match="batches=True"):
        rows.map_groups(lambda group: {"n": 1}).to_arrow(memory=SMALL)
    with pytest.raises(MemoryBudgetExceededError) as caught:
        rows.agg({"n": ("text", "count_distinct")}).to_arrow(memory=SMALL)
    assert "batches=True" not in str(caught.value)
