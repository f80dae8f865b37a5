"""JSON values, one on each line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from esker.errors import InputFileError


def parse_lines(index: int, lines: Iterator[str]) -> Iterator[Any]:
    """Read each line that is not empty; InputFileError shows the one that is no JSON."""
    loads = json.loads
    for line in lines:
        if not line or line.isspace():
            continue
        try:
            value = loads(line)
        except ValueError as error:
            raise InputFileError(f"no JSON value on the line {line!r:.200}: {error}") from error
        yield value
