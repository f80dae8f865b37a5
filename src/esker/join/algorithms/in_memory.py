"""In-memory join: the right side is loaded, the left one streamed past it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import chain

import pyarrow as pa

from esker.core.byte_size import format_bytes
from esker.core.context import QueryContext
from esker.join.divide import Charge, undividable
from esker.join.grace import GraceJoin
from esker.join.held_rows import copies_held
from esker.join.key_join import MATCH_BYTES_PER_ROW
from esker.join.keyed import KeyedSide, filtered_by
from esker.join.output import Output
from esker.join.probe import Probe, join_loaded, left_without_partner
from esker.join.problem import Estimate, JoinAlgorithm, JoinProblem
from esker.join.work import GATHER_BYTES_PER_SECOND, MATCH_SECONDS_PER_ROW, held_bytes, read_cost


class InMemoryJoin(JoinAlgorithm):
    """Hold the right rows, stream the left ones; rows come out by left row id, then right row id.

    Right rows without a partner come last, by theirs. When the right side proves larger than was thought, the rows
    read so far and the rest go through a Grace join, whose order is its own.
    """

    def estimate(self, problem: JoinProblem, context: QueryContext) -> Estimate:
        cost = read_cost(problem.left) + read_cost(problem.right)
        right, limit = problem.right, context.budget.free_bytes // 2
        if problem.limits is not None:
            limit = min(limit, problem.limits.memory_bytes)
        copies = copies_held(KeyedSide(right, problem, context).schema)
        size = _loaded_bytes(held_bytes(right.input, right.all_columns), right.input.candidate_count, copies)
        rows = problem.left.input.candidate_count + right.input.candidate_count
        copied = held_bytes(problem.left.input, problem.left.all_columns) + held_bytes(right.input, right.all_columns)
        work = rows * MATCH_SECONDS_PER_ROW + copied / GATHER_BYTES_PER_SECOND
        detail = f"loading the right side takes about {format_bytes(size)}"
        if size > limit:
            detail += f", more than the {format_bytes(limit)} a join may hold"
        return Estimate(cost, detail, supported=size <= limit, work_seconds=work)

    def run(self, problem: JoinProblem, context: QueryContext) -> Iterator[pa.RecordBatch]:
        account, disk = problem.account, problem.limits_in(context).disk
        work = account.work("in memory", account.seconds)
        spent = problem.spent.on(work)
        left, right = (KeyedSide(side, problem, context, spent) for side in (problem.left, problem.right))
        with filtered_by(left, right, problem.layout, context):
            yield from self._run(left, right, problem, context, partial(work.transfer, disk))
        account.end_phase("in memory")

    def _run(
        self, left: KeyedSide, right: KeyedSide, problem: JoinProblem, context: QueryContext, charge: Charge
    ) -> Iterator[pa.RecordBatch]:
        output = Output(problem.layout, context)
        loaded: list[pa.RecordBatch] = []
        copies = copies_held(right.schema)
        limit, size, rows = context.budget.free_bytes // 2, 0, 0
        with context.budget.reserve("join build", 0) as held:
            stream = right.batches()
            for batch in stream:
                loaded.append(batch)
                size, rows = size + batch.nbytes, rows + batch.num_rows
                needed = _loaded_bytes(size, rows, copies)
                fits = needed <= limit and held.try_resize(needed)
                if not fits and undividable(left.schema) is None and undividable(right.schema) is None:
                    context.log.emit("join_fell_back", algorithm="in_memory", to="hash", loaded_bytes=size)
                    held.release()
                    rest = chain(_drain(loaded), stream)
                    expected = max(2 * size, held_bytes(problem.right.input, problem.right.all_columns))
                    join = GraceJoin(left, right, problem.layout, context, charge)
                    yield from join.run(left.batches(), rest, expected)
                    return
                if not fits:
                    held.resize(needed)
            if loaded:
                probe = Probe(loaded, left, right, context, marks=problem.layout.keeps_right)
                yield from join_loaded(probe, left.batches(), problem.layout, output)
            else:
                yield from left_without_partner(left.batches(), problem.layout, output)


def _loaded_bytes(size: int, rows: int, copies: int) -> int:
    """Rows, the copy that makes one run of columns that need it, and what matching them takes."""
    return copies * size + MATCH_BYTES_PER_ROW * rows


def _drain(batches: list[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    while batches:
        yield batches.pop(0)
