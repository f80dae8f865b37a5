"""A run of a query: batches as they come, and the plan with what it really cost."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import suppress

import pyarrow as pa

from esker.core.batch import cast_batch
from esker.core.context import QueryContext
from esker.core.explanation import Explanation
from esker.engine.stream import run
from esker.plan.compiled import Compiled


class Result:
    """Iterate it once for the batches; `explanation` has estimates at once, and actuals when the rows were read.

    What the query holds (memory, spill files, threads) is freed when the last batch was read, on an error, on
    `close`, or when the result is dropped.
    """

    def __init__(self, compiled: Compiled, context: QueryContext) -> None:
        self.explanation: Explanation = compiled.explanation
        self.schema: pa.Schema = compiled.stream.schema
        self._context = context
        # Knows nothing of this object: a cycle would keep threads and spill until the collector comes by.
        self._batches = _run(compiled, context)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        # A generator of its own holds this object for as long as someone reads; `yield from` would end the run when
        # the first reader leaves.
        for batch in self._batches:  # noqa: UP028  # the reason is above
            yield batch

    def to_arrow(self) -> pa.Table:
        """Read all rows into a table (in the caller's memory, outside the budget)."""
        return pa.Table.from_batches(list(self), self.schema)

    def to_reader(self) -> pa.RecordBatchReader:
        """A pyarrow reader over the batches."""
        return pa.RecordBatchReader.from_batches(self.schema, iter(self))

    def close(self) -> None:
        """Stop the query and free what it holds; calling it again does nothing."""
        self._batches.close()
        self._context.close()

    def __del__(self) -> None:
        with suppress(Exception):  # nothing can be raised from here
            self.close()


def _run(compiled: Compiled, context: QueryContext) -> Generator[pa.RecordBatch]:
    with context:
        rows = 0
        for batch in run(compiled.stream, context, "result"):
            rows += batch.num_rows
            yield cast_batch(batch, compiled.stream.schema)
        compiled.done(rows, context)
