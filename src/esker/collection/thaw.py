"""Ahead of a query: how far the payload it needs is from being readable, and asking for it without waiting."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from esker.collection.dataset import Dataset
from esker.core.context import QueryContext
from esker.core.cost import NO_COST, Cost
from esker.core.extent import Extent
from esker.engine.sources.frozen import FrozenSource
from esker.errors import OptionError
from esker.plan.nodes import Node, Scan
from esker.plan.rules import optimise
from esker.storage import Recall, Tier


@dataclass(frozen=True)
class ExtentState:
    """One object that a query needs: `state` is ready, recalling or cold."""

    tier: str
    key: str
    bytes: int
    state: str


def thaw_states(dataset: Dataset) -> list[ExtentState]:
    """How far each object is that the query needs; asks the archive for states, and reads no payload.

    >>> import esker, tempfile, pathlib
    >>> folder = pathlib.Path(tempfile.mkdtemp()) / "notes.esker"
    >>> report = esker.freeze({"id": [1, 2], "note": ["a", "b"]}, folder, keys="id")
    >>> [one.state for one in thaw_states(esker.read_frozen(folder).filter("id = 2"))]
    ['ready']

    Raises OptionError for rows that are not frozen.
    """
    with dataset._options.context(runs=False) as context:
        return [
            ExtentState(tier.uri.partition("?")[0], extent.key, extent.bytes, _state(tier, extent))
            for tier, extents, _ in _needed(dataset, context)
            for extent in extents
        ]


def thaw_price(dataset: Dataset) -> Cost:
    """What bringing the cold objects near would cost now; nothing is asked for."""
    with dataset._options.context(runs=False) as context:
        return sum((price for _, _, price in _needed(dataset, context)), NO_COST)


def start_thaw(dataset: Dataset) -> tuple[list[ExtentState], Cost]:
    """Ask for the objects that are cold, once, and return at once; gives the states then, and what it will cost.

    Raises CostLimitError before anything is asked for, NotThawedError where the deadline cannot be met.
    """
    with dataset._options.context() as context:
        found = list(_needed(dataset, context))
        cost = sum((price for _, _, price in found), NO_COST)
        context.check_cost(cost, "restoring")
        for tier, extents, _ in found:
            if isinstance(tier, Recall):
                cold = [extent for extent in extents if _state(tier, extent) == "cold"]
                if cold:
                    tier.request(cold, context.deadline)
    return thaw_states(dataset), cost


def _needed(dataset: Dataset, context: QueryContext) -> Iterator[tuple[Tier, Sequence[Extent], Cost]]:
    """The objects that each scan of the plan needs, and what bringing the cold ones near costs."""
    scans = [node for node in _walk(optimise(dataset._node)) if isinstance(node, Scan)]
    frozen = [(node, node.source) for node in scans if isinstance(node.source, FrozenSource)]
    if not frozen:
        raise OptionError("nothing of this is frozen, so there is nothing to thaw")
    for node, source in frozen:
        plan = source.thaw_plan(node.schema.names, node.predicate, context)
        if plan is not None:
            extents = {extent.key: extent for window in plan.windows for extent in window.extents}
            yield plan.tier, [*extents.values()], plan.recall if plan.recalls else NO_COST


def _state(tier: Tier, extent: Extent) -> str:
    return str(tier.state(extent).value) if isinstance(tier, Recall) else "ready"


def _walk(node: Node) -> Iterator[Node]:
    yield node
    for below in node.inputs:
        yield from _walk(below)
