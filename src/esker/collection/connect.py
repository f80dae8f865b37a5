"""`esker.connect`: choose where the work of a program is done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from esker.engine.session import Session, current_session, enter
from esker.errors import OptionError
from esker.runtime.executors import EXECUTORS

# What each kind of session takes beside `workers`.
_ON_A_MACHINE = ("spill_folder",)
_OPTIONS: dict[str, tuple[str, ...]] = {
    "local": (),
    "inline": (),
    "threads": (),
    "processes": _ON_A_MACHINE,
    "simulated": (*_ON_A_MACHINE, "seed", "losses"),
    "ray": (*_ON_A_MACHINE, "certificate", "key", "authority"),
}


def connect(where: str = "local", *, workers: int | None = None, **options: Any) -> Session:
    """Open a session: from now on work is done `where`, until the session is closed. A context manager.

    >>> import esker
    >>> with esker.connect("local") as session:
    ...     esker.of([1, 2, 3]).map(lambda n: n * n).sum()
    14

    - `local`: this machine, as without a session; `inline`, `threads` and `processes` say where on it. With
      `processes` also the stages of Dataset plans go to worker processes.
    - `ray`: the Ray cluster that `RAY_ADDRESS` names or that this process is connected to, else a new one on this
      machine. Needs the extra `esker[ray]`, here and at every node.
    - `ray://host:port`: the Ray cluster whose client server is there; the script may be outside of it, but has to see
      the files that it reads under the same paths.
    - `simulated`: in this thread, as a cluster would, with a `seed`; `losses` is the share of tasks and pages that are
      lost. For tests.

    `workers` is how many tasks run at once (default: all CPUs), `spill_folder` where nodes keep pages. `certificate`,
    `key` and `authority` (files) encrypt what travels between the nodes of a Ray cluster.

    Raises OptionError for a place or option that is not there, and while another session is open; MissingExtraError
    when Ray is not installed or of a version that will not do; ResourceError when the cluster cannot be reached.
    """
    kind = "ray" if where.startswith("ray://") else where
    if kind not in _OPTIONS:
        if kind in EXECUTORS:
            raise OptionError(f"connect({where!r}): that executor has no session")
        raise OptionError(f"connect({where!r}): there is {', '.join(_OPTIONS)}")
    for name in options:
        if name not in _OPTIONS[kind]:
            raise OptionError(
                f"connect({where!r}) has no {name!r}; there is: {', '.join(('workers', *_OPTIONS[kind]))}"
            )
    before = current_session()
    if before is not None:
        raise OptionError(f"there is a session already ({before.where}); close it first")
    session = _new_session(kind, where, workers, options)
    try:
        enter(session)
    except BaseException:
        session.close()
        raise
    return session


def _new_session(kind: str, where: str, workers: int | None, options: dict[str, Any]) -> Session:
    folder = options.get("spill_folder")
    if folder is not None and not isinstance(folder, str | Path):
        raise OptionError(f"spill_folder={folder!r}: give a path")
    if kind == "ray":
        from esker.engine.ray_client_session import open_ray_session

        return open_ray_session(where, workers, options)
    if kind in ("processes", "simulated"):
        from esker.engine.sessions import ProcessSession, SimulatedSession

        return (ProcessSession if kind == "processes" else SimulatedSession)(workers, **options)
    session = Session(None if kind == "local" else kind, 1 if kind == "inline" else workers)
    session.where = kind
    return session
