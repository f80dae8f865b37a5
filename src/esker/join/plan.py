"""Planning a join: estimate every algorithm, choose one, say why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from esker.core.context import QueryContext
from esker.core.cost import NO_COST, Cost
from esker.errors import OptionError
from esker.expression import to_sql
from esker.join.account import Account
from esker.join.algorithms import ALGORITHMS
from esker.join.algorithms.asj import payload_reads
from esker.join.decide import decide
from esker.join.input import JoinInput
from esker.join.layout import plan_layout
from esker.join.limits import JoinLimits
from esker.join.problem import Estimate, JoinProblem, Side
from esker.join.reading import ReadChoice
from esker.join.work import read_cost

# Reading both sides must cost at least this before keys whose payload is as near as they are get joined ahead.
_WORTH_DECIDING_SECONDS = 0.1
# Differences below this are noise.
_RESOLUTION_SECONDS = 0.001


@dataclass
class JoinPlan:
    """A join that is ready to run: the algorithm chosen, why, and what each would cost.

    `join_index_rows` is the number of pairs, once known: before the run when planning joined the keys. `actual` is
    what the reads cost, planning's included, as the stores price exactly what was read.
    """

    schema: pa.Schema
    choice: str
    reason: str
    estimates: Mapping[str, Estimate]
    problem: JoinProblem
    join_index_rows: int | None = None
    actual: Cost | None = None
    forced: bool = False

    def run(self, context: QueryContext, step: int | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the joined rows; refuses before reading when the estimate is above the user's limit.

        `step` is the number of the plan's step that it is, for the event log.
        """
        estimate = self.estimates[self.choice]
        context.check_cost(estimate.cost, "the join")
        if self.choice != "asj":
            self._drop_index()
        rows = 0
        self.problem.account = Account()
        try:
            for batch in ALGORITHMS[self.choice]().run(self.problem, context):
                context.check()
                rows += batch.num_rows
                if batch.num_rows:
                    yield batch
        finally:
            self._drop_index()
        self.actual = self.problem.actual
        for event in self.problem.account.events if context.log.heard else ():
            context.log.emit("device_event", tier=None, **event.to_json())
        context.log.emit(
            "join_done",
            algorithm=self.choice,
            rows=rows,
            estimated=estimate.cost.to_json(),
            actual=self.actual.to_json(),
            account=self.problem.account.to_json(),
            step=step,
            how=self.problem.layout.how,
            forced=self.forced,
            instead={
                name: estimate.cost.to_json()
                for name, estimate in self.estimates.items()
                if estimate.supported and name != self.choice
            },
            sides=[_seen(self.problem.left), _seen(self.problem.right)],
        )

    def _drop_index(self) -> None:
        """Free the join index; a second run makes it again."""
        if self.problem.index is not None:
            self.join_index_rows = self.problem.index.pair_count
            self.problem.index.close()
            self.problem.index = None

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary for `--json`, reports and the event log."""
        return {
            "on": [list(pair) for pair in self.problem.layout.on],
            "how": self.problem.layout.how,
            "choice": self.choice,
            "reason": self.reason,
            "join_index_rows": self.join_index_rows,
            "estimates": {name: estimate.to_json() for name, estimate in self.estimates.items()},
            "actual": self.actual.to_json() if self.actual is not None else None,
        }


def plan_join(
    left: JoinInput,
    right: JoinInput,
    on: Sequence[tuple[str, str]],
    how: str,
    *,
    algorithm: str = "auto",
    suffix: str = "_right",
    limits: JoinLimits | None = None,
    context: QueryContext,
) -> JoinPlan:
    """Plan a join of two inputs on pairs of key columns.

    Reads hot columns only: when keys and filters are hot, and the payload is not, the keys are joined here, and the
    estimate of `asj` is exact. `auto` takes the least time, then the fewest bytes. See `join_schema` for the output.
    `limits` say what memory and disk the joins of source 003 may use, and how fast that disk is; without, those of
    the query's budget and spill folder.
    """
    if algorithm != "auto":
        ALGORITHMS[algorithm]  # an unknown name is an error before anything is read
    layout = plan_layout(left.store.schema, right.store.schema, on, how, suffix, left.columns, right.columns)
    problem = JoinProblem.of(left, right, layout)
    problem.limits = limits
    if algorithm in ("auto", "asj") and _decides_ahead(problem):
        problem.index = decide(problem, context)
        problem.decided = problem.spent.cost
        context.resources.callback(problem.index.close)
    estimates = {name: variant().estimate(problem, context) for name, variant in ALGORITHMS.items()}
    choice = _choose(algorithm, estimates, problem)
    plan = JoinPlan(layout.schema, choice, _reason(algorithm, choice, estimates, problem), estimates, problem)
    plan.forced = algorithm != "auto"
    plan.join_index_rows = problem.index.pair_count if problem.index is not None else None
    context.log.emit("join_planned", **plan.to_json())
    return plan


def _seen(side: Side) -> dict[str, Any]:
    """What was seen of a side, for the event log."""
    predicate = side.input.predicate
    return {
        "by": list(side.keys),
        "predicate": to_sql(predicate) if predicate is not None else None,
        "row_count": side.input.store.row_count,
        **side.seen.to_json(),
    }


def _decides_ahead(problem: JoinProblem) -> bool:
    """Whether the keys are joined while planning: they must be hot, and knowing the pairs worth it."""
    sides = problem.left, problem.right
    if not all(side.decides_hot for side in sides):
        return False
    if any(not set(side.columns) <= side.input.store.hot_columns for side in sides):
        return True
    return sum(read_cost(side).seconds for side in sides) > _WORTH_DECIDING_SECONDS


def _choose(algorithm: str, estimates: Mapping[str, Estimate], problem: JoinProblem) -> str:
    if algorithm != "auto":
        if not estimates[algorithm].supported:
            raise OptionError(f"algorithm={algorithm!r} cannot do this join: {estimates[algorithm].detail}")
        return algorithm

    able = {name: estimate for name, estimate in estimates.items() if estimate.supported}
    # What planning has read already is spent, whatever is chosen.
    done = {name: problem.decided if name == "asj" else NO_COST for name in able}
    all_match = {name: estimate.seconds - done[name].seconds for name, estimate in able.items()}
    few_match = {name: estimate.seconds_if_few_match - done[name].seconds for name, estimate in able.items()}

    def ahead(name: str) -> tuple[float, float, int, bool]:
        # How many rows match is not known: the one that at worst takes the fewest times as long as another. Below a
        # millisecond nothing is known, and the one that reads in one pass is the simplest.
        regret = max(_regret(all_match, name), _regret(few_match, name))
        size_bytes = able[name].cost.bytes - done[name].bytes
        return round(regret, 3), round(all_match[name], 3), size_bytes, name != "in_memory"

    return min(able, key=ahead)


def _regret(seconds: Mapping[str, float], name: str) -> float:
    """How many times as long as the quickest, to a millisecond."""
    least = max(min(seconds.values()), _RESOLUTION_SECONDS)
    return max(seconds[name], least) / least


def _reason(algorithm: str, choice: str, estimates: Mapping[str, Estimate], problem: JoinProblem) -> str:
    chosen = "asked for" if algorithm != "auto" else ""
    if choice == "asj":
        reads = payload_reads(problem)
        words = [
            _side_reason(name, side, reads[number], problem, number)
            for number, (name, side) in enumerate((("left", problem.left), ("right", problem.right)))
        ]
        return "; ".join(filter(None, [chosen, *words])) or "the keys alone decide, no payload is read"
    if problem.index is not None:
        keyed = estimates["asj"]
        text = f"reading both sides once ({estimates[choice].cost}) is cheaper than keys first ({keyed.cost})"
    else:
        text = f"{estimates[choice].detail}; keys first would cost {estimates['asj'].cost}, {estimates['asj'].detail}"
    return chosen or text


def _side_reason(name: str, side: Side, read: ReadChoice, problem: JoinProblem, number: int) -> str:
    """Say why one side is fetched or scanned, with the figures compared."""
    index = problem.index
    if read.method == "none":
        return ""
    if index is None:
        return f"{name}: fetch or scan once the join index is known"
    needed = (index.left_matched, index.right_matched)[number]
    if problem.layout.how == "anti" and number == 0:
        needed = index.left_rows - index.left_matched
    if (problem.layout.keeps_left, problem.layout.keeps_right)[number]:
        return f"{name}: a {read.method}, as all its rows come out"
    rows = side.input.store.row_count
    share = f"{len(needed) / max(rows, 1):.1%} of the" if 1000 * len(needed) >= rows else f"{len(needed):,} of {rows:,}"
    words = f"{share} {name} rows {'do not match' if problem.layout.how == 'anti' else 'match'}"
    if read.method == "fetch":
        return f"fetching pays: {words}, {read.fetch_cost} against {read.scan_cost} for a scan"
    if read.fetch_cost == read.scan_cost:
        return f"a scan is cheaper: {words}, so fetching would read no less than its {read.scan_cost}"
    return f"a scan is cheaper: {words}, so fetching would read {read.fetch_cost} against {read.scan_cost}"
