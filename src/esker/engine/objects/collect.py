"""The map side of a wide step: pairs of one input partition, sorted into the output partitions' files."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

from esker.engine.calling import calling
from esker.engine.objects.codec import dump_one, load_one, weight
from esker.engine.objects.combine import Combine
from esker.engine.objects.keys import plain_key
from esker.engine.objects.partitioners import HashPartitioner, NumberPartitioner, Partitioner
from esker.engine.objects.runs import Runs, RunWriter, SpillPlace
from esker.errors import InputError
from esker.kernel import _kernel

Shape = Literal["groups", "records"]
#: Calls its argument with one iterable of pairs after the other.
Feed = Callable[[Callable[[Iterable[Any]], None]], None]
Table = _kernel.GroupTable | _kernel.RecordTable | _kernel.CombineTable

#: So many pairs show whether keys come again.
SAMPLE_PAIRS = 4096
#: Combining before the shuffle pays when keys are at most this share of the pairs.
_KEYS_SHARE = 0.5


def collect(
    pairs: Iterable[tuple[Any, Any]] | Feed,
    partitioner: Partitioner,
    *,
    place: SpillPlace,
    memory_bytes: int,
    shape: Shape = "groups",
    combine: Combine | None = None,
    operator: str = "collect",
) -> Runs:
    """Sort the pairs of one input partition into files, by the partition of their keys.

    Pairs come from an iterable, or are fed: `pairs(take)` calls `take` with one iterable after the other.

    `shape="groups"` brings the values of a key together, `"records"` keeps pairs in their order. `combine` merges
    values before they are written, unless the first few thousand pairs show that keys hardly repeat.

    Holds about `memory_bytes`; what is more is written, as several runs. Raises InputError for what is no pair,
    KeyTypeError for what is no key, SpillError when the disk is full. What `pairs` raises goes through; what a function
    of `combine` or of the partitioner raises comes as a CallFailure that names `operator`.
    """
    with RunWriter(place, partitioner.partition_count) as writer:
        filling: _Filling
        if shape == "groups" and combine is not None:
            filling = _FillCombined(combine, partitioner, writer, memory_bytes, operator)
        elif shape == "groups":
            table = _kernel.GroupTable(**table_options(partitioner, memory_bytes))
            filling = _Filling("groups", table, writer, operator)
        else:
            records = _kernel.RecordTable(**table_options(partitioner, memory_bytes))
            filling = _Filling("records", records, writer, operator)
        if isinstance(pairs, Iterable):
            filling.take(pairs)
        else:
            pairs(filling.take)
        filling.finish()
        return writer.runs


class _Filling:
    """A table that takes pairs, and is written when it is full."""

    def __init__(self, kind: str, table: Table, writer: RunWriter, operator: str) -> None:
        self._kind = kind
        self._table = table
        self._writer = writer
        self._operator = operator

    def take(self, pairs: Iterable[Any]) -> None:
        """Take all of these pairs."""
        stream = iter(pairs)
        while True:
            with calling(self._operator, self._table):
                ended = self._table.take(stream)
            if ended:
                return
            self._write()

    def finish(self) -> None:
        """Write what is left."""
        if len(self._table):
            self._write()

    def _write(self) -> None:
        with calling(self._operator, self._table):
            self._writer.write_table(self._kind, self._table.write)


class _FillCombined(_Filling):
    """A table of combiners, given up for one of records when the first pairs show that keys hardly repeat."""

    def __init__(
        self, combine: Combine, partitioner: Partitioner, writer: RunWriter, memory_bytes: int, operator: str
    ) -> None:
        self._combining = combine_table(combine, partitioner, memory_bytes)
        super().__init__("combined", self._combining, writer, operator)
        self._partitioner = partitioner
        self._memory_bytes = memory_bytes
        self._sampled = 0

    def take(self, pairs: Iterable[Any]) -> None:
        stream = iter(pairs)
        while self._sampled < SAMPLE_PAIRS:
            before = self._combining.taken
            with calling(self._operator, self._combining):
                ended = self._combining.take(stream, SAMPLE_PAIRS - self._sampled)
            self._sampled += self._combining.taken - before
            if self._combining.full():
                self._write()
                self._sampled = SAMPLE_PAIRS
            if ended:
                return
            if self._sampled >= SAMPLE_PAIRS and len(self._combining) > _KEYS_SHARE * SAMPLE_PAIRS:
                self._give_up()
        super().take(stream)

    def _give_up(self) -> None:
        self._write()
        self._kind = "records"
        self._table = _kernel.RecordTable(**table_options(self._partitioner, self._memory_bytes))


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
        "partition": None
        if isinstance(partitioner, HashPartitioner | NumberPartitioner)
        else getattr(partitioner, "quickly", partitioner),
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
