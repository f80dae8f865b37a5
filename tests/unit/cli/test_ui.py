"""`esker ui`: the link it prints, what it refuses, and that Ctrl-C ends it and leaves nothing."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.unit.cli.command import Run, one_line

LINK = re.compile(r"http://127\.0\.0\.1:(\d+)/\?token=([\w-]{43})")


@contextmanager
def shown(*arguments: object, **environment: str) -> Iterator[tuple[subprocess.Popen[str], re.Match[str], str]]:
    """The command in a process, with its link."""
    process = subprocess.Popen(
        [sys.executable, "-m", "esker.cli.main", "ui", *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        link = LINK.search(line)
        assert link is not None, line + (process.stderr.read() if process.stderr and process.poll() is not None else "")
        yield process, link, line
    finally:
        process.kill()
        process.communicate()


def status_of(port: str, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=60)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_it_prints_a_link_and_a_signal_ends_it_quietly(tmp_path: Path, number: signal.Signals, code: int) -> None:
    with shown(tmp_path, "--no-browser", TMPDIR=str(tmp_path)) as (process, link, line):
        assert str(tmp_path) in line
        assert status_of(link[1], f"/?token={link[2]}") == 200
        assert status_of(link[1], "/") == 403
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (code, "")
    assert one_line(err)
    assert list(tmp_path.iterdir()) == []


def test_a_browser_is_led_to_the_link_by_a_private_file_that_does_not_stay(tmp_path: Path) -> None:
    browser = tmp_path / "browser"
    opened = tmp_path / "opened"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}.part && mv {opened}.part {opened}\n')
    browser.chmod(0o700)
    with shown(tmp_path, BROWSER=f"{browser} %s") as (process, link, _):
        while not opened.exists():
            assert process.poll() is None
            time.sleep(0.01)
        url = opened.read_text().strip()
        assert url.startswith("file://")
        assert link[2] not in url
        file = Path(url.removeprefix("file://"))
        assert link[0] in file.read_text()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert not file.exists()


def test_without_a_place_it_shows_the_folder_that_esker_log_dir_names(tmp_path: Path) -> None:
    with shown("--no-browser", ESKER_LOG_DIR=str(tmp_path / "logs")) as (_, _, line):
        assert str(tmp_path / "logs") in line


def test_a_place_that_is_not_there_and_a_bad_limit_are_wrong_calls(run: Run, tmp_path: Path) -> None:
    for arguments, word in (
        ((tmp_path / "none.jsonl",), "no event log and no folder of logs at"),
        ((tmp_path, "--log-limit", "lots"), "log_limit"),
        ((tmp_path, "--cluster", tmp_path / "none.json"), "cannot show the cluster of"),
        ((tmp_path, "--port", "70000"), "port"),
    ):
        ended = run("ui", "--no-browser", *arguments)
        assert ended.code == 2
        assert word in ended.err
        assert one_line(ended.err)


def test_without_the_extra_it_says_how_to_get_it(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    ended = run("ui", tmp_path, "--no-browser")
    assert ended.code == 1
    assert "uvicorn is not installed: pip install 'esker[ui]'" in ended.err
