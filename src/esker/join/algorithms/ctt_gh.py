"""CTT-GH: the tape-tape Grace hash join (Myllymaki and Livny 1997), as source 003, section 4, tells it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pyarrow as pa

from esker.core.context import QueryContext
from esker.core.cost import NO_COST
from esker.join.chunked import ChunkedGraceJoin, keeps_on_disk
from esker.join.orient import build_on_smaller, needed_bytes, scratch_tape
from esker.join.part_join import RowEmitter
from esker.join.price import chunked_on_disk, chunked_on_tape
from esker.join.problem import Estimate, JoinAlgorithm, JoinProblem
from esker.join.relation import SideRelation
from esker.join.scans import Scans
from esker.join.scratch import ScratchTape
from esker.join.work import MATCH_SECONDS_PER_ROW


class TapeGraceJoin(JoinAlgorithm):
    """Divide the smaller side onto tape, in as many scans as the disk is smaller; join the other in chunks.

    For sides of which at least one lies on tape: its library takes the partitions, and gives them up at the end. A
    build side that the disk holds stays there, where that is cheaper. Rows come out chunk by chunk.
    """

    def estimate(self, problem: JoinProblem, context: QueryContext) -> Estimate:
        problem = build_on_smaller(problem)
        tape = scratch_tape(problem)
        if tape is None:
            return Estimate(NO_COST, "neither side lies on tape, which takes the partitions", supported=False)
        limits = problem.limits_in(context)
        build, probe = Scans.of(problem.right), Scans.of(problem.left)
        rows = problem.left.input.candidate_count + problem.right.input.candidate_count
        if keeps_on_disk(needed_bytes(problem.right), needed_bytes(problem.left), limits, tape.device):
            cost, chunks = chunked_on_disk(build, probe, limits)
            detail = f"the disk holds the build side; {chunks:,} chunks of the probe side"
        else:
            cost, scans, chunks = chunked_on_tape(build, probe, limits, tape.device)
            detail = f"{scans:,} scans of the build side onto tape, {chunks:,} chunks of the probe side"
        return Estimate(cost, detail, work_seconds=rows * MATCH_SECONDS_PER_ROW)

    def run(self, problem: JoinProblem, context: QueryContext) -> Iterator[pa.RecordBatch]:
        problem = build_on_smaller(problem)
        tape = scratch_tape(problem)
        assert tape is not None, "planned for a side on tape"
        left, right = (SideRelation(side, problem, context) for side in (problem.left, problem.right))
        emitter = RowEmitter(problem.layout, context)
        rows = problem.right.input.store.row_count
        with closing(ScratchTape(tape, context)) as scratch:
            limits = problem.limits_in(context)
            yield from ChunkedGraceJoin(
                left, right, emitter, rows, limits, problem.account, context, tape=scratch
            ).run()
