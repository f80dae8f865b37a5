"""Ctrl-C, a full disk and kill -9 in the middle of a query: no half output, no spill, no process left."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

WORK = """
import resource, signal, sys, time
import esker, pyarrow as pa
spill, out, what = sys.argv[1:4]
rows = pa.table({"k": [n % 1000 for n in range(400_000)], "text": ["%0100d" % n for n in range(400_000)]})

def slow(group):
    print("running", flush=True)
    time.sleep(0.5)
    return {"k": group["k"][0].as_py(), "n": group.num_rows}

if what == "full":
    # A file may not grow beyond this, as on a disk that is full; the signal would kill, the error is what we test.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4 << 20, 4 << 20))
data = esker.from_arrow(rows).with_options(memory="16MiB", spill_folder=spill)
mapped = data.group_by("k").map_groups(slow, schema=pa.schema({"k": pa.int64(), "n": pa.int64()}))
try:
    mapped.write_parquet(out)
except esker.errors.SpillError as error:
    print(f"SpillError: {error}", file=sys.stderr)
    sys.exit(3)
"""


def start(tmp_path: Path, what: str) -> subprocess.Popen[str]:
    (tmp_path / "spill").mkdir(exist_ok=True)
    arguments = [str(tmp_path / "spill"), str(tmp_path / "out.parquet"), what]
    return subprocess.Popen(
        [sys.executable, "-c", WORK, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def left_over(tmp_path: Path) -> list[str]:
    return sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.name != "spill")


def test_ctrl_c_leaves_nothing_and_ends_soon(tmp_path: Path) -> None:
    process = start(tmp_path, "interrupt")
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)  # a thousand groups would take minutes
    assert process.returncode != 0
    assert "KeyboardInterrupt" in stderr
    assert left_over(tmp_path) == []


def test_a_disk_that_fills_while_spilling_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    process = start(tmp_path, "full")
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 3, stderr
    assert str(tmp_path / "spill") in stderr
    assert "memory=" in stderr
    assert left_over(tmp_path) == []


def test_what_kill_9_leaves_is_swept_by_the_next_query(tmp_path: Path) -> None:
    process = start(tmp_path, "kill")
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"
    process.kill()
    process.communicate()
    assert not (tmp_path / "out.parquet").exists()
    killed = left_over(tmp_path)
    assert any(name.startswith("spill/esker-spill-") for name in killed)
    again = start(tmp_path, "full")
    again.communicate(timeout=60)
    assert [name for name in left_over(tmp_path) if name.startswith("spill/")] == []


@pytest.mark.parametrize("rows", [0, 3])
def test_a_reader_that_leaves_early_frees_threads_and_spill(rows: int, tmp_path: Path) -> None:
    import threading

    import pyarrow as pa

    import esker

    before = set(threading.enumerate())
    table = pa.table({"k": list(range(300_000)), "text": ["x" * 100] * 300_000})
    data = esker.from_arrow(table).shuffle("k", 32).with_options(memory="16MiB", spill_folder=tmp_path, threads=4)
    result = data.execute()
    for _ in range(rows):
        next(iter(result))
    result.close()
    assert list(tmp_path.iterdir()) == []
    assert set(threading.enumerate()) <= before


def test_a_result_that_is_dropped_frees_what_it_holds_at_once(tmp_path: Path) -> None:
    import gc

    import pyarrow as pa

    import esker

    table = pa.table({"k": list(range(300_000)), "text": ["x" * 100] * 300_000})
    data = esker.from_arrow(table).shuffle("k", 32).with_options(memory="16MiB", spill_folder=tmp_path)
    gc.disable()
    try:
        for _ in data:
            assert list(tmp_path.iterdir())
            break
        assert list(tmp_path.iterdir()) == []
        reader = data.execute().to_reader()
        assert reader.read_next_batch().num_rows
        assert list(tmp_path.iterdir())
        del reader
        assert list(tmp_path.iterdir()) == []
    finally:
        gc.enable()
