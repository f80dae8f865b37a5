"""A join to be done, as every algorithm gets it; and what one says of its cost."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pyarrow as pa

from esker.core.context import QueryContext
from esker.core.cost import NO_COST, Cost
from esker.join.account import Account
from esker.join.input import JoinInput
from esker.join.join_index import JoinIndex
from esker.join.layout import Layout
from esker.join.limits import JoinLimits
from esker.join.reading import Spent
from esker.join.seen import SideSeen


@dataclass(frozen=True)
class Side:
    """One side as algorithms see it: the input, its key columns, and the columns the output takes from it."""

    input: JoinInput
    keys: tuple[str, ...]
    columns: tuple[str, ...]
    seen: SideSeen = field(default_factory=SideSeen, compare=False)

    @property
    def all_columns(self) -> tuple[str, ...]:
        """Everything a join reads that decides and fetches in one go."""
        return tuple(dict.fromkeys((*self.input.deciding_columns(self.keys), *self.columns)))

    @property
    def decides_hot(self) -> bool:
        """Whether its keys and its predicate need hot columns only."""
        return set(self.input.deciding_columns(self.keys)) <= self.input.store.hot_columns


@dataclass
class JoinProblem:
    """Both sides, the output's layout, what was spent so far, and the join index once it is known."""

    left: Side
    right: Side
    layout: Layout
    index: JoinIndex | None = None
    decided: Cost = NO_COST
    spent: Spent = field(default_factory=Spent)
    limits: JoinLimits | None = None
    account: Account = field(default_factory=Account)

    @classmethod
    def of(cls, left: JoinInput, right: JoinInput, layout: Layout) -> JoinProblem:
        """Give each side its part of the layout."""
        return cls(
            Side(left, layout.left_keys, layout.left_columns),
            Side(right, layout.right_keys, layout.right_columns),
            layout,
        )

    @property
    def actual(self) -> Cost:
        """What the run cost so far: by the devices it was accounted on, or as the stores told of its reads."""
        return self.account.cost if self.account.used else self.spent.cost

    def limits_in(self, context: QueryContext) -> JoinLimits:
        """The limits given, or what the query has free."""
        return self.limits if self.limits is not None else JoinLimits.of(context)

    def flipped(self) -> JoinProblem:
        """The same join with left and right exchanged."""
        return replace(self, left=self.right, right=self.left, layout=self.layout.flipped(), index=None)


@dataclass(frozen=True)
class Estimate:
    """What an algorithm would cost: `cost` is of its reads, `work_seconds` of matching, copying and spilling.

    `few_matches` is the cost when far fewer rows match than `cost` assumes, where that makes a difference.
    """

    cost: Cost
    detail: str
    supported: bool = True
    work_seconds: float = 0.0
    few_matches: Cost | None = None

    @property
    def seconds(self) -> float:
        """Reads and work, one after the other."""
        return self.cost.seconds + self.work_seconds

    @property
    def seconds_if_few_match(self) -> float:
        """The same when few rows match."""
        return (self.few_matches or self.cost).seconds + self.work_seconds

    def to_json(self) -> dict[str, object]:
        """A plain dictionary."""
        return {
            "cost": self.cost.to_json(),
            "work_seconds": round(self.work_seconds, 6),
            "detail": self.detail,
            "supported": self.supported,
        }


class JoinAlgorithm(ABC):
    """A way to join. `estimate` reads nothing; `run` yields the output and keeps within the context's budget."""

    @abstractmethod
    def estimate(self, problem: JoinProblem, context: QueryContext) -> Estimate:
        """Say what `run` would cost, and whether it can do this join at all."""

    @abstractmethod
    def run(self, problem: JoinProblem, context: QueryContext) -> Iterator[pa.RecordBatch]:
        """Yield the joined rows."""
