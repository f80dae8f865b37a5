"""The driver's side of pages between processes: which nodes keep them, which are gone, and their end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

from esker.core.spill import SpillFolder
from esker.errors import WorkerLostError
from esker.shuffle.page_server import Place, Places

_LOCAL = "this machine"


class NoPlaceError(WorkerLostError):
    """A task found no folder for pages at its node: the node joined later, or the actor there was started again."""

    node = ""

    @classmethod
    def of(cls, node: str) -> NoPlaceError:
        """Name the node."""
        error = cls(f"node {node[:12]} has no folder for what this task leaves")
        error.node = node
        return error


class KeptFile(Protocol):
    """A file that a task left at a node."""

    @property
    def node(self) -> str:
        """The node."""
        ...

    @property
    def name(self) -> str:
        """The file's name."""
        ...


AnyFile = TypeVar("AnyFile", bound=KeptFile)


class Giver(NamedTuple):
    """A folder of the script's machine, and where a server reads it; `node` is that machine."""

    folder: SpillFolder
    location: str
    node: str


def this_machine() -> str:
    """The name of the only node there is."""
    return _LOCAL


class PageNodes(ABC):
    """Nodes that keep the pages of shuffles. Threads: any."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def new_shuffle(self) -> str:
        """A name for one more shuffle, which no other here has."""
        return f"{next(self._numbers):x}"

    @abstractmethod
    def places(self) -> Places:
        """The nodes as they are now, for tasks."""

    @abstractmethod
    def lost(self, outputs: Iterable[AnyFile]) -> list[AnyFile]:
        """Those of the outputs whose file is gone; asks the nodes."""

    def look_again(self, node: str) -> None:  # noqa: B027  # most have no place but their own folder
        """Learn anew where a node keeps pages, of which a task says that it was not there."""

    @abstractmethod
    def remove(self, shuffle: str) -> None:
        """Remove the pages of a shuffle, wherever they are."""

    def giver(self) -> Giver:
        """The script's own folder, and the server that gives its files to tasks at other machines."""
        raise NotImplementedError("only nodes of a cluster are given files by the script")

    def give(self, path: Path) -> None:  # noqa: B027  # most serve the folder itself
        """Have a file of the giver's folder served, now that it is whole."""

    @abstractmethod
    def close(self) -> None:
        """Remove everything; calling it again does nothing."""


class LocalPages(PageNodes):
    """Pages in a folder of this machine, for worker processes here."""

    def __init__(self, root: Path | None = None) -> None:
        super().__init__()
        self._folder = SpillFolder(root=root)

    def places(self) -> Places:
        return Places({_LOCAL: Place(str(self._folder.path))}, this_machine)

    def lost(self, outputs: Iterable[AnyFile]) -> list[AnyFile]:
        return [output for output in outputs if not (self._folder.path / output.name).exists()]

    def remove(self, shuffle: str) -> None:
        remove_pages(self._folder.path, shuffle)

    def close(self) -> None:
        self._folder.close()


def remove_pages(folder: Path, shuffle: str) -> None:
    """Remove the files of a shuffle from a folder, whole or not."""
    for pattern in (f"{shuffle}-*", f".{shuffle}-*"):
        for path in folder.glob(pattern):
            with suppress(FileNotFoundError):
                path.unlink()
