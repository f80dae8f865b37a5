"""The application behind the page: its files, and one stream of what changes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from esker.core.clock import SYSTEM_CLOCK, Clock
from esker.ui.live.cluster_source import ClusterSource
from esker.ui.live.guard import Guard
from esker.ui.live.logs import Log, Logs
from esker.ui.live.run import PARTS, Run

# How often a log is looked at, and the folder; how often a silent stream says that it is there.
LOOK_SECONDS, SCAN_SECONDS, ALIVE_SECONDS = 0.25, 2.0, 15.0
STREAMS_MAX = 24
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
LATEST = "latest"


class Page:
    """The state that all requests share: the logs, who looks, whether the server is to end."""

    def __init__(self, logs: Logs, cluster: ClusterSource | None = None, clock: Clock = SYSTEM_CLOCK) -> None:
        self.logs = logs
        self.cluster = cluster
        self.stopping = False
        self.streams = 0
        self.clock = clock
        self._lock = asyncio.Lock()
        self._scanned = clock.seconds()

    async def look(self, wanted: str) -> Log | None:
        """Bring a log up to date, and now and then the list of them; work is done apart from the server's thread."""
        async with self._lock:
            return await asyncio.to_thread(self._look, wanted)

    def _look(self, wanted: str) -> Log | None:
        now = self.clock.seconds()
        if now - self._scanned >= SCAN_SECONDS:
            self._scanned = now
            self.logs.scan()
        name = self.logs.newest() if wanted == LATEST else wanted
        log = self.logs.find(name) if name is not None else None
        if log is not None:
            log.follow()
        return log

    async def part(self, run: Run, name: str) -> str:
        """A part as JSON text."""
        async with self._lock:
            return await asyncio.to_thread(run.part, name)


def make_app(page: Page, token: str) -> Starlette:
    """Make the application; `token` is what the link must carry."""
    assets = _assets()

    async def index(request: Request) -> Response:
        return _asset(assets, "page.html")

    async def asset(request: Request) -> Response:
        return _asset(assets, request.path_params["name"])

    async def events(request: Request) -> Response:
        if request.method == "HEAD":
            return Response(media_type="text/event-stream")
        if page.streams >= STREAMS_MAX:
            return PlainTextResponse("too many pages look at once: close some", 503)
        wanted = request.query_params.get("log", LATEST)
        number = request.query_params.get("run", "")
        stream = _stream(page, wanted, int(number) if number.isdecimal() and len(number) < 9 else None)
        return StreamingResponse(stream, media_type="text/event-stream")

    return Starlette(
        routes=[Route("/", index), Route("/events", events), Route("/page/{name}", asset)],
        middleware=[Middleware(Guard, token=token)],
    )


async def _stream(page: Page, wanted: str, number: int | None) -> AsyncIterator[str]:
    """What the page is to show: all of it first, then each part that changed; `number` is a query of the log."""
    page.streams += 1
    try:
        sent = _Sent()
        while not page.stopping:
            log = await page.look(wanted)
            words = [word for word in (_of_files(page, log, sent), await _of_run(page, log, number, sent)) if word]
            if words:
                yield "".join(words)
                sent.quiet = 0.0
            elif sent.quiet >= ALIVE_SECONDS:
                sent.quiet = 0.0
                yield ": still here\n\n"
            sent.quiet += LOOK_SECONDS
            await asyncio.sleep(LOOK_SECONDS)
    finally:
        page.streams -= 1


class _Sent:
    """What one page has been told already."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.run: Run | None = None
        self.versions: dict[str, int] = {}
        self.quiet = 0.0

    def changed(self, name: str, text: str) -> str:
        """The event that tells `text`, or nothing if that was told last."""
        if self.texts.get(name) == text:
            return ""
        self.texts[name] = text
        return _event(name, text)


def _of_files(page: Page, log: Log | None, sent: _Sent) -> str:
    logs = sent.changed("logs", page.logs.listing)
    about = sent.changed("log", log.about() if log is not None else "null")
    cluster = sent.changed("cluster_now", page.cluster.shown) if page.cluster is not None else ""
    return logs + about + cluster


async def _of_run(page: Page, log: Log | None, number: int | None, sent: _Sent) -> str:
    run, place = _chosen(log, number)
    words = ""
    if run is not sent.run:
        sent.run, sent.versions = run, {}
        words = _event("run", json.dumps({"run": place}))
    if run is None:
        return words
    for name in PARTS:
        version = run.versions[name]
        if sent.versions.get(name) != version:
            sent.versions[name] = version
            words += _event(name, await page.part(run, name))
    return words


def _chosen(log: Log | None, number: int | None) -> tuple[Run | None, int | None]:
    """The query of that number, the last one if there is none, and its number."""
    if log is None or not log.runs:
        return None, None
    place = number - log.dropped if number is not None else len(log.runs) - 1
    if not 0 <= place < len(log.runs):
        place = len(log.runs) - 1
    return log.runs[place], place + log.dropped


def _event(name: str, text: str) -> str:
    # JSON as it is written here has no line ends.
    return f"event: {name}\ndata: {text}\n\n"


def _assets() -> dict[str, Traversable]:
    """The package's own files by name: nothing else can be asked for."""
    found: dict[str, Any] = {}
    for folder in ("page", "page/uplot"):
        for file in files("esker.ui").joinpath(folder).iterdir():
            if file.is_file() and any(file.name.endswith(ending) for ending in TYPES):
                found[file.name] = file
    return found


def _asset(assets: dict[str, Traversable], name: str) -> Response:
    file = assets.get(name)
    if file is None:
        return PlainTextResponse("there is no such page", 404)
    return Response(file.read_bytes(), media_type=TYPES["." + name.rpartition(".")[2]])
