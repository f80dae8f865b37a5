"""Waiting for cold extents: polled in minutes, handed out as they become readable, given up at a deadline."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from esker.core.byte_size import format_bytes
from esker.core.clock import SYSTEM_CLOCK, Clock
from esker.core.extent import Extent
from esker.errors import NotThawedError
from esker.storage.tier import Recall, RecallState

FIRST_POLL_SECONDS = 60.0
LAST_POLL_SECONDS = 900.0
_GROWTH = 1.5


def wait_for(
    tier: Recall,
    extents: Sequence[Extent],
    *,
    deadline: float | None = None,
    clock: Clock = SYSTEM_CLOCK,
    poll_seconds: float = FIRST_POLL_SECONDS,
    on_poll: Callable[[int, int], None] | None = None,
) -> Iterator[Extent]:
    """Ask for extents that are cold, then yield each as it becomes readable.

    An extent that was asked for already is not asked for again, so a run that was killed goes on where it was.
    Polls after a minute, then less and less often, every quarter of an hour at most. `on_poll` is told how many are
    ready, of how many; raise from it to cancel. `deadline` is in seconds from now. Raises NotThawedError, with what
    is missing and how to go on, when an extent is not ready by then.
    """
    start = clock.seconds()
    missing = {extent.key: extent for extent in extents}
    total = len(missing)
    tier.request([*missing.values()], deadline)
    pause = poll_seconds
    while True:
        ready = [extent for extent in missing.values() if tier.state(extent) is RecallState.READY]
        for extent in ready:
            del missing[extent.key]
        if on_poll is not None:
            on_poll(total - len(missing), total)
        yield from ready
        if not missing:
            return
        passed = clock.seconds() - start
        if deadline is not None and passed >= deadline:
            raise _late([*missing.values()], total, passed)
        clock.sleep(pause if deadline is None else min(pause, deadline - passed))
        pause = min(pause * _GROWTH, max(LAST_POLL_SECONDS, poll_seconds))


def _late(missing: Sequence[Extent], total: int, seconds: float) -> NotThawedError:
    shown = ", ".join(repr(extent.key) for extent in missing[:5])
    more = f" and {len(missing) - 5:,} more" if len(missing) > 5 else ""
    size = format_bytes(sum(extent.bytes for extent in missing))
    return NotThawedError(
        f"{len(missing):,} of {total:,} extents ({size}) are not ready after {seconds:,.0f} s, the deadline: {shown}"
        f"{more}; they stay asked for: run the same again later, nothing is asked for or paid twice"
    )
