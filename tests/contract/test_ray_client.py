"""Esker through Ray's client server: the script is outside of the cluster, and reaches nothing there but that."""

from __future__ import annotations

import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.contract.test_ray import marked
from tests.contract.test_sessions import SCRIPTS, expected, here
from tests.unit.runtime import test_executors as executors

import esker
from esker.engine.ray_client_session import RayClientSession
from esker.errors import OptionError, ResourceError, UserFunctionError, WorkerLostError
from esker.shuffle import page_server

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    # The session passes it over; pytest begins with filters of its own in each test.
    pytest.mark.filterwarnings("ignore:More than 10MB of messages"),
]

__all__ = ["expected", "here"]  # fixtures

PATIENCE_SECONDS = 400.0


def _until(holds: Callable[[], bool], what: str, seconds: float = PATIENCE_SECONDS) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, f"{what}: not within {seconds:.0f} s"
        time.sleep(0.1)


def _listens(port: int) -> bool:
    with suppress(OSError):
        socket.create_connection(("127.0.0.1", port), 5).close()
        return True
    return False


@contextmanager
def _head(log: Path) -> Iterator[str | None]:
    """A cluster of one node as `ray start` begins it; None when its client server did not come up."""
    # Below the ports that the system gives away, and beside those that Ray gives to servers of single clients.
    port = next(port for port in iter(lambda: random.randrange(24_000, 32_000), 0) if not _listens(port))
    name, value = "ESKER_TEST_MARK", secrets.token_hex(8)
    command = ["start", "--head", "--block", "--port=0", "--num-cpus=2", f"--ray-client-server-port={port}"]
    command += ["--min-worker-port=0", "--max-worker-port=0", "--include-dashboard=false", "--disable-usage-stats"]
    environment = {**os.environ, name: value}
    with log.open("ab") as output:
        head = subprocess.Popen(
            [Path(sys.executable).with_name("ray"), *command],
            stdout=output,
            stderr=output,
            env=environment,
            start_new_session=True,
        )
    try:
        _until(lambda: head.poll() is not None or _listens(port), "a client server")
        yield f"ray://127.0.0.1:{port}" if head.poll() is None else None
    finally:
        head.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            head.wait(60)
        for pid in marked(f"{name}={value}"):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        head.wait()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log = tmp_path_factory.mktemp("ray") / "log"
    for _ in range(4):
        with _head(log) as found:
            if found is not None:
                yield found
                return
    pytest.fail(log.read_text())


@contextmanager
def _session(address: str, **options: Any) -> Iterator[RayClientSession]:
    """A session; on a busy machine Ray's client does not always find its server in time."""
    opened = None
    for attempt in range(4):
        try:
            opened = esker.connect(address, **options)
            break
        except ResourceError:
            if attempt == 3:
                raise
    assert isinstance(opened, RayClientSession)
    with opened:
        yield opened


@pytest.fixture(scope="module")
def module_session(address: str, expected: dict[str, Any]) -> Iterator[RayClientSession]:
    with _session(address, workers=2) as opened:
        yield opened


@pytest.fixture
def session(module_session: RayClientSession, monkeypatch: pytest.MonkeyPatch) -> RayClientSession:
    """The script reaches no page server: all it is told comes through the client server."""

    def refuse(location: str, security: object) -> Any:
        raise AssertionError(f"the script asks {location} itself")

    monkeypatch.setattr(page_server, "open_client", refuse)
    return module_session


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_outside_gives_the_same_rows_as_on_one_machine(
    name: str,
    session: RayClientSession,
    here: Path,
    tmp_path: Path,
    expected: dict[str, Any],
) -> None:
    assert SCRIPTS[name](here, tmp_path) == expected[name]


@pytest.mark.parametrize(
    "claim",
    [
        executors.test_every_task_completes_once_with_its_own_value_or_error,
        executors.test_a_stream_gives_every_item_in_order_and_then_its_error,
        executors.test_streams_are_read_side_by_side,
        executors.test_nothing_is_told_of_cancelled_tasks,
    ],
)
def test_tasks_run_as_in_every_executor(
    claim: Callable[[str], None], session: RayClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executors, "EXECUTORS", {"ray": session.executor})
    claim("ray")


