"""Writing results: whole files under their final names, or nothing."""

from __future__ import annotations

import secrets
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from esker.core.context import QueryContext
from esker.core.file_system import ASIDE_MARK, LOCAL
from esker.engine.stream import run
from esker.errors import InputFileError, OutputExistsError
from esker.formats import FileWriter, open_writer
from esker.plan.compile import Compiled

ROW_GROUP_BYTES_MAX = 64 << 20
ROW_GROUP_SHARE = 32


def write_file(compiled: Compiled, context: QueryContext, path: Path, format_: str | None, overwrite: bool) -> int:
    """Write all rows to one file; returns the number of rows."""
    require_parent(path)
    rows = 0
    with _writer(path, compiled, context, format_, overwrite) as writer:
        for batch in run(compiled.stream, context, "write"):
            writer.write(batch)
            rows += batch.num_rows
    compiled.done(rows, context)
    return rows


def write_partitions(compiled: Compiled, context: QueryContext, folder: Path, format_: str) -> list[int]:
    """Write one file for each partition into `folder`, which appears whole or not at all; returns rows by partition."""
    require_parent(folder)
    if folder.exists():
        raise OutputExistsError(f"{folder} exists already; choose another name or remove it")
    aside = folder.with_name(f".{folder.name}{ASIDE_MARK}{secrets.token_hex(4)}")
    aside.mkdir(mode=0o700)
    try:
        rows = [
            _write_partition(compiled, context, aside / f"part-{index:05}.{format_}", index, format_)
            for index in range(compiled.stream.partition_count)
        ]
        aside.chmod(0o755)
        LOCAL.sync_folder(aside)
        if folder.exists():
            raise OutputExistsError(f"{folder} exists already; it was made while this query ran")
        aside.rename(folder)
        LOCAL.sync_folder(folder.parent)
    except BaseException:
        with suppress(OSError):
            shutil.rmtree(aside)
        raise
    compiled.done(sum(rows), context)
    return rows


def _write_partition(compiled: Compiled, context: QueryContext, path: Path, index: int, format_: str) -> int:
    rows = 0
    with _writer(path, compiled, context, format_, False) as writer:
        for batch in compiled.stream.partition(index):
            context.check()
            writer.write(batch)
            rows += batch.num_rows
    return rows


def _writer(path: Path, compiled: Compiled, context: QueryContext, format_: str | None, overwrite: bool) -> FileWriter:
    options: dict[str, Any] = {}
    if (format_ or path.suffix) in ("parquet", ".parquet", ".pq"):
        # The writer holds a row group, its encoded pages and their compressed form.
        options["row_group_bytes"] = min(ROW_GROUP_BYTES_MAX, context.budget.total_bytes // ROW_GROUP_SHARE)
    return open_writer(path, compiled.stream.schema, format=format_, overwrite=overwrite, **options)


def require_parent(path: Path) -> None:
    """Raise InputFileError before any work when the output has no folder to go to."""
    if not path.parent.is_dir():
        raise InputFileError(f"cannot write {path}: the folder {path.parent} does not exist")
