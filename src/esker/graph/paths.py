"""Shortest paths: levels from both ends, then a join for each edge of the way."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pyarrow as pa

from esker.collection.dataset import Dataset
from esker.collection.options import Options
from esker.graph.adjacency import Adjacency, pack, unpack
from esker.graph.frontier import UNREACHED, distances_from
from esker.graph.ids import Ids
from esker.graph.results import keep, vertex_rows
from esker.graph.workspace import Array, Workspace, distinct


def landmark_rows(
    incoming: Adjacency, ids: Ids, landmarks: Array, landmark_ids: list[pa.Scalar], id_name: str, workspace: Workspace
) -> Iterator[pa.RecordBatch]:
    """For each landmark a row for each vertex that has a way to it, with the number of edges."""
    for landmark, landmark_id in zip(landmarks, landmark_ids, strict=True):
        distance = distances_from(incoming, np.array([landmark]), workspace)
        for batch in vertex_rows(ids, id_name, {"distance": distance}, distance != UNREACHED):
            constant = pa.repeat(landmark_id, batch.num_rows).cast(ids.type)
            yield pa.record_batch([batch.column(0), constant, batch.column(1)], names=[id_name, "landmark", "distance"])
        workspace.release(distance.nbytes)


def path_edges(
    outgoing: Adjacency, incoming: Adjacency, sources: Array, targets: Array, length_max: int, workspace: Workspace
) -> list[Array] | None:
    """The edges of all shortest paths from any source to any target, packed, for each step; None when there is none.

    An edge is on one when the levels of its ends, counted from both sides, sum up to the length.
    """
    ahead = distances_from(outgoing, sources, workspace, length_max)
    reached = targets[ahead[targets] != UNREACHED]
    if not len(reached):
        return None
    length = int(ahead[reached].min())
    back = distances_from(incoming, reached[ahead[reached] == length], workspace, length)
    steps = []
    for level in range(length):
        on_way = [
            np.flatnonzero((ahead[part] == level) & (back[part] == length - level)) + part.start
            for part in workspace.parts(len(ahead))
        ]
        owners = np.concatenate(on_way)
        found = [np.empty(0, np.uint64)]
        for places, neighbours in outgoing.expand(owners, workspace):
            leads = (ahead[neighbours] == level + 1) & (back[neighbours] == length - level - 1)
            found.append(distinct(pack(owners[places[leads]], neighbours[leads])))
        steps.append(distinct(np.concatenate(found)))
    return steps


def join_steps(steps: list[Array], ids: Ids, options: Options, workspace: Workspace) -> Dataset:
    """The paths as rows of ids: `from`, `v1`, `v2`, ..., `to`."""
    names = ["from", *(f"v{number}" for number in range(1, len(steps))), "to"]
    paths: Dataset | None = None
    for step, (first, second) in zip(steps, pairwise(names), strict=True):
        schema = pa.schema({first: ids.type, second: ids.type})
        rows = keep(_step_rows(step, ids, schema, workspace), schema, f"{first} to {second}", options, workspace)
        paths = rows if paths is None else paths.join(rows, on=first)
    assert paths is not None, "a way of no edges is no join"
    return paths.select(names)


def _step_rows(step: Array, ids: Ids, schema: pa.Schema, workspace: Workspace) -> Iterator[pa.RecordBatch]:
    for part in workspace.parts(len(step)):
        owners, neighbours = unpack(step[part])
        yield pa.record_batch([ids.take(owners), ids.take(neighbours)], schema=schema)
