"""`esker ui`: a page in the browser that shows queries while they run, and after."""

from __future__ import annotations

import functools
import json as json_
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from esker.cli.arguments import Authority, Debug, Json, Quiet
from esker.cli.interrupts import Interrupts
from esker.errors import MissingExtraError

if TYPE_CHECKING:
    from esker.ui.live.server import Server

# How soon Ctrl-C is noticed.
WAIT_SECONDS = 0.2


def ui(
    context: typer.Context,
    log: Annotated[
        str | None,
        typer.Argument(
            metavar="[LOG|FOLDER]", help="An event log, or a folder of them (default: ESKER_LOG_DIR, or this folder)."
        ),
    ] = None,
    port: Annotated[
        int, typer.Option(metavar="N", min=0, max=65535, help="Port of 127.0.0.1 (default: any that is free).")
    ] = 0,
    cluster: Annotated[
        str | None,
        typer.Option(metavar="PLACE", help="Show its ring too: grpc[+tls]://host:port, a cluster's folder, or JSON."),
    ] = None,
    token_file: Annotated[
        str | None, typer.Option("--token-file", metavar="FILE", help="The secret of the cluster.")
    ] = None,
    tls_ca: Authority = None,
    log_limit: Annotated[str, typer.Option(metavar="SIZE", help="The most that is read of a log.")] = "256MiB",
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page, or print its link only.")
    ] = True,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> Callable[[], None]:
    """Show queries in the browser, live from their event logs.

    Only this user's browser on this machine sees the page, through the link that is printed; it can look and do
    nothing. Needs the extra: pip install 'esker[ui]'. Ctrl-C ends it.

    \b
    esker find flights.esker "month = 6" --log runs/find.jsonl
    esker ui runs
    esker ui runs/find.jsonl --port 8080 --no-browser
    esker ui runs --cluster my.cluster
    esker ui runs --cluster grpc+tls://10.0.0.1:7070 --token-file token --tls-ca ca.pem
    """
    said = functools.partial(_say, as_json=json, quiet=quiet)
    interrupts = context.obj or Interrupts()
    return functools.partial(_ui, interrupts, log, port, cluster, token_file, tls_ca, log_limit, browser, said)


def _ui(
    interrupts: Interrupts,
    log: str | None,
    port: int,
    cluster: str | None,
    token_file: str | None,
    tls_ca: Path | None,
    log_limit: str,
    browser: bool,
    say: Callable[[Path, str], None],
) -> None:
    for package in ("starlette", "uvicorn"):
        try:
            __import__(package)
        except ImportError as error:
            raise MissingExtraError.of(package, "ui") from error
    from esker.core.byte_size import parse_bytes
    from esker.core.event_log import default_log_folder
    from esker.ui.live.app import Page
    from esker.ui.live.cluster_source import cluster_source
    from esker.ui.live.logs import Logs
    from esker.ui.live.server import Server

    place = Path(log).expanduser() if log is not None else default_log_folder() or Path()
    logs = Logs(place, parse_bytes(log_limit, "log_limit"))
    with ExitStack() as stack:
        token = Path(token_file).expanduser() if token_file is not None else None
        asked = stack.enter_context(cluster_source(cluster, token, tls_ca)) if cluster is not None else None
        server = stack.enter_context(Server(Page(logs, asked), port))
        say(place.resolve(), server.link)
        if browser:
            _open(server)
        while not interrupts.cancellation.cancelled and not server.wait(WAIT_SECONDS):
            pass


def _say(place: Path, link: str, *, as_json: bool, quiet: bool) -> None:
    """Print where the page is: what the command gives, before it waits."""
    print(json_.dumps({"logs": str(place), "link": link}) if as_json else f"{place} at {link}", flush=True)
    if not quiet:
        print("only on this machine, only to look; Ctrl-C ends it", file=sys.stderr)


def _open(server: Server) -> None:
    import webbrowser

    try:
        webbrowser.open(server.opener().as_uri())
    except (webbrowser.Error, OSError):  # the link was printed
        print("no browser could be opened", file=sys.stderr)
