"""The layouts of vectors over the slots of a column, by name."""

from __future__ import annotations

from esker.core.family import Family
from esker.index.layout import Layout

LAYOUTS: Family[type[Layout]] = Family(
    "layout",
    {
        "equality": "esker.index.layouts.equality:EqualityLayout",
        "range": "esker.index.layouts.range:RangeLayout",
        "interval": "esker.index.layouts.interval:IntervalLayout",
        "quantum": "esker.index.layouts.quantum:QuantumLayout",
    },
)
