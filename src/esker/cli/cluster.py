"""`esker cluster` and `esker node`: processes that keep an index together, and what they say of themselves."""

from __future__ import annotations

import functools
import json as json_
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from esker.cli.arguments import Authority, Debug, DryRun, Json, Quiet
from esker.cli.outcome import report_error
from esker.core.clock import SYSTEM_CLOCK
from esker.errors import CancelledError, OptionError

if TYPE_CHECKING:
    from esker.cluster import Cluster
    from esker.runtime.flight import Limits, Security

# How soon a process that ended is noticed.
LOOK_SECONDS = 0.2

cluster = typer.Typer(
    name="cluster", no_args_is_help=True, rich_markup_mode=None, help="Start, watch and end a replicated index."
)
node = typer.Typer(name="node", no_args_is_help=True, rich_markup_mode=None, help="Run a node of a replicated index.")

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="The cluster's folder.")]
Where = Annotated[str, typer.Argument(metavar="FOLDER|URL", help="A cluster's folder, or its coordinator.")]
Data = Annotated[Path, typer.Option("--data", metavar="FOLDER", help="What this process keeps; made when missing.")]
Listen = Annotated[str, typer.Option(metavar="HOST:PORT", help="Where to listen; port 0 is any that is free.")]
TokenFile = Annotated[
    Path | None,
    typer.Option("--token-file", metavar="FILE", help="The secret of the cluster; needed to listen beyond this host."),
]
Certificate = Annotated[Path | None, typer.Option("--tls-cert", metavar="FILE", help="TLS: certificate (PEM).")]
Key = Annotated[Path | None, typer.Option("--tls-key", metavar="FILE", help="TLS: its key (PEM).")]
MessageLimit = Annotated[str, typer.Option(metavar="SIZE", help="The biggest message that is taken.")]
Events = Annotated[bool, typer.Option("--events/--no-events", help="Keep an event log in the folder, for esker ui.")]
SplitBytes = Annotated[
    str, typer.Option(metavar="SIZE", help="Of placement dynamic: divide blocks with more vectors than that.")
]
SplitReadBytes = Annotated[
    str, typer.Option(metavar="SIZE", help="Of placement dynamic: divide blocks of which more is read in a second.")
]


@node.command()
def serve(
    context: typer.Context,
    data: Data,
    coordinator: Annotated[str, typer.Option(metavar="URL", help="grpc://host:port, or grpc+tls://.")],
    listen: Listen = "127.0.0.1:0",
    number: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Of a new folder: a number that no other node has.")
    ] = None,
    advertise: Annotated[
        str | None, typer.Option(metavar="URL", help="Where others reach this node, when not where it listens.")
    ] = None,
    token_file: TokenFile = None,
    tls_cert: Certificate = None,
    tls_key: Key = None,
    tls_ca: Authority = None,
    message_limit: MessageLimit = "256MiB",
    held: Annotated[str, typer.Option(metavar="SIZE", help="Decoded vectors kept in memory.")] = "256MiB",
    events: Events = True,
    json: Json = False,
    debug: Debug = False,
) -> Callable[[], None]:
    """Run a node until Ctrl-C or SIGTERM; it joins by itself, with what its folder holds.

    \b
    esker node serve --data /var/esker/7 --number 7 --listen 10.0.0.7:7071 --coordinator grpc://10.0.0.1:7070 \\
        --token-file /etc/esker/token
    """

    def start() -> Any:
        from esker.cluster.node_server import NodeServer
        from esker.core.byte_size import parse_bytes
        from esker.runtime.flight import ServerAddress

        return NodeServer(
            data, ServerAddress(listen), coordinator, _security(token_file, tls_cert, tls_key, tls_ca),
            number=number, advertise=advertise, limits=_limits(message_limit), held_bytes=parse_bytes(held, "held"),
            events=events,
        )  # fmt: skip

    return functools.partial(_serve, context.obj, start, "node", as_json=json, debug=debug)


