"""What a join costs besides its reads: rough rates of two cores, measured once, good to a factor of two."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from esker.core.batch import plain_type
from esker.core.cost import Cost
from esker.core.row_set import RowSet
from esker.join.input import JoinInput
from esker.join.problem import Side
from esker.join.reading import choose_read

# Matching a row of either side: encoding, hashing, looking up.
MATCH_SECONDS_PER_ROW = 100e-9
# Sorting it by its key.
SORT_SECONDS_PER_ROW = 150e-9
# Copying rows into place, dividing them into pages, writing and reading spill.
GATHER_BYTES_PER_SECOND = 1.5e9
DIVIDE_BYTES_PER_SECOND = 1.0e9
SPILL_BYTES_PER_SECOND = 1.0e9
# Dividing rows on the way to the join's own disk, and sorting them in runs that are spilled and merged.
CHUNK_BYTES_PER_SECOND = 2.5e8
MERGE_BYTES_PER_SECOND = 1.0e8
# Rows expected to match are imagined in so many runs at most: what they cost to fetch is not known better.
_EXPECTED_RUNS_MAX = 4096
# A string's length where nothing is known but its type.
_VARIABLE_BYTES = 24


def read_cost(side: Side) -> Cost:
    """The reads of an algorithm that decides and fetches in one go."""
    return choose_read(side.input.store, side.input.candidates, side.all_columns).cost


def held_bytes(input_: JoinInput, columns: Sequence[str]) -> int:
    """How much memory `columns` of a side's rows may take: what is stored, or what their types take, if more."""
    store = input_.store
    by_type = row_bytes(store.schema, columns) * input_.candidate_count
    stored = store.scan_cost(columns).bytes if columns else 0
    return max(by_type, stored * input_.candidate_count // max(store.row_count, 1))


def payload_bytes(side: Side, row_count: int) -> int:
    """How much memory what the output takes of `row_count` rows of a side may take."""
    return held_bytes(side.input, side.columns) * row_count // max(side.input.candidate_count, 1)


def key_bytes(input_: JoinInput, keys: Sequence[str]) -> int:
    """How much the keys of a side take with their row ids."""
    return (row_bytes(input_.store.schema, keys) + 8) * input_.candidate_count


def row_bytes(schema: pa.Schema, columns: Sequence[str]) -> int:
    """Bytes of a row by the types of its columns; values of variable length are guessed."""
    return sum(value_bytes(plain_type(schema.field(name).type)) for name in columns)


def expected_rows(own: JoinInput, other: JoinInput) -> RowSet:
    """The rows of `own` a key join may find, before it is made.

    Assumes that the smaller side's rows match once each, and that they lie evenly among the larger side's.
    """
    candidates = own.candidates
    count = min(len(candidates), other.candidate_count)
    if count in (0, len(candidates)):
        return candidates if count else RowSet.empty()
    run_count = min(count, _EXPECTED_RUNS_MAX)
    if own.rows is not None:
        ranks = np.linspace(0, len(candidates) - 1, run_count).astype(np.int64)
        return RowSet.of([candidates.select(int(rank)) for rank in ranks])
    starts = np.arange(run_count, dtype=np.uint64) * np.uint64(len(candidates) // run_count)
    return RowSet.from_runs(starts, starts + np.uint64(count // run_count))


def value_bytes(type_: pa.DataType) -> int:
    """Bytes of a value of a type; guessed where they vary."""
    try:
        return max(int(type_.bit_width) // 8, 1)
    except ValueError:
        return _VARIABLE_BYTES
