"""Which partition a row goes to, as arrays: the kernel's functions, open to everyone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from esker.core.batch import require_columns
from esker.errors import EskerError, OptionError
from esker.kernel import _kernel
from esker.shuffle.border import page_keys, to_page_batch

FUNCTIONS = ("hash", "modulo", "id")
# What the kernel can number.
PARTITIONS_MAX = 1 << 20


def key_indices(names: Sequence[str], by: Sequence[str], where: str = "") -> tuple[int, ...]:
    """Find the key columns; raises UnknownColumnError, or OptionError for none or an ambiguous one."""
    if not by:
        raise OptionError("by= names no column; a shuffle needs at least one key")
    for name in by:
        if list(names).count(name) > 1:
            raise OptionError(f"by= names {name!r}, and there are several columns of that name")
    return tuple(list(names).index(name) for name in by)


def check_partition_count(partition_count: int) -> None:
    """Raise OptionError for a number of partitions that cannot be."""
    if not 1 <= partition_count <= PARTITIONS_MAX:
        raise OptionError(f"partitions={partition_count} is out of range; from 1 to {PARTITIONS_MAX:,} are possible")


def hash_rows(batch: Any, by: Sequence[str], seed: int = 0) -> npt.NDArray[np.uint64]:
    """Hash the key columns of each row: the same on every machine and in every run.

    >>> import pyarrow as pa
    >>> batch = pa.record_batch({"k": pa.array([1, None, 1]), "s": ["a", "b", "a"]})
    >>> hashes = hash_rows(batch, ["k", "s"])
    >>> bool(hashes[0] == hashes[2]), bool(hashes[0] == hashes[1])
    (True, False)

    Nulls are equal, -0.0 is 0.0, all NaNs are one; integers are equal by value whatever their width, strings by
    their bytes however Arrow holds them, nested values when all that is in them is.
    """
    require_columns(by, batch.schema)
    found: npt.NDArray[np.uint64] = _kernel.hash_rows(*_hashed(batch, by), seed)
    return found


def partition_ids(
    batch: Any, by: Sequence[str], partition_count: int, *, function: str = "hash", seed: int = 0
) -> npt.NDArray[np.uint32]:
    """Say the partition of each row.

    >>> import pyarrow as pa
    >>> partition_ids(pa.record_batch({"k": [7, -1, 8]}), ["k"], 4, function="modulo").tolist()
    [3, 3, 0]

    "hash" takes any key columns; "modulo" and "id" take one column of integers: "modulo" is never negative and
    puts null into partition 0, "id" is the partition itself.
    """
    require_columns(by, batch.schema)
    check_partition_count(partition_count)
    try:
        found: npt.NDArray[np.uint32] = _kernel.partition_ids(*_hashed(batch, by), partition_count, function, seed)
    except EskerError:
        raise
    except ValueError as error:
        raise OptionError(f"by={list(by)}: {error}") from error
    return found


def _hashed(batch: Any, by: Sequence[str]) -> tuple[pa.RecordBatch, list[int]]:
    """The key columns as a page holds them, and their numbers."""
    taken = pa.record_batch(batch)
    key_indices(taken.schema.names, by)
    keys = taken.select(list(by))
    numbers = range(len(by))
    return to_page_batch(keys, numbers), list(page_keys(keys.schema, numbers))
