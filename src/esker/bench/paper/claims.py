"""The paper's claims, each checked as it is written, and in the reading in which it holds if there is one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

from esker.bench.paper import model
from esker.bench.paper.series import BIG_DISK_MB, R_GB, RATES, REDUCING, SHARES, Series, on_disk_point
from esker.bench.paper.setting import Setting

# "Only a minor part" of the time; "converges" to the least I/O; "only half of that of CTT-GH".
MINOR = 0.1
CONVERGED = 0.01
HALF = 0.55
LAST_LOST_GB = 6


def check_claims(series: Series) -> dict[str, dict[str, Any]]:
    """Check them all on the simulation, event by event."""
    return {name: check(series) for name, check in _CLAIMS.items()}


def _claim(text: str, holds: bool, **figures: Any) -> dict[str, Any]:
    return {"verdict": "holds" if holds else "fails", "claim": text, **figures}


def _reading(text: str, holds: bool, **figures: Any) -> dict[str, Any]:
    return {"verdict": "holds" if holds else "fails", "reading": text, **figures}


def _a(series: Series) -> dict[str, Any]:
    ratios = {r: _ratio(series, "ctt_gh", "asj", Setting.of_r(r)) for r in R_GB}
    return _claim(
        "ASJ is much faster than CTT-GH from 3 to 30 GB",
        min(ratios.values()) > 1 and ratios[R_GB[-1]] > 2,
        ctt_gh_over_asj=_rounded(ratios),
    )


def _b(series: Series) -> dict[str, Any]:
    shares = {}
    for r in R_GB:
        found = series.simulated("asj", Setting.of_r(r))
        shares[r] = found.phases["join"] / found.seconds
    return _claim(
        "the join phase takes a minor part of the time", max(shares.values()) < MINOR, share_of_join=_rounded(shares, 4)
    )


def _c(series: Series) -> dict[str, Any]:
    times = {c: series.simulated("asj", Setting.of_r(10, c=c)).seconds for c in REDUCING}
    least = model.least_seconds(Setting.of_r(10))
    values = [*times.values()]
    falls = all(later <= earlier * (1 + CONVERGED / 2) for earlier, later in pairwise(values))
    return _claim(
        "time falls as the reducing ratio grows, and converges to the least I/O",
        falls and values[0] > values[-1] and abs(values[-1] / least - 1) < 2 * CONVERGED,
        of_least_io={c: round(seconds / least, 4) for c, seconds in times.items()},
    )


def _d(series: Series) -> dict[str, Any]:
    times = {f: series.simulated("asj", Setting.of_r(10, f=f)).seconds for f in SHARES}
    ctt = series.simulated("ctt_gh", Setting.of_r(10)).seconds
    values = [*times.values()]
    grows = all(later > earlier for earlier, later in pairwise(values))
    return _claim(
        "time grows with the cardinality of JRI, and stays below CTT-GH",
        grows and max(values) < ctt,
        of_ctt_gh={f: round(seconds / ctt, 3) for f, seconds in times.items()},
    )


def _d2(series: Series) -> dict[str, Any]:
    point, free = Setting.of_r(10, f=1.0), Setting.of_r(10, f=1.0, free_rewinds=True)
    whole = _ratio(series, "asj", "ctt_gh", point)
    half = _ratio(series, "asj", "ctt_gh_half", point)
    no_rewinds = _ratio(series, "asj", "ctt_gh_half", free)
    return _claim(
        "the time is half of that of CTT-GH even when JRI has as many tuples as S",
        whole <= HALF,
        as_written={"chunk of S": "the whole disk", "of_ctt_gh": round(whole, 3)},
        readings=[
            _reading("half of the disk is filled while half is joined", half <= HALF, of_ctt_gh=round(half, 3)),
            _reading("the same, and rewinds are free", no_rewinds <= HALF, of_ctt_gh=round(no_rewinds, 3)),
        ],
    )


def _e(series: Series) -> dict[str, Any]:
    written = {r: _lead(series, r, ("grace", "sort_merge", "nested_loop"), free=False) for r in R_GB}
    staged = {r: _lead(series, r, ("grace_staged",), free=True) for r in R_GB}
    text = "relations come from tape, each 256 KB buffer of a partition has a seek of 10 ms, and rewinds are free"
    return _claim(
        "ASJ overtakes the joins on disk above R = 6 GB",
        _crosses(written),
        as_written={"relations": "on disk", "best_disk_join_over_asj": _rounded(written)},
        readings=[_reading(text, _crosses(staged), staged_grace_over_asj=_rounded(staged))],
    )


def _f(series: Series) -> dict[str, Any]:
    scans = {
        r: {name: series.scans(name, on_disk_point(r)) for name in ("asj", "grace", "sort_merge", "nested_loop")}
        for r in R_GB
    }
    least = {r: min(found, key=lambda name, found=found: found[name]) == "asj" for r, found in scans.items()}  # type: ignore[misc]  # a default binds it now
    most = all(found["nested_loop"] > 4 * sorted(found.values())[-2] for found in scans.values())
    return _claim(
        "ASJ scans the relations least, the nested loop by far most",
        all(least[r] for r in R_GB if r > LAST_LOST_GB) and most,
        scans={r: {name: round(count, 2) for name, count in found.items()} for r, found in scans.items()},
        asj_least_at=[r for r in R_GB if least[r]],
        note="it holds above 6.4 GB, where Grace needs a second level; below that Grace scans no more than ASJ",
    )


def _g(series: Series) -> dict[str, Any]:
    def lead(rate: float, algorithm: str) -> float:
        point = rate_point(rate)
        return series.simulated(algorithm, point).seconds / series.simulated("asj", point).seconds

    written = {rate: lead(rate, "grace") for rate in RATES}
    staged = {rate: lead(rate, "grace_staged") for rate in RATES}
    both = Setting.of_r(10).both_mb
    moved = model.asj(rate_point(1.0)).scans * both
    return _claim(
        "ASJ loses at a tape rate of 0.1 of the disk's, and wins at 0.3",
        written[0.1] < 1 < written[0.3],
        as_written={"relations": "on disk", "grace_over_asj": _rounded(written)},
        break_even={
            "two_levels": round(moved / (5 * both), 2),
            "one_level": round(moved / (3 * both), 2),
        },
        readings=[
            _reading(
                "relations come from tape, and each 256 KB buffer of a partition has a seek of 10 ms",
                staged[0.1] < 1 < staged[0.3],
                staged_grace_over_asj=_rounded(staged),
            )
        ],
    )


def rate_point(rate: float) -> Setting:
    """Figure 8's point: a disk plays the tape, so that nothing is mounted or rewound."""
    return Setting.of_r(10, disk_mb=BIG_DISK_MB, tape=10 * rate, mount_seconds=0.0, free_rewinds=True)


def _lead(series: Series, r_gb: int, others: tuple[str, ...], *, free: bool) -> float:
    point = on_disk_point(r_gb, free_rewinds=free)
    best = min(series.simulated(name, point).seconds for name in others)
    return best / series.simulated("asj", point).seconds


def _crosses(leads: Mapping[int, float]) -> bool:
    """Behind at 6 GB, and ahead at every size above."""
    return leads[LAST_LOST_GB] < 1 and all(lead > 1 for r, lead in leads.items() if r > LAST_LOST_GB)


def _ratio(series: Series, one: str, other: str, point: Setting) -> float:
    return series.simulated(one, point).seconds / series.simulated(other, point).seconds


def _rounded(values: Mapping[Any, float], digits: int = 3) -> dict[Any, float]:
    return {key: round(value, digits) for key, value in values.items()}


_CLAIMS: Mapping[str, Callable[[Series], dict[str, Any]]] = {
    "a": _a,
    "b": _b,
    "c": _c,
    "d": _d,
    "d2": _d2,
    "e": _e,
    "f": _f,
    "g": _g,
}
