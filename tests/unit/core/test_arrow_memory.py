from __future__ import annotations

import os
import subprocess
import sys

import pytest

BACKEND = "import {first}, {second}, pyarrow; print(pyarrow.default_memory_pool().backend_name)"


def backend(first: str, second: str, chosen: str | None = None) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "ARROW_DEFAULT_MEMORY_POOL"}
    if chosen is not None:
        environment["ARROW_DEFAULT_MEMORY_POOL"] = chosen
    code = BACKEND.format(first=first, second=second)
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert run.stderr == ""
    return run.stdout.strip()


def test_esker_makes_jemalloc_the_allocator_of_arrow_when_it_comes_first() -> None:
    assert backend("esker", "pyarrow") == "jemalloc"
    assert backend("pyarrow", "esker") != "jemalloc"


@pytest.mark.parametrize("chosen", ["system", "mimalloc"])
def test_the_users_own_choice_stands(chosen: str) -> None:
    assert backend("esker", "pyarrow", chosen) == chosen
