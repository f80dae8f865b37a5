"""A stream that is opened again whenever it breaks: a node's to its coordinator, and to other nodes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pyarrow as pa
from pyarrow import flight

from esker.cluster.channel import Channel
from esker.cluster.greeting import Caller, greeting
from esker.errors import EskerError, PeerError
from esker.runtime.flight import Security, call_options, open_client, peer_errors

_AGAIN_SECONDS = 0.1
_AGAIN_MOST_SECONDS = 1.0


class Link:
    """Says and hears messages, from a thread of its own; what is said while there is no stream is lost."""

    def __init__(
        self,
        location: str,
        caller: Caller,
        security: Security,
        on_data: Callable[[bytes], None],
        on_open: Callable[[], None] = lambda: None,
        on_refused: Callable[[EskerError], None] = lambda error: None,
    ) -> None:
        self.location = location
        self._caller = caller
        self._security = security
        self._on_data = on_data
        self._on_open = on_open
        self._on_refused = on_refused
        self._channel: Channel | None = None
        self._reader: Any = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"esker-link-{location}", daemon=True)

    def start(self) -> Link:
        """Begin to connect: not before whoever is told of it knows this link."""
        self._thread.start()
        return self

    @property
    def is_open(self) -> bool:
        """Whether there is a stream."""
        return self._channel is not None

    def send(self, data: bytes) -> None:
        """Say something, if there is somebody."""
        channel = self._channel
        if channel is not None:
            channel.send(data)

    def close(self) -> None:
        """End; does not wait for the thread, which a hung peer may hold."""
        self._stopped.set()
        self._cancel()

    def _cancel(self) -> None:
        channel, reader = self._channel, self._reader
        if channel is not None:
            channel.close()
        if reader is not None:
            reader.cancel()

    def _run(self) -> None:
        wait = _AGAIN_SECONDS
        while not self._stopped.is_set():
            try:
                with peer_errors(self.location), open_client(self.location, self._security) as client:
                    self._talk(client)
                wait = _AGAIN_SECONDS
            except EskerError as error:
                if type(error) is PeerError or not getattr(error, "temporary", False):
                    self._on_refused(error)
            finally:
                self._channel, self._reader = None, None
            self._stopped.wait(wait)
            wait = min(2 * wait, _AGAIN_MOST_SECONDS)

    def _talk(self, client: flight.FlightClient) -> None:
        writer, reader = client.do_exchange(greeting(self._caller), call_options(self._security))
        self._reader = reader
        # The server says an empty word when it has taken us in: only then does anybody hear what we say.
        next_word(reader)
        channel = Channel(writer.write_metadata, reader.cancel)
        self._channel = channel
        self._on_open()
        try:
            while (data := next_word(reader)) is not None and not self._stopped.is_set():
                channel.heard()
                self._on_data(data)
        finally:
            channel.close()
            # What is being written ends with the stream, and not before to a peer that hangs.
            reader.cancel()
            channel.settle()
            with suppress(pa.ArrowException, OSError):
                writer.close()


def next_word(reader: Any) -> bytes | None:
    """Wait for what comes next on a stream; None at its end."""
    try:
        chunk = reader.read_chunk()
    except StopIteration:
        return None
    return b"" if chunk.app_metadata is None else chunk.app_metadata.to_pybytes()
