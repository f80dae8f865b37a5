"""One finding, and what makes a run worth one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

Event = Mapping[str, Any]

# A key with less of the rows than this, or a shuffle or join with fewer rows, is none to talk about.
SKEWED_SHARE = 0.2
SKEWED_ROWS_MIN = 10_000
KEPT_ROWS_MIN = 1_000
# Reading less than this is no matter.
SCAN_BYTES_MIN = 1 << 20


@dataclass(frozen=True)
class Finding:
    """One thing that the user may want to know: `kind` names it for programs, `text` says it in a sentence.

    `step` is the step of the plan it is about, if any.
    """

    kind: str
    text: str
    step: int | None = None

    def __str__(self) -> str:
        return self.text

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        return asdict(self)


def key_words(by: Sequence[str], key: Sequence[str]) -> str:
    """A key by its columns.

    >>> key_words(["origin", "month"], ["JFK", "6"])
    "origin = 'JFK', month = '6'"
    """
    return ", ".join(f"{name} = {value!r}" for name, value in zip(by, key, strict=True))
