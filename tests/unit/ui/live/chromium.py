"""A headless Chromium for tests, spoken to over two pipes in the DevTools protocol: no driver, no port."""

from __future__ import annotations

import base64
import json
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATIENCE_SECONDS = 60.0
# Puts the pipes where Chromium looks for them.
_LAUNCH = (
    "import os, sys; r, w = int(sys.argv[1]), int(sys.argv[2]); r2, w2 = os.dup(r), os.dup(w);"
    "a, b = os.dup(r2), os.dup(w2); os.dup2(a, 3); os.dup2(b, 4); os.execvp(sys.argv[3], sys.argv[3:])"
)


def find_chromium() -> str | None:
    """The path of a Chromium, if there is one; ESKER_CHROMIUM names another."""
    named = os.environ.get("ESKER_CHROMIUM")
    return named or next((path for name in NAMES if (path := shutil.which(name))), None)


class Tab:
    """A page of the browser; what its console and its security policy complain of is kept in `complaints`."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session
        self.complaints: list[str] = []
        browser.listeners[session] = self._heard
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self._browser.call(method, parameters, self._session)

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)

    def evaluate(self, script: str) -> Any:
        """The value of an expression of JavaScript; what it throws is an AssertionError here."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, script: str) -> Any:
        """Wait until an expression is true; gives its value."""
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            try:
                if value := self.evaluate(script):
                    return value
            except AssertionError:  # the page is being loaded
                pass
            time.sleep(0.1)
        raise AssertionError(f"it did not come true: {script}\n{self.evaluate('document.body.innerText')[:3000]}")

    def press(self, key: str) -> None:
        codes = {
            "Tab": 9,
            "Enter": 13,
            "ArrowLeft": 37,
            "ArrowUp": 38,
            "ArrowRight": 39,
            "ArrowDown": 40,
            "+": 187,
            "0": 48,
        }
        common = {"key": key, "windowsVirtualKeyCode": codes[key]}
        text = {"text": "\r" if key == "Enter" else key} if len(key) == 1 or key == "Enter" else {}
        self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", **common, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def look(self, *, dark: bool, width: int = 1280, height: int = 900) -> None:
        """Prefer dark or light, and have a window of that size."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def screenshot(self, path: Path) -> None:
        """Save the whole page as PNG."""
        path.parent.mkdir(parents=True, exist_ok=True)
        answer = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(answer["data"]))

    def _heard(self, message: dict[str, Any]) -> None:
        method, parameters = message["method"], message["params"]
        if method == "Runtime.exceptionThrown":
            details = parameters["exceptionDetails"]
            self.complaints.append(str(details.get("exception", {}).get("description") or details["text"]))
        elif method == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
            self.complaints.append(parameters["entry"]["text"])
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning"):
            self.complaints.append(str([one.get("value") for one in parameters["args"]]))


class Browser:
    """Calls and answers over the pipes; a thread hands answers and events to whom they are for."""

    def __init__(self, writing: int, reading: int) -> None:
        self._writing = writing
        self._reading = reading
        self._number = 0
        self._answers: dict[int, queue.Queue[dict[str, Any]]] = {}
        self.listeners: dict[str, Callable[[dict[str, Any]], None]] = {}
        threading.Thread(target=self._read, daemon=True).start()

    def call(self, method: str, parameters: dict[str, Any], session: str | None = None) -> dict[str, Any]:
        self._number += 1
        answer = self._answers[self._number] = queue.Queue()
        message = {"id": self._number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        os.write(self._writing, json.dumps(message).encode() + b"\0")
        found = answer.get(timeout=PATIENCE_SECONDS)
        assert "error" not in found, f"{method}: {found['error']}"
        result: dict[str, Any] = found["result"]
        return result

    @contextmanager
    def tab(self) -> Iterator[Tab]:
        """A page in a context of its own, without the cookies of another; closed when the block ends."""
        context = self.call("Target.createBrowserContext", {})["browserContextId"]
        target = self.call("Target.createTarget", {"url": "about:blank", "browserContextId": context})["targetId"]
        session = self.call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        try:
            yield Tab(self, session)
        finally:
            del self.listeners[session]
            self.call("Target.disposeBrowserContext", {"browserContextId": context})

    def _read(self) -> None:
        rest = b""
        while data := os.read(self._reading, 1 << 20):
            *messages, rest = (rest + data).split(b"\0")
            for text in messages:
                message = json.loads(text)
                if "id" in message:
                    self._answers.pop(message["id"]).put(message)
                elif (listener := self.listeners.get(message.get("sessionId", ""))) is not None:
                    listener(message)


@contextmanager
def chromium(path: str) -> Iterator[Browser]:
    """A browser that is gone, with all it wrote, when the block ends."""
    to_read, to_write = os.pipe()
    from_read, from_write = os.pipe()
    with TemporaryDirectory(prefix="esker-chromium-", ignore_cleanup_errors=True) as folder:
        flags = [
            "--headless=new", "--remote-debugging-pipe", f"--user-data-dir={folder}", "--no-first-run", "--disable-gpu",
            "--disable-dev-shm-usage", "--disable-background-networking", "--disable-extensions", "--mute-audio",
            "--hide-scrollbars", *(["--no-sandbox"] if os.geteuid() == 0 else []),
        ]  # fmt: skip
        process = subprocess.Popen(
            [sys.executable, "-c", _LAUNCH, str(to_read), str(from_write), path, *flags, "about:blank"],
            pass_fds=(to_read, from_write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(from_write)
        try:
            browser = Browser(to_write, from_read)
            yield browser
            browser.call("Browser.close", {})
            process.wait(PATIENCE_SECONDS)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            os.close(to_write)
