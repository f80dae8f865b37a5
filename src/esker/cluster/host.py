"""A machine in a process of its own: one event at a time, words that wait for the disk, ticks of the clock."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from esker.cluster.coordinator import Coordinator
from esker.cluster.log_file import LogFile
from esker.cluster.machine import Append, Send
from esker.cluster.node import Node

TICK_SECONDS = 0.25
CHECKPOINT_BYTES = 64 << 20


class Host:
    """Runs a machine on a log file: what the simulator does with simulated disks and time.

    `send` carries a message and never waits. An error inside, or of the disk, ends the machine for good
    (docs/cluster.md): `on_failure` is told, and the process is to start again from the log.
    """

    def __init__(
        self,
        machine: Node | Coordinator,
        log: LogFile,
        send: Callable[[Send], None],
        on_failure: Callable[[BaseException], None],
        *,
        tick_seconds: float = TICK_SECONDS,
        checkpoint_bytes: int = CHECKPOINT_BYTES,
    ) -> None:
        self.machine = machine
        self.lock = threading.RLock()
        self._log = log
        self._send = send
        self._on_failure = on_failure
        self._tick_seconds = tick_seconds
        self._checkpoint_bytes = checkpoint_bytes
        self._next_checkpoint = max(checkpoint_bytes, 2 * log.bytes)
        self._syncs = 0
        self._sync_wanted = threading.Condition(self.lock)
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._guarded, args=(run,), name=f"esker-{run.__name__.strip('_')}", daemon=True)
            for run in (self._tick_loop, self._sync_loop)
        ]

    def start(self) -> None:
        """Carry out what the machine begins with, and let time pass."""
        with self.lock:
            self._carry_out()
        for thread in self._threads:
            thread.start()

    def deliver(self, source: int, stamp: int, message: Any) -> None:
        """Give the machine a message."""
        with self.lock:
            if not self._stopped.is_set():
                self._guarded(lambda: self._received(source, stamp, message))

    def tell(self, event: Callable[[Any], None]) -> None:
        """Give the machine another event."""
        with self.lock:
            if not self._stopped.is_set():
                self._guarded(lambda: self._happened(event))

    def stop(self) -> None:
        """End: what was not synced is lost, as in a crash. Calling it again does nothing."""
        with self.lock:
            self._stopped.set()
            self._sync_wanted.notify_all()
        for thread in self._threads:
            if thread.is_alive() and thread is not threading.current_thread():
                thread.join()

    def _received(self, source: int, stamp: int, message: Any) -> None:
        self.machine.receive(source, stamp, message)
        self._carry_out()

    def _happened(self, event: Callable[[Any], None]) -> None:
        event(self.machine)
        self._carry_out()

    def _guarded(self, run: Callable[[], None]) -> None:
        try:
            run()
        except BaseException as error:  # noqa: BLE001  # told to whoever started this, who ends the process
            self._stopped.set()
            self._on_failure(error)

    def _carry_out(self) -> None:
        for effect in self.machine.take():
            kind = type(effect)
            if kind is Send:
                self._send(effect)  # type: ignore[arg-type]  # told apart by its kind
            elif kind is Append:
                self._log.append(effect.record)  # type: ignore[union-attr]  # told apart by its kind
            else:
                self._syncs += 1
                self._sync_wanted.notify_all()

    def _tick_loop(self) -> None:
        while not self._stopped.wait(self._tick_seconds):
            with self.lock:
                self.machine.tick()
                self._carry_out()
                self._ticked()

    def _sync_loop(self) -> None:
        while True:
            with self.lock:
                while not self._syncs and not self._stopped.is_set():
                    self._sync_wanted.wait()
                if self._stopped.is_set():
                    return
                count, self._syncs = self._syncs, 0
                taken = self._log.take()
            # Others go on meanwhile; their syncs are served together by the next turn.
            self._log.write(taken)
            with self.lock:
                self._synced(count)
            if self._is_checkpoint_due():
                self._checkpoint()

    def _synced(self, count: int) -> None:
        for _ in range(count):
            self.machine.synced()
            self._carry_out()

    def _checkpoint(self) -> None:
        self._before_checkpoint()
        with self.lock:
            while not self.machine.settled:
                count, self._syncs = self._syncs, 0
                self._log.sync()
                self._synced(count)
            self._write_checkpoint()
        self._next_checkpoint = max(self._checkpoint_bytes, 2 * self._log.bytes)

    def _ticked(self) -> None:
        """Do what is to be done at every tick, with the lock."""

    def _is_checkpoint_due(self) -> bool:
        """Whether the log has grown so much that the fewest records should take its place."""
        return self._log.bytes >= self._next_checkpoint

    def _before_checkpoint(self) -> None:
        """Do what can be done while the machine goes on."""

    def _write_checkpoint(self) -> None:
        self._log.replace(self.machine.checkpoint())
