"""What a stage of a Bag left for the next one, where tasks run at nodes that share no folder.

A task writes into the folder of its node, as map tasks of Datasets do. Whoever reads it at another node copies it from
that node's page server, a few bytes at a time, into a file of its own. What is lost with its node is made again.
"""

from __future__ import annotations

import os
import secrets
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from esker.engine.bag.task import Consumer
from esker.engine.bag.task_state import current_task
from esker.engine.objects import Runs, Section, SpillPlace
from esker.engine.session import current_session, default_runtime
from esker.errors import CorruptError, EskerError, PagesLostError, PeerError, WorkerLostError

if TYPE_CHECKING:
    from esker.engine.bag.pipeline import Pipeline
    from esker.engine.bag.run import Run
    from esker.engine.page_nodes import PageNodes
    from esker.shuffle.page_server import Places

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class NodePlace:
    """Where the tasks of a stage write: each into the folder of its node. Pickles."""

    places: Places
    shuffle: str
    name: str
    limit_bytes: int

    @property
    def node(self) -> str:
        """The node that this process is at."""
        return self.places.here()

    def here(self) -> SpillPlace:
        """The place at this node; NoPlaceError when it keeps no pages any more, or not yet."""
        node = self.node
        place = self.places.nodes.get(node)
        if place is None or not Path(place.folder).is_dir():
            raise _no_place(node)
        root = str(Path(place.folder).parent)
        return _PlaceAtNode(place.folder, root, f"{self.shuffle}-{self.name}", self.limit_bytes, node)


@dataclass(frozen=True)
class _PlaceAtNode(SpillPlace):
    """A folder that goes with the actor of its node, also under a task that is at work there."""

    node: str

    def failure(self, error: OSError) -> EskerError:
        return super().failure(error) if Path(self.folder).is_dir() else _no_place(self.node)


def _no_place(node: str) -> WorkerLostError:
    from esker.engine.page_nodes import NoPlaceError

    return NoPlaceError.of(node)


Place = SpillPlace | NodePlace


def place_of(run: Run, name: str) -> Place:
    """Where a stage of the run writes: the run's own folder, or those of the nodes."""
    pages = _pages(run)
    if pages is None:
        return SpillPlace.of(run.context.spill, name)
    shuffle = pages.new_shuffle()
    run.context.resources.callback(pages.remove, shuffle)
    return NodePlace(pages.places(), shuffle, name, run.context.spill.limit_bytes)


def _pages(run: Run) -> PageNodes | None:
    """The pages of the session whose nodes the run's tasks go to; None where all write into one folder."""
    session = current_session()
    if session is None or session.runtime != (run.options.runtime or default_runtime()) or not session.spread:
        return None
    return session.pages()


def sent(split: Any) -> dict[str, Any]:
    """The state of a split with `sides` and a `place` for a task: as things are now, for one that is sent again."""
    place: Place = split.place
    session = current_session()
    if isinstance(place, NodePlace) and session is not None:
        place = replace(place, places=session.pages().places())
    return {**split.__dict__, "sides": [list(side) for side in split.sides], "place": place}


class LeftSection(NamedTuple):
    """A section in a file of a node, and its CRC-32; `map_number` says which task of its stage made it."""

    section: Section
    node: str
    shuffle: str
    map_number: int
    checksum: int

    @property
    def name(self) -> str:
        """Of the file."""
        return Path(self.section.path).name

    def lost(self, why: BaseException) -> PagesLostError:
        """What to raise when it is not there any more."""
        return PagesLostError.of(self.shuffle, self.map_number, self.node, self.name, why)


AnySection = Section | LeftSection


class _LeftFile(NamedTuple):
    """A file that a task left at a node."""

    node: str
    name: str
    map_number: int


@dataclass(frozen=True)
class Left:
    """What one task left in files of its node, in place of its `Runs`. Small, and pickles."""

    runs: Runs
    node: str
    shuffle: str
    map_number: int
    checksums: tuple[tuple[int, ...], ...]  # of each file, by partition

    @property
    def record_counts(self) -> list[int]:
        """Pairs of each partition."""
        return self.runs.record_counts

    def sections(self, partition: int) -> list[LeftSection]:
        """The entries of a partition."""
        found = []
        for run, checksums in zip(self.runs.runs, self.checksums, strict=True):
            begin, end = run.offsets[partition], run.offsets[partition + 1]
            if begin < end:
                section = Section(run.path, begin, end, run.kind)
                found.append(LeftSection(section, self.node, self.shuffle, self.map_number, checksums[partition]))
        return found

    def files(self) -> list[_LeftFile]:
        """Its files."""
        return [_LeftFile(self.node, Path(run.path).name, self.map_number) for run in self.runs.runs]

    def remove(self) -> None:
        """Delete the files, at their node."""
        self.runs.remove()


AnyRuns = Runs | Left


def left_at(runs: Runs, place: Place) -> AnyRuns:
    """What a task of a stage gives that has left `runs` at `place`."""
    if isinstance(place, SpillPlace):
        return runs
    task = current_task()
    try:
        checksums = tuple(_checksums(run.path, run.offsets) for run in runs.runs)
    except FileNotFoundError as error:
        raise _no_place(place.node) from error
    return Left(runs, place.node, place.shuffle, task.partition if task is not None else 0, checksums)


