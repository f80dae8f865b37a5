"""docs/graphs.md shows what really comes out."""

from __future__ import annotations

import doctest
from pathlib import Path


def test_the_page_on_graphs_says_what_happens() -> None:
    page = Path(__file__).parents[3] / "docs" / "graphs.md"
    results = doctest.testfile(str(page), module_relative=False, optionflags=doctest.ELLIPSIS)
    assert results.attempted > 10
    assert results.failed == 0
