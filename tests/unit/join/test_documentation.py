from __future__ import annotations

import doctest
from pathlib import Path


def test_the_examples_of_the_page_on_joins_run() -> None:
    page = Path(__file__).parents[3] / "docs" / "joins.md"
    found = doctest.testfile(str(page), module_relative=False)
    assert found.attempted >= 5
    assert found.failed == 0
