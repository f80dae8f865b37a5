"""Run ministack, an S3 server with Glacier's semantics, on the loopback address; writes down what it is asked.

    python tests/ministack_process.py FOLDER      prints its endpoint

FOLDER/requests gets a line a request; FOLDER/offset, where it is there, holds seconds that its clock is ahead, so that
a copy that expires at midnight in a week can be seen to expire.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from pathlib import Path
from typing import Any

_RESTORE_SECONDS = 0.15


class _Clock:
    """The module `time`, ahead by as much as a file says."""

    def __init__(self, offset: Path) -> None:
        self._offset = offset

    def time(self) -> float:
        try:
            return time.time() + float(self._offset.read_text())
        except (OSError, ValueError):
            return time.time()

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


def main() -> None:
    folder = Path(sys.argv[1])
    os.environ |= {"IOT_MTLS_ENABLED": "0", "LOG_LEVEL": "ERROR", "S3_PERSIST": "0", "PERSIST_STATE": "0"}
    from hypercorn.asyncio import serve
    from hypercorn.config import Config
    from ministack import app as ministack
    from ministack.services import s3

    # Its fixed delay is two seconds; tests wait for many restores.
    s3._RESTORE_DELAY_SECONDS = _RESTORE_SECONDS
    s3.time = _Clock(folder / "offset")
    log = (folder / "requests").open("a", buffering=1)

    async def counted(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await ministack.app(scope, receive, send)
            return

        async def noted(message: Any) -> None:
            if message["type"] == "http.response.start":
                query = scope["query_string"].decode()
                log.write(f"{scope['method']} {scope['path']}{'?' + query if query else ''} {message['status']}\n")
            await send(message)

        await ministack.app(scope, receive, noted)

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(128)
        config = Config()
        config.bind = [f"fd://{listening.fileno()}"]
        config.loglevel = "ERROR"
        print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
        asyncio.run(serve(counted, config))


if __name__ == "__main__":
    main()
