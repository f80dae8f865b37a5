"""Run a query and bring its rows where the user wants them: a file, a pipe, the terminal, a JSON document."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from esker.cli.session import Session
from esker.errors import OptionError

if TYPE_CHECKING:
    from esker.collection.dataset import Dataset


def deliver(session: Session, dataset: Dataset, output: str | None, format: str, verb: str = "found") -> None:
    """Show the plan for `--dry-run`, else the rows: in the file `output`, or on stdout for None and `-`."""
    if session.dry_run:
        session.show_plan(dataset.explain(), output=output)
    elif output is not None and output != "-":
        _to_file(session, dataset, Path(output), verb)
    elif session.json:
        _to_document(session, dataset)
    elif output is None and format == "auto" and _is_terminal():
        _to_terminal(session, dataset)
    else:
        _to_pipe(session, dataset, "csv" if format == "auto" else format, verb)


def _to_file(session: Session, dataset: Dataset, path: Path, verb: str) -> None:
    from esker.formats import open_writer

    if not path.parent.is_dir():
        raise OptionError(f"--output {path}: there is no folder {path.parent}")
    # The writer first: a file that exists, or a name without a format, is refused before anything is read.
    with session.progress() as options, open_writer(path, dataset.schema) as writer:
        with closing(dataset.execute(**options)) as result:
            for batch in result:
                writer.write(batch)
    if session.json:
        session.document({"output": str(path), "row_count": writer.rows, "plan": result.explanation.to_json()})
    session.ended(result.explanation, writer.rows, verb)
    session.note(f"wrote {path}")


def _to_document(session: Session, dataset: Dataset) -> None:
    from esker.cli.stdout import write_json_rows

    with session.progress(streams=True) as options, closing(dataset.execute(**options)) as result:
        sys.stdout.write('{\n  "columns": ' + json.dumps(dataset.columns) + ',\n  "rows": ')
        rows = write_json_rows(result, sys.stdout)
    plan = json.dumps(result.explanation.to_json(), indent=2, default=str).replace("\n", "\n  ")
    sys.stdout.write(f',\n  "row_count": {rows},\n  "plan": {plan}\n}}\n')


def _to_terminal(session: Session, dataset: Dataset) -> None:
    from esker.cli.stdout import SHOWN_ROWS, first_rows, show_rows

    with session.progress() as options, closing(dataset.execute(**options)) as result:
        rows, more = first_rows(result)
    # After the bars are gone.
    show_rows(rows, dataset.schema)
    if more:
        session.note(f"the first {SHOWN_ROWS} rows; --output FILE writes all, a pipe takes them as CSV")
    else:
        session.ended(result.explanation, len(rows))


def _to_pipe(session: Session, dataset: Dataset, format: str, verb: str) -> None:
    from esker.cli.stdout import write_stdout

    with session.progress(streams=True) as options, closing(dataset.execute(**options)) as result:
        rows = write_stdout(result, dataset.schema, format, sys.stdout.buffer)
    session.ended(result.explanation, rows, verb)


def _is_terminal() -> bool:
    return sys.stdout.isatty()
