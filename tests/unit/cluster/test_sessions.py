"""What clients had done is remembered of so many; whoever was forgotten comes anew, and nothing is done twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import flight

from esker.bitmap import Bitmap
from esker.cluster import connect, wire
from esker.cluster.coordinator_server import LOG_FILE, CoordinatorServer
from esker.cluster.greeting import CLIENT, NEW, Caller, greeting, read_number
from esker.cluster.link import next_word
from esker.cluster.log_file import LogFile
from esker.cluster.messages import FORGOTTEN, Done, Failed, Put, Write
from esker.cluster.node_server import NodeServer
from esker.cluster.records import Catalogue, Decided, Forgotten
from esker.cluster.session import Session
from esker.cluster.sessions import Sessions
from esker.errors import PeerError
from esker.runtime.flight import Security, ServerAddress

HERE = ServerAddress("127.0.0.1:0")
ROWS = 100


@given(st.integers(1, 5), st.lists(st.integers(0, 9), max_size=60))
def test_a_session_that_put_is_remembered_or_known_to_be_forgotten(most: int, puts: list[int]) -> None:
    sessions, put_before = Sessions(most), set[int]()
    for count, place in enumerate(puts, start=1):
        sessions.enter(-2 - place, count)
        put_before.add(place)
        assert len(sessions) <= most
        last = list(dict.fromkeys(reversed(puts[:count])))[:most]
        assert list(sessions) == [-2 - one for one in reversed(last)]
    for place in range(10):
        if place in put_before:
            assert (-2 - place in sessions) != sessions.is_forgotten(-2 - place)
    # One that is given a number now is younger than all, and not refused.
    assert not sessions.is_forgotten(-2 - 10)
    again = Sessions(most)
    for session, sequence in sessions.items():
        again.enter(session, sequence)
    again.forget(sessions.forgotten)
    assert (list(again.items()), again.forgotten) == (list(sessions.items()), sessions.forgotten)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[CoordinatorServer]:
    """A cluster whose coordinator remembers two clients."""
    server = CoordinatorServer(tmp_path / "c", HERE, Security(), tick_seconds=0.05, sessions_most=2)
    nodes = [
        NodeServer(tmp_path / f"{number}", HERE, server.address, Security(), number=number, tick_seconds=0.05)
        for number in range(2)
    ]
    try:
        yield server
    finally:
        for one in (*nodes, server):
            one.stop()


def bits(*rows: int) -> Bitmap:
    return Bitmap.from_positions(rows, ROWS)


def test_clients_that_were_forgotten_go_on_putting(served: CoordinatorServer) -> None:
    clients = [connect(served.address) for _ in range(4)]
    for turn in range(3):
        for number, client in enumerate(clients):
            client.put_many({10 * number + turn: bits(number, turn + 50)})
    for number, client in enumerate(clients):
        assert client.query([(10 * number, 10 * number + 2)]).to_numpy().tolist() == [number, 50, 51, 52]
        client.close()
    status = served.status()
    assert status["counts"]["forgotten"] >= 4
    assert len(served.coordinator.puts.sessions) == 2


def test_a_put_that_may_have_been_done_ends_with_an_error(
    served: CoordinatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *others = [connect(served.address) for _ in range(3)]
    for number, client in enumerate((first, *others)):
        client.put(number, bits(number))
    say = Session._say

    def say_twice(session: Session, waiting: object) -> None:
        say(session, waiting)  # type: ignore[arg-type]
        say(session, waiting)  # type: ignore[arg-type]

    monkeypatch.setattr(Session, "_say", say_twice)
    with pytest.raises(PeerError, match="has forgotten what this client had done, and cannot say whether this put was"):
        first.put(7, bits(7))
    monkeypatch.undo()
    first.put(7, bits(8))
    assert first.query([(7, 7)]).to_numpy().tolist() == [8]
    for client in (first, *others):
        client.close()


def test_a_put_repeated_on_the_wire_is_refused_when_its_client_was_forgotten(
    served: CoordinatorServer, tmp_path: Path
) -> None:
    with connect(served.address) as other:
        other.create("vectors", ROWS)

    def said(number: int, put: Put) -> tuple[int, Done | Failed]:
        with flight.FlightClient(served.address) as client:
            writer, reader = client.do_exchange(greeting(Caller(CLIENT, number)))
            given = read_number(next_word(reader))
            writer.write_metadata(wire.encode(0, put))
            word = next_word(reader)
            assert word is not None
            reader.cancel()
            return given, wire.decode(word, wire.TO_CLIENTS)[1]

    put = Put(1, (Write("census/0", 1, b"", False),))
    number, answer = said(NEW, put)
    assert answer == Done(1) and said(number, put) == (number, Done(1))
    assert [said(NEW, put)[1] for _ in range(2)] == [Done(1)] * 2
    assert said(number, put) == (number, Failed(1, FORGOTTEN, (), ()))
    # A number that nobody gave is not taken, or it could make all others look old.
    strange, answer = said(-2 - (1 << 60), put)
    assert strange > -2 - (1 << 40) and answer == Done(1)
    served.stop()
    with LogFile(tmp_path / "c" / LOG_FILE) as log:
        done = [record for record in log.records() if isinstance(record, Decided) and record.units[0][0] == "census/0"]
    assert [record.client for record in done].count(number) == 1 and len(done) == 4


def test_what_was_forgotten_is_forgotten_after_a_start_too(served: CoordinatorServer, tmp_path: Path) -> None:
    clients = [connect(served.address) for _ in range(3)]
    for number, client in enumerate(clients):
        client.put(number, bits(number))
        client.close()
    with served.host.lock:
        before = served.coordinator.puts.sessions
        assert served.coordinator.settled
        records = served.coordinator.checkpoint()
    served.stop()
    assert [type(one) for one in records][-2:] == [Catalogue, Forgotten]
    for log in (None, records):
        with LogFile(tmp_path / "c" / LOG_FILE) as file:
            if log is not None:
                file.replace(log)
        again = CoordinatorServer(tmp_path / "c", HERE, Security(), sessions_most=2)
        after = again.coordinator.puts.sessions
        assert (list(after.items()), after.forgotten) == (list(before.items()), before.forgotten)
        again.stop()