@cluster.command()
def coordinate(
    context: typer.Context,
    data: Data,
    listen: Listen = "127.0.0.1:0",
    copies: Annotated[int, typer.Option(metavar="N", min=2, help="Nodes that keep each thing.")] = 2,
    virtual_nodes: Annotated[int, typer.Option(metavar="N", min=1, help="Points of a node on the ring.")] = 1,
    planner: Annotated[
        str, typer.Option(metavar="NAME", help="fewest_nodes, one_call_per_node, least_loaded or random_replica.")
    ] = "fewest_nodes",
    split_bytes: SplitBytes = "64MiB",
    split_read_bytes: SplitReadBytes = "1GiB",
    token_file: TokenFile = None,
    tls_cert: Certificate = None,
    tls_key: Key = None,
    tls_ca: Authority = None,
    message_limit: MessageLimit = "256MiB",
    events: Events = True,
    json: Json = False,
    debug: Debug = False,
) -> Callable[[], None]:
    """Run a coordinator until Ctrl-C or SIGTERM: nodes and clients come to it.

    \b
    esker cluster coordinate --data /var/esker/coordinator --listen 10.0.0.1:7070 --token-file /etc/esker/token
    """

    def start() -> Any:
        from esker.cluster.coordinator_server import CoordinatorServer
        from esker.cluster.reshapes import Bounds
        from esker.core.byte_size import parse_bytes
        from esker.runtime.flight import ServerAddress

        return CoordinatorServer(
            data, ServerAddress(listen), _security(token_file, tls_cert, tls_key, tls_ca),
            copies=copies, virtual_nodes=virtual_nodes, planner=planner, limits=_limits(message_limit),
            events=events,
            bounds=Bounds(parse_bytes(split_bytes, "split-bytes"), parse_bytes(split_read_bytes, "split-read-bytes")),
        )  # fmt: skip

    return functools.partial(_serve, context.obj, start, "coordinator", as_json=json, debug=debug)


