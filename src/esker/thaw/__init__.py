"""Thaw: row ids -> ordered, priced reads of payload, the only way to it."""

from __future__ import annotations

from esker.thaw.layout import PayloadExtent
from esker.thaw.plan import ThawPlan, plan_thaw
from esker.thaw.run import run
from esker.thaw.stored_rows import StoredPlan, StoredRows

__all__ = ["PayloadExtent", "StoredPlan", "StoredRows", "ThawPlan", "plan_thaw", "run"]
