"""Esker on a real Ray cluster of two nodes: nothing that is killed changes a row, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.unit.runtime import test_executors as executors

import esker
from esker.engine.ray_session import RaySession
from esker.errors import UserFunctionError, WorkerLostError
from esker.runtime.executors.ray import RayExecutor

pytestmark = pytest.mark.slow

SCHEMA = pa.schema({"key": pa.int64(), "median": pa.float64(), "rows": pa.int64()})


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two Ray nodes on this machine, a CPU each."""
    from ray.cluster_utils import Cluster

    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    found.add_node(num_cpus=1)
    os.environ["RAY_ADDRESS"] = found.address
    try:
        yield found
    finally:
        del os.environ["RAY_ADDRESS"]
        found.shutdown()


@pytest.fixture
def session(cluster: Any) -> Iterator[RaySession]:
    with esker.connect("ray") as opened:
        assert isinstance(opened, RaySession)
        yield opened


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rows") / "rows.parquet"
    chance = np.random.default_rng(2)
    count = 400_000
    table = pa.table({"key": chance.integers(0, 500, count), "price": chance.random(count), "id": range(count)})
    pq.write_table(table, path, row_group_size=25_000)
    return path


def _groups(rows: Path, function: Callable[[pa.Table], Any]) -> pa.Table:
    return esker.read_parquet(rows).group_by("key", partitions=16).map_groups(function, SCHEMA).to_arrow()


def _median(group: pa.Table) -> dict[str, Any]:
    prices = group["price"].to_numpy()
    return {"key": group["key"][0].as_py(), "median": float(np.median(prices)), "rows": len(prices)}


def _expected(rows: Path) -> pa.Table:
    table = pq.read_table(rows)
    keys, prices = table["key"].to_numpy(), table["price"].to_numpy()
    found = [(int(key), float(np.median(prices[keys == key])), int((keys == key).sum())) for key in np.unique(keys)]
    return pa.table(dict(zip(SCHEMA.names, zip(*found, strict=True), strict=True)), schema=SCHEMA)


@pytest.mark.parametrize(
    "claim",
    [
        executors.test_every_task_completes_once_with_its_own_value_or_error,
        executors.test_a_stream_gives_every_item_in_order_and_then_its_error,
        executors.test_streams_are_read_side_by_side,
        executors.test_nothing_is_told_of_cancelled_tasks,
    ],
)
def test_ray_runs_tasks_as_every_executor_does(claim: Callable[[str], None], session: RaySession) -> None:
    claim("ray")


def test_closing_a_stream_closes_what_it_iterates(session: RaySession, tmp_path: Path) -> None:
    executors.test_closing_a_stream_closes_what_it_iterates("ray", tmp_path)


def test_tasks_go_to_both_nodes_and_a_killed_one_is_a_lost_worker(session: RaySession) -> None:
    def node() -> str:
        import ray

        time.sleep(0.2)
        return str(ray.get_runtime_context().get_node_id())

    with session.executor() as executor:
        assert isinstance(executor, RayExecutor)
        tickets = [executor.submit(node) for _ in range(8)]
        killed = executor.submit(lambda: os.kill(os.getpid(), signal.SIGKILL))
        done = {}
        while found := executor.completed():
            done |= {completion.ticket: completion for completion in found}
    assert {done[ticket].value for ticket in tickets} == set(session.pages().actors())
    assert isinstance(done[killed].error, WorkerLostError)


def test_two_nodes_fetch_one_anothers_pages(session: RaySession, rows: Path) -> None:
    found = _groups(rows, _median)
    assert found.sort_by("key") == _expected(rows)


