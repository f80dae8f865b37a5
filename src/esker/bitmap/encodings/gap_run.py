"""Gaps and run lengths in as few bytes as they need."""

from __future__ import annotations

from typing import ClassVar

from esker.bitmap.encoding import Encoding


class GapRun(Encoding):
    """A varint for each gap, and one for each run longer than one row.

    The smallest on real data, Roaring included; decoded row run by row run.
    """

    name: ClassVar[str] = "gap_run.1"
    group_bits: ClassVar[int] = 63
