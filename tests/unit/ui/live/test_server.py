"""Who may look at the page, and what they are shown: asked over real sockets."""

from __future__ import annotations

import hashlib
import json
import re
import socket
import stat
import threading
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from tests.unit.ui.live.every_event import every_event, ring, write_log
from tests.unit.ui.live.serving import ask, cookie_of, events_of, serving

from esker.errors import OptionError
from esker.ui.live.app import Page
from esker.ui.live.guard import HEADERS
from esker.ui.live.logs import Logs
from esker.ui.live.run import PARTS
from esker.ui.live.server import Server


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("logs")
    write_log(made / "q.jsonl", every_event())
    return made


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    with serving(folder) as made:
        yield made


PATHS = ["/", "/events", "/page/page.js", "/page/uplot.js", "/nothing"]


@pytest.mark.parametrize("path", PATHS)
def test_without_the_cookie_nothing_is_shown(server: Server, path: str) -> None:
    for cookie in ("", f"esker-{server.port}=", f"esker-{server.port}={server.token}", "esker-1=x; =; \x7f", "é"):
        answer = ask(server, path, Cookie=cookie.encode("utf-8").decode("latin-1"))
        assert answer.status == 403
        assert b"esker ui" in answer.body


def test_the_link_gives_a_cookie_that_scripts_and_other_sites_do_not_get(server: Server) -> None:
    answer = ask(server, f"/?token={server.token}")
    cookie = answer.headers["set-cookie"]
    assert re.fullmatch(rf"esker-{server.port}=[\w-]{{43}}; HttpOnly; Path=/; SameSite=strict", cookie)
    assert server.token not in cookie
    assert server.token.encode() not in answer.body
    assert ask(server, "/", Cookie=cookie.partition(";")[0]).status == 200


@pytest.mark.parametrize("token", ["", "x", "é%00", "a" * 43])
def test_a_wrong_token_gives_no_cookie(server: Server, token: str) -> None:
    answer = ask(server, "/?token=" + token.replace("é", "%C3%A9"))
    assert answer.status == 403
    assert "set-cookie" not in answer.headers


def test_tokens_are_long_and_differ(folder: Path, server: Server) -> None:
    with serving(folder) as other:
        assert len(server.token) == len(other.token) == 43
        assert server.token != other.token
        assert ask(other, "/", Cookie=cookie_of(server)).status == 403


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil.example", "", "[::1]", "0.0.0.0"],
)
def test_a_name_that_was_pointed_at_this_machine_is_refused(server: Server, host: str) -> None:
    answer = ask(server, "/", Host=host, Cookie=cookie_of(server))
    assert answer.status == 400
    assert ask(server, f"/?token={server.token}", Host=host).status == 400


def test_this_machine_is_known_by_its_two_names(server: Server) -> None:
    for host in (f"127.0.0.1:{server.port}", f"localhost:{server.port}", "LOCALHOST"):
        assert ask(server, "/", Host=host, Cookie=cookie_of(server)).status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "MADEUP"])
def test_only_looking_is_allowed(server: Server, method: str) -> None:
    for path in ("/", "/events", f"/?token={server.token}"):
        answer = ask(server, path, method, Cookie=cookie_of(server))
        assert answer.status == 405
        assert answer.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_request_of_another_site_is_refused_even_with_the_cookie(server: Server, site: str) -> None:
    assert ask(server, "/events", Sec_Fetch_Site=site, Cookie=cookie_of(server)).status == 403
    assert ask(server, "/page/page.js", Sec_Fetch_Site="same-origin", Cookie=cookie_of(server)).status == 200


@pytest.mark.parametrize("origin", ["null", "http://evil.example", "http://127.0.0.1:1", "https://127.0.0.1"])
def test_a_request_with_the_origin_of_another_page_is_refused(server: Server, origin: str) -> None:
    assert ask(server, "/events", Origin=origin, Cookie=cookie_of(server)).status == 403
    own = f"http://127.0.0.1:{server.port}"
    assert ask(server, "/page/page.js", Origin=own, Cookie=cookie_of(server)).status == 200


