"""The encodings of a bitmap vector, by name."""

from __future__ import annotations

from esker.bitmap.encoding import Encoding
from esker.core.family import Family

ENCODINGS: Family[type[Encoding]] = Family(
    "encoding",
    {
        "wah32": "esker.bitmap.encodings.wah32:Wah32",
        "wah64": "esker.bitmap.encodings.wah64:Wah64",
        "bbc": "esker.bitmap.encodings.bbc:Bbc",
        "val": "esker.bitmap.encodings.val:Val",
        "roaring": "esker.bitmap.encodings.roaring:Roaring",
        "dense": "esker.bitmap.encodings.dense:Dense",
        "gap_run": "esker.bitmap.encodings.gap_run:GapRun",
    },
)