def _killing(path: Path, once: int) -> Callable[[pa.Table], Any]:
    """A function that kills its own worker the first `once` times that it is called."""

    def function(group: pa.Table) -> Any:
        for number in range(once):
            try:
                os.close(os.open(path / str(number), os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                continue
            os.kill(os.getpid(), signal.SIGKILL)
        return _median(group)

    return function


def test_workers_that_are_killed_in_the_middle_of_groups_cost_no_row(
    session: RaySession, rows: Path, tmp_path: Path
) -> None:
    found = _groups(rows, _killing(tmp_path, 2))
    assert len(list(tmp_path.iterdir())) == 2
    assert found.sort_by("key") == _expected(rows)


def test_a_map_task_that_is_killed_is_made_again(session: RaySession, rows: Path, tmp_path: Path) -> None:
    def killing(batch: pa.RecordBatch) -> pa.RecordBatch:
        try:
            os.close(os.open(tmp_path / "killed", os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return batch
        os.kill(os.getpid(), signal.SIGKILL)
        return batch

    source = esker.read_parquet(rows)
    mapped = source.map_batches(killing, source.schema)
    found = mapped.group_by("key", partitions=16).map_groups(_median, SCHEMA).to_arrow()
    assert (tmp_path / "killed").exists()
    assert found.sort_by("key") == _expected(rows)


def test_pages_of_a_killed_actor_are_made_again_and_only_those(session: RaySession, rows: Path) -> None:
    import ray

    log: list[Any] = []
    victim, actor = next(iter(session.pages().actors().items()))
    pid = ray.get(actor.process.remote())
    killed = threading.Event()

    class Watch:
        def advance(self, operator: str, done: float, total: float | None, unit: str) -> None:
            if operator == "map_groups" and not killed.is_set():
                killed.set()
                os.kill(pid, signal.SIGKILL)

        def close(self) -> None: ...

    result = (
        esker.read_parquet(rows)
        .group_by("key", partitions=16)
        .map_groups(_slow_median, SCHEMA)
        .with_options(progress=Watch())
        .execute()
    )
    result._context.log.listen(log.append)
    found = result.to_arrow()
    assert killed.is_set()
    assert found.sort_by("key") == _expected(rows)
    lost = [event for event in log if event["event"] == "pages_lost"]
    (shuffled,) = [event for event in log if event["event"] == "shuffled"]
    assert lost
    made_again = {number for event in lost for number in event["map_tasks"]}
    assert 0 < len(made_again) < shuffled["map_tasks"], "the other node's pages were still there"
    assert ray.get(session.pages().actors()[victim].process.remote()) != pid


def _slow_median(group: pa.Table) -> dict[str, Any]:
    time.sleep(0.005)
    return _median(group)


def test_a_node_that_is_gone_takes_its_pages_with_it_and_no_row(cluster: Any, rows: Path) -> None:
    node = cluster.add_node(num_cpus=1)
    with esker.connect("ray") as session:
        assert len(session.pages().actors()) == 3
        gone = threading.Event()

        class Watch:
            def advance(self, operator: str, done: float, total: float | None, unit: str) -> None:
                if operator == "map_groups" and not gone.is_set():
                    gone.set()
                    cluster.remove_node(node, allow_graceful=False)

            def close(self) -> None: ...

        found = (
            esker.read_parquet(rows)
            .group_by("key", partitions=16)
            .map_groups(_slow_median, SCHEMA)
            .with_options(progress=Watch())
            .to_arrow()
        )
        assert gone.is_set()
        assert found.sort_by("key") == _expected(rows)


def _killing_once(tmp_path: Path) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
    """A function that kills its own worker at the rows of a late row group, the first time it sees them."""

    def killing(batch: pa.RecordBatch) -> pa.RecordBatch:
        if batch["id"][0].as_py() >= 200_000:
            try:
                os.close(os.open(tmp_path / "killed", os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                return batch
            os.kill(os.getpid(), signal.SIGKILL)
        return batch

    return killing


def test_an_index_whose_worker_is_killed_has_the_files_of_one_machine(
    session: RaySession, rows: Path, tmp_path: Path
) -> None:
    source = esker.read_parquet(rows)
    columns: dict[str, Any] = {"key": "equality", "price": esker.Bins([0.25, 0.5, 0.75])}
    mapped = source.map_batches(_killing_once(tmp_path), source.schema)
    with esker.build_index(mapped, tmp_path / "ray.index", columns) as index:
        assert index.count("key = 7 AND price < 0.5") == source.filter("key = 7 AND price < 0.5").count()
    assert (tmp_path / "killed").exists()
    session.close()
    esker.build_index(source, tmp_path / "here.index", columns).close()
    found, expected = (
        {path.name.partition(".")[0]: path.read_bytes() for path in (tmp_path / name / "vectors").iterdir()}
        for name in ("ray.index", "here.index")
    )
    assert found == expected


def test_rows_dealt_out_ranged_and_joined_lose_nothing_with_a_worker(
    session: RaySession, rows: Path, tmp_path: Path
) -> None:
    source = esker.read_parquet(rows)
    few = esker.from_arrow(pa.table({"key": [3, 5, 8, 1_000], "word": ["three", "five", "eight", "none"]}))

    def script(folder: Path) -> list[pa.Table]:
        mapped = [source.map_batches(_killing_once(folder / name), source.schema) for name in "abc"]
        return [
            mapped[0].repartition(3).filter("key < 20").to_arrow(),
            mapped[1].shuffle("price", 5, function="range").filter("key < 20").to_arrow(),
            mapped[2].join(few.map_batches(lambda batch: batch, few.schema), on="key").to_arrow(),
        ]

    for name in "abc":
        (tmp_path / name).mkdir()
    found = script(tmp_path)
    assert [(tmp_path / name / "killed").exists() for name in "abc"] == [True] * 3
    session.close()
    # The marks are there now, and nothing is killed.
    assert found == script(tmp_path)


def test_an_error_of_the_users_shows_their_line(session: RaySession, rows: Path) -> None:
    def broken(group: pa.Table) -> Any:
        raise KeyError("no such thing")

    with pytest.raises(UserFunctionError, match=r"(?s)test_ray\.py.*no such thing") as caught:
        _groups(rows, broken)
    assert isinstance(caught.value.__cause__, KeyError)


def test_the_pages_of_a_query_go_with_it(session: RaySession, rows: Path) -> None:
    places = session.pages().places().nodes.values()
    result = esker.read_parquet(rows).shuffle("key", 8).execute()
    next(iter(result))
    assert any(list(Path(place.folder).glob("*-*-*")) for place in places)
    result.close()
    until = time.monotonic() + 20
    while any(list(Path(place.folder).glob("*-*-*")) for place in places) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(list(Path(place.folder).glob("*-*-*")) for place in places)


SCRIPT = """
import sys, time
import esker
with esker.connect("ray", workers=2) as session:
    print(*[place.folder for place in session.pages().places().nodes.values()], flush=True)
    def slow(n):
        print("begun", flush=True)
        time.sleep(600)
    esker.range(4, partitions=4).map(slow).collect()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_script_that_is_stopped_leaves_no_process_and_no_page(
    number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("ESKER_SPILL_FOLDER", str(tmp_path))
    mark = f"ESKER_TEST_MARK={os.getpid()}-{number}"
    name, _, value = mark.partition("=")
    script = subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, text=True, env={**os.environ, name: value}
    )
    assert script.stdout is not None
    folder = Path(script.stdout.readline().split()[0])
    assert folder.parent == tmp_path
    while "begun" not in script.stdout.readline():
        assert script.poll() is None
    assert len(marked(mark)) > 3
    script.send_signal(number)
    script.communicate(timeout=60)
    # Ray's own helpers look from time to time whether their parent is there.
    until = time.monotonic() + 150
    while marked(mark) and time.monotonic() < until:
        time.sleep(0.1)
    assert marked(mark) == []
    if number == signal.SIGINT:
        assert list(tmp_path.iterdir()) == []
    else:
        # What a killed script leaves is swept by the next that spills there.
        assert esker.of([2, 1]).with_options(spill_folder=tmp_path).sort_by(abs).collect() == [1, 2]
        assert list(tmp_path.iterdir()) == []


def marked(mark: str) -> list[int]:
    """The processes that have the mark in their environment, which those they start inherit."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark.encode() in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


CANCELLING = """
import random, sys, time
import ray
import esker
from esker.runtime.ray_client import cancel

chance = random.Random(1)
with esker.connect("ray", workers=4):
    @ray.remote(num_cpus=0, max_retries=0, num_returns="streaming", _generator_backpressure_num_objects=2)
    def items():
        yield 1
        time.sleep(0.02)
        yield bytes(50_000)

    until = time.monotonic() + 40
    while time.monotonic() < until:
        begun = []
        for _ in range(4):
            stream = items.remote()
            ray.get(next(stream))
            begun.append((time.monotonic(), stream))
        for at, stream in begun:
            time.sleep(max(0, at + chance.uniform(0.019, 0.026) - time.monotonic()))
            cancel([stream], force=False)
        ray.wait([stream.completed() for _, stream in begun], num_returns=4, timeout=5)
        cancel([stream for _, stream in begun], force=True)
print("ended well")
"""


def test_tasks_may_be_cancelled_in_the_moment_in_which_they_end() -> None:
    script = subprocess.run(
        [sys.executable, "-c", CANCELLING], capture_output=True, text=True, timeout=200, check=False
    )
    # Before that Ray may have said that workers were killed, which they were.
    assert script.stdout.endswith("ended well\n"), script.stderr
