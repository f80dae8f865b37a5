"""How the suites run: the same examples every time in CI, new ones on a developer's machine, many in the long run."""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import HealthCheck, settings

# No deadlines: a slow machine must not turn a right answer into a failure.
_QUIET = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}

settings.register_profile("fast", max_examples=50, **_QUIET)
settings.register_profile("ci", max_examples=50, derandomize=True, **_QUIET)
settings.register_profile("long", max_examples=500, **_QUIET)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "fast"))

# Output is asserted as on an ordinary terminal, whatever the one outside can do.
os.environ.update(TERM="xterm-256color", COLUMNS="80")
for _name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE"):
    os.environ.pop(_name, None)

# A shell ignores Ctrl-C for what it starts in the background, and processes inherit that: tests that press it
# would wait.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse names of tests that are others in each process: workers could not share out what they name differently."""
    for item in items:
        if " at 0x" in item.nodeid:
            raise pytest.UsageError(f"{item.nodeid}: give its parameters ids of their own")
