"""The sections of the evaluation, in the order of source 002, chapters 3.9 and 4."""

from __future__ import annotations

from collections.abc import Callable

from esker.bench.bench import Bench
from esker.bench.document import Section
from esker.core.family import Family

SECTIONS: Family[Callable[[Bench], Section]] = Family(
    "bench section",
    {
        name: f"esker.bench.sections.{name}:measure"
        for name in (
            "generation",
            "write",
            "throughput",
            "scaling",
            "memory",
            "optimisations",
            "complexity",
            "latency",
            "cold",
        )
    },
)
