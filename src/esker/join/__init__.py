"""Joins: keys decide, payload is read at most once, the algorithm is chosen by cost."""

from __future__ import annotations

from esker.join.input import JoinInput
from esker.join.join_index import JoinIndex
from esker.join.layout import JOIN_KINDS, join_schema
from esker.join.limits import JoinLimits
from esker.join.plan import JoinPlan, plan_join
from esker.join.problem import Estimate
from esker.join.tape_rows import TapeRows

__all__ = [
    "JOIN_KINDS",
    "Estimate",
    "JoinIndex",
    "JoinInput",
    "JoinLimits",
    "JoinPlan",
    "TapeRows",
    "join_schema",
    "plan_join",
]