def test_every_answer_has_the_headers_that_keep_browsers_within_bounds(server: Server) -> None:
    cookie = cookie_of(server)
    answers = [
        ask(server, "/", Cookie=cookie),
        ask(server, "/"),
        ask(server, "/nothing", Cookie=cookie),
        ask(server, "/", "POST"),
        ask(server, "/", Host="evil.example"),
        ask(server, f"/?token={server.token}"),
        ask(server, "/page/page.css", Cookie=cookie),
        ask(server, "/events", "HEAD", Cookie=cookie),
    ]
    for answer in answers:
        for name, value in HEADERS.items():
            assert answer.headers[name.lower()] == value
        assert "server" not in answer.headers


def test_the_policy_allows_no_inline_script_or_style_and_the_page_has_none() -> None:
    policy = HEADERS["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "http" not in policy
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    page = files("esker.ui").joinpath("page/page.html").read_text(encoding="utf-8")
    assert re.findall(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=|https?://", page) == []


def test_the_scripts_make_no_html_of_text_and_ask_nobody_else() -> None:
    for file in files("esker.ui").joinpath("page").iterdir():
        if file.name.endswith((".js", ".css")):
            found = re.findall(
                r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser|srcdoc|https?://[^\"]*",
                file.read_text(encoding="utf-8"),
            )
            assert found in ([], ["http://www.w3.org/2000/svg"]), file.name


def test_uplot_is_what_its_table_says_and_has_its_licence() -> None:
    folder = files("esker.ui").joinpath("page/uplot")
    table = re.findall(
        r"^\| (\S+) \| \S+ \| ([0-9a-f]{64}) \|$", folder.joinpath("README.md").read_text(), re.MULTILINE
    )
    assert {name for name, _ in table} == {"uplot.js", "uplot.css", "LICENSE"}
    for name, digest in table:
        assert hashlib.sha256(folder.joinpath(name).read_bytes()).hexdigest() == digest
    assert "The MIT License" in folder.joinpath("LICENSE").read_text()


def test_files_beside_the_page_are_not_given_out(server: Server) -> None:
    cookie = cookie_of(server)
    for path in (
        "/page/../live/app.py",
        "/page/..%2flive%2fapp.py",
        "/page/LICENSE",
        "/page/q.jsonl",
        "/page//etc/passwd",
        "/q.jsonl",
    ):
        assert ask(server, path, Cookie=cookie).status == 404
    for name, kind in (
        ("page.js", "text/javascript"),
        ("page.css", "text/css"),
        ("uplot.js", "text/javascript"),
        ("icon.svg", "image/svg+xml"),
    ):
        answer = ask(server, f"/page/{name}", Cookie=cookie)
        assert (answer.status, answer.headers["content-type"].partition(";")[0]) == (200, kind)


def test_head_answers_without_a_body(server: Server) -> None:
    for path in ("/", "/events", "/page/page.js"):
        answer = ask(server, path, "HEAD", Cookie=cookie_of(server))
        assert (answer.status, answer.body) == (200, b"")


def test_the_stream_tells_the_logs_and_every_part(server: Server) -> None:
    found: dict[str, Any] = {}
    with events_of(server) as events:
        for name, content in events:
            found[name] = content
            if {"logs", "log", "run", *PARTS} <= found.keys():
                break
    assert [row["name"] for row in found["logs"]] == ["q.jsonl"]
    assert found["summary"]["rows"] == 1_204_113
    assert found["log"]["problem"] is None


def until(events: Iterator[tuple[str, Any]], name: str, wanted: Any) -> Any:
    return next(content for one, content in events if one == name and wanted(content))


def test_what_is_written_while_one_looks_is_told(tmp_path: Path) -> None:
    path = write_log(tmp_path / "q.jsonl", every_event(done=False))
    with serving(path) as server, events_of(server) as events:
        until(events, "summary", lambda one: one["state"] == "running")
        with path.open("a") as file:
            file.write(json.dumps(every_event()[-1]) + "\n")
        assert until(events, "summary", lambda one: one["state"] == "done")["rows"] == 1_204_113


def test_a_new_query_in_the_folder_is_followed_and_an_old_one_can_be_chosen(tmp_path: Path) -> None:
    write_log(tmp_path / "a.jsonl", every_event())
    with serving(tmp_path) as server, events_of(server) as events, events_of(server, "?log=a.jsonl&run=0") as chosen:
        until(events, "summary", lambda one: one["state"] == "done")
        write_log(tmp_path / "b.jsonl", every_event(done=False))
        # It may be seen before its first line is.
        until(events, "log", lambda one: one["name"] == "b.jsonl" and one["runs"] == 1)
        assert until(events, "summary", lambda one: True)["state"] == "running"
        told = []
        for name, content in chosen:
            told.append((name, content))
            if name == "logs" and len(content) == 2:
                break
        assert [content["name"] for name, content in told if name == "log"] == ["a.jsonl"]
        assert [content["state"] for name, content in told if name == "summary"] == ["done"]


@pytest.mark.parametrize(
    "query", ["?log=../q.jsonl", "?log=%2Fetc%2Fpasswd", "?log=", "?log=none", "?run=99999999999999&log=x"]
)
def test_a_log_that_is_not_there_is_nothing(server: Server, query: str) -> None:
    with events_of(server, query) as events:
        assert until(events, "log", lambda one: True) is None


def test_a_damaged_log_is_shown_up_to_the_damage_with_word_of_it(tmp_path: Path) -> None:
    path = write_log(tmp_path / "q.jsonl", every_event())
    with path.open("a") as file:
        file.write("<script>\n")
    with serving(path) as server, events_of(server) as events:
        problem = until(events, "log", lambda one: one and one["problem"])["problem"]
        assert problem.startswith(f"q.jsonl, line {len(every_event()) + 1:,}: not a JSON line")
        assert until(events, "summary", lambda one: True)["state"] == "done"


def test_the_status_of_a_cluster_from_a_file_is_told(tmp_path: Path) -> None:
    status = tmp_path / "status.json"
    status.write_text(json.dumps({"replicas": 2, "members": ring({1: "down"})}))
    with serving(tmp_path, cluster=status) as server, events_of(server) as events:
        shown = until(events, "cluster_now", lambda one: True)["status"]
    assert {node["node"]: node["state"] for node in shown["nodes"]}["1"] == "down"


def test_only_the_loopback_interface_is_listened_on(server: Server) -> None:
    assert server._socket.getsockname()[0] == "127.0.0.1"
    with pytest.raises(OptionError, match=f"cannot listen on port {server.port} of 127.0.0.1"):
        Server(Page(Logs(Path())), port=server.port)


def test_more_pages_than_a_browser_has_are_told_to_wait(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("esker.ui.live.app.STREAMS_MAX", 1)
    with serving(folder) as server, events_of(server) as events:
        next(events)
        assert ask(server, "/events", Cookie=cookie_of(server)).status == 503


def test_closing_ends_open_streams_and_leaves_no_thread_and_no_file(folder: Path) -> None:
    before = set(threading.enumerate())
    with serving(folder) as server:
        opener = server.opener()
        assert stat.S_IMODE(opener.stat().st_mode) == 0o600
        assert stat.S_IMODE(opener.parent.stat().st_mode) == 0o700
        assert server.link in opener.read_text()
        with events_of(server) as events:
            next(events)
            server.__exit__(None, None, None)
            for _ in events:  # to its end
                pass
    assert not opener.parent.exists()
    # Those of the module's server come and go.
    left = {thread.name for thread in set(threading.enumerate()) - before}
    assert {name for name in left if not name.startswith("asyncio_")} == set()
    with pytest.raises(ConnectionError):
        socket.create_connection(("127.0.0.1", server.port), timeout=5)
