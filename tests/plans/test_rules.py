"""Plan before, plan after: one text file for each rule and for the rules together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

import esker
from esker.collection.dataset import Dataset
from esker.plan.nodes import Node
from esker.plan.rules import RULES, optimise
from tests.plans.describe import describe

FLIGHTS = esker.from_arrow(pa.table({"tail": ["N1"], "month": [6], "delay": [5], "note": [""]}), name="flights")
PLANES = esker.from_arrow(pa.table({"tail": ["N1"], "seats": [180], "note": [""]}), name="planes")


def double(batch: pa.RecordBatch) -> pa.RecordBatch:
    return batch


PLANS: dict[str, Dataset] = {
    "filter over select": FLIGHTS.select(["tail", "month"]).filter("month = 6"),
    "two filters": FLIGHTS.filter("month = 6").filter("delay > 1").select(["tail"]),
    "filter over shuffle": FLIGHTS.shuffle("tail", 4).filter("month = 6").select(["delay"]),
    "filter over a range shuffle": FLIGHTS.shuffle("tail", 4, function="range").filter("month = 6").select(["delay"]),
    "filter over repartition": FLIGHTS.repartition(4).filter("month = 6").select(["delay"]),
    "filter over a function stays": FLIGHTS.map_batches(double, schema=FLIGHTS.schema).filter("month = 6"),
    "filter over head stays": FLIGHTS.head(3).filter("month = 6"),
    "filter over inner join": FLIGHTS.join(PLANES, on="tail").filter("month = 6 AND seats > 100 AND delay < seats"),
    "filter over left join": FLIGHTS.join(PLANES, on="tail", how="left").filter("month = 6 AND seats > 100"),
    "filter over full join stays": FLIGHTS.join(PLANES, on="tail", how="full").filter("month = 6"),
    "select over join": FLIGHTS.join(PLANES, on="tail").select(["seats", "month"]),
    "select of a clashing column": FLIGHTS.join(PLANES, on="tail").select(["note_right"]),
    "filter over distinct stays": FLIGHTS.distinct("tail").filter("month = 6").select(["delay"]),
    "filter over sort": FLIGHTS.sort("delay").filter("month = 6").select(["tail"]),
    "aggregate reads its columns": FLIGHTS.group_by("tail").agg({"n": ("delay", "sum")}).filter("n > 1").select(["n"]),
    "filter over sample stays": FLIGHTS.sample(0.5).filter("month = 6").select(["tail"]),
    "filter over a sample of rows stays": FLIGHTS.sample(n=3).filter("month = 6").select(["tail"]),
    "groups see every column": FLIGHTS.group_by("tail", partitions=2).map_groups(lambda g: {"n": 1}).head(1),
    "groups as batches see every column": FLIGHTS.filter("month = 6")
    .group_by("tail")
    .map_groups(lambda batches: {"n": 1}, batches=True)
    .filter("n = 1"),
}


def plans_under(rule: Callable[[Node], Node]) -> str:
    return "\n\n".join(
        f"# {name}\n{describe(dataset._node)}\n=>\n{describe(rule(dataset._node))}" for name, dataset in PLANS.items()
    )


@pytest.mark.parametrize("name", [*RULES, "all"])
def test_a_rule_makes_of_each_plan_what_its_file_says(name: str) -> None:
    rule = optimise if name == "all" else RULES[name]
    assert plans_under(rule) + "\n" == (Path(__file__).parent / f"{name}.txt").read_text()


@pytest.mark.parametrize("name", list(PLANS))
def test_optimised_plans_give_the_same_columns(name: str) -> None:
    node = PLANS[name]._node
    assert optimise(node).schema.names == node.schema.names
