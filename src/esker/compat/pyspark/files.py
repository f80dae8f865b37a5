"""Files that a program hands to all its tasks."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote, urlsplit

from esker.compat.pyspark.errors import IllegalArgumentException, PySparkNotImplementedError, PySparkRuntimeError
from esker.engine.bag.task_state import current_task
from esker.errors import InputFileError

ROOT = "esker.files.root"
_ARCHIVES = (".zip", ".jar", ".tar", ".tar.gz", ".tgz")


class SparkFiles:
    """Find files that `SparkContext.addFile` was given, on the driver and in tasks."""

    _root_directory: ClassVar[str | None] = None

    def __init__(self) -> None:
        raise NotImplementedError("Do not construct SparkFiles objects")

    @classmethod
    def get(cls, filename: str) -> str:
        """Give the path of a file by its name."""
        return str(Path(cls.getRootDirectory(), filename).absolute())

    @classmethod
    def getRootDirectory(cls) -> str:
        """Give the folder that the files lie in. Raises PySparkRuntimeError without a running context."""
        task = current_task()
        root = task.properties.get(ROOT) if task is not None else cls._root_directory
        if root is None:
            raise PySparkRuntimeError("There are no files without a running SparkContext.", "NO_ACTIVE_CONTEXT")
        return root


class Shipped:
    """What was added: URI -> place in the root folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._files: dict[str, Path] = {}
        self._archives: dict[str, Path] = {}

    @property
    def files(self) -> list[str]:
        """The URIs of files and folders."""
        return list(self._files)

    @property
    def archives(self) -> list[str]:
        """The URIs of archives."""
        return list(self._archives)

    def add_file(self, path: str, recursive: bool = False) -> Path:
        """Copy a file, or with `recursive` a folder. A path that was added before is left as it is."""
        source = local_path(path)
        uri = source.as_uri().replace("file://", "file:", 1)
        if uri in self._files:
            return self._files[uri]
        if not source.exists():
            raise InputFileError(f"addFile: {source} does not exist")
        if source.is_dir() and not recursive:
            raise IllegalArgumentException(f"addFile: {source} is a folder; pass recursive=True to add it whole")
        target = self._free(source.name)
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copyfile(source, target)
        self._files[uri] = target
        return target

    def add_archive(self, path: str) -> Path:
        """Unpack an archive under its name, or under what follows a `#`. One that was added before is left as it is."""
        path, _, alias = path.partition("#")
        source = local_path(path)
        uri = source.as_uri().replace("file://", "file:", 1)
        if uri in self._archives:
            return self._archives[uri]
        if not source.is_file():
            raise InputFileError(f"addArchive: {source} does not exist")
        if not source.name.endswith(_ARCHIVES):
            raise IllegalArgumentException(f"addArchive: {source} is none of {', '.join(_ARCHIVES)}")
        target = self._free(alias or source.name)
        target.mkdir()
        if source.suffix in (".zip", ".jar"):
            shutil.unpack_archive(source, target, "zip")
        else:
            # What an archive says about owners, devices and paths outside of it is not believed.
            shutil.unpack_archive(source, target, filter="data")
        self._archives[uri] = target
        return target

    def _free(self, name: str) -> Path:
        target = self._root / name
        if target.exists():
            raise IllegalArgumentException(f"another file was added under the name {name!r}; tasks find files by name")
        return target


def local_path(path: str) -> Path:
    """Read a path or a file: URI. Raises PySparkNotImplementedError for other schemes."""
    scheme = urlsplit(path).scheme
    if scheme not in ("", "file", "local"):
        raise PySparkNotImplementedError(f"{path}: files are shipped from this machine only, not by {scheme}:")
    return Path(unquote(urlsplit(path).path) if scheme else path).expanduser().absolute()
