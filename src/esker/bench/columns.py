"""Columns that several sections have."""

from __future__ import annotations

from esker.bench.document import Column

STRATEGY = Column("strategy", "strategy")
PAGES = Column("pages", "page manager")
WIDTH = Column("width", "bytes")
THREADS = Column("threads", "threads", "count")
PARTITIONS = Column("partitions", "partitions", "count")
RATIO = (
    Column("ratio", "of memcpy", "ratio"),
    Column("ratio_min", "min", "ratio"),
    Column("ratio_max", "max", "ratio"),
)
NANOSECONDS = Column("ns_per_tuple", "ns a tuple", "number")
# What the cell of a wide table says of a figure.
RANGE = "{ratio} ({ratio_min}-{ratio_max}){calm}"
NOTE = "Cells: median (least-most) over the rounds that count; ~ where none did, and the figure is but a hint."
RELIABLE = (Column("rounds", "rounds", "count"), Column("calm", "disturbed", "disturbed"))
