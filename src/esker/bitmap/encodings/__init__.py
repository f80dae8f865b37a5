"""The encodings of a bitmap vector, by name."""

from __future__ import annotations

from typing import Any

from esker.bitmap.encoding import Encoding
from esker.core.family import Family

ENCODINGS: Family[type[Encoding[Any]]] = Family("encoding", {"wah32": "esker.bitmap.encodings.wah32:Wah32Encoding"})
