"""Joins of wide rows over a slow store: bytes and requests counted there, seconds beside those of a full read.

    python -m benchmarks.late_materialisation                        R 1 M and S 2 M rows, about ten minutes
    python -m benchmarks.late_materialisation --rows 100000 --peers polars
    python -m benchmarks.late_materialisation --quietly COMMAND      put COMMAND before every measured process

R and S have a key and 400 bytes of noise a row. The store is `esker.testing.range_server`: 50 MB/s for all connections
together, 20 ms before each answer. Matches are clustered (20 runs of S, the last tenth of R) or uniform. Peers read
Parquet as pyarrow writes it by default, but DataFusion the files Esker reads: they have a page index, without which its
pushdown skips nothing. Esker's payload is what `esker.freeze` wrote, on the same store, its keys in a local folder,
which is the point of freezing them. The full read is the quickest of Polars, Daft and Acero; beside uniform
matches the first peer named runs alone. Each result is compared with the rows there must be. The throttle holds runs
steady, so each is made once or twice.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

import esker
from benchmarks.interpreter import ROOT, find_interpreter
from benchmarks.late_engines import BUCKET
from benchmarks.machine import describe_machine
from esker.testing.range_server import RangeServer

PAYLOAD_BYTES = 400
RUNS = 20
BYTES_PER_SECOND = 50e6
REQUEST_SECONDS = 0.02
CHECKED_ROWS = 50_000
PEERS = ("polars", "daft", "acero", "datafusion")
FULL_READS = ("polars", "daft", "acero")
# Name, title, share of S that matches, clustered or not.
WORKLOADS = {
    "c1": ("1 % clustered", 0.01, True),
    "c10": ("10 % clustered", 0.1, True),
    "u001": ("0.01 % uniform", 0.0001, False),
    "u01": ("0.1 % uniform", 0.001, False),
    "u1": ("1 % uniform", 0.01, False),
    "u10": ("10 % uniform", 0.1, False),
    "u30": ("30 % uniform", 0.3, False),
}

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Measured:
    """One run: what it took, and what the store counted meanwhile."""

    case: str
    workload: str
    seconds: float
    peak_bytes: int
    bytes_read: int
    requests: int
    rows: int
    predicted_bytes: int | None = None
    predicted_requests: int | None = None


def keys(rows: int, share: float, clustered: bool, chance: np.random.Generator) -> Ids:
    """Give S's key column: partners in R for `share` of the rows, none for the others."""
    count = max(int(2 * rows * share), RUNS)
    found = np.arange(2 * rows, dtype=np.int64) + 10 * rows
    if clustered:
        starts = np.linspace(0, 2 * rows - count // RUNS, RUNS).astype(np.int64)
        places = (starts[:, None] + np.arange(count // RUNS)).ravel()
        partners = chance.integers(rows - rows // 10, rows, len(places))
    else:
        places = np.sort(chance.choice(2 * rows, count, replace=False))
        partners = chance.integers(0, rows, count)
    found[places] = partners
    return found


def noise(rows: int, chance: np.random.Generator) -> pa.Array:
    """Give bytes that no codec makes smaller."""
    values = pa.py_buffer(chance.integers(0, 256, rows * PAYLOAD_BYTES, np.uint8))
    offsets = pa.py_buffer(np.arange(rows + 1, dtype=np.int32) * PAYLOAD_BYTES)
    return pa.Array.from_buffers(pa.binary(), rows, [None, offsets, values])


@contextmanager
def prepared(rows: int, folder: Path) -> Iterator[tuple[RangeServer, pa.Table, pa.Table]]:
    """Write the data, freeze it onto the store, then slow the store down."""
    chance = np.random.default_rng(20261127)
    left = pa.table({"id": np.arange(rows), "payload_r": noise(rows, chance)})
    columns = {name: keys(rows, share, clustered, chance) for name, (_, share, clustered) in WORKLOADS.items()}
    right = pa.table({**columns, "payload_s": noise(2 * rows, chance)})
    (folder / "store").mkdir()
    with RangeServer(folder=folder / "store") as server:
        for name, table in (("r", left), ("s", right)):
            path = folder / f"{name}.parquet"
            pq.write_table(table, path, row_group_size=131_072)
            server.load(f"{BUCKET}/peers/{name}.parquet", path)
            options = {"bytes_per_second": BYTES_PER_SECOND, "request_seconds": REQUEST_SECONDS}
            hot = [column for column in table.schema.names if not column.startswith("payload")]
            tier = server.uri(f"{BUCKET}/frozen", **options)
            esker.freeze(table, folder / f"{name}.esker", keys=hot, tier=tier)
        server.bytes_per_second, server.request_seconds = BYTES_PER_SECOND, REQUEST_SECONDS
        yield server, left, right


def run(case: str, workload: str, server: RangeServer, folder: Path, before: Sequence[str]) -> Measured:
    """Run a case in its own process, and count at the store."""
    output = folder / "result.parquet"
    output.unlink(missing_ok=True)
    interpreter, missing = find_interpreter({"acero": ("pyarrow",), "esker": ("esker",)}.get(case, (case,)))
    if missing:
        raise RuntimeError(f"{case} is not measured: {', '.join(missing)} is not installed")
    asked = {
        "endpoint": server.endpoint,
        "key": workload,
        "output": str(output),
        "left_folder": str(folder / "r.esker"),
        "right_folder": str(folder / "s.esker"),
    }
    server.reset_counts()
    command = [*before, interpreter, "-m", "benchmarks.late_engines", case, json.dumps(asked)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)
    if ended.returncode:
        raise RuntimeError(f"{case} failed: {ended.stderr.strip()[-400:]}")
    counts = server.counts()
    said = json.loads(ended.stdout.strip().splitlines()[-1])
    log = Path(f"{output}.log")
    plan = predicted(log) if log.exists() else (None, None)
    log.unlink(missing_ok=True)
    return Measured(
        case,
        workload,
        said["seconds"],
        said["peak_bytes"],
        counts.bytes_read,
        counts.gets,
        pq.read_metadata(output).num_rows,
        *plan,
    )


def predicted(log: Path) -> tuple[int, int]:
    """Add up what the thaws of a join said beforehand that they would read of the store."""
    events = [json.loads(line) for line in log.read_text().splitlines()]
    costs = [event["cost"] for event in events if event["event"] == "thaw_planned"]
    return sum(cost["bytes"] for cost in costs), sum(cost["requests"] for cost in costs)


def check(output: Path, workload: str, left: pa.Table, right: pa.Table) -> None:
    """Compare a result, in any order of its rows, with what must come out."""
    ids = right[workload].to_numpy()
    places = np.flatnonzero(ids < left.num_rows)
    expected = got = 0
    for start in range(0, len(places), CHECKED_ROWS):
        part = places[start : start + CHECKED_ROWS]
        rows = left["payload_r"].take(pa.array(ids[part])), right["payload_s"].take(pa.array(part))
        expected += digest(ids[part], *rows)
    row_count = 0
    for batch in pq.ParquetFile(output).iter_batches(CHECKED_ROWS):
        key = batch.column("id") if "id" in batch.schema.names else batch.column(workload)
        row_count += batch.num_rows
        got += digest(key.to_numpy(), batch.column("payload_r"), batch.column("payload_s"))
    if (row_count, got % (1 << 64)) != (len(places), expected % (1 << 64)):
        raise AssertionError(f"{row_count:,} rows came out, of {len(places):,}, or other ones than there are")


def digest(ids: Ids, *payloads: pa.ChunkedArray | pa.Array) -> int:
    """Give a checksum that does not depend on the order of rows, but on which values stand side by side."""
    mixed = ids.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    for number, payload in enumerate(payloads):
        mixed = mixed * np.uint64(31) + row_words(payload) * np.uint64(2 * number + 1)
    return int((mixed ^ (mixed >> np.uint64(29))).sum(dtype=np.uint64))


def row_words(payload: pa.ChunkedArray | pa.Array) -> npt.NDArray[np.uint64]:
    """Mix each value's bytes into one number."""
    whole = pa.chunked_array([payload]) if isinstance(payload, pa.Array) else payload
    plain = pa.concat_arrays(whole.cast(pa.large_binary()).chunks)
    offsets = np.frombuffer(plain.buffers()[1], np.int64)[plain.offset : plain.offset + len(plain) + 1]
    if (np.diff(offsets) != PAYLOAD_BYTES).any():
        raise AssertionError("a payload has another length than all have")
    words = np.frombuffer(plain.buffers()[2], np.uint8)[offsets[0] : offsets[-1]].view("<u8")
    weights = np.arange(1, PAYLOAD_BYTES // 8 + 1, dtype=np.uint64) * np.uint64(0xD6E8FEB86659FD93)
    mixed: npt.NDArray[np.uint64] = (words.reshape(-1, PAYLOAD_BYTES // 8) * weights).sum(axis=1, dtype=np.uint64)
    return mixed


def report(found: Sequence[Measured], console: Console) -> None:
    """Print a table for each workload, losses too."""
    for name, (title, _, _) in WORKLOADS.items():
        rows = [one for one in found if one.workload == name]
        if not rows:
            continue
        full = min((one for one in rows if one.case in FULL_READS), key=lambda one: one.seconds, default=None)
        table = Table(title=title, title_justify="left")
        for heading in ("case", "seconds", "MB", "requests", "of full bytes", "x full read", "predicted", "peak MB"):
            table.add_column(heading, justify="left" if heading == "case" else "right")
        for one in rows:
            said = ""
            if one.predicted_bytes is not None and one.predicted_requests is not None:
                said = f"{one.predicted_bytes / 1e6:,.1f} MB, {one.predicted_requests:,}"
            table.add_row(
                one.case,
                f"{one.seconds:.2f}",
                f"{one.bytes_read / 1e6:,.1f}",
                f"{one.requests:,}",
                f"1/{full.bytes_read / max(one.bytes_read, 1):.1f}" if full else "",
                f"{full.seconds / one.seconds:.2f}" if full else "",
                said,
                f"{one.peak_bytes / 1e6:,.0f}",
            )
        console.print(table)


def main() -> int:
    """Measure, print, and keep every figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of R; S has twice as many")
    parser.add_argument("--workloads", default=",".join(WORKLOADS))
    parser.add_argument("--peers", default=",".join(PEERS), help="polars, daft, acero, datafusion, or nothing")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--quietly", default="", help="a command that runs another one, for a calm machine")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 140)
    peers = [name for name in chosen.peers.split(",") if name]
    found: list[Measured] = []
    with tempfile.TemporaryDirectory(prefix="esker-late-") as text:
        folder = Path(text)
        with prepared(chosen.rows, folder) as (server, left, right):
            for workload in chosen.workloads.split(","):
                cases = ["esker", *(peers if WORKLOADS[workload][2] else peers[:1])]
                for case in cases * chosen.rounds:
                    try:
                        one = run(case, workload, server, folder, chosen.quietly.split())
                        check(folder / "result.parquet", workload, left, right)
                    except RuntimeError as error:
                        console.print(f"{workload}: {error}", markup=False)
                        continue
                    found.append(one)
                    console.print(
                        f"{workload}: {case} {one.seconds:.2f} s, {one.bytes_read / 1e6:,.1f} MB", markup=False
                    )
    report(found, console)
    machine = describe_machine()
    console.print(f"R {chosen.rows:,} and S {2 * chosen.rows:,} rows; {json.dumps(machine, default=str)}", markup=False)
    if chosen.json:
        chosen.json.write_text(json.dumps({"machine": machine, "runs": [asdict(one) for one in found]}, default=str))
    return 0


if __name__ == "__main__":
    sys.exit(main())
