"""Where rows come from: what a plan's scan asks of files, tables and frozen data sets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from esker.core.context import QueryContext
from esker.core.cost import Cost
from esker.core.explanation import Explanation
from esker.engine.stream import PartitionedStream
from esker.expression import Expression
from esker.join.input import JoinInput


@dataclass(frozen=True)
class SourceRead:
    """A scan that is ready to run: `predicate` is applied in full, columns are as asked."""

    stream: PartitionedStream
    explanation: Explanation


class Source(ABC):
    """Rows with a schema. Planning reads only what is hot: footers, catalogues, key columns, the index.

    `repeatable` says whether a second scan, of a few columns, gives the same rows again; conditions on
    `indexed_columns` are answered without a row read.
    """

    name: str
    format: str
    schema: pa.Schema
    repeatable: bool = True
    indexed_columns: frozenset[str] = frozenset()

    def apart(self, index: int) -> Source | None:
        """The source as another process takes it to make partition `index`; None where rows are read only here."""
        return None

    @abstractmethod
    def read(self, columns: Sequence[str], predicate: Expression | None, context: QueryContext) -> SourceRead:
        """Plan a scan of `columns` of the rows for which `predicate` (bound to the schema) is true."""

    def preview_cost(self, columns: Sequence[str]) -> Cost | None:
        """What reading a few of the first rows costs at most; None where that is no small matter."""
        return None

    @abstractmethod
    def join_input(
        self, columns: Sequence[str], predicate: Expression | None, context: QueryContext
    ) -> tuple[JoinInput, Explanation]:
        """Offer the rows to a join, by row id."""
