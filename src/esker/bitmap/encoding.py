"""What is known of an encoding before a vector is made; the work is the kernel's."""

from __future__ import annotations

from typing import ClassVar


class Encoding:
    """One way to hold a vector in few bytes: `cpp/esker/bitmap/encodings/<name>.h` writes and reads it."""

    # Name and version as stored in files: "wah32.1".
    name: ClassVar[str]
    # Rows of a unit: vectors with the same groups are combined word by word, others over their runs.
    group_bits: ClassVar[int]
