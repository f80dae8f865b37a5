"""A cluster on this machine: a coordinator and some nodes as processes, in one folder."""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
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
COORDINATOR_NAME, SUPERVISOR_NAME = "coordinator", "supervisor"
_LOCK_FILE = "cluster.lock"
_END_SECONDS = 5.0
# How long a process may take to say where it listens.
_START_SECONDS = 60.0
_LINE_BYTES = 1 << 16
_SUPERVISOR_END_SECONDS = 30.0


class Started(NamedTuple):
    """A process of the cluster: its number, where it listens, and the words that it was started with."""

    pid: int
    address: str
    words: tuple[str, ...] = ()


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
        # What runs is known by the folder in its command line, wherever one looks from.
        self.folder = folder.absolute()

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
            return {
                str(name): Started(int(one["pid"]), str(one["address"]), tuple(map(str, one.get("words", ()))))
                for name, one in said.items()
            }
        except FileNotFoundError as error:
            raise InputFileError(
                f"{self.folder} holds no cluster; start one: esker cluster up {self.folder}"
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputFileError(f"{path} cannot be read; end its processes, and remove the file") from error

    def running(self) -> dict[str, Started]:
        """Those that run."""
        return {name: one for name, one in self.processes().items() if self._runs(name, one)}

    def up(
        self, nodes: int, *, copies: int = 2, port: int = 0, planner: str = "fewest_nodes",
        split_bytes: int | str = "64MiB", split_read_bytes: int | str = "1GiB",
    ) -> None:  # fmt: skip
        """Start what does not run: a coordinator, and nodes up to `nodes`; returns when they are on the ring.

        Of dynamic partitioning, blocks are divided that have more bytes of vectors than `split_bytes`, or of which more
        than `split_read_bytes` are read in a second. A coordinator that was here before listens where it did.
        OptionError for fewer nodes than copies. When one does not start (WorkerLostError names it) or join
        (DeadlineExceededError), those that this call started are ended again.
        """
        if nodes < copies:
            raise OptionError(f"{nodes} nodes cannot keep {copies} copies")
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self.token_file.exists():
            write_token(self.token_file)
        begun: dict[str, Started] = {}
        before: dict[str, Started] = {}
        try:
            with self._starting():
                before = self._known()
                if not self._is_running(COORDINATOR_NAME, before):
                    split = (split_bytes, split_read_bytes)
                    begun[COORDINATOR_NAME] = self._start_coordinator(copies, port, planner, split)
                missing = [number for number in range(nodes) if not self._is_running(f"node-{number}", before)]
                self._start_nodes(missing, begun)
            with self.connect() as cluster:
                wait_for_nodes(cluster, nodes, f"see {self.folder}/*.log")
        except BaseException as error:
            with self._starting():
                ended = self._undo(begun, before)
            if isinstance(error, WorkerLostError) and ended:
                said = f"{error.message}; ended again, for they were started with it: {', '.join(ended)}"
                raise WorkerLostError(said, exit_status=error.exit_status) from error
            raise

    def start_coordinator(
        self, *, copies: int = 2, port: int = 0, planner: str = "fewest_nodes",
        split_bytes: int | str = "64MiB", split_read_bytes: int | str = "1GiB",
    ) -> None:  # fmt: skip
        """Start the coordinator, where it listened before."""
        with self._starting():
            self._start_coordinator(copies, port, planner, (split_bytes, split_read_bytes))

    def start_node(self, number: int) -> None:
        """Start a node, or start it again; it joins by itself."""
        with self._starting():
            self._start(f"node-{number}", self._node_words(number), 0)

    def ended(self) -> list[str]:
        """Name the processes that were started and run no more, the coordinator first, which the others look for."""
        known = self._known()
        names = [name for name in known if not self._is_running(name, known)]
        return sorted(names, key=lambda name: (name != COORDINATOR_NAME, name))

    def start_again(self, name: str) -> Started | None:
        """Start a process as it was started before; None when it runs. WorkerLostError when it ends at once."""
        with self._starting():
            known = self._known()
            if name not in known or self._is_running(name, known):
                return None
            _reap(known[name].pid)
            port = int(known[name].address.rpartition(":")[2]) if name == COORDINATOR_NAME else 0
            return self._start(name, list(known[name].words), port)

    def supervise(self) -> None:
        """Start a process that starts again whatever of the cluster ended, until `down`."""
        with self._starting():
            if not self._is_running(SUPERVISOR_NAME, self._known()):
                self._start(SUPERVISOR_NAME, ["cluster", "supervise", str(self.folder)], 0)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a process: SIGKILL, SIGSTOP, SIGCONT; to one that runs and is ours."""
        one = self.processes()[name]
        if self._runs(name, one):
            os.kill(one.pid, number)
        if number == signal.SIGKILL:
            self._wait_gone([(name, one)], _END_SECONDS)

    def down(self) -> list[str]:
        """End all processes, and name those that ran: asked first, killed after some seconds."""
        running = self.running()
        supervisor = [(name, one) for name, one in running.items() if name == SUPERVISOR_NAME]
        # It ends first, or it would start the others again; what it is starting just now it waits for.
        self._end(supervisor, _SUPERVISOR_END_SECONDS)
        ended = sorted(self.running().items())
        self._end(ended, _END_SECONDS)
        return sorted(name for name, _ in [*supervisor, *ended])

    def _end(self, ended: list[tuple[str, Started]], seconds: float) -> None:
        for _, one in ended:
            os.kill(one.pid, signal.SIGTERM)
            # One that was stopped would not hear it.
            os.kill(one.pid, signal.SIGCONT)
        for name, one in self._wait_gone(ended, seconds):
            os.kill(one.pid, signal.SIGKILL)
            self._wait_gone([(name, one)], _END_SECONDS)

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

    def _known(self) -> dict[str, Started]:
        return self.processes() if (self.folder / STATE_FILE).exists() else {}

    def _is_running(self, name: str, known: dict[str, Started]) -> bool:
        return name in known and self._runs(name, known[name])

    @contextmanager
    def _starting(self) -> Iterator[None]:
        """Let nobody else start something here: a supervisor and `up` would both start what ended."""
        fd = os.open(self.folder / _LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    def _start_nodes(self, numbers: Sequence[int], begun: dict[str, Started]) -> None:
        """Start nodes side by side, and enter each into `begun` as soon as it is a process."""
        processes: dict[str, subprocess.Popen[bytes]] = {}
        with ExitStack() as stack:
            for number in numbers:
                name, words = f"node-{number}", self._node_words(number)
                process = processes[name] = self._begin(name, words, 0)
                begun[name] = Started(process.pid, "", tuple(words))
                stack.callback(_let_be, process)
            for name, process in processes.items():
                self._enter(name, process, begun[name].words)

    def _undo(self, begun: dict[str, Started], before: dict[str, Started]) -> list[str]:
        """End what was begun, and have the state say of it what it said before; names what was ended."""
        running = [(name, one) for name, one in begun.items() if self._runs(name, one)]
        self._end(running, _END_SECONDS)
        known = self._known()
        for name, one in begun.items():
            if name in known and known[name].pid == one.pid:
                del known[name]
                known |= {name: before[name]} if name in before else {}
        if known:
            self._write_state(known)
        else:
            (self.folder / STATE_FILE).unlink(missing_ok=True)
        return [name for name, _ in running]

    def _start_coordinator(self, copies: int, port: int, planner: str, split: tuple[int | str, int | str]) -> Started:
        known = self._known()
        if COORDINATOR_NAME in known and not port:
            port = int(known[COORDINATOR_NAME].address.rpartition(":")[2])
        words = ["cluster", "coordinate", "--copies", str(copies), "--planner", planner]
        words += ["--split-bytes", str(split[0]), "--split-read-bytes", str(split[1])]
        return self._start(COORDINATOR_NAME, words, port)

    def _node_words(self, number: int) -> list[str]:
        return ["node", "serve", "--coordinator", self.address, "--number", str(number)]

    def _start(self, name: str, words: list[str], port: int) -> Started:
        return self._enter(name, self._begin(name, words, port), words)

    def _begin(self, name: str, words: Sequence[str], port: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "esker.cli.main", *words, "--json"]
        if name != SUPERVISOR_NAME:
            command += ["--data", str(self.folder / name), "--listen", f"127.0.0.1:{port}"]
            command += ["--token-file", str(self.token_file)]
        with (self.folder / f"{name}.log").open("a") as log:
            # A session of its own: Ctrl-C at the terminal that started it is not for it.
            return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, start_new_session=True)

    def _enter(self, name: str, process: subprocess.Popen[bytes], words: Sequence[str]) -> Started:
        assert process.stdout is not None, "it is piped"
        with process.stdout as output:
            line = _first_line(output.fileno(), _START_SECONDS)
        if line is None:
            process.kill()
            process.wait()
            raise WorkerLostError(
                f"{name} did not say where it listens within {_START_SECONDS:g} s: see {self.folder / name}.log"
            )
        if not line:
            status = process.wait()
            log = (self.folder / f"{name}.log").read_text().strip().splitlines()
            raise WorkerLostError(f"{name} did not start: {log[-1] if log else 'no word'}", exit_status=status)
        _let_be(process)
        known = self._known()
        known[name] = Started(process.pid, str(json.loads(line)["address"]), tuple(words))
        self._write_state(known)
        return known[name]

    def _write_state(self, known: dict[str, Started]) -> None:
        with LOCAL.write_aside(self.folder / STATE_FILE, overwrite=True, mode=0o600) as file:
            file.write(json.dumps({one: started._asdict() for one, started in known.items()}, indent=1).encode())

    def _runs(self, name: str, one: Started) -> bool:
        """Whether the process runs and is that one: numbers are used again."""
        try:
            words = Path(f"/proc/{one.pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        own = self.folder if name == SUPERVISOR_NAME else self.folder / name
        return str(own).encode() in words

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


def _let_be(process: subprocess.Popen[bytes]) -> None:
    """Hear a process no more. It outlives us, and that nobody waits for it is no mistake to be warned of."""
    if process.stdout is not None:
        process.stdout.close()
    if process.returncode is None:
        process.returncode = 0


def _first_line(fd: int, seconds: float) -> bytes | None:
    """Read what comes until a line has ended, or all of it; None when that takes too long."""
    deadline = SYSTEM_CLOCK.seconds() + seconds
    waiting = select.poll()
    waiting.register(fd, select.POLLIN)
    line = b""
    while not line.endswith(b"\n"):
        left = deadline - SYSTEM_CLOCK.seconds()
        if left <= 0 or not waiting.poll(1000 * left):
            return None
        piece = os.read(fd, _LINE_BYTES)
        if not piece:
            break
        line += piece
    return line


def _reap(pid: int) -> None:
    """Take note of the end of a child of ours, that it does not stay as a zombie."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return
