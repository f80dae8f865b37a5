"""One command's run: the options of its query, and who is told what on which stream."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from esker.cli.interrupts import Interrupts
from esker.errors import CancelledError, OptionError

if TYPE_CHECKING:
    from esker.collection.dataset import Dataset
    from esker.core.explanation import Explanation


@dataclass(frozen=True)
class Session:
    """Results go to stdout, all else to stderr; `query` are options of `Dataset.with_options`.

    `null` is what CSV files write for null, beside nothing.
    """

    query: Mapping[str, Any] = field(default_factory=dict)
    null: Sequence[str] = ()
    json: bool = False
    quiet: bool = False
    dry_run: bool = False
    debug: bool = False
    yes: bool = False
    interrupts: Interrupts = field(default_factory=Interrupts)

    def open(self, source: str) -> Dataset:
        """Read the user's file, folder or glob, with the options of this run."""
        import esker
        from esker.formats import FORMATS

        if self.null and source.lower().endswith(FORMATS["csv"].extensions):
            return esker.read_csv(source, null_values=["", *self.null]).with_options(**self.options())
        return esker.read(source).with_options(**self.options())

    def options(self) -> dict[str, Any]:
        """The options of a query of this run; ask again for each query that runs beside another."""
        return {**self.query, "cancellation": self.interrupts.cancellation}

    @contextmanager
    def progress(self, *, streams: bool = False) -> Iterator[dict[str, Any]]:
        """Options with bars on stderr when someone looks there, gone when the block ends; else a line at the end.

        There are none where rows stream to the same terminal meanwhile.
        """
        if self.quiet or (streams and sys.stdout.isatty()):
            yield self.options()
            return
        from esker.core.bars import Bars, Line

        shown = Bars() if sys.stderr.isatty() else Line()
        try:
            yield {**self.options(), "progress": shown}
        finally:
            shown.close()

    def confirm(self, what: str) -> None:
        """Ask a person whether to go on; CancelledError for anything but yes. Scripts, and --yes, are not asked."""
        if self.yes or not (sys.stdin.isatty() and sys.stderr.isatty()):
            return
        print(f"{what}: go on? [y/N] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise CancelledError("stopped: nothing was done (--yes does not ask)")

    def note(self, text: str) -> None:
        """Tell the user something beside the result."""
        if not self.quiet:
            print(text, file=sys.stderr)

    def document(self, content: Mapping[str, Any]) -> None:
        """Print the one JSON document of `--json`."""
        print(json.dumps(content, indent=2, default=str))

    def show_plan(self, explanation: Explanation, format: str = "text", **more: Any) -> None:
        """Print a plan: for people, as a picture, or as JSON."""
        if self.json and format != "text":
            raise OptionError(f"--json prints a document of its own; leave out --format {format}")
        if self.json:
            self.document({"dry_run": self.dry_run, "plan": explanation.to_json(), **more})
        else:
            print(explanation.draw(format))

    def ended(self, explanation: Explanation, rows: int, verb: str = "found") -> None:
        """Note what a query gave and what it cost, on stderr."""
        from esker.cli.summary import summary_line

        self.note(f"{verb} {rows:,} rows{summary_line(explanation)}")
        for finding in explanation.findings:
            self.note(f"finding: {finding}")

    def check(self) -> None:
        """Raise CancelledError after a signal; for work between two queries."""
        self.interrupts.cancellation.check()
