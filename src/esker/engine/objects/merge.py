"""Merging values by key in bounded memory, keys in the order in which they first appear.

What does not fit is divided by a second hash into files, as combiners with the place of their key's first pair. Each
part is merged apart, and the parts' results are woven together by place: so the order of the results does not depend
on how much memory there was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from esker.engine.calling import calling
from esker.engine.objects.codec import in_batches
from esker.engine.objects.runs import MappedFiles, RunWriter, SpillPlace
from esker.errors import MemoryBudgetExceededError
from esker.kernel import _kernel

_PARTS = 16
#: Sixteen times sixteen times ... parts: what does not fit then is one key.
_DEPTH_MAX = 6


class MergeTable(Protocol):
    """What holds something of each key, as the kernel's tables do: combiners, or places of values."""

    @property
    def source_failed(self) -> bool: ...
    def __len__(self) -> int: ...
    def take_placed(self, pairs: _kernel.PairReader) -> bool: ...
    def divide(self, fd: int, parts: int, depth: int) -> tuple[list[int], list[int]]: ...
    def drain(self, count: int) -> Any: ...
    def largest_key(self) -> Any: ...


Table = TypeVar("Table", bound=MergeTable)
#: Adds pairs to a table, and says whether there are no more: else the table is full.
Feed = Callable[[Table], bool]


def merge_by_key(
    feeds: Iterable[Feed[Table]],
    make_table: Callable[[], Table],
    *,
    place: SpillPlace,
    memory_bytes: int,
    operator: str,
    woven: Callable[[Any], Any] | None = None,
) -> Iterator[tuple[Any, Any]]:
    """Merge what the feeds give of each key; gives the keys by their first appearance.

    `make_table` makes a table of `memory_bytes`; `woven` makes a key's result of what was read back from a file.

    Raises MemoryBudgetExceededError, naming the key, when what is held of one key alone is larger than `memory_bytes`,
    and CallFailure, naming `operator` and the key, when a function of the table raises.
    """
    merge = _Merge(make_table, place, memory_bytes, operator)
    with ExitStack() as kept:
        table, divided = merge.fill(feeds, 0, kept)
        if not divided.runs.runs:
            # What a reader of these pairs raises is not raised here.
            with calling(operator, table):
                yield from in_batches(table.drain)
            return
        files = MappedFiles()
        done = kept.enter_context(RunWriter(place.below("merged"), 1))
        kept.callback(done.runs.remove)
        merge.finish(table, divided, done, 0)
        # Each part's results are in order of place; they are read a pair at a time, all parts at once.
        readers = [files.pairs(section) for section in done.runs.sections(0)]
        pairs = in_batches(_kernel.Weave(readers).take)
        yield from pairs if woven is None else ((key, woven(found)) for key, found in pairs)


class _Merge(Generic[Table]):
    def __init__(self, make_table: Callable[[], Table], place: SpillPlace, memory_bytes: int, operator: str) -> None:
        self._make_table = make_table
        self._place = place
        self._memory_bytes = memory_bytes
        self._operator = operator
        self._writers = 0

    def fill(self, feeds: Iterable[Feed[Table]], depth: int, kept: ExitStack) -> tuple[Table, RunWriter]:
        """Feed a table; when it is full, divide it into parts. Gives it with what is left in it."""
        table = self._make_table()
        self._writers += 1
        divided = kept.enter_context(RunWriter(self._place.below(f"parts{self._writers}"), _PARTS))
        kept.callback(divided.runs.remove)
        for feed in feeds:
            while not self._fed(feed, table):
                if depth == _DEPTH_MAX or len(table) == 1:
                    raise self._too_large(table)
                self._divide(table, divided, depth)
        return table, divided

    def _fed(self, feed: Feed[Table], table: Table) -> bool:
        with calling(self._operator, table):
            return feed(table)

    def finish(self, table: Table, divided: RunWriter, done: RunWriter, depth: int) -> None:
        """Merge each part apart, and write what comes of it as runs in order of place."""
        if len(table):
            self._divide(table, divided, depth)
        files = MappedFiles()
        for part in range(_PARTS):
            feeds = [partial(_take_placed, pairs=files.pairs(section)) for section in divided.runs.sections(part)]
            with ExitStack() as kept:
                inner, inner_divided = self.fill(feeds, depth + 1, kept)
                if inner_divided.runs.runs:
                    self.finish(inner, inner_divided, done, depth + 1)
                elif len(inner):
                    with calling(self._operator, inner):
                        done.write_table("combined", partial(inner.divide, parts=1, depth=0))

    def _divide(self, table: Table, divided: RunWriter, depth: int) -> None:
        with calling(self._operator, table):
            divided.write_table("combined", partial(table.divide, parts=_PARTS, depth=depth))

    def _too_large(self, table: Table) -> MemoryBudgetExceededError:
        return MemoryBudgetExceededError.of(
            self._operator,
            self._memory_bytes,
            self._memory_bytes,
            {f"{self._operator}, {len(table)} keys": self._memory_bytes},
            largest_key=table.largest_key(),
            advice="raise memory=, or group the values and reduce each group as a stream",
        )


def _take_placed(table: MergeTable, pairs: _kernel.PairReader) -> bool:
    return table.take_placed(pairs)
