"""The operator: original types out, budget, spill, errors, cancellation."""

from __future__ import annotations

import os

import numpy as np
import pyarrow as pa
import pytest

from esker.core.cancellation import Cancellation
from esker.core.memory import MemoryBudget
from esker.core.spill import SpillFolder
from esker.errors import (
    CancelledError,
    InputError,
    MemoryBudgetExceededError,
    OptionError,
    PageCorruptError,
    SchemaMismatchError,
    SpillError,
    UnknownColumnError,
)
from esker.shuffle.operator import ShuffleOperator
from esker.shuffle.partition import partition

MEMORY = 16 << 20


def rows(count: int, width: int = 40) -> pa.Table:
    numbers = np.arange(count)
    return pa.table({"k": numbers % 1000, "n": numbers, "s": pa.array([f"{n:0{width}d}" for n in range(count)])})


def fill(shuffle: ShuffleOperator, table: pa.Table, batch_rows: int = 10_000) -> None:
    for batch in table.to_batches(max_chunksize=batch_rows):
        shuffle.push(batch)
    shuffle.finish()


def collected(shuffle: ShuffleOperator) -> pa.Table:
    parts = [batch for p in range(shuffle.partition_count) for batch in shuffle.partition(p)]
    return pa.Table.from_batches(parts, shuffle.schema)


def test_rows_come_out_in_the_schema_they_went_in():
    schema = pa.schema(
        [
            pa.field("s", pa.string(), metadata={"unit": "none"}),
            pa.field("l", pa.large_binary(), nullable=False),
            pa.field("u", pa.uuid()),
        ],
        metadata={"from": "test"},
    )
    uuids = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([bytes([n]) * 16 for n in range(3)], pa.binary(16)))
    batch = pa.RecordBatch.from_arrays(
        [pa.array(["a", None, "long" * 9]), pa.array([b"", b"x", b"y" * 50], pa.large_binary()), uuids], schema=schema
    )
    with ShuffleOperator(schema, ["s", "u"], 1, memory_bytes=MEMORY) as shuffle:
        shuffle.push(batch)
        shuffle.finish()
        (found,) = shuffle.partition(0)
    found.validate(full=True)
    assert found.equals(batch, check_metadata=True)


def test_tiny_batches_are_joined_into_whole_morsels():
    table = rows(20_000)
    with ShuffleOperator(table.schema, ["k"], 4, memory_bytes=256 << 20) as shuffle:
        fill(shuffle, table, batch_rows=10)
        assert shuffle.statistics()["morsels"] < 10
        assert collected(shuffle).sort_by("n").equals(table)


def test_rows_over_the_memory_are_spilled_and_the_files_removed(tmp_path):
    table = rows(400_000)
    budget = MemoryBudget(MEMORY)
    with SpillFolder(root=tmp_path, limit="1GB") as spill:
        with ShuffleOperator(
            table.schema, ["k"], 16, budget=budget, memory_bytes=MEMORY, spill=spill, thread_count=2
        ) as shuffle:
            assert budget.held_bytes == MEMORY
            fill(shuffle, table)
            statistics = shuffle.statistics()
            assert statistics["spilled_bytes"] > 0
            assert statistics["pool_peak_bytes"] <= MEMORY
            (file,) = spill.path.glob("shuffle*")
            assert file.stat().st_mode & 0o777 == 0o600
            assert sum(shuffle.partition_rows) == 400_000
            assert sum(shuffle.partition_bytes) == statistics["payload_bytes"]
            for p in range(16):
                found = pa.Table.from_batches(shuffle.partition(p), table.schema)
                numbers = found["n"].to_numpy()
                assert np.all(np.diff(numbers) > 0)
                assert found["s"].to_pylist()[:100] == [f"{n:040d}" for n in numbers[:100]]
        assert not list(spill.path.glob("shuffle*"))
    assert budget.held_bytes == 0


def test_without_a_spill_folder_the_budget_is_the_end():
    table = rows(400_000)
    with ShuffleOperator(table.schema, ["k"], 16, budget=MemoryBudget(MEMORY), memory_bytes=MEMORY) as shuffle:
        with pytest.raises(MemoryBudgetExceededError, match="shuffle needs"):
            fill(shuffle, table)


def test_a_spill_limit_is_kept_and_named(tmp_path):
    table = rows(400_000)
    with SpillFolder(root=tmp_path, limit="2MiB") as spill:
        with ShuffleOperator(table.schema, ["k"], 16, memory_bytes=MEMORY, spill=spill) as shuffle:
            with pytest.raises(SpillError, match=str(tmp_path)):
                fill(shuffle, table)
            assert shuffle.statistics()["spilled_bytes"] <= 2 << 20


