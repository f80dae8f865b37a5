"""Each command does on the user's own files what its function does."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from tests.unit.cli.command import Run

import esker
from esker.cli.main import main

LATE = "origin = 'JFK' AND delay > 120"


@pytest.fixture
def frozen(run: Run, flights: Path, tmp_path: Path) -> Path:
    """Flights frozen by the command."""
    target = tmp_path / "flights.esker"
    ended = run(
        "freeze", flights, target, "--key", "origin", "--index", "month", "--index", "delay:bins=0,60,120",
        "--order-by", "month", "--split-by", "month",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    assert "1,000 rows in 12 extents" in ended.out
    return target


def test_freeze_then_find_gives_the_rows_of_the_source(run: Run, flights: Path, frozen: Path) -> None:
    ended = run("find", frozen, LATE, "--columns", "id,note")
    expected = esker.read_parquet(flights).filter(LATE).select(["id", "note"]).to_arrow()
    assert ended.code == 0, ended.err
    assert pacsv.read_csv(io.BytesIO(ended.out.encode())).to_pylist() == expected.to_pylist()
    assert f"found {expected.num_rows:,} rows" in ended.err


@pytest.mark.parametrize("extension", [".parquet", ".csv", ".arrow"])
def test_find_writes_the_file_its_extension_names(run: Run, flights: Path, tmp_path: Path, extension: str) -> None:
    target = tmp_path / f"late{extension}"
    ended = run("find", flights, LATE, "--output", target)
    assert (ended.code, ended.out) == (0, "")
    assert esker.read(target).count() == esker.read_parquet(flights).filter(LATE).count()


def test_find_pipes_csv_json_lines_and_arrow(flights: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    expected = esker.read_parquet(flights).filter(LATE).to_arrow().to_pylist()

    def piped(*more: str) -> bytes:
        capfdbinary.readouterr()
        assert main(["find", str(flights), LATE, "--quiet", *more]) == 0
        out, err = capfdbinary.readouterr()
        assert err == b""
        return out

    assert pacsv.read_csv(io.BytesIO(piped())).to_pylist() == expected
    assert pacsv.read_csv(io.BytesIO(piped("--output", "-"))).to_pylist() == expected
    assert [json.loads(line) for line in piped("--format", "jsonl").splitlines()] == expected
    assert pa.ipc.open_stream(piped("--format", "arrow")).read_all().to_pylist() == expected


def test_json_is_one_document_with_rows_and_plan(run: Run, frozen: Path) -> None:
    ended = run("find", frozen, LATE, "--json")
    document = json.loads(ended.out)
    assert document["columns"] == ["id", "month", "origin", "delay", "note"]
    assert document["row_count"] == len(document["rows"]) > 0
    assert all(row["origin"] == "JFK" and row["delay"] > 120 for row in document["rows"])
    assert document["plan"]["operator"] == "find"
    assert document["plan"]["actual"]["bytes"] > 0


def test_json_without_rows_is_still_a_document(run: Run, flights: Path) -> None:
    document = json.loads(run("find", flights, "delay > 10000", "--json").out)
    assert (document["rows"], document["row_count"]) == ([], 0)


def test_json_of_an_output_file_counts_its_rows(run: Run, flights: Path, tmp_path: Path) -> None:
    document = json.loads(run("find", flights, LATE, "--json", "--output", tmp_path / "late.parquet").out)
    assert document["row_count"] == pq.read_metadata(tmp_path / "late.parquet").num_rows


def test_join_takes_keys_of_different_names_and_filters_of_both_sides(run: Run, flights: Path, airports: Path) -> None:
    ended = run(
        "join", flights, airports, "--on", "origin=faa", "--left-where", "month = 6", "--right-where", "faa = 'JFK'",
        "--columns", "id,city", "--json",
    )  # fmt: skip
    rows = json.loads(ended.out)["rows"]
    assert {row["city"] for row in rows} == {"New York"}
    june = esker.read_parquet(flights).filter("month = 6 AND origin = 'JFK'").to_arrow()["id"].to_pylist()
    assert sorted(row["id"] for row in rows) == june


@pytest.mark.parametrize("algorithm", ["hash", "in_memory", "asj"])
def test_join_uses_the_algorithm_it_is_told(run: Run, flights: Path, airports: Path, algorithm: str) -> None:
    ended = run("join", flights, airports, "--on", "origin=faa", "--how", "left", "--algorithm", algorithm, "--json")
    document = json.loads(ended.out)
    assert document["plan"]["choice"] == algorithm
    assert document["row_count"] == 1000


def test_shuffle_writes_a_file_a_partition_and_keeps_equal_keys_together(
    run: Run, flights: Path, tmp_path: Path
) -> None:
    ended = run(
        "shuffle", flights, "--by", "origin", "--partitions", "4", "--output", tmp_path / "by", "--memory", "64MiB"
    )
    assert ended.code == 0, ended.err
    files = sorted((tmp_path / "by").iterdir())
    origins = [set(pq.read_table(file)["origin"].to_pylist()) for file in files]
    assert len(files) == 4
    assert sum(len(found) for found in origins) == 3
    assert "1,000 rows in 4 partitions" in ended.out


def test_shuffle_by_ranges_puts_smaller_keys_first(run: Run, flights: Path, tmp_path: Path) -> None:
    arguments = ["--by", "id", "--function", "range", "--strategy", "auto", "--partitions", "3"]
    run("shuffle", flights, *arguments, "--output", tmp_path / "by")
    parts = [pq.read_table(path)["id"].to_pylist() for path in sorted((tmp_path / "by").iterdir())]
    assert len(parts) == 3 and all(parts)
    assert max(parts[0]) < min(parts[1]) and max(parts[1]) < min(parts[2])


def test_shuffle_counts_partitions_as_json(run: Run, flights: Path, tmp_path: Path) -> None:
    ended = run("shuffle", flights, "--by", "origin", "--partitions", "4", "--output", tmp_path / "by", "--json")
    document = json.loads(ended.out)
    assert sum(document["partition_rows"]) == document["row_count"] == 1000
    assert document["plan"]["operator"] == "shuffle"


def test_shuffle_writes_a_folder_a_key_that_pyarrow_reads_back(run: Run, flights: Path, tmp_path: Path) -> None:
    out = tmp_path / "by"
    ended = run("shuffle", flights, "--by", "origin", "--hive", "--rows-per-file", "100", "--output", out)
    assert ended.code == 0, ended.err
    assert "1,000 rows in folders by origin" in ended.out
    assert all(pq.read_metadata(path).num_rows <= 100 for path in out.rglob("*.parquet"))
    found = pq.read_table(out, partitioning="hive")
    wanted = pq.read_table(flights)
    found = found.set_column(found.column_names.index("origin"), "origin", found["origin"].cast("string"))
    assert found.select(wanted.column_names).sort_by("id").to_pydict() == wanted.sort_by("id").to_pydict()


def test_shuffle_cuts_partitions_into_files_of_the_size_asked_for(run: Run, flights: Path, tmp_path: Path) -> None:
    out = tmp_path / "by"
    words = ("shuffle", flights, "--by", "id", "--partitions", "2", "--output", out, "--compression", "none")
    assert run(*words, "--file-bytes", "4KiB").code == 0
    assert len(list(out.iterdir())) > 2
    assert run(*words).code == 2
    assert run(*words, "--overwrite").code == 0
    assert sorted(path.name for path in out.iterdir()) == ["part-00000.parquet", "part-00001.parquet"]


def test_shuffle_tells_of_folders_as_json(run: Run, flights: Path, tmp_path: Path) -> None:
    ended = run("shuffle", flights, "--by", "origin", "--hive", "--keep-keys", "--output", tmp_path / "by", "--json")
    assert json.loads(ended.out)["row_count"] == 1000
    refused = run("shuffle", flights, "--by", "origin", "--keep-keys", "--output", tmp_path / "other")
    assert (refused.code, "--hive" in refused.err) == (2, True)


def test_explain_shows_the_plan_of_a_find_and_of_a_join(run: Run, frozen: Path, airports: Path) -> None:
    found = run("explain", frozen, "month = 6")
    joined = run("explain", frozen, "--join", airports, "--on", "origin=faa")
    assert found.out.startswith("find")
    assert "estimated" in found.out
    assert joined.out.startswith("join")
    assert "instead of" in joined.out


@pytest.mark.parametrize(
    "command",
    [
        ("freeze", "{flights}", "{new}", "--index", "month"),
        ("find", "{flights}", "month = 6", "--output", "{new}"),
        ("join", "{flights}", "{airports}", "--on", "origin=faa", "--output", "{new}"),
        ("shuffle", "{flights}", "--by", "origin", "--output", "{new}"),
    ],
    ids=lambda command: command[0],
)
@pytest.mark.parametrize("json_flag", [[], ["--json"]], ids=["text", "json"])
def test_a_dry_run_shows_the_plan_and_writes_nothing(
    run: Run, flights: Path, airports: Path, tmp_path: Path, command: tuple[str, ...], json_flag: list[str]
) -> None:
    new = tmp_path / "new.parquet"
    before = sorted(tmp_path.iterdir())
    arguments = [word.format(flights=flights, airports=airports, new=new) for word in command]
    ended = run(*arguments, "--dry-run", *json_flag)
    assert ended.code == 0, ended.err
    if json_flag:
        document = json.loads(ended.out)
        assert document["dry_run"] is True
        assert document["plan"]["operator"]
    else:
        assert ended.out.strip()
    assert sorted(tmp_path.iterdir()) == before


def test_quiet_says_nothing_on_stderr(run: Run, flights: Path, tmp_path: Path) -> None:
    assert run("find", flights, LATE, "--quiet", "--output", tmp_path / "late.parquet").err == ""


def test_the_event_log_is_appended_to_the_file_named(run: Run, flights: Path, tmp_path: Path) -> None:
    log = tmp_path / "events.jsonl"
    run("find", flights, LATE, "--log", log, "--output", tmp_path / "late.parquet")
    events = [json.loads(line) for line in log.read_text().splitlines()]
    assert "query_done" in {event["event"] for event in events}


def test_version_and_help_answer(run: Run) -> None:
    assert run("--version").out == f"esker {esker.__version__}\n"
    for command in ("freeze", "find", "join", "shuffle", "explain", "demo"):
        ended = run(command, "--help")
        assert ended.code == 0
        assert "--debug" in ended.out


def test_a_terminal_gets_the_first_rows_as_a_table(
    run: Run, flights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "hostile.parquet"
    esker.from_arrow({"n": [1, None], "text": ["[bold]not markup[/bold]", "\x1b[31mred\n"]}).write_parquet(path)
    monkeypatch.setattr("esker.cli.deliver._is_terminal", lambda: True)
    hostile = run("find", path, "text <> ''")
    assert "[bold]not markup[/bold]" in hostile.out
    assert "\\x1b[31mred\\n" in hostile.out
    assert "\x1b" not in hostile.out
    assert "found 2 rows" in hostile.err
    many = run("find", flights, "month > 0", "--columns", "id")
    assert len([line for line in many.out.splitlines() if line.strip().isdigit()]) == 20
    assert "the first 20 rows" in many.err


def test_null_says_what_csv_files_write_for_null(run: Run, tmp_path: Path) -> None:
    (tmp_path / "readings.csv").write_text("place,celsius\nroof,5\ncellar,NA\nattic,\n")
    ended = run("find", tmp_path / "readings.csv", "celsius IS NULL", "--null", "NA", "--json")
    assert [row["place"] for row in json.loads(ended.out)["rows"]] == ["cellar", "attic"]
    frozen = run("freeze", tmp_path / "readings.csv", tmp_path / "r.esker", "--null", "NA", "--index", "celsius")
    assert frozen.code == 0, frozen.err
    assert json.loads(run("find", tmp_path / "r.esker", "celsius > 4", "--json").out)["row_count"] == 1


def test_a_plan_that_was_not_run_tells_no_rows(run: Run, flights: Path) -> None:
    plan = json.loads(run("explain", flights, "month = 6", "--json").out)["plan"]
    assert plan["rows"] is None


def test_help_loads_no_arrow_no_engine_and_no_rich() -> None:
    """What keeps `esker --help` under 0.3 s; a clock would measure the machine."""
    code = (
        "import sys; from esker.cli.main import main; assert main(['find', '--help']) == 0;"
        " heavy = {'pyarrow', 'numpy', 'rich', 'sqlglot', 'apsw', 'duckdb', 'esker.collection', 'esker.plan'};"
        " print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ended.stderr.splitlines()[-1] == "[]"


def test_a_pipe_of_csv_refuses_what_csv_cannot_hold_and_json_lines_take_it(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "nested.parquet"
    esker.from_arrow({"n": [1], "blob": [b"\xff"], "list": [[1, 2]]}).write_parquet(path)
    for column in ("blob", "list"):
        ended = run("find", path, "n = 1", "--columns", column)
        assert (ended.code, ended.out) == (2, "")
        assert "--format jsonl" in ended.err
    ended = run("find", path, "n = 1", "--format", "jsonl")
    assert json.loads(ended.out) == {"n": 1, "blob": "/w==", "list": [1, 2]}


@pytest.mark.parametrize(
    ("format", "begins"), [("svg", "<svg"), ("mermaid", "flowchart TD"), ("dot", "digraph plan {")]
)
def test_explain_draws_the_plan(run: Run, flights: Path, format: str, begins: str) -> None:
    ended = run("explain", flights, "month = 6", "--format", format)
    assert ended.code == 0 and ended.out.startswith(begins) and "scan parquet" in ended.out


def test_explain_refuses_a_format_it_does_not_have_and_two_at_once(run: Run, flights: Path) -> None:
    assert "text, svg, mermaid, dot" in run("explain", flights, "--format", "png").err
    assert run("explain", flights, "--format", "svg", "--json").code == 2
