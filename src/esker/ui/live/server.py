"""The server of the page: on the loopback interface, in a thread of its own, gone when it is closed."""

from __future__ import annotations

import secrets
import socket
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import uvicorn

from esker.errors import OptionError
from esker.ui.live.app import Page, make_app
from esker.ui.live.guard import TOKEN_BYTES

ADDRESS = "127.0.0.1"
# How long open requests may take to end when the server is closed.
CLOSE_SECONDS = 3
_OPENER = """<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="0;url={link}">
<title>esker</title><p><a href="{link}">Open the page</a></p></html>"""


class Server:
    """Shows `page` while entered; `link` is what to open.

    Port 0 takes any that is free. OptionError when the port is taken.
    """

    def __init__(self, page: Page, port: int = 0) -> None:
        self._page = page
        self._stack = ExitStack()
        self.token = secrets.token_urlsafe(TOKEN_BYTES)
        self._socket = self._stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind((ADDRESS, port))
            # Listening before the thread runs: the link works as soon as it is printed.
            self._socket.listen(64)
        except (OSError, OverflowError) as error:
            self._stack.close()
            raise OptionError(
                f"cannot listen on port {port} of {ADDRESS}: {error}; --port 0 takes a free one"
            ) from error
        self.port = int(self._socket.getsockname()[1])
        self._server = uvicorn.Server(
            uvicorn.Config(
                make_app(page, self.token),
                log_level="critical",
                access_log=False,
                lifespan="off",
                server_header=False,
                date_header=False,
                proxy_headers=False,
                ws="none",
                limit_concurrency=100,
                timeout_graceful_shutdown=CLOSE_SECONDS,
            )
        )
        self._thread = threading.Thread(target=self._serve, name="esker-ui", daemon=True)

    @property
    def link(self) -> str:
        """The address with the token that lets the user in."""
        return f"http://{ADDRESS}:{self.port}/?token={self.token}"

    def opener(self) -> Path:
        """A private file that leads to the link: arguments of a browser's process can be read by other users."""
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="esker-ui-")))
        path = folder / "open.html"
        path.touch(mode=0o600)
        path.write_text(_OPENER.format(link=self.link), encoding="utf-8")
        return path

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._page.stopping = True
        self._server.should_exit = True
        self._thread.join(CLOSE_SECONDS * 2)
        self._stack.close()

    def wait(self, seconds: float) -> bool:
        """Wait for the server's end for a while; say whether it ended by itself."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _serve(self) -> None:
        # Not in the main thread, so that signals stay with the command (esker.cli.interrupts).
        self._server.run(sockets=[self._socket])
