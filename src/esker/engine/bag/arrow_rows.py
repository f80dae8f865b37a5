"""Between Arrow and Python objects: the rows of a Dataset as a Bag's source, a Bag's rows as a Dataset's."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from esker.core.batch import plain_schema
from esker.core.context import QueryContext
from esker.core.explanation import Explanation
from esker.engine.bag.pipeline import Split, even_spans
from esker.engine.bag.plan import MadeNode
from esker.engine.bag.writing import record_batches
from esker.engine.source import Source, SourceRead
from esker.engine.sources.stored import filtered, needed, scan_explanation, spooled_source
from esker.engine.stream import single
from esker.expression import Expression
from esker.join.input import JoinInput

if TYPE_CHECKING:
    from esker.engine.bag.run import Run

# Rows that become Python objects at a time.
_ROWS = 1024


class BatchesNode(MadeNode):
    """Rows of record batches, run into a private file first: a partition is a stretch of it, read by mapping it."""

    def __init__(
        self, batches: Callable[[], Iterable[pa.RecordBatch]], schema: pa.Schema, partition_count: int, site: str
    ) -> None:
        super().__init__((), partition_count, "from_dataset", site)
        self._batches = batches
        self._schema = schema

    def make(self, run: Run) -> Sequence[Split]:
        path, counts = self._spool(run)
        ends = tuple(accumulate(counts))
        return [RowsSplit(path, ends, begin, end) for begin, end in even_spans(sum(counts), self._partitions)]

    def _spool(self, run: Run) -> tuple[str, list[int]]:
        path, fd = run.context.spill.new_file("rows")
        counts = []
        try:
            with os.fdopen(fd, "wb") as file, pa.ipc.new_file(file, self._schema) as writer:
                for batch in self._batches():
                    run.context.check()
                    if batch.num_rows:
                        writer.write_batch(batch)
                        counts.append(batch.num_rows)
        except OSError as error:
            raise run.context.spill.failure(error) from error
        return str(path), counts


@dataclass(frozen=True, eq=False)
class RowsSplit(Split):
    """Rows `begin` to `end` of a file of record batches, as dicts; `ends` counts the rows up to each batch's end."""

    path: str
    ends: tuple[int, ...]
    begin: int
    end: int

    def open(self) -> Iterator[dict[str, Any]]:
        if self.begin == self.end:
            return
        with pa.memory_map(self.path) as file, pa.ipc.open_file(file) as reader:
            row, number = self.begin, bisect_right(self.ends, self.begin)
            while row < self.end:
                first = self.ends[number - 1] if number else 0
                batch = reader.get_batch(number).slice(row - first, min(self.end, self.ends[number]) - row)
                for start in range(0, batch.num_rows, _ROWS):
                    yield from batch.slice(start, _ROWS).to_pylist()
                row, number = self.ends[number], number + 1


@dataclass(frozen=True)
class BatchesOf:
    """The rows of a partition as record batches."""

    schema: pa.Schema

    def __call__(self, index: int, elements: Iterator[Any]) -> Iterator[pa.RecordBatch]:
        return record_batches(elements, self.schema)


class BagSource(Source):
    """Rows that a Bag makes, anew each time they are read."""

    format = "bag"

    def __init__(self, schema: pa.Schema, batches: Callable[[], Iterator[pa.RecordBatch]]) -> None:
        self.name = "bag"
        self.schema = plain_schema(schema)
        self._batches = batches

    def read(self, columns: Sequence[str], predicate: Expression | None, context: QueryContext) -> SourceRead:
        wanted = needed(columns, predicate)

        def batches() -> Iterator[pa.RecordBatch]:
            for batch in self._batches():
                context.check()
                yield batch.select(wanted)

        schema = pa.schema([self.schema.field(name) for name in wanted])
        stream = filtered(single(schema, batches), columns, predicate, self.schema)
        return SourceRead(stream, self._explanation(columns, predicate))

    def join_input(
        self, columns: Sequence[str], predicate: Expression | None, context: QueryContext
    ) -> tuple[JoinInput, Explanation]:
        read = self.read(columns, predicate, context)
        return spooled_source(read.stream, read.explanation, context).join_input(columns, None, context)

    def _explanation(self, columns: Sequence[str], predicate: Expression | None) -> Explanation:
        return scan_explanation(self.name, self.format, columns, predicate)
