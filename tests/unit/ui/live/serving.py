"""A server of the page for tests, and a small client that asks it anything."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from esker.ui.live.app import Page
from esker.ui.live.cluster_source import cluster_source
from esker.ui.live.logs import Logs
from esker.ui.live.server import Server


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


@contextmanager
def serving(place: Path, **more: Any) -> Iterator[Server]:
    cluster = more.pop("cluster", None)
    with ExitStack() as stack:
        source = stack.enter_context(cluster_source(str(cluster))) if cluster is not None else None
        yield stack.enter_context(Server(Page(Logs(place, **more), source)))


def ask(server: Server, path: str, method: str = "GET", **headers: str) -> Answer:
    """Ask for a path; a header's underscores are dashes."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, found, answer.read())
    finally:
        connection.close()


def cookie_of(server: Server) -> str:
    """The cookie that the link gives."""
    answer = ask(server, f"/?token={server.token}")
    assert answer.status == 200
    return answer.headers["set-cookie"].partition(";")[0]


@contextmanager
def events_of(server: Server, query: str = "") -> Iterator[Iterator[tuple[str, Any]]]:
    """The events of the stream, one by one."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("GET", f"/events{query}", headers={"Cookie": cookie_of(server)})
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()

    def events() -> Iterator[tuple[str, Any]]:
        name = ""
        while line := answer.readline().decode():
            if line.startswith("event: "):
                name = line.removeprefix("event: ").strip()
            elif line.startswith("data: "):
                yield name, json.loads(line.removeprefix("data: "))

    try:
        yield events()
    finally:
        answer.close()
        connection.close()