def test_closing_a_stream_closes_what_it_iterates(
    session: RayClientSession, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(executors, "EXECUTORS", {"ray": session.executor})
    executors.test_closing_a_stream_closes_what_it_iterates("ray", tmp_path)


def test_a_task_of_many_bytes_and_a_killed_one(session: RayClientSession) -> None:
    data = os.urandom(11 << 20)
    with session.executor() as executor:
        executor.submit(lambda: data[::-1])
        (done,) = executor.completed()
        assert done.value == data[::-1]
        executor.submit(lambda: os.kill(os.getpid(), signal.SIGKILL))
        (killed,) = executor.completed()
        assert isinstance(killed.error, WorkerLostError)


def test_more_streams_than_workers_are_read_in_any_order(session: RayClientSession) -> None:
    """Those that have ended leave their place to others, whoever reads them first."""
    with session.executor(2) as executor:
        streams = [executor.stream(lambda n=n: range(n, n + 3), 100) for n in range(6)]
        assert [list(stream) for stream in reversed(streams)] == [[n, n + 1, n + 2] for n in range(5, -1, -1)]


def test_pages_that_are_gone_are_made_again(session: RayClientSession, here: Path) -> None:
    log: list[Any] = []
    rows = esker.read_parquet(here / "rows.parquet")
    result = rows.shuffle("key", 8).execute()
    result._context.log.listen(log.append)
    (place,) = session.pages().places().nodes.values()
    batches = iter(result)
    first = next(batches)
    for path in Path(place.folder).glob("*-*-*"):
        path.unlink()
    found = pa.Table.from_batches([first, *batches])
    assert [event["event"] for event in log].count("pages_lost") > 0
    assert found == rows.shuffle("key", 8).to_arrow()


def test_an_error_of_the_users_shows_their_line(session: RayClientSession, here: Path) -> None:
    def broken(batch: pa.RecordBatch) -> pa.RecordBatch:
        raise KeyError("no such thing")

    with pytest.raises(UserFunctionError, match=r"(?s)test_ray_client\.py.*no such thing") as caught:
        esker.read_parquet(here / "rows.parquet").map_batches(broken, pa.schema({"n": pa.int64()})).to_arrow()
    assert isinstance(caught.value.__cause__, KeyError)


def test_there_is_one_session_and_nobody_listens_elsewhere(session: RayClientSession) -> None:
    with pytest.raises(OptionError, match="there is a session already"):
        esker.connect("ray://127.0.0.1:1")


SCRIPT = """
import os, signal, sys, time
from pathlib import Path
import esker

signal.signal(signal.SIGINT, signal.default_int_handler)  # who starts us may ignore it
address, notes = sys.argv[1:]


def tell(name, pid):
    Path(notes, f"{name}.aside").write_text(str(pid))
    Path(notes, f"{name}.aside").rename(Path(notes, name))


def slow(n):
    tell(f"task-{n}", os.getpid())
    time.sleep(600)


for attempt in range(4):
    try:
        session = esker.connect(address, workers=2, spill_folder=notes + "/pages")
        break
    except esker.errors.ResourceError:
        if attempt == 3:
            raise
tell("deputy", session._line.facts.process)
rows = esker.from_arrow({"k": list(range(10_000))}).shuffle("k", 8).execute()
next(iter(rows))  # its pages lie at the node
tell("pages-there", 0)
print(esker.range(2, partitions=2).map(slow).collect())
"""


def _life(notes: Path, name: str) -> tuple[int, str]:
    """A process of which a file tells, and when it began: numbers of processes come again."""
    pid = int((notes / name).read_text())
    return pid, _began(pid)


def _began(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def _pages(notes: Path) -> list[Path]:
    return list((notes / "pages").rglob("*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_script_that_is_stopped_leaves_no_actor_no_task_and_no_page(
    number: signal.Signals, address: str, tmp_path: Path
) -> None:
    (tmp_path / "pages").mkdir()
    command = [sys.executable, "-c", SCRIPT, address, str(tmp_path)]
    with (tmp_path / "log").open("wb") as log:
        script = subprocess.Popen(command, stdout=log, stderr=log, cwd=tmp_path)
    try:
        names = ["deputy", "pages-there", "task-0", "task-1"]
        _until(lambda: script.poll() is not None or all((tmp_path / name).exists() for name in names), "tasks")
        assert script.poll() is None, (tmp_path / "log").read_text()
        lives = [_life(tmp_path, name) for name in ("deputy", "task-0", "task-1")]
        assert all(began for _, began in lives)
        assert _pages(tmp_path)
        script.send_signal(number)
        assert script.wait(PATIENCE_SECONDS) != 0
    finally:
        script.kill()
        script.wait()
    _until(lambda: not any(_began(pid) == began for pid, began in lives), "the end of all processes")
    assert _pages(tmp_path) == []


def test_a_deputy_that_is_lost_is_named_and_another_session_works(address: str, module_session: Any) -> None:
    code = """
import os, signal, sys
import esker
address = sys.argv[1]
for attempt in range(4):
    try:
        session = esker.connect(address, workers=2)
        break
    except esker.errors.ResourceError:
        if attempt == 3:
            raise
rows = esker.from_arrow({"n": list(range(50_000))})
killed = session._line.facts.process
def kill(batch):
    os.kill(killed, signal.SIGKILL)
    return batch
try:
    rows.shuffle("n", 4).map_batches(kill, rows.schema).to_arrow()
except esker.errors.SessionLostError as error:
    assert f"the deputy (process {killed} at node" in str(error), error
else:
    raise SystemExit("rows came, from nowhere")
session.close()
os.environ["RAY_ADDRESS"] = address
with esker.connect("ray", workers=2) as session:
    assert type(session).__name__ == "RayClientSession"
    assert rows.shuffle("n", 4).count() == 50_000
print("whole")
"""
    done = subprocess.run(
        [sys.executable, "-c", code, address], capture_output=True, text=True, timeout=PATIENCE_SECONDS
    )
    assert done.stdout.split()[-1:] == ["whole"], done.stderr
