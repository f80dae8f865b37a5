from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings

from esker.core.context import QueryContext
from esker.core.memory import MemoryBudget
from esker.core.spill import SpillFolder
from esker.errors import PageCorruptError, SpillError
from esker.join import sorted_runs
from esker.join.sorted_runs import SortedRuns, merge
from esker.join.spill_file import SpillFile

SCHEMA = pa.schema([("first", pa.uint64()), ("second", pa.uint64()), ("text", pa.string())])
# Ids that 64 bits hold both of, and ids that they do not.
SECOND = st.one_of(st.integers(0, 9), st.integers(0, 2**63))
PAIRS = st.lists(st.tuples(st.integers(0, 5), SECOND), max_size=20)


def batch_of(pairs: list[tuple[int, int]]) -> pa.RecordBatch:
    columns = [pa.array([pair[0] for pair in pairs], pa.uint64()), pa.array([pair[1] for pair in pairs], pa.uint64())]
    return pa.RecordBatch.from_arrays([*columns, pa.array([str(pair) for pair in pairs], pa.string())], schema=SCHEMA)


def pairs_of(batches: list[pa.RecordBatch]) -> list[tuple[int, int]]:
    rows = [row for batch in batches for row in batch.to_pylist()]
    assert all(row["text"] == str((row["first"], row["second"])) for row in rows)
    return [(row["first"], row["second"]) for row in rows]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 99)), min_size=1, max_size=50))
def test_ids_alone_are_sorted_without_their_batches(pairs: list[tuple[int, int]]) -> None:
    with QueryContext(budget=MemoryBudget("16MiB")) as context:
        runs = SortedRuns("test", pa.schema(list(SCHEMA)[:2]), context, 1 << 20)
        for pair in pairs:
            runs.add(batch_of([pair]).select([0, 1]))
        runs.finish()
        found = [(row["first"], row["second"]) for batch in runs.merged(7) for row in batch.to_pylist()]
        runs.close()
    assert found == sorted(pairs)


@settings(deadline=None)
@given(st.lists(PAIRS, max_size=80), st.integers(1, 2000), st.integers(1, 50))
def test_rows_come_out_sorted_whatever_is_spilled(
    groups: list[list[tuple[int, int]]], memory_bytes: int, rows_max: int
) -> None:
    with QueryContext(budget=MemoryBudget("16MiB")) as context:
        runs = SortedRuns("test", SCHEMA, context, memory_bytes)
        for group in groups:
            runs.add(batch_of(group))
        runs.finish()
        expected = sorted(pair for group in groups for pair in group)
        for _ in range(2):
            batches = list(runs.merged(rows_max))
            assert pairs_of(batches) == expected
            assert all(batch.num_rows <= rows_max for batch in batches)
        assert runs.row_count == len(expected)
        runs.close()
        assert context.budget.held_bytes == 0


def test_many_runs_are_merged_in_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sorted_runs, "FAN_IN", 3)
    with QueryContext(budget=MemoryBudget("16MiB")) as context:
        runs = SortedRuns("test", SCHEMA, context, 64)
        numbers = np.random.default_rng(1).permutation(300)
        for number in numbers:
            runs.add(batch_of([(int(number), 1)]))
        runs.finish()
        files = [path for path in context.spill.path.iterdir() if path.name != "lock"]
        assert len(files) <= 3
        assert pairs_of(list(runs.merged(1000))) == [(number, 1) for number in range(300)]
        runs.close()
        assert [path.name for path in context.spill.path.iterdir()] == ["lock"]


def test_what_fits_is_not_written() -> None:
    with QueryContext(budget=MemoryBudget("16MiB")) as context:
        runs = SortedRuns("test", SCHEMA, context, 1 << 20)
        runs.add(batch_of([(2, 1), (1, 1)]))
        runs.finish()
        assert pairs_of(list(runs.merged(10))) == [(1, 1), (2, 1)]
        assert runs.spilled_bytes == 0


def test_merging_nothing_gives_nothing() -> None:
    assert list(merge([])) == []
    assert list(merge([iter(()), iter(())])) == []


def test_a_damaged_spill_file_is_named() -> None:
    with QueryContext() as context:
        file = SpillFile("test", SCHEMA, context)
        file.write(batch_of([(1, 2)]))
        file.seal()
        file.path.write_bytes(b"ARROW1" + b"\x00" * 50)
        with pytest.raises(PageCorruptError, match=str(file.path)):
            list(file.batches())


def test_spill_files_are_private_and_a_full_disk_says_what_to_change() -> None:
    with QueryContext(spill=SpillFolder()) as context:
        file = SpillFile("test", SCHEMA, context)
        assert file.path.stat().st_mode & 0o777 == 0o600
        error = file._failure(OSError(28, "No space left on device"), 1 << 20)
        assert isinstance(error, SpillError)
        assert "no space left" in str(error)
        file.close()
        file.close()
        assert not file.path.exists()
