"""A partition through a command: its elements as lines in, the lines that it prints out."""

from __future__ import annotations

import os
import shlex
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from esker.errors import EskerError, OptionError


@dataclass(frozen=True)
class Piped:
    """Run a command for each partition."""

    words: tuple[str, ...]
    env: tuple[tuple[str, str], ...] | None
    check: bool
    inherit: bool = True

    @staticmethod
    def of(command: str | Sequence[str], env: Mapping[str, str] | None, check: bool, inherit: bool = True) -> Piped:
        """Split a command as a shell would."""
        words = tuple(shlex.split(command) if isinstance(command, str) else command)
        if not words:
            raise OptionError(f"pipe({command!r}): name a command")
        return Piped(words, None if env is None else tuple(env.items()), check, inherit)

    def __call__(self, index: int, elements: Iterator[Any]) -> Iterator[str]:
        own = None if self.env is None else dict(self.env)
        environment = {**os.environ, **(own or {})} if self.inherit else own or {}
        try:
            process = subprocess.Popen(
                self.words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, encoding="utf-8"
            )
        except OSError as error:
            raise EskerError(f"pipe cannot run {self.words[0]!r}: {error.strerror}") from error
        failures: list[BaseException] = []
        writer = threading.Thread(target=self._write, args=(process, elements, failures), daemon=True)
        writer.start()
        assert process.stdout is not None
        ended = False
        try:
            for line in process.stdout:
                yield line.removesuffix("\n")
            ended = True
        finally:
            if not ended:
                process.kill()
            process.stdout.close()
            writer.join()
            status = process.wait()
        if failures:
            raise failures[0]
        if self.check and status:
            raise EskerError(f"pipe: {shlex.join(self.words)} ended with exit status {status}")

    def _write(self, process: subprocess.Popen[str], elements: Iterator[Any], failures: list[BaseException]) -> None:
        assert process.stdin is not None
        try:
            with suppress(BrokenPipeError), process.stdin as lines:
                for element in elements:
                    lines.write(f"{str(element).rstrip(chr(10))}\n")
        except BaseException as error:  # noqa: BLE001  # raised where the lines are read
            failures.append(error)
