"""Opens every kind of file that Esker keeps, whole and damaged, and tells on stdout what was run meanwhile.

A program of its own, since an audit hook cannot be taken away again: `python opening_runs_no_code.py FOLDER SEED`.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

import esker
from esker.cluster import records as kinds
from esker.cluster.log_file import LogFile
from esker.core.event_log import EventLog, read_events
from esker.core.extent import ByteRange
from esker.errors import EskerError

# What Python tells of when code is made or run from data, a program is started, or a library is loaded.
WATCHED = {
    "compile", "exec", "marshal.load", "marshal.loads", "pickle.find_class", "import", "ctypes.dlopen", "os.system",
    "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "subprocess.Popen", "sqlite3.load_extension",
}  # fmt: skip
ROWS = 600


def make(folder: Path) -> dict[str, Callable[[Path], object]]:
    """Write one of each kind into `folder`; for each, what opens and reads it, given the folder."""
    table = esker.from_arrow({"id": list(range(ROWS)), "place": [f"p{n % 7}" for n in range(ROWS)]})
    esker.freeze(table, folder / "rows.esker", keys=["id"], index={"place": "equality"})
    for scheme in ("tape", "ltfs"):
        tier = esker.open_tier(f"{scheme}:{folder}/{scheme}?device=lto9-hh")
        tier.write("a/b.parquet", b"payload" * 100)
    esker.build_index(table, folder / "place.index", {"place": "equality"})
    log = EventLog(folder / "events.jsonl")
    for number in range(20):
        log.emit("progress", rows=number)
    log.close()
    with LogFile(folder / "node.log") as node:
        for number in range(5):
            node.append(kinds.Born(number))
        node.sync()
    return {
        "rows.esker": lambda at: (
            esker.find(at / "rows.esker", "place = 'p3'").to_arrow(),
            esker.read_frozen(at / "rows.esker").to_arrow(),
        ),
        "tape": lambda at: read_tier(at, "tape"),
        "ltfs": lambda at: read_tier(at, "ltfs"),
        "place.index": lambda at: esker.open_index(at / "place.index").find("place = 'p3'"),
        "events.jsonl": lambda at: read_events(at / "events.jsonl"),
        "node.log": lambda at: read_log(at / "node.log"),
    }


def read_tier(folder: Path, scheme: str) -> object:
    """Read an object of a tape library in `folder`."""
    return esker.open_tier(f"{scheme}:{folder}/{scheme}?device=lto9-hh").read("a/b.parquet", [ByteRange(0, 700)])


def read_log(path: Path) -> object:
    """Read the records of a node's log."""
    with LogFile(path) as log:
        return log.records()


def damage(folder: Path, chance: np.random.Generator) -> None:
    """Change some bytes of one file below `folder`, or cut it."""
    files = sorted(path for path in (folder.rglob("*") if folder.is_dir() else [folder]) if path.is_file())
    files = [path for path in files if path.stat().st_size]
    path = files[int(chance.integers(len(files)))]
    data = bytearray(path.read_bytes())
    for _ in range(int(chance.integers(1, 5))):
        data[int(chance.integers(len(data)))] = int(chance.integers(256))
    path.write_bytes(data[: len(data) if chance.random() < 0.8 else int(chance.integers(len(data)))])


def main(folder: Path, seed: int) -> None:
    whole = folder / "whole"
    whole.mkdir()
    openers = make(whole)
    for opened in openers.values():
        opened(whole)  # What is imported when first used is imported now.
    seen: list[str] = []
    watching = False

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if watching and event in WATCHED:
            seen.append(f"{event} {arguments!r:.200}")

    sys.addaudithook(watch)
    chance = np.random.default_rng(seed)
    refused = 0
    for round_ in range(40):
        for name, opened in openers.items():
            at = folder / f"{round_}"
            at.mkdir(exist_ok=True)
            copy = shutil.copytree if (whole / name).is_dir() else shutil.copy
            copy(whole / name, at / name)
            if round_:
                damage(at / name, chance)
            watching = True
            try:
                opened(at)
            except EskerError:
                refused += 1
                assert round_, f"{name} was refused undamaged"
            finally:
                watching = False
        shutil.rmtree(folder / f"{round_}")
    print(json.dumps({"seen": seen, "refused": refused}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
