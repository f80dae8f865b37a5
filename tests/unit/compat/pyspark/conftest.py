"""A context of two workers, for a module's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from esker.compat.pyspark import SparkContext


@pytest.fixture
def sc() -> Iterator[SparkContext]:
    with SparkContext("local[2]", "tests") as context:
        yield context
