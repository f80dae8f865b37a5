"""A hundred faults of each kind, each at another place: the same rows, or a typed error and nothing lost."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import esker
from esker.core.checksum import checksum_bytes
from esker.core.clock import VirtualClock
from esker.core.context import QueryContext
from esker.core.extent import ByteRange
from esker.core.row_set import RowSet
from esker.errors import CorruptError, EskerError, OptionError, TierError
from esker.frozen import FrozenCatalog
from esker.storage import ReadRequest, Tier, open_tier
from esker.storage.wrapped import FaultyTier
from esker.storage.wrappers import WRAPPERS, wrap
from esker.thaw import StoredRows
from tests.unit.frozen.tools import context

FAULTS = 100
ROWS = 4000
TABLE = pa.table(
    {"key": np.arange(ROWS) // 100, "text": [f"row {number} {number * 7919 % 1000}" for number in range(ROWS)]}
)
# Kinds that only take time: every run has to end well.
HARMLESS = {"slow", "throttled"}
KINDS = [name for name in WRAPPERS if issubclass(WRAPPERS[name], FaultyTier)]


@pytest.fixture(scope="module")
def frozen() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "rows.esker"
        tier = f"tape:{folder}/library?device=lto9-hh&cartridge=64KiB"
        esker.freeze(TABLE, target, keys="key", index=["key"], tier=tier, extent_rows=500, row_group_rows=100)
        yield target


def rows_of(frozen: Path, tier: Tier, rows: RowSet) -> list[str]:
    with FrozenCatalog.open(frozen, tier=tier) as catalog, context() as query:
        return _texts(StoredRows(catalog), rows, query)


def _texts(store: StoredRows, rows: RowSet, query: QueryContext) -> list[str]:
    return [text for found in store.fetch(rows, ["text"], query) for text in found.batch["text"].to_pylist()]


def options_of(kind: str) -> dict[str, Any]:
    return {"clock": VirtualClock()} if kind in HARMLESS else {}


@pytest.mark.parametrize("kind", KINDS)
def test_a_hundred_faults_give_the_same_rows_or_a_typed_error(kind: str, frozen: Path) -> None:
    with FrozenCatalog.open(frozen) as catalog:
        inner = catalog.tier
        injected = failed = seed = 0
        while injected < FAULTS:
            seed += 1
            assert seed < 10 * FAULTS
            rng = np.random.default_rng(seed)
            wanted = np.unique(rng.integers(0, ROWS, size=int(rng.integers(1, 40)))).astype(np.uint64)
            expected = [TABLE["text"][int(row)].as_py() for row in wanted]
            rows = RowSet.of(wanted)
            faulty = wrap(inner, kind, seed=seed, rate=0.3, limit=1, **options_of(kind))
            assert isinstance(faulty, FaultyTier)
            try:
                assert rows_of(frozen, faulty, rows) == expected
                happened = False
            except EskerError as error:
                happened = True
                assert isinstance(error, TierError | CorruptError), error
                assert kind not in HARMLESS
            injected += faulty.injected
            failed += happened
            # A byte between what is decoded may change unnoticed: the rows are compared above.
            if kind not in HARMLESS | {"bad_block"}:
                assert happened == bool(faulty.injected), f"seed {seed}: a fault went by unnoticed"
            if happened:
                # Nothing was lost: the same again, without the fault, gives the rows.
                assert rows_of(frozen, inner, rows) == expected
        assert injected == FAULTS
        low, high = (0, 0) if kind in HARMLESS else (FAULTS // 2 if kind == "bad_block" else FAULTS, FAULTS)
        assert low <= failed <= high


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_repeats_with_its_seed(kind: str) -> None:
    inner = open_tier(f"memory:repeat-{kind}")
    inner.write("a", bytes(range(200)))

    def outcomes() -> list[str]:
        tier = wrap(inner, kind, seed=11, rate=0.5, **options_of(kind))
        return [_outcome(lambda at=at: bytes(tier.read("a", [ByteRange(at, at + 10)])[0])) for at in range(0, 190, 10)]

    first = outcomes()
    assert first == outcomes()
    if kind not in HARMLESS:
        content = [bytes(range(at, at + 10)).hex() for at in range(0, 190, 10)]
        assert first != content
        assert bytes(inner.read("a", [ByteRange(0, 200)])[0]) == bytes(range(200))


def _outcome(act: Callable[[], bytes]) -> str:
    try:
        return act().hex()
    except EskerError as error:
        return f"{type(error).__name__}: {error}"


def test_a_broken_drive_stays_broken_until_it_is_mended() -> None:
    inner = open_tier("memory:mend")
    inner.write("a", b"content")
    tier = wrap(inner, "drive_failure", rate=1.0, limit=1)
    for _ in range(3):
        with pytest.raises(TierError, match="drill: drive_failure"):
            tier.read("a", [ByteRange(0, 7)])
    tier.mend()
    assert bytes(tier.read("a", [ByteRange(0, 7)])[0]) == b"content"


def test_a_loud_bad_block_says_where_it_is() -> None:
    inner = open_tier("memory:loud")
    inner.write("a", bytes(100))
    with pytest.raises(CorruptError, match=r"block at byte \d+ of 'a'"):
        wrap(inner, "bad_block", rate=1.0, loud=True).read("a", [ByteRange(0, 100)])


def test_a_throttled_tier_takes_the_time_of_its_link() -> None:
    clock = VirtualClock()
    tier = wrap(open_tier("memory:link"), "throttled", bytes_per_second=100, request_seconds=2, clock=clock)
    tier.write("a", bytes(1000))
    tier.read("a", [ByteRange(0, 300), ByteRange(500, 700)])
    assert clock.seconds() == pytest.approx(2 * 2 + 5)


def test_a_wrapped_tier_is_the_tier_inside_for_everything_else(tmp_path: Path) -> None:
    inner = open_tier(f"tape:{tmp_path}/library?device=lto9-hh&cartridge=64KiB")
    tier = wrap(inner, "slow", rate=0.0)
    stored = tier.write("a/b", b"content")
    assert stored.checksum == checksum_bytes(b"content")
    assert [found.key for found in tier.list()] == ["a/b"]
    assert tier.stat("a/b").bytes == 7
    assert (tier.uri, tier.device, tier.capability) == (inner.uri, inner.device, inner.capability)
    assert tier.estimate([ReadRequest("a/b", ByteRange(0, 7))]).bytes == 7
    assert bytes(tier.read("a/b", [ByteRange(1, 3)])[0]) == b"on"
    assert tier.counted == inner.counted and tier.timeline == inner.timeline
    tier.delete("a/b")
    assert [*inner.list()] == []


@pytest.mark.parametrize("options", [{"rate": 2}, {"rate": -0.1}])
def test_a_rate_that_is_no_share_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="rate"):
        wrap(open_tier("memory:rate"), "flaky", **options)
    with pytest.raises(OptionError, match="no tier wrapper"):
        wrap(open_tier("memory:rate"), "cosmic_ray")
