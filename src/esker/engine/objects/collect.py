"""The map side of a wide step: pairs of one input partition, sorted into the output partitions' files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal

from esker.engine.objects.codec import dump_one, load_one, weight
from esker.engine.objects.combine import Combine
from esker.engine.objects.keys import plain_key
from esker.engine.objects.partitioners import HashPartitioner, NumberPartitioner, Partitioner
from esker.engine.objects.runs import Runs, RunWriter, SpillPlace
from esker.errors import InputError
from esker.kernel import _kernel

Shape = Literal["groups", "records"]
Table = _kernel.GroupTable | _kernel.RecordTable

#: So many pairs show whether keys come again.
SAMPLE_PAIRS = 4096
#: Combining before the shuffle pays when keys are at most this share of the pairs.
_KEYS_SHARE = 0.5


def collect(
    pairs: Iterable[tuple[Any, Any]],
    partitioner: Partitioner,
    *,
    place: SpillPlace,
    memory_bytes: int,
    shape: Shape = "groups",
    combine: Combine | None = None,
) -> Runs:
    """Sort the pairs of one input partition into files, by the partition of their keys.

    `shape="groups"` brings the values of a key together, `"records"` keeps pairs in their order. `combine` merges
    values before they are written, unless the first few thousand pairs show that keys hardly repeat.

    Holds about `memory_bytes`; what is more is written, as several runs. Raises InputError for what is no pair,
    KeyTypeError for what is no key, SpillError when the disk is full. What `pairs` raises goes through.
    """
    with RunWriter(place, partitioner.partition_count) as writer:
        stream = iter(pairs)
        if shape == "groups" and combine is not None:
            _collect_combined(stream, partitioner, writer, memory_bytes, combine)
        elif shape == "groups":
            fill("groups", _kernel.GroupTable(**table_options(partitioner, memory_bytes)), stream, writer)
        else:
            fill("records", _kernel.RecordTable(**table_options(partitioner, memory_bytes)), stream, writer)
        return writer.runs


def fill(kind: str, table: Table, stream: Iterator[Any], writer: RunWriter) -> None:
    """Take all of a stream, and write the table when it is full and at the end."""
    while not table.take(stream):
        writer.write_table(kind, table.write)
    if len(table):
        writer.write_table(kind, table.write)


def table_options(partitioner: Partitioner, memory_bytes: int) -> dict[str, Any]:
    """What every table of the kernel is made of: its size, and functions for what it does not know."""
    return {
        "partition_count": partitioner.partition_count,
        "memory_bytes": memory_bytes,
        "plain": plain_key,
        "dump": dump_one,
        "load": load_one,
        "pair": _as_pair,
        # Without a function the kernel hashes; that leaves a number from 0 to the count as it is.
        "partition": None if isinstance(partitioner, HashPartitioner | NumberPartitioner) else partitioner,
    }


def combine_table(combine: Combine, partitioner: Partitioner, memory_bytes: int) -> _kernel.CombineTable:
    """A table that merges the values of a key as they come."""
    return _kernel.CombineTable(
        **table_options(partitioner, memory_bytes),
        create=combine.create,
        merge_value=combine.merge_value,
        merge_combiners=combine.merge_combiners,
        weigh=weight,
        balanced=combine.balanced,
    )


def _as_pair(pair: Any) -> tuple[Any, Any]:
    try:
        key, value = pair
    except (TypeError, ValueError):
        shown = repr(pair)
        shown = shown if len(shown) <= 200 else shown[:199] + "…"
        raise InputError(
            f"{shown} is no (key, value) pair; make pairs with map or key_by before a step by key"
        ) from None
    return key, value


def _collect_combined(
    stream: Iterator[Any], partitioner: Partitioner, writer: RunWriter, memory_bytes: int, combine: Combine
) -> None:
    table = combine_table(combine, partitioner, memory_bytes)
    ended = table.take(stream, SAMPLE_PAIRS)
    if not ended and len(table) > _KEYS_SHARE * SAMPLE_PAIRS:
        writer.write_table("combined", table.write)
        fill("records", _kernel.RecordTable(**table_options(partitioner, memory_bytes)), stream, writer)
        return
    while not ended:
        if table.full():
            writer.write_table("combined", table.write)
        ended = table.take(stream)
    if len(table):
        writer.write_table("combined", table.write)
