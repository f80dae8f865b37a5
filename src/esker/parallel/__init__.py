"""Parallel work on plain sequences: par(xs).map(f), find with early abort, first and gather.

    par(vertices).combinations(2).map(metric)   chunks -> worker processes, threads, or this thread -> ordered results

What runs where, in chunks of which size, decides nothing about results: chunks depend on the number of items alone,
random numbers on the item's number alone.
"""

from __future__ import annotations

from esker.parallel.par import Par, par
from esker.parallel.race import first, gather

__all__ = ["Par", "first", "gather", "par"]
