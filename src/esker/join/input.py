"""One side of a join: a row store, the rows and columns wanted of it, and a filter."""

from __future__ import annotations

from dataclasses import dataclass

from esker.core.row_set import RowSet
from esker.core.row_store import RowStore
from esker.expression import Expression
from esker.expression import columns as columns_of


@dataclass(frozen=True)
class JoinInput:
    """What a join takes from one side.

    `rows` is what an index found (None: all rows), `columns` what the output wants, in order; `predicate` (bound to
    the store's schema) is applied to every row before it can match or count as unmatched.
    """

    store: RowStore
    rows: RowSet | None
    columns: tuple[str, ...]
    predicate: Expression | None = None

    @property
    def candidates(self) -> RowSet:
        """The rows before the predicate: those found, or all."""
        return self.rows if self.rows is not None else RowSet.range(0, self.store.row_count)

    @property
    def candidate_count(self) -> int:
        """How many rows there are before the predicate."""
        return len(self.rows) if self.rows is not None else self.store.row_count

    def deciding_columns(self, keys: tuple[str, ...]) -> tuple[str, ...]:
        """The keys and what the predicate reads: all it takes to know which rows match."""
        extra = columns_of(self.predicate) - set(keys) if self.predicate is not None else frozenset()
        return tuple(dict.fromkeys((*keys, *sorted(extra))))
