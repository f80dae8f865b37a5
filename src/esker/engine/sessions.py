"""Sessions whose stages go to other processes of this machine, real or simulated."""

from __future__ import annotations

from pathlib import Path

from esker.core.seeded import generator
from esker.engine.page_nodes import LocalPages, PageNodes
from esker.engine.session import Session
from esker.errors import OptionError
from esker.runtime.executor import Executor
from esker.runtime.executors.simulated import SimulatedExecutor
from esker.shuffle.page_server import Places


class ProcessSession(Session):
    """Stages and functions run in worker processes of this machine; shuffles pass through files."""

    where = "processes"

    def __init__(self, workers: int | None = None, spill_folder: str | Path | None = None) -> None:
        super().__init__("processes", workers)
        self._pages: PageNodes | None = None
        self._spill_folder = Path(spill_folder) if spill_folder is not None else None

    @property
    def apart(self) -> bool:
        return True

    def pages(self) -> PageNodes:
        if self._pages is None:
            self._pages = self._new_pages(self._spill_folder)
        return self._pages

    def close(self) -> None:
        super().close()
        pages, self._pages = self._pages, None
        if pages is not None:
            pages.close()

    def _new_pages(self, root: Path | None) -> PageNodes:
        return LocalPages(root)


class SimulatedSession(ProcessSession):
    """A cluster that is not there, the same for the same seed: it loses `losses` of all tries, and of all pages."""

    where = "simulated"

    def __init__(
        self,
        workers: int | None = None,
        spill_folder: str | Path | None = None,
        seed: int = 0,
        losses: float = 0.0,
    ) -> None:
        if not 0 <= losses <= 1:
            raise OptionError(f"losses={losses!r}: give a share from 0 to 1")
        super().__init__(workers, spill_folder)
        self.runtime = "simulated"
        self._seed = seed
        self._losses = losses
        self._runs = 0

    def executor(self, workers: int | None = None) -> Executor:
        self._runs += 1
        seed = int(generator(self._seed, self._runs).integers(1 << 62))
        return SimulatedExecutor(workers or self.worker_count, seed, self._losses)

    def _new_pages(self, root: Path | None) -> PageNodes:
        return _LosingPages(root, self._seed, self._losses)


class _LosingPages(LocalPages):
    """Loses files when tasks are about to read them: each may be lost once, and what is made again stays."""

    def __init__(self, root: Path | None, seed: int, losses: float) -> None:
        super().__init__(root)
        self._chance = generator(seed)
        self._losses = losses
        self._drawn: set[tuple[int, int]] = set()
        self.lost_count = 0

    def places(self) -> Places:
        places = super().places()
        whole = [path for path in self._folder.path.glob("*-*-*") if not path.suffix]
        for path in sorted(whole, key=_made_by):
            if _made_by(path) in self._drawn:
                continue
            self._drawn.add(_made_by(path))
            if self._chance.random() < self._losses:
                path.unlink()
                self.lost_count += 1
        return places


def _made_by(path: Path) -> tuple[int, int]:
    shuffle, map_number, _ = path.name.split("-")
    return int(shuffle, 16), int(map_number)
