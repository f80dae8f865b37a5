"""What a file format owes: open a file to read, and write one."""

from __future__ import annotations

import errno
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, TypeVar

import pyarrow as pa

from esker.core.batch import conform, plain_schema
from esker.core.file_system import LOCAL, FileSystem
from esker.errors import EskerError, InputFileError, OptionError, OutputFileError
from esker.formats.place import Place
from esker.formats.source import DataFile, FileSource
from esker.storage.tier_file import TierFile

Options = TypeVar("Options")


class Format(ABC):
    """A file format. A variant opens one file and makes a writer; what several files share is here."""

    name: str
    extensions: tuple[str, ...]

    @abstractmethod
    def open_file(self, path: Place, schema: pa.Schema | None, options: Mapping[str, Any]) -> DataFile:
        """Read what is needed to know schema and parts; `schema` is the first file's, for formats that infer."""

    @abstractmethod
    def writer(
        self, path: Path, schema: pa.Schema, *, overwrite: bool = False, file_system: FileSystem = LOCAL, **options: Any
    ) -> FileWriter:
        """A context manager that writes batches to `path`."""

    def open(self, paths: Place | Sequence[Place], **options: Any) -> FileSource:
        """Open files of one schema as one source; SchemaMismatchError names the file and column that differ."""
        files: list[DataFile] = []
        for path in [paths] if isinstance(paths, Path | TierFile) else paths:
            files.append(self.open_file(path, files[0].schema if files else None, options))
        if not files:
            raise InputFileError(f"no files to read as {self.name}")
        return FileSource(self.name, files)


class FileWriter(ABC):
    """Write batches to a file that appears, whole and synced, when the block ends well; else nothing is left.

    `rows` counts what was written; `bytes` is the file's length, final once the block has ended.
    """

    def __init__(self, path: Path, schema: pa.Schema, *, overwrite: bool, file_system: FileSystem) -> None:
        self.path = path
        self.schema = plain_schema(schema)
        self.rows = 0
        self.bytes = 0
        self._aside: AbstractContextManager[BinaryIO] = file_system.write_aside(path, overwrite=overwrite)

    @abstractmethod
    def _begin(self, file: BinaryIO) -> None:
        """Take the file; nothing has been written."""

    @abstractmethod
    def _write(self, batch: pa.RecordBatch) -> None:
        """Write a batch of `self.schema`."""

    @abstractmethod
    def _finish(self) -> None:
        """Write what is buffered, and the footer."""

    @abstractmethod
    def _abandon(self) -> None:
        """Let go of the file without caring for what was written; must not raise, nor write later."""

    def __enter__(self) -> FileWriter:
        with writing(self.path):
            self._file = self._aside.__enter__()
            try:
                self._begin(self._file)
            except BaseException as error:
                self._give_up(error)
                raise
        return self

    def write(self, batch: pa.RecordBatch) -> None:
        """Append the rows of `batch`; SchemaMismatchError names a column that does not fit."""
        batch = conform(batch, self.schema)
        if batch.num_rows:
            with writing(self.path):
                self._write(batch)
            self.rows += batch.num_rows

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._give_up(error)
            return
        with writing(self.path):
            try:
                self._finish()
                self._file.flush()
                self.bytes = self._file.tell()
            except BaseException as finish_error:
                self._give_up(finish_error)
                raise
            self._aside.__exit__(None, None, None)

    def _give_up(self, error: BaseException) -> None:
        self._abandon()
        # The context manager removes the file and raises the error again, which our caller is raising already; closing
        # the file on a full disk fails once more, and tells less.
        with _swallow(error):
            self._aside.__exit__(type(error), error, error.__traceback__)


@contextmanager
def _swallow(error: BaseException) -> Iterator[None]:
    try:
        yield
    except BaseException as raised:
        if raised is not error and not isinstance(raised, OSError):
            raise


@contextmanager
def reading(path: Place, what: str) -> Iterator[None]:
    """Turn what pyarrow and the system raise while reading into an InputFileError that names the file."""
    try:
        yield
    except (EskerError, MemoryError):
        raise
    except (pa.ArrowException, OSError, ValueError, KeyError, IndexError, OverflowError) as error:
        detail = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.ENOENT, errno.EISDIR):
            raise InputFileError(f"cannot read {path}: {error.strerror or detail}") from error
        raise InputFileError(f"{path} is not a readable {what} file, or is damaged: {detail}") from error


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the system raises while writing into an OutputFileError that names the file."""
    try:
        yield
    except EskerError:
        raise
    except OSError as error:
        if not path.parent.is_dir():
            raise OutputFileError(f"cannot write {path}: there is no folder {path.parent}") from error
        raise OutputFileError(f"cannot write {path}: {error.strerror or error}; nothing was left there") from error


def read_options(kind: type[Options], options: Mapping[str, Any], format_name: str) -> Options:
    """Make the options' dataclass; OptionError names the word that is not one of them."""
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]  # every caller passes a dataclass
    for name in options:
        if name not in names:
            raise OptionError(f"no option {name!r} for {format_name} files; there is: {', '.join(names)}")
    return kind(**options)
