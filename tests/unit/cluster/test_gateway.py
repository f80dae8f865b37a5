"""Any Flight client may ask a cluster: commands, answers, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import flight

from esker.bitmap import Bitmap
from esker.cluster.gateway import COMMAND_BYTES, Command, read_command
from esker.cluster.local import LocalCluster
from esker.errors import OptionError

PEOPLE = pa.table(
    {
        "age": [20, 76, None, 42, 20] * 6_000,
        "city": ["Tacoma", "Spokane", "Seattle", None, "Spokane"] * 6_000,
        "line": list(range(30_000)),
    }
)

# What a user without Esker writes: pyarrow alone.
FOREIGN = """
import json, sys
from pyarrow import flight

address, token_file, command = sys.argv[1:]
token = open(token_file).read().strip()
options = flight.FlightCallOptions(timeout=30, headers=[(b"authorization", b"Bearer " + token.encode())])
with flight.connect(address) as client:
    names = [info.descriptor.path[0].decode() for info in client.list_flights(b"", options)]
    info = client.get_flight_info(flight.FlightDescriptor.for_command(command.encode()), options)
    table = client.do_get(info.endpoints[0].ticket, options).read_all()
assert not any(name.partition(".")[0] == "esker" for name in sys.modules)
print(json.dumps({"names": names, "same": info.schema == table.schema, "rows": table.to_pylist()}))
"""


class Foreign:
    """A plain Flight client with the token."""

    def __init__(self, local: LocalCluster) -> None:
        self.client = flight.connect(local.address)
        token = local.token_file.read_text().strip()
        self.options = flight.FlightCallOptions(timeout=30, headers=[(b"authorization", f"Bearer {token}".encode())])

    def ask(self, **command: Any) -> pa.Table:
        return self.client.do_get(flight.Ticket(json.dumps(command).encode()), self.options).read_all()


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with LocalCluster(tmp_path_factory.mktemp("gateway") / "cluster") as one:
        one.up(nodes=2)
        with one.connect() as cluster:
            cluster.build(PEOPLE, ["age", "city"], index="people", block_rows=12_000)
            cluster.build(PEOPLE, ["age"], index="bare", rows=False)
            cluster.put_many({n: Bitmap.from_positions([n, 99], 100) for n in range(3)})
        yield one


@pytest.fixture(scope="module")
def foreign(local: LocalCluster) -> Iterator[Foreign]:
    one = Foreign(local)
    with one.client:
        yield one


def test_a_process_without_esker_lists_and_asks_indexes(local: LocalCluster) -> None:
    command = json.dumps({"index": "people", "query": "age = 42 AND line < 10", "columns": ["line", "city"]})
    words = [sys.executable, "-c", FOREIGN, local.address, str(local.token_file), command]
    said = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    assert said["names"] == ["bare", "people", "vectors"] and said["same"]
    assert said["rows"] == [
        {"row_id": 3, "line": 3, "city": None},
        {"row_id": 8, "line": 8, "city": None},
    ]


def test_rows_are_those_of_the_table_in_order_and_limited(foreign: Foreign) -> None:
    ids = pa.array(range(PEOPLE.num_rows), pa.uint64())
    wanted = PEOPLE.add_column(0, pa.field("row_id", pa.uint64(), nullable=False), ids)
    assert foreign.ask(index="people").equals(wanted)
    chosen = wanted.filter(pc.and_(pc.equal(PEOPLE["city"], "Spokane"), pc.less(PEOPLE["age"], 50)))
    question = "city = 'Spokane' AND age < 50"
    assert foreign.ask(index="people", query=question).equals(chosen)
    few = foreign.ask(index="people", query=question, limit=2_501, columns=["line"], row_ids=None)
    assert few.equals(chosen.select(["line"]).slice(0, 2_501))
    assert foreign.ask(index="people", query=question, columns=[], row_ids="id")["id"].equals(chosen["row_id"])
    assert foreign.ask(index="people", query="age > 1000").num_rows == 0
    assert foreign.ask(index="people", limit=0).schema == wanted.schema


def test_counts_and_indexes_without_rows(foreign: Foreign) -> None:
    assert foreign.ask(index="people", query="age < 50", count=True).to_pydict() == {"count": [18_000]}
    assert foreign.ask(index="people", count=True).to_pydict() == {"count": [30_000]}
    assert foreign.ask(index="people", query="age < 50", count=True, limit=7).to_pydict() == {"count": [7]}
    assert foreign.ask(index="bare", query="age = 76", limit=3).to_pydict() == {"row_id": [1, 6, 11]}
    assert foreign.ask(index="vectors", query="R:[0,2]").to_pydict() == {"row_id": [0, 1, 2, 99]}
    assert foreign.ask(index="vectors", query="R:[0,0]&[1,2]", planner="least_loaded").to_pydict() == {"row_id": [99]}


def test_what_an_answer_will_be_is_said_before(foreign: Foreign) -> None:
    listed = {info.descriptor.path[0]: info for info in foreign.client.list_flights(b"", foreign.options)}
    assert listed[b"people"].total_records == 30_000
    assert listed[b"people"].schema.names == ["row_id", "age", "city", "line"]
    assert listed[b"bare"].schema.names == ["row_id"]
    whole = foreign.client.do_get(listed[b"people"].endpoints[0].ticket, foreign.options).read_all()
    assert whole.num_rows == 30_000
    path = flight.FlightDescriptor.for_path("bare")
    assert foreign.client.get_schema(path, foreign.options).schema.names == ["row_id"]
    command = flight.FlightDescriptor.for_command(b'{"index": "people", "query": "age = 20", "count": true}')
    info = foreign.client.get_flight_info(command, foreign.options)
    assert (info.total_records, info.schema.names) == (1, ["count"])
    assert foreign.client.do_get(info.endpoints[0].ticket, foreign.options).read_all().to_pydict() == {
        "count": [12_000]
    }


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        (b"no JSON", "ESK-106", "a command is JSON"),
        (b"[" * 100_000, "ESK-106", "a command is JSON"),
        (b" " * (COMMAND_BYTES + 1), "ESK-106", "the limit is"),
        (b"[]", "ESK-106", "a JSON object"),
        (b'{"query": "age < 50"}', "ESK-106", "a JSON object"),
        (b'{"index": "people", "qery": "age < 50"}', "ESK-106", "no qery; there is: index, query"),
        (b'{"index": "people", "limit": -1}', "ESK-106", '"limit" of a command'),
        (b'{"index": "people", "limit": true}', "ESK-106", '"limit" of a command'),
        (b'{"index": "people", "columns": "line"}', "ESK-106", '"columns" of a command'),
        (b'{"index": "people", "deadline": 1e9}', "ESK-106", '"deadline" of a command'),
        (b'{"index": "people", "planner": "best"}', "ESK-106", "no planner 'best'"),
        (b'{"index": "people", "row_ids": "line"}', "ESK-106", "another name"),
        (b'{"index": "people", "columns": [], "row_ids": null}', "ESK-106", "nothing is asked for"),
        (b'{"index": "persons"}', "ESK-111", "no index 'persons'; there is: bare, people, vectors"),
        (b'{"index": "people", "query": "age <"}', "ESK-102", ""),
        (b'{"index": "people", "query": "agee < 1"}', "ESK-101", "did you mean 'age'"),
        (b'{"index": "people", "columns": ["name"]}', "ESK-101", "no column 'name'"),
        (b'{"index": "bare", "columns": ["age"]}', "ESK-100", "without its rows"),
        (b'{"index": "people", "query": "R:[0,999]"}', "ESK-100", "not all there"),
    ],
)
def test_what_cannot_be_is_an_error_of_flight_with_our_code(
    foreign: Foreign, command: bytes, code: str, words: str
) -> None:
    with pytest.raises(flight.FlightServerError) as raised:
        foreign.client.do_get(flight.Ticket(command), foreign.options).read_all()
    assert words in str(raised.value) and f"[{code}]" in str(raised.value)
    assert raised.value.extra_info == code.encode()


def test_a_deadline_and_a_missing_token_are_flights_own_errors(local: LocalCluster, foreign: Foreign) -> None:
    with pytest.raises(flight.FlightTimedOutError, match="ESK-702"):
        foreign.ask(index="people", deadline=1e-9)
    with flight.connect(local.address) as stranger, pytest.raises(flight.FlightUnauthenticatedError):
        stranger.do_get(flight.Ticket(b'{"index": "people"}')).read_all()


def test_questions_that_were_left_take_no_place(foreign: Foreign) -> None:
    for _ in range(40):
        reader = foreign.client.do_get(flight.Ticket(b'{"index": "people"}'), foreign.options)
        reader.read_chunk()
        reader.cancel()
    assert foreign.ask(index="people", count=True).to_pydict() == {"count": [30_000]}
    assert foreign.ask(index="people").num_rows == 30_000


@given(st.binary(max_size=60) | st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists).map(
    lambda value: json.dumps({"index": "a", "limit": value, "columns": value}).encode()
))  # fmt: skip
def test_any_bytes_are_a_command_or_an_error(data: bytes) -> None:
    with suppress(OptionError):
        assert isinstance(read_command(data), Command)


def test_what_is_null_is_as_if_it_were_not_said() -> None:
    assert read_command(b'{"index": "a", "limit": null, "count": null, "deadline": null}') == Command("a")
