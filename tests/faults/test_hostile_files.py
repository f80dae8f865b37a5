"""Files that somebody else prepared: opening them runs nothing, reserves nothing absurd, and leads nowhere else."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import apsw
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import esker
from esker.core.checksum import checksum_bytes
from esker.core.event_log import read_events
from esker.errors import CatalogCorruptError, EskerError, InputFileError
from esker.frozen.database import connect_reading, connect_writing

PROGRAM = Path(__file__).with_name("opening_runs_no_code.py")


@pytest.mark.parametrize("seed", [1, 2])
def test_opening_any_file_whole_or_damaged_runs_no_code(tmp_path: Path, seed: int) -> None:
    ended = subprocess.run(
        [sys.executable, str(PROGRAM), str(tmp_path), str(seed)], capture_output=True, text=True, timeout=240
    )
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout.splitlines()[-1])
    assert found["seen"] == []
    assert found["refused"] > 40


def test_the_watch_sees_code_that_runs(tmp_path: Path) -> None:
    watch = "import sys, pickle, fractions; seen = []; sys.addaudithook(lambda event, _: seen.append(event))\n"
    act = "pickle.loads(pickle.dumps(fractions.Fraction(1, 2))); exec('1'); print(*seen)"
    seen = subprocess.run([sys.executable, "-c", watch + act], capture_output=True, text=True).stdout.split()
    assert {"pickle.find_class", "compile", "exec"} <= set(seen)


class Trap:
    """Runs code when it is read back from a pickle."""

    def __reduce__(self) -> Any:
        return open, ("sprung", "w")


def test_a_pickle_in_an_arrow_schema_stays_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    marks = {b"ARROW:extension:name": b"arrow.py_extension_type", b"ARROW:extension:metadata": pickle.dumps(Trap())}
    field = pa.field("id", pa.int64(), metadata=marks)
    pq.write_table(pa.table([pa.array([1, 2])], pa.schema([field])), "trap.parquet")
    assert esker.read_parquet("trap.parquet").to_arrow()["id"].to_pylist() == [1, 2]
    esker.freeze(esker.read_parquet("trap.parquet"), "trap.esker", keys=["id"])
    assert esker.read_frozen("trap.esker").count() == 2
    assert not Path("sprung").exists()


@pytest.mark.parametrize("connect", [connect_writing, lambda path: connect_reading(path, local=True)])
def test_the_schema_of_a_catalogue_is_not_trusted(tmp_path: Path, connect: Any) -> None:
    path = tmp_path / "catalog.db"
    connection = apsw.Connection(str(path))
    connection.execute("CREATE TABLE t (a); CREATE VIEW v AS SELECT fts3_tokenizer('simple') FROM t")
    connection.close()
    connection = connect(path)
    assert connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, -1) == 0
    assert connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, -1) == 1
    with pytest.raises(apsw.SQLError, match="unsafe use|not authorized|no such function"):
        connection.execute("SELECT load_extension('x')").fetchall()
    connection.close()


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 100_000,
        b'{"v":' + b"9" * 5_000 + b"}",
        b'"v"',
        b"\xff\xfe",
        b'{"v": 99}',
        b'{"v": Infinity}',
    ],
    ids=["nesting", "digits", "text", "bytes", "version", "infinity"],
)
def test_a_hostile_line_of_an_event_log_is_named(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(line + b"\n")
    with pytest.raises(InputFileError, match=r"events\.jsonl:1"):
        read_events(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("files", [["../../etc/cron.d/x", 0, 1, "crc32:00000000"]]),
        ("files", [["/etc/passwd", 0, 1, "crc32:00000000"]]),
        ("files", [["a", 0, 1 << 60, "crc32:00000000"]]),
        ("used_bytes", float("inf")),
        ("generation", [[]]),
    ],
)
def test_a_sealed_index_of_a_cartridge_leads_nowhere_else(tmp_path: Path, name: str, value: Any) -> None:
    uri = f"ltfs:{tmp_path}/library?device=lto9-hh"
    esker.open_tier(uri).write("a/b", b"payload")
    files = [path for path in (tmp_path / "library").rglob("*") if path.is_file()]
    copies = [path for path in files if b'"generation"' in path.read_bytes()]
    assert copies
    for path in copies:
        text = json.dumps(json.loads(path.read_bytes().splitlines()[0]) | {name: value}).encode()
        path.write_bytes(text + b"\n" + checksum_bytes(text).encode() + b"\n")
    with pytest.raises(EskerError, match="damaged|plain|keys are"):
        list(esker.open_tier(uri).list(""))


def test_nested_json_in_a_catalogue_is_named(tmp_path: Path) -> None:
    esker.freeze(esker.from_arrow({"id": [1]}), tmp_path / "s.esker", keys=["id"])
    connection = apsw.Connection(str(tmp_path / "s.esker/catalog.db"))
    connection.execute("UPDATE dataset SET options = ?", ("[" * 100_000,))
    connection.close()
    with pytest.raises(CatalogCorruptError, match=r"catalog\.db"):
        esker.read_frozen(tmp_path / "s.esker").count()


def test_a_tier_of_a_frozen_folder_holds_no_link_out_of_it(tmp_path: Path) -> None:
    esker.freeze(esker.from_arrow({"id": [1], "note": ["a"]}), tmp_path / "s.esker", keys=["id"])
    (payload,) = (tmp_path / "s.esker/payload").rglob("*.parquet")
    elsewhere = tmp_path / "elsewhere.parquet"
    payload.rename(elsewhere)
    payload.symlink_to(elsewhere)
    with pytest.raises(EskerError, match="symbolic link"):
        esker.read_frozen(tmp_path / "s.esker").to_arrow()
