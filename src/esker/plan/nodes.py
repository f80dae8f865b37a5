"""Plan nodes: what to do, as values. A node knows its schema and its inputs, and nothing of how it is run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from esker.engine.aggregate import Aggregator
from esker.engine.distributed_shuffle import FetchedPartition
from esker.engine.range_placement import Numbering
from esker.engine.source import Source
from esker.expression import Expression
from esker.index.vector_parts import VectorParts

if TYPE_CHECKING:
    from esker.join.key_slots import PackedSlots
    from esker.plan.join_apart import Keying
    from esker.plan.join_marks import Marking


@dataclass(frozen=True, eq=False)
class Node:
    """A step of a plan; `schema` is that of its rows."""

    schema: pa.Schema

    @property
    def inputs(self) -> tuple[Node, ...]:
        """The nodes it reads from."""
        return ()

    def with_inputs(self, inputs: tuple[Node, ...]) -> Node:
        """The same step on other inputs (of the same schemas, or a subset of their columns)."""
        assert not inputs
        return self


@dataclass(frozen=True, eq=False)
class Scan(Node):
    """Read columns of a source; `predicate` is bound to the source's schema, not to the columns read."""

    source: Source
    predicate: Expression | None = None


@dataclass(frozen=True, eq=False)
class OneInput(Node):
    """A step on one input."""

    input: Node

    @property
    def inputs(self) -> tuple[Node, ...]:
        return (self.input,)

    def with_inputs(self, inputs: tuple[Node, ...]) -> Node:
        (only,) = inputs
        return replace(self, input=only)


@dataclass(frozen=True, eq=False)
class Filter(OneInput):
    """Keep the rows for which `predicate` (bound to the input's schema) is true."""

    predicate: Expression


@dataclass(frozen=True, eq=False)
class Project(OneInput):
    """Keep the columns of `schema`, in its order."""


@dataclass(frozen=True, eq=False)
class MapBatches(OneInput):
    """Call `function` with each batch."""

    function: Callable[[pa.RecordBatch], Any]


@dataclass(frozen=True, eq=False)
class Shuffle(OneInput):
    """Regroup the rows into `partition_count` partitions by a function of `by`; without `by` as evenly as can be."""

    by: tuple[str, ...]
    partition_count: int
    strategy: str = "auto"
    function: str = "hash"


@dataclass(frozen=True, eq=False)
class MapGroups(OneInput):
    """Call `function` with each group of rows that agree on `by`: a table, or an iterator of batches if `batches`."""

    by: tuple[str, ...]
    function: Callable[[Any], Any]
    partition_count: int
    batches: bool = False


@dataclass(frozen=True, eq=False)
class Distinct(OneInput):
    """The first row of each key `by`, or the last one; `keep` says which."""

    by: tuple[str, ...]
    partition_count: int
    keep: str = "first"


@dataclass(frozen=True, eq=False)
class Aggregate(OneInput):
    """One row for each key `by`, with what `aggregator` makes of the columns it names."""

    by: tuple[str, ...]
    aggregator: Aggregator
    partition_count: int


@dataclass(frozen=True, eq=False)
class Sort(OneInput):
    """All rows in the order of the columns `by`; `descending` is as long."""

    by: tuple[str, ...]
    descending: tuple[bool, ...]
    nulls_first: bool = False


@dataclass(frozen=True, eq=False)
class Sample(OneInput):
    """Each row with the chance `fraction`, or `rows` rows of all."""

    fraction: float | None
    rows: int | None
    seed: int


@dataclass(frozen=True, eq=False)
class Head(OneInput):
    """The first `rows` rows."""

    rows: int


@dataclass(frozen=True, eq=False)
class Join(Node):
    """Join two inputs on pairs of columns."""

    left: Node
    right: Node
    on: tuple[tuple[str, str], ...]
    how: str
    algorithm: str
    suffix: str

    @property
    def inputs(self) -> tuple[Node, ...]:
        return (self.left, self.right)

    def with_inputs(self, inputs: tuple[Node, ...]) -> Node:
        left, right = inputs
        return replace(self, left=left, right=right)


# ---- what only tasks in other processes run ----


@dataclass(frozen=True, eq=False)
class Exchanged(Node):
    """One partition of a shuffle that has been: the input of the step behind it, at a worker."""

    fetched: FetchedPartition


@dataclass(frozen=True, eq=False)
class FirstRows(OneInput):
    """One row of each key of each batch: the first half of `Distinct`."""

    by: tuple[str, ...]
    keep: str


@dataclass(frozen=True, eq=False)
class Partials(OneInput):
    """Partial results of each batch: the first half of `Aggregate`."""

    aggregator: Aggregator


@dataclass(frozen=True, eq=False)
class Numbered(OneInput):
    """The rows with the numbers of their partitions behind: what goes into a shuffle by number."""

    numbering: Numbering


@dataclass(frozen=True, eq=False)
class Drawn(OneInput):
    """Rows of a partition that may be among `rows` of all, with the numbers that they drew behind.

    The partition's own number says what they draw, or, where it is known, the place of its first row in a table.
    """

    rows: int
    seed: int
    partition: int
    first_row: int | None = None


@dataclass(frozen=True, eq=False)
class Dealt(OneInput):
    """Rows of which the first is number `first_row` of all, with the numbers of the partitions they are dealt to."""

    first_row: int
    partition_count: int


@dataclass(frozen=True, eq=False)
class Vectored(OneInput):
    """The rows with the vectors of an index behind, batch by batch."""

    parts: VectorParts


@dataclass(frozen=True, eq=False)
class Keyed(OneInput):
    """Partition `partition` of a side of a join, with the numbers of its rows and its keys behind.

    Rows whose keys are not among the `marks` of the other side are left out.
    """

    keying: Keying
    partition: int
    marks: PackedSlots | None = None


@dataclass(frozen=True, eq=False)
class KeyMarks(OneInput):
    """One row: which keys the rows of the input have."""

    marking: Marking


@dataclass(frozen=True, eq=False)
class JoinPart(Node):
    """The join of one partition of each of two shuffles."""

    left: FetchedPartition
    right: FetchedPartition
    on: tuple[tuple[str, str], ...]
    how: str
    suffix: str


@dataclass(frozen=True, eq=False)
class JoinedRows(OneInput):
    """A piece of what a join gave, in the order of the rows' numbers `by`, which are left out."""

    by: tuple[str, ...]
