from __future__ import annotations

import doctest
from pathlib import Path

DOCUMENT = Path(__file__).parents[4] / "docs" / "bags.md"


def test_the_examples_of_the_page_on_bags_run() -> None:
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    failed, tried = doctest.testfile(str(DOCUMENT), module_relative=False, optionflags=flags)
    assert tried > 25 and not failed
