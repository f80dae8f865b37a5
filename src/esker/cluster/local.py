"""A cluster on this machine: a coordinator and some nodes as processes, in one folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from esker.cluster.client import Cluster, connect
from esker.cluster.joined import wait_for_nodes
from esker.core.clock import SYSTEM_CLOCK
from esker.core.file_system import LOCAL
from esker.errors import InputFileError, OptionError, WorkerLostError
from esker.runtime.flight import write_token

STATE_FILE, TOKEN_FILE = "cluster.json", "token"
_END_SECONDS = 5.0
COORDINATOR_NAME = "coordinator"


class Started(NamedTuple):
    """A process of the cluster: its number, and where it listens."""

    pid: int
    address: str


class LocalCluster:
    """Processes that go on when this one ends; a folder with `cluster.json`, the token, and a folder for each.

    >>> import tempfile
    >>> from esker.bitmap import Bitmap
    >>> with LocalCluster(Path(tempfile.mkdtemp())) as local:
    ...     local.up(nodes=2)
    ...     with local.connect() as cluster:
    ...         cluster.put_many({2: Bitmap.from_positions([0, 3], 5), 3: Bitmap.from_positions([3], 5)})
    ...         cluster.count("R:[2,2]&[3,3]")
    1

    As a context manager it ends them. Names of processes are `coordinator`, `node-0`, `node-1`, ...
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def token_file(self) -> Path:
        """The file that every process and client of the cluster reads."""
        return self.folder / TOKEN_FILE

    @property
    def address(self) -> str:
        """The coordinator's address; InputFileError when there is no cluster here."""
        return self.processes()[COORDINATOR_NAME].address

    def processes(self) -> dict[str, Started]:
        """The processes that were started, running or not; InputFileError when there is no cluster here."""
        path = self.folder / STATE_FILE
        try:
            said = json.loads(path.read_bytes())
            return {str(name): Started(int(one["pid"]), str(one["address"])) for name, one in said.items()}
        except FileNotFoundError as error:
            raise InputFileError(
                f"{self.folder} holds no cluster; start one: esker cluster up {self.folder}"
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise InputFileError(f"{path} cannot be read; end its processes, and remove the file") from error

    def running(self) -> dict[str, Started]:
        """Those that run."""
        return {name: one for name, one in self.processes().items() if self._runs(name, one)}

    def up(self, nodes: int, *, copies: int = 2, port: int = 0, planner: str = "fewest_nodes") -> None:
        """Start what does not run: a coordinator, and nodes up to `nodes`; returns when they are on the ring.

        A coordinator that was here before listens where it did. OptionError for fewer nodes than copies.
        """
        if nodes < copies:
            raise OptionError(f"{nodes} nodes cannot keep {copies} copies")
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self.token_file.exists():
            write_token(self.token_file)
        known = self.processes() if (self.folder / STATE_FILE).exists() else {}
        if COORDINATOR_NAME not in known or not self._runs(COORDINATOR_NAME, known[COORDINATOR_NAME]):
            self.start_coordinator(copies=copies, port=port, planner=planner)
        known = self.processes()
        begun = {}
        for number in range(nodes):
            name = f"node-{number}"
            if name not in known or not self._runs(name, known[name]):
                begun[name] = self._begin_node(number)
        for name, process in begun.items():
            self._enter(name, process)
        with self.connect() as cluster:
            wait_for_nodes(cluster, nodes, f"see {self.folder}/*.log")

    def start_coordinator(self, *, copies: int = 2, port: int = 0, planner: str = "fewest_nodes") -> None:
        """Start the coordinator, where it listened before."""
        known = self.processes() if (self.folder / STATE_FILE).exists() else {}
        if COORDINATOR_NAME in known and not port:
            port = int(known[COORDINATOR_NAME].address.rpartition(":")[2])
        words = ["cluster", "coordinate", "--copies", str(copies), "--planner", planner]
        self._enter(COORDINATOR_NAME, self._begin(COORDINATOR_NAME, words, port))

    def start_node(self, number: int) -> None:
        """Start a node, or start it again; it joins by itself."""
        self._enter(f"node-{number}", self._begin_node(number))

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a process: SIGKILL, SIGSTOP, SIGCONT; to one that runs and is ours."""
        one = self.processes()[name]
        if self._runs(name, one):
            os.kill(one.pid, number)
        if number == signal.SIGKILL:
            self._wait_gone([(name, one)], _END_SECONDS)

    def down(self) -> list[str]:
        """End all processes, and name those that ran: asked first, killed after some seconds."""
        ended = sorted(self.running().items())
        for _, one in ended:
            os.kill(one.pid, signal.SIGTERM)
            # One that was stopped would not hear it.
            os.kill(one.pid, signal.SIGCONT)
        for name, one in self._wait_gone(ended, _END_SECONDS):
            os.kill(one.pid, signal.SIGKILL)
            self._wait_gone([(name, one)], _END_SECONDS)
        return [name for name, _ in ended]

    def connect(self, **options: Any) -> Cluster:
        """Open it."""
        return connect(self.address, **{"token": self.token_file, **options})

    def __enter__(self) -> LocalCluster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if (self.folder / STATE_FILE).exists():
            self.down()

    # ---- inside ----

    def _begin_node(self, number: int) -> subprocess.Popen[str]:
        words = ["node", "serve", "--coordinator", self.address, "--number", str(number)]
        return self._begin(f"node-{number}", words, 0)

    def _begin(self, name: str, words: Sequence[str], port: int) -> subprocess.Popen[str]:
        folder = self.folder / name
        command = [
            sys.executable, "-m", "esker.cli.main", *words, "--json",
            "--data", str(folder), "--listen", f"127.0.0.1:{port}", "--token-file", str(self.token_file),
        ]  # fmt: skip
        with (self.folder / f"{name}.log").open("a") as log:
            # A session of its own: Ctrl-C at the terminal that started it is not for it.
            return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True)

    def _enter(self, name: str, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None, "it is piped"
        with process.stdout as output:
            line = output.readline()
        if not line:
            status = process.wait()
            log = (self.folder / f"{name}.log").read_text().strip().splitlines()
            raise WorkerLostError(f"{name} did not start: {log[-1] if log else 'no word'}", exit_status=status)
        # It outlives us: nobody waits for it here, and that is no mistake of ours to be warned of.
        process.returncode = 0
        known = self.processes() if (self.folder / STATE_FILE).exists() else {}
        known[name] = Started(process.pid, str(json.loads(line)["address"]))
        with LOCAL.write_aside(self.folder / STATE_FILE, overwrite=True, mode=0o600) as file:
            file.write(json.dumps({one: started._asdict() for one, started in known.items()}, indent=1).encode())

    def _runs(self, name: str, one: Started) -> bool:
        """Whether the process runs and is that one: numbers are used again."""
        try:
            words = Path(f"/proc/{one.pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        return str(self.folder / name).encode() in words

    def _wait_gone(self, waited: Sequence[tuple[str, Started]], seconds: float) -> list[tuple[str, Started]]:
        """Wait for processes to end, and give those that did not."""
        deadline = SYSTEM_CLOCK.seconds() + seconds
        left = list(waited)
        while left and SYSTEM_CLOCK.seconds() < deadline:
            for _, one in left:
                _reap(one.pid)
            left = [(name, one) for name, one in left if self._runs(name, one)]
            SYSTEM_CLOCK.sleep(0.01)
        return left


def _reap(pid: int) -> None:
    """Take note of the end of a child of ours, that it does not stay as a zombie."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return
