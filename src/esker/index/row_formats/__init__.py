"""The formats of an index's rows, by name."""

from __future__ import annotations

from esker.core.family import Family
from esker.index.row_format import RowFormat

ROW_FORMATS: Family[type[RowFormat]] = Family(
    "row format",
    {
        "arrow": "esker.index.row_formats.arrow:ArrowRows",
        "parquet": "esker.index.row_formats.parquet:ParquetRows",
    },
)