@cluster.command()
def up(
    folder: Folder,
    nodes: Annotated[int, typer.Option(metavar="N", min=2, help="How many nodes.")] = 3,
    copies: Annotated[int, typer.Option(metavar="N", min=2, help="Nodes that keep each thing.")] = 2,
    port: Annotated[int, typer.Option(metavar="N", help="The coordinator's port (0: any that is free).")] = 0,
    supervise: Annotated[
        bool, typer.Option("--supervise", help="Start again, until down, whatever of it ends by itself.")
    ] = False,
    split_bytes: SplitBytes = "64MiB",
    split_read_bytes: SplitReadBytes = "1GiB",
    json: Json = False,
    dry_run: DryRun = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> Callable[[], None]:
    """Start a cluster on this machine, or what of it does not run: processes that go on when this command ends.

    \b
    esker cluster up my.cluster --nodes 6
    esker cluster up my.cluster --nodes 6 --supervise
    """

    def run() -> None:
        from esker.cluster.local import STATE_FILE, LocalCluster

        if folder.exists() and not folder.is_dir():
            raise OptionError(f"{folder} is a file; name a folder for the cluster")
        local = LocalCluster(folder.absolute())
        if dry_run:
            known = local.running() if (folder / STATE_FILE).exists() else {}
            missing = max(nodes - sum(name.startswith("node-") for name in known), 0)
            would = {"folder": str(local.folder), "running": sorted(known), "nodes_to_start": missing}
            print(json_.dumps(would) if json else f"{missing} nodes would be started in {local.folder}")
            return
        local.up(nodes, copies=copies, port=port, split_bytes=split_bytes, split_read_bytes=split_read_bytes)
        if supervise:
            local.supervise()
        if json:
            found = {"address": local.address, "token_file": str(local.token_file)}
            processes = {n: {"pid": one.pid, "address": one.address} for n, one in local.processes().items()}
            print(json_.dumps({**found, "processes": processes}))
        elif not quiet:
            running = sum(name.startswith("node-") for name in local.running())
            print(f"{running} nodes at {local.address}; token: {local.token_file}")

    return run


@cluster.command("supervise")
def supervise_(context: typer.Context, folder: Folder, json: Json = False, debug: Debug = False) -> Callable[[], None]:
    """Start again what ends of a cluster on this machine, until Ctrl-C or SIGTERM; the cluster goes on then.

    \b
    esker cluster supervise my.cluster
    """

    def run() -> None:
        from esker.cluster.local import LocalCluster
        from esker.cluster.supervisor import Supervisor

        local = LocalCluster(folder.absolute())
        supervisor = Supervisor(local, lambda word: print(word, file=sys.stderr, flush=True))
        address = local.address
        print(json_.dumps({"address": address, "pid": os.getpid()}) if json else f"watching {folder}", flush=True)
        while not context.obj.cancellation.cancelled:
            supervisor.look()
            SYSTEM_CLOCK.sleep(LOOK_SECONDS)

    return run


@cluster.command()
def down(
    folder: Folder, json: Json = False, dry_run: DryRun = False, quiet: Quiet = False, debug: Debug = False
) -> Callable[[], None]:
    """End the processes of a cluster on this machine; what it keeps stays in FOLDER.

    \b
    esker cluster down census.cluster
    """

    def run() -> None:
        from esker.cluster.local import LocalCluster

        local = LocalCluster(folder.absolute())
        ended = sorted(local.running()) if dry_run else local.down()
        words = f"{'would end' if dry_run else 'ended'} {', '.join(ended) or 'nothing: nothing ran'}"
        if json:
            print(json_.dumps({"would_end" if dry_run else "ended": ended}))
        elif dry_run or not quiet:
            print(words)

    return run


@cluster.command()
def drop(
    where: Where,
    index: Annotated[str, typer.Argument(metavar="INDEX", help="The name of the index.")],
    token_file: TokenFile = None,
    tls_ca: Authority = None,
    json: Json = False,
    dry_run: DryRun = False,
    quiet: Quiet = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask a person at a terminal before.")] = False,
    debug: Debug = False,
) -> Callable[[], None]:
    """Remove an index, all of it: its rows and vectors are gone from every node, and nothing brings them back.

    \b
    esker cluster drop my.cluster census
    esker cluster drop grpc://10.0.0.1:7070 census --token-file token --yes
    """

    def run() -> None:
        from esker.cli.session import Session

        with _opened(where, token_file, tls_ca) as one:
            layout = one.layout(index)
            if dry_run:
                would = {"would_drop": index, "rows": layout.row_count}
                print(json_.dumps(would) if json else f"would drop {index}, {layout.row_count:,} rows")
                return
            Session(yes=yes).confirm(f"dropping index {index} of {layout.row_count:,} rows, for good")
            one.drop(index)
        if json:
            print(json_.dumps({"dropped": index, "rows": layout.row_count}))
        elif not quiet:
            print(f"dropped {index}, {layout.row_count:,} rows")

    return run


@cluster.command()
def status(
    where: Where,
    token_file: TokenFile = None,
    tls_ca: Authority = None,
    json: Json = False,
    debug: Debug = False,
) -> Callable[[], None]:
    """Show the ring, what is short of copies or lost, and what each node is in doubt of.

    \b
    esker cluster status census.cluster --json
    """

    def run() -> None:
        with _opened(where, token_file, tls_ca) as one:
            found = one.status()
        if json:
            print(json_.dumps(found, indent=2))
        else:
            _show(found)

    return run


def _opened(where: str, token_file: Path | None, authority: Path | None) -> Cluster:
    """Open a cluster by its coordinator's address, or by its folder on this machine."""
    from esker.cluster import connect
    from esker.cluster.local import LocalCluster

    if "://" in where:
        return connect(where, token=token_file, authority=authority)
    return LocalCluster(Path(where).absolute()).connect()


def _serve(interrupts: Any, start: Callable[[], Any], what: str, *, as_json: bool, debug: bool) -> None:
    """Run a server until a signal comes; says on one line where it listens."""
    server = start()
    if as_json:
        print(json_.dumps({"address": server.address, "pid": os.getpid()}), flush=True)
    else:
        print(f"{what} listens at {server.address}", flush=True)
    code = 0
    try:
        while not server.wait(0.1):
            interrupts.cancellation.check()
    except CancelledError as error:
        print(str(error), file=sys.stderr)
        code = interrupts.exit_code or 0
    except BaseException as error:  # noqa: BLE001  # whatever ended it is said, and the process ends
        code = report_error(error, debug)
    server.stop()
    sys.stderr.flush()
    # Streams that peers hold open have threads of Arrow's that nobody can end; all that is durable is closed.
    os._exit(code)


def _security(token: Path | None, certificate: Path | None, key: Path | None, authority: Path | None) -> Security:
    from esker.runtime.flight import Security

    return Security.from_files(token, certificate, key, authority)


def _limits(message_limit: str) -> Limits:
    from esker.core.byte_size import parse_bytes
    from esker.runtime.flight import Limits

    size = parse_bytes(message_limit, "message-limit")
    if size < 1 << 16:
        raise OptionError("--message-limit below 64KiB would refuse what nodes say to one another")
    return Limits(size)


def _show(found: dict[str, Any]) -> None:
    print(f"epoch {found['epoch']}; {len(found['members'])} nodes, {found['copies']} copies; {found['units']} units")
    for one in found["nodes"]:
        state = one.get("error") or ("counted" if one["counted"] else "being compared with")
        doubt = f"; in doubt of {len(one['in_doubt'])}" if one.get("in_doubt") else ""
        print(f"  node {one['number']}  {one['address'] or 'away'}  {one['units']} units; {state}{doubt}")
    for word in ("short", "lost"):
        if found[word]:
            print(f"{word}: {', '.join(found[word][:10])}{' ...' if len(found[word]) > 10 else ''}")
    print(f"indexes: {', '.join(found['indexes']) or 'none'}")
