"""The bitmap index over a frozen data set's hot columns: built once, answers predicates with row sets."""

from esker.index.answer import IndexAnswer
from esker.index.build import build_index
from esker.index.column_spec import (
    Bins,
    BitSliced,
    ColumnSpec,
    Equality,
    Interval,
    Range,
    TimeQuantum,
    spec_from_json,
    spec_of_word,
)
from esker.index.index import Index
from esker.index.segment import SegmentInfo

__all__ = [
    "Bins",
    "BitSliced",
    "ColumnSpec",
    "Equality",
    "Index",
    "IndexAnswer",
    "Interval",
    "Range",
    "SegmentInfo",
    "TimeQuantum",
    "build_index",
    "spec_from_json",
    "spec_of_word",
]