def _checksums(path: str, offsets: Sequence[int]) -> tuple[int, ...]:
    found = []
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - a path from the kernel's side
        for begin, end in pairwise(offsets):
            checksum = 0
            while begin < end:
                data = file.read(min(_CHUNK_BYTES, end - begin))
                if not data:
                    raise CorruptError(f"{path} ends before byte {end:,}, where its writer said it does")
                checksum = zlib.crc32(data, checksum)
                begin += len(data)
            found.append(checksum)
    return tuple(found)


class Moved:
    """The driver's side of a stage whose tasks left files: knows what each left, and has it made again."""

    def __init__(
        self,
        run: Run,
        pipelines: Sequence[Pipeline],
        work: Any,
        operator: str,
        runs_of: Callable[[Any], AnyRuns] = lambda value: value,
    ) -> None:
        """Run `work`, a function with a `place`, on each partition."""
        self._run = run
        self._pipelines = pipelines
        self._work = work
        self._operator = operator
        self._runs_of = runs_of
        self._stage = run.next_stage()
        self.values: list[Any] = run.results(pipelines, Consumer(work, operator), stage=self._stage)
        place: Place = work.place
        if isinstance(place, NodePlace):
            run.context.shuffles[place.shuffle] = self

    def runs(self, number: int) -> AnyRuns:
        """What the task of an input partition left."""
        return self._runs_of(self.values[number])

    def side(self, partition: int, numbers: Sequence[int] | None = None) -> Side:
        """The sections of a partition, from all tasks or from some."""
        return Side(self, partition, range(len(self.values)) if numbers is None else numbers)

    def remake(self, error: PagesLostError) -> None:
        """Make again what is gone with its node."""
        pages = _pages(self._run)
        assert pages is not None, "only files of nodes get lost"
        files = [
            file
            for number in range(len(self.values))
            if isinstance(runs := self.runs(number), Left)
            for file in runs.files()
        ]
        gone = {file.map_number for file in pages.lost(files)}
        # Damaged where it is: whoever read it says so, the node cannot know.
        gone |= {file.map_number for file in files if (file.name, file.map_number) == (error.name, error.map_number)}
        self._run.context.log.emit("pages_lost", map_tasks=sorted(gone), node=error.node[:12], why=str(error))
        work = replace(self._work, place=replace(self._work.place, places=pages.places()))
        numbers = sorted(gone)
        made = self._run.made_again(self._pipelines, Consumer(work, self._operator), numbers, self._stage)
        for number, value in zip(numbers, made, strict=True):
            self.values[number] = value


@dataclass(frozen=True, eq=False)
class Side:
    """The sections of one partition, as they are when they are asked for: a task is sent again with those of then."""

    moved: Moved
    partition: int
    numbers: Sequence[int]

    def __iter__(self) -> Iterator[AnySection]:
        for number in self.numbers:
            yield from self.moved.runs(number).sections(self.partition)


Sides = Sequence[Iterable[AnySection]]


def unique_place(place: Place) -> SpillPlace:
    """A place of this attempt alone, within a task."""
    task = current_task()
    where = f"{task.stage}-{task.partition}-{task.attempt}" if task is not None else "driver"
    return (place if isinstance(place, SpillPlace) else place.here()).below(f"{where}-{secrets.token_hex(4)}")


@contextmanager
def at_hand(sides: Sides, place: Place) -> Iterator[list[list[Section]]]:
    """Have all sections in files of this machine while the block runs: those of other nodes in a file of its own.

    Raises PagesLostError for what is gone or damaged, NoPlaceError when what the block reads went with its folder.
    """
    if isinstance(place, SpillPlace):
        yield [list(side) for side in sides]  # type: ignore[arg-type]  # files of nodes come with their places
        return
    copier = _Copier(place)
    try:
        yield [[copier.section(one) for one in side] for side in sides]
    except CorruptError as error:
        if copier.has_place():
            raise
        raise _no_place(place.node) from error
    finally:
        copier.close()


class _Copier:
    """Copies sections of other nodes, one behind the other, into one file."""

    def __init__(self, place: NodePlace) -> None:
        from esker.shuffle.file_bytes import FileReader

        self._here = place.node
        self._place = unique_place(place)
        self._reader = FileReader(place.places.client, place.places.security)
        self._path = ""
        self._fd = -1
        self._written = 0

    def section(self, left: AnySection) -> Section:
        """The same bytes here."""
        if isinstance(left, Section):
            return left
        if left.node == self._here and os.path.exists(left.section.path):  # noqa: PTH110 - one of thousands
            return left.section
        begin = self._written
        try:
            for data in self._fetched(left):
                self._write(data)
        except (PeerError, CorruptError, KeyError) as error:
            raise left.lost(error) from error
        return Section(self._path, begin, self._written, left.section.kind)

    def has_place(self) -> bool:
        """Whether the folder of this node is there still."""
        return Path(self._place.folder).is_dir()

    def close(self) -> None:
        """Remove the file: who has mapped it may go on."""
        self._reader.close()
        if self._fd >= 0:
            os.close(self._fd)
            Path(self._path).unlink(missing_ok=True)

    def _fetched(self, left: LeftSection) -> Iterator[bytes]:
        from esker.shuffle.file_bytes import FilePart

        section = left.section
        return self._reader.read(FilePart(left.node, left.name, section.begin, section.end, left.checksum))

    def _write(self, data: bytes) -> None:
        if self._written + len(data) > self._place.limit_bytes:
            raise self._place.over_limit(self._written + len(data))
        try:
            if self._fd < 0:
                self._path, self._fd = self._place.new_file(0)
            view = memoryview(data)
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError as error:
            raise self._place.failure(error) from error
        self._written += len(data)
