"""Bad input gives a clear error of our own that names what is at fault."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

import esker
from esker.errors import (
    CostLimitError,
    EskerError,
    InputError,
    InputFileError,
    MemoryBudgetExceededError,
    OptionError,
    OutputExistsError,
    PredicateError,
    SchemaMismatchError,
    SpillError,
    UnknownColumnError,
    UserFunctionError,
)

FLIGHTS = esker.from_arrow({"tailnum": ["N1", "N2"], "delay": [5, 130], "origin": ["JFK", "EWR"]})


def test_an_unknown_column_is_met_with_the_nearest_name() -> None:
    for attempt in (
        lambda: FLIGHTS.select(["tailnmu"]),
        lambda: FLIGHTS.filter("tailnmu = 'N1'"),
        lambda: FLIGHTS.shuffle("tailnmu"),
        lambda: FLIGHTS.group_by("tailnmu"),
        lambda: FLIGHTS.join(FLIGHTS, on="tailnmu"),
    ):
        with pytest.raises(UnknownColumnError, match="did you mean 'tailnum'"):
            attempt()


def test_a_predicate_error_shows_its_position() -> None:
    with pytest.raises(PredicateError) as caught:
        FLIGHTS.filter("delay > AND origin = 'JFK'")
    assert caught.value.position is not None
    assert "^" in str(caught.value)


def test_a_wrong_type_in_a_predicate_names_column_type_and_value() -> None:
    with pytest.raises(PredicateError, match=r"(?s)delay.*late|late.*delay"):
        FLIGHTS.filter("delay > 'late'")


@pytest.mark.parametrize("name", ["missing.parquet", "missing.csv"])
def test_a_missing_file_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match=name):
        esker.read(tmp_path / name)


def test_a_folder_without_data_a_truncated_file_and_a_foreign_file_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputFileError, match="empty"):
        esker.read_parquet(tmp_path / "empty")
    whole = tmp_path / "whole.parquet"
    esker.from_arrow({"n": list(range(1000))}).write_parquet(whole)
    cut = tmp_path / "cut.parquet"
    cut.write_bytes(whole.read_bytes()[:-20])
    with pytest.raises(InputFileError, match=r"cut\.parquet"):
        esker.read_parquet(cut).count()
    (tmp_path / "noise.parquet").write_bytes(b"not a parquet file at all")
    with pytest.raises(InputFileError, match=r"noise\.parquet"):
        esker.read_parquet(tmp_path / "noise.parquet").count()


def test_a_damaged_page_of_a_parquet_file_is_an_error_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "damaged.parquet"
    esker.from_arrow({"n": list(range(100_000))}).write_parquet(path)
    raw = bytearray(path.read_bytes())
    raw[200:260] = bytes(60)
    path.write_bytes(raw)
    with pytest.raises(EskerError, match=r"damaged\.parquet"):
        esker.read_parquet(path).to_arrow()


def test_a_ragged_csv_names_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "ragged.csv"
    path.write_text("a,b\n1,2\n3\n4,5\n")
    with pytest.raises(InputFileError, match=r"ragged\.csv.*3"):
        esker.read_csv(path).count()


def test_an_existing_output_is_refused_and_untouched(tmp_path: Path) -> None:
    path = tmp_path / "out.parquet"
    path.write_bytes(b"precious")
    with pytest.raises(OutputExistsError, match=r"out\.parquet"):
        FLIGHTS.write_parquet(path)
    assert path.read_bytes() == b"precious"
    with pytest.raises(OutputExistsError):
        FLIGHTS.shuffle("origin", 2).write_partitions(tmp_path)


def test_an_output_without_a_folder_is_refused_before_any_work(tmp_path: Path) -> None:
    def never(batch: pa.RecordBatch) -> pa.RecordBatch:
        raise AssertionError("must not run")

    lazy = FLIGHTS.map_batches(never, schema=FLIGHTS.schema)
    with pytest.raises(InputFileError, match="nowhere"):
        lazy.write_parquet(tmp_path / "nowhere" / "out.parquet")


def test_a_failing_function_shows_the_users_line_first_and_leaves_no_output(tmp_path: Path) -> None:
    def broken(batch: pa.RecordBatch) -> pa.RecordBatch:
        return 1 / 0  # the user's line

    lazy = FLIGHTS.map_batches(broken, schema=FLIGHTS.schema)
    with pytest.raises(UserFunctionError) as caught:
        lazy.write_parquet(tmp_path / "out.parquet")
    lines = str(caught.value).splitlines()
    assert lines[0] == "ZeroDivisionError: division by zero [ESK-603]"
    assert "the user's line" in lines[1]
    assert "broken" in lines[-1]
    assert "map_batches" in lines[-1]
    assert len(lines) <= 15
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert list(tmp_path.iterdir()) == []


def test_a_function_that_raises_stop_iteration_does_not_cut_the_rows() -> None:
    def stop(group: pa.Table) -> dict[str, int]:
        raise StopIteration

    with pytest.raises(UserFunctionError, match="StopIteration"):
        FLIGHTS.group_by("origin").map_groups(stop, schema=pa.schema({"n": pa.int64()})).to_arrow()


def test_a_failing_group_is_named_by_its_key() -> None:
    def broken(group: pa.Table) -> dict[str, int]:
        raise ValueError("no such plane")

    with pytest.raises(UserFunctionError, match="origin='"):
        FLIGHTS.group_by("origin").map_groups(broken, schema=pa.schema({"n": pa.int64()})).to_arrow()


def test_a_group_beyond_the_budget_names_its_key() -> None:
    table = pa.table({"k": ["whale"] * 200_000, "text": ["x" * 100] * 200_000})
    mapped = esker.from_arrow(table).group_by("k", partitions=4).map_groups(lambda group: {"n": 1})
    with pytest.raises(MemoryBudgetExceededError, match="whale") as caught:
        mapped.with_options(memory="16MiB").to_arrow()
    assert caught.value.largest_key == "whale"


def test_join_keys_that_cannot_be_compared_are_refused() -> None:
    other = esker.from_arrow({"delay": [pa.scalar(b"x").as_py()], "x": [1]})
    with pytest.raises(SchemaMismatchError, match="delay"):
        FLIGHTS.join(other, on="delay").to_arrow()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"memory": "lots"}, "memory"),
        ({"threads": 0}, "threads"),
        ({"spill_limit": "x"}, "spill_limit"),
        ({"max_cost": {"euros": 1}}, "euros"),
        ({"colour": 1}, "colour"),
    ],
)
def test_an_option_out_of_range_is_named(options: dict[str, object], match: str) -> None:
    with pytest.raises(OptionError, match=match):
        FLIGHTS.with_options(**options)


def test_senseless_arguments_are_named(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="partitions=0"):
        FLIGHTS.shuffle("origin", 0)
    with pytest.raises(OptionError, match="twice"):
        FLIGHTS.shuffle(["origin", "origin"])
    with pytest.raises(OptionError, match="sideways"):
        FLIGHTS.join(FLIGHTS, on="origin", how="sideways")
    with pytest.raises(OptionError, match="quantum"):
        FLIGHTS.join(FLIGHTS, on="origin", algorithm="quantum").to_arrow()
    with pytest.raises(OptionError, match="quantum"):
        FLIGHTS.join(FLIGHTS, on="origin", algorithm="quantum")
    with pytest.raises(OptionError, match="join with list"):
        FLIGHTS.join([], on="origin")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="head"):
        FLIGHTS.head("3")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="names of columns, not 1"):
        FLIGHTS.select([1])  # type: ignore[list-item]
    with pytest.raises(OptionError, match="threads"):
        FLIGHTS.with_options(threads="2")
    with pytest.raises(InputError, match="does not speak Arrow"):
        esker.from_arrow(object())
    with pytest.raises(PredicateError, match="not None"):
        FLIGHTS.filter(None)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="row_group_rows=0"):
        esker.freeze(FLIGHTS, tmp_path / "frozen", keys="origin", row_group_rows=0)


@pytest.mark.parametrize(
    ("columns", "match"),
    [
        ({"a": [1], "b": [1, 2]}, "'?b'?.*length"),
        ({"a": [1, "x"]}, "'x'"),
        ({1: [1]}, "a text, not 1"),
        ({"a": 5}, "int"),
    ],
    ids=str,
)
def test_columns_that_make_no_table_say_why(columns: dict[object, object], match: str) -> None:
    with pytest.raises(InputError, match=match):
        esker.from_arrow(columns)


@pytest.mark.parametrize("schema", [None, pa.schema({"a": pa.int64()})])
def test_rows_of_a_function_that_make_no_table_say_why(schema: pa.Schema | None) -> None:
    with pytest.raises(InputError, match="these rows make no table.*'x'"):
        FLIGHTS.map_batches(lambda _: [{"a": 1}, {"a": "x"}], schema=schema).to_arrow()


def test_a_plan_above_max_cost_is_refused_before_reading(tmp_path: Path) -> None:
    path = tmp_path / "n.parquet"
    esker.from_arrow({"n": list(range(10_000))}).write_parquet(path)
    with pytest.raises(CostLimitError, match="max_cost"):
        esker.read_parquet(path).with_options(max_cost={"bytes": 10}).to_arrow()


def test_a_reader_that_was_read_says_so() -> None:
    once = esker.from_arrow(pa.table({"n": [1]}).to_reader())
    assert once.count() == 1
    with pytest.raises(InputError, match="once"):
        once.count()


def test_a_full_spill_folder_says_where_and_leaves_nothing(tmp_path: Path) -> None:
    spill, out = tmp_path / "spill", tmp_path / "out"
    spill.mkdir()
    table = pa.table({"k": list(range(400_000)), "text": [f"{n:0100}" for n in range(400_000)]})
    lazy = esker.from_arrow(table).shuffle("k", 8)
    with pytest.raises(SpillError, match="spill"):
        lazy.write_partitions(out, memory="16MiB", spill_folder=spill, spill_limit="1MiB")
    assert list(spill.iterdir()) == []
    assert not out.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["spill"]


def test_two_columns_of_one_name_are_refused_where_they_come_in() -> None:
    twice = pa.table([pa.array([1]), pa.array([2])], names=["n", "n"])
    for data in (twice, twice.to_reader()):
        with pytest.raises(InputError, match="two columns named 'n'"):
            esker.from_arrow(data)


def test_a_long_key_does_not_fill_the_screen() -> None:
    error = MemoryBudgetExceededError.of("group_by", 500, 300, {}, largest_key="x" * 5_000_000)
    assert len(str(error)) < 400


def test_more_columns_than_the_budget_can_read_at_once_are_refused_with_what_to_do(tmp_path: Path) -> None:
    numbers = pa.array(range(20_000), pa.float64())
    table = pa.table({f"c{n}": numbers for n in range(300)})
    path = tmp_path / "wide.parquet"
    esker.from_arrow(table).write_parquet(path)
    wide = esker.read_parquet(path).with_options(memory="16MiB")
    with pytest.raises(MemoryBudgetExceededError, match="select fewer"):
        wide.to_arrow()
    assert wide.select(["c0", "c299"]).to_arrow().num_rows == 20_000
