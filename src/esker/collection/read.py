"""Where a Dataset begins: files, Arrow objects, frozen data sets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Unpack

import pyarrow as pa

from esker.cluster.url import is_cluster_url
from esker.collection.dataset import Dataset
from esker.collection.options import DEFAULT_OPTIONS
from esker.core.batch import require_columns
from esker.engine.source import Source
from esker.engine.sources.files import FilesSource
from esker.engine.sources.frozen import FrozenSource
from esker.engine.sources.indexed import IndexedSource
from esker.engine.sources.stored import arrow_source
from esker.formats.csv import CsvOptionsGiven
from esker.formats.remote import is_remote
from esker.frozen import looks_frozen
from esker.index.store import looks_indexed
from esker.plan.nodes import Scan

Paths = str | Path | Sequence[str | Path]


def read_parquet(paths: Paths, *, columns: Sequence[str] | None = None) -> Dataset:
    """Read Parquet files: a path, a glob, a folder, or a list of them; only what the query needs is read.

    Each may be a URI: `s3://bucket/2024/*.parquet` (extra `esker[s3]`).

    >>> import esker, tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "n.parquet"
    >>> esker.from_arrow({"n": [1, 2, 3]}).write_parquet(path)
    3
    >>> esker.read_parquet(path).filter("n > 1").to_arrow()["n"].to_pylist()
    [2, 3]

    Raises InputFileError naming the file that is missing or damaged.
    """
    return _scan(FilesSource(paths, "parquet"), columns)


def read_csv(paths: Paths, *, columns: Sequence[str] | None = None, **options: Unpack[CsvOptionsGiven]) -> Dataset:
    """Read CSV files, as a stream: `delimiter`, `header`, `null_values`, and `types` (column name -> Arrow type).

    >>> import esker, tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "n.csv"
    >>> written = path.write_text("n;text\\n1;a\\n2;-\\n")
    >>> esker.read_csv(path, delimiter=";", null_values=["-"]).to_arrow().to_pydict()
    {'n': [1, 2], 'text': ['a', None]}

    Types not given are inferred from the beginning of the file. Raises InputFileError naming file and line of a
    ragged row or of a value that does not fit its type.
    """
    return _scan(FilesSource(paths, "csv", **options), columns)


def from_arrow(data: Any, *, name: str | None = None) -> Dataset:
    """Take any Arrow object: pyarrow, Polars, pandas, DuckDB relations, readers, a dict of columns.

    >>> import esker, polars
    >>> esker.from_arrow(polars.DataFrame({"a": [1]})).columns
    ['a']
    """
    if isinstance(data, Dataset):
        return data
    return _scan(arrow_source(data, name), None)


def read_frozen(path: str | Path, *, columns: Sequence[str] | None = None) -> Dataset:
    """Read a frozen data set (see `esker.freeze`): filters use its index, payload is fetched last.

    >>> import esker, tempfile, pathlib
    >>> folder = pathlib.Path(tempfile.mkdtemp()) / "months.esker"
    >>> report = esker.freeze({"month": [1, 6, 7], "text": list("abc")}, folder, index=["month"])
    >>> esker.read_frozen(folder, columns=["text"]).count()
    3

    Raises InputFileError when `path` is no frozen data set, CatalogCorruptError when it is damaged.
    """
    return _scan(FrozenSource(Path(path)), columns)


def read(source: Any, *, columns: Sequence[str] | None = None) -> Dataset:
    """Read anything: a Dataset, an Arrow object, the folder of a frozen data set or an index, or files by extension.

    >>> import esker, tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "n.arrow"
    >>> esker.read({"n": [1, 2, 3]}).write(path), esker.read(path).count()
    (3, 3)

    `esker://host:port/INDEX?token_file=FILE` is an index of a cluster (docs/cluster.md), with its rows.
    """
    if isinstance(source, Dataset):
        return source if columns is None else source.select(columns)
    if not isinstance(source, str | Path | list | tuple):
        return from_arrow(source) if columns is None else from_arrow(source).select(columns)
    if is_cluster_url(source):
        from esker.engine.sources.cluster import ClusterSource

        return _scan(ClusterSource(str(source)), columns)
    if isinstance(source, str | Path) and not is_remote(source) and looks_indexed(Path(source)):
        return _scan(IndexedSource(Path(source)), columns)
    if isinstance(source, str | Path) and not is_remote(source) and looks_frozen(Path(source)):
        return read_frozen(source, columns=columns)
    return _scan(FilesSource(source, None), columns)


def _scan(source: Source, columns: Sequence[str] | None) -> Dataset:
    schema = source.schema
    if columns is not None:
        require_columns(columns, schema, source.name)
        schema = pa.schema([schema.field(name) for name in columns])
    return Dataset(Scan(schema, source), DEFAULT_OPTIONS)