def test_a_full_disk_is_a_spill_error(tmp_path, monkeypatch):
    # A descriptor open for reading only fails as a disk does: at the first write.
    def new_file(self: SpillFolder, name: str):
        path = self.path / name
        path.touch()
        return path, os.open("/dev/full", os.O_RDWR)

    monkeypatch.setattr(SpillFolder, "new_file", new_file)
    table = rows(400_000)
    with SpillFolder(root=tmp_path) as spill:
        with ShuffleOperator(table.schema, ["k"], 16, memory_bytes=MEMORY, spill=spill, thread_count=2) as shuffle:
            with pytest.raises(SpillError, match=r"spill.*failed.*raise memory="):
                fill(shuffle, table)


def test_a_damaged_spill_file_is_found_when_it_is_read(tmp_path):
    table = rows(400_000)
    with SpillFolder(root=tmp_path, limit="1GB") as spill:
        with ShuffleOperator(table.schema, ["k"], 16, memory_bytes=MEMORY, spill=spill) as shuffle:
            fill(shuffle, table)
            (file,) = spill.path.glob("shuffle*")
            data = bytearray(file.read_bytes())
            for place in range(1000, len(data), 5000):
                data[place] ^= 1
            file.write_bytes(data)
            with pytest.raises(PageCorruptError, match="spilled page at byte"):
                collected(shuffle)


def test_a_truncated_spill_file_is_found_when_it_is_read(tmp_path):
    table = rows(400_000)
    with SpillFolder(root=tmp_path, limit="1GB") as spill:
        with ShuffleOperator(table.schema, ["k"], 16, memory_bytes=MEMORY, spill=spill) as shuffle:
            fill(shuffle, table)
            (file,) = spill.path.glob("shuffle*")
            os.truncate(file, 100)
            with pytest.raises(PageCorruptError, match="the file ends"):
                collected(shuffle)


def test_a_cancelled_query_stops_at_the_next_push():
    table = rows(10)
    cancellation = Cancellation()
    with ShuffleOperator(table.schema, ["k"], 2, memory_bytes=MEMORY, cancellation=cancellation) as shuffle:
        shuffle.push(table.to_batches()[0])
        cancellation.cancel("Ctrl-C")
        with pytest.raises(CancelledError, match="Ctrl-C"):
            shuffle.push(table.to_batches()[0])
        with pytest.raises(CancelledError):
            shuffle.finish()


@pytest.mark.parametrize(
    ("by", "count", "options", "error"),
    [
        (["x"], 4, {}, UnknownColumnError),
        ([], 4, {}, OptionError),
        (["k"], 0, {}, OptionError),
        (["k"], 4, {"strategy": "magic"}, OptionError),
        (["s"], 4, {"function": "modulo"}, OptionError),
        (["k"], 4, {"memory_bytes": 1000}, MemoryBudgetExceededError),
        (["k"], 1 << 20, {}, MemoryBudgetExceededError),
    ],
)
def test_a_refused_shuffle_holds_nothing(by, count, options, error):
    budget = MemoryBudget(MEMORY)
    with pytest.raises(error):
        ShuffleOperator(rows(1).schema, by, count, budget=budget, **{"memory_bytes": MEMORY, **options})
    assert budget.held_bytes == 0


def test_a_batch_of_another_schema_is_refused():
    with ShuffleOperator(rows(1).schema, ["k"], 2, memory_bytes=MEMORY) as shuffle:
        with pytest.raises(SchemaMismatchError):
            shuffle.push(pa.record_batch({"k": [1]}))


def test_nulls_in_a_column_declared_without_are_refused():
    schema = pa.schema([pa.field("k", pa.int64(), nullable=False)])
    with ShuffleOperator(schema, ["k"], 2, memory_bytes=MEMORY) as shuffle:
        shuffle.push(pa.RecordBatch.from_arrays([pa.array([1, None])], schema=schema))
        with pytest.raises(InputError, match="'k' has nulls"):
            shuffle.finish()


def test_partitions_of_any_arrow_object_are_streams():
    table = rows(1000)
    parts = partition(table, "k", 5, memory="64MiB")
    assert [part.num_rows for part in parts] == [pa.table(part).num_rows for part in parts]
    assert pa.schema(parts[0]) == table.schema
    again = pa.concat_tables(pa.table(part) for part in partition(table.to_reader(), ["k"], 5, threads=1))
    assert again.sort_by("n").equals(table)
