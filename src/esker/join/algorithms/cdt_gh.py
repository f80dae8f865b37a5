"""CDT-GH: the disk-tape Grace hash join (Myllymaki and Livny 1995), as source 003, section 4, tells it."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from esker.core.byte_size import format_bytes
from esker.core.context import QueryContext
from esker.join.chunked import ChunkedGraceJoin
from esker.join.orient import build_on_smaller
from esker.join.part_join import RowEmitter
from esker.join.price import chunked_on_disk
from esker.join.problem import Estimate, JoinAlgorithm, JoinProblem
from esker.join.relation import SideRelation
from esker.join.scans import Scans
from esker.join.work import CHUNK_BYTES_PER_SECOND, MATCH_SECONDS_PER_ROW


class DiskGraceJoin(JoinAlgorithm):
    """Divide the smaller side onto the disk, once; join the other in chunks of what the disk has left.

    Each side is read once, from any tier. Rows come out chunk by chunk.
    """

    def estimate(self, problem: JoinProblem, context: QueryContext) -> Estimate:
        problem = build_on_smaller(problem)
        limits = problem.limits_in(context)
        build, probe = Scans.of(problem.right), Scans.of(problem.left)
        size = build.held_bytes
        cost, chunks = chunked_on_disk(build, probe, limits)
        rows = problem.left.input.candidate_count + problem.right.input.candidate_count
        work = rows * MATCH_SECONDS_PER_ROW + (build.held_bytes + probe.held_bytes) / CHUNK_BYTES_PER_SECOND
        detail = f"{chunks:,} chunks of the probe side beside {format_bytes(size)} of the build side on the disk"
        if size >= limits.disk_bytes:
            detail = f"the build side takes {format_bytes(size)}, and the disk has {format_bytes(limits.disk_bytes)}"
        return Estimate(cost, detail, supported=size < limits.disk_bytes, work_seconds=work)

    def run(self, problem: JoinProblem, context: QueryContext) -> Iterator[pa.RecordBatch]:
        problem = build_on_smaller(problem)
        left, right = (SideRelation(side, problem, context) for side in (problem.left, problem.right))
        emitter = RowEmitter(problem.layout, context)
        rows = problem.right.input.store.row_count
        limits = problem.limits_in(context)
        yield from ChunkedGraceJoin(left, right, emitter, rows, limits, problem.account, context).run()
