"""Each finding is provoked by a real run, and kept back by one that gives no cause; advice is followed, and holds."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import esker
from esker.collection.dataset import Dataset
from esker.core.event_log import read_events
from esker.plan.findings import Finding, findings
from esker.ui.live.finding_part import FindingPart

ROWS = 60_000


def found(rows: Dataset, tmp_path: Path, **options: Any) -> list[Finding]:
    """Run a plan, and give the findings of its log, which are those of its explanation too."""
    log = tmp_path / "query.jsonl"
    log.unlink(missing_ok=True)
    result = rows.execute(log=log, **options)
    for _ in result:
        pass
    seen = findings(read_events(log))
    assert result.explanation.findings == [str(finding) for finding in seen]
    assert all(f"finding: {finding}" in str(result.explanation) for finding in seen)
    # Notebooks and the live page say the same.
    shown = result.explanation._repr_html_()
    assert all(f"<li>{escape(finding.text)}</li>" in shown for finding in seen)
    part = FindingPart()
    for event in read_events(log):
        part.take(event["event"], event, event["seconds"])
    assert [one["text"] for one in part.to_json() or []] == [finding.text for finding in seen]
    return seen


def kinds(seen: list[Finding]) -> list[str]:
    return [finding.kind for finding in seen]


def keyed(share: float) -> Dataset:
    """Rows of which `share` have the key JFK, the others one of a thousand."""
    chance = np.random.default_rng(7)
    others = chance.integers(0, 1000, ROWS).astype("U")
    keys = np.where(chance.random(ROWS) < share, "JFK", others)
    return esker.from_arrow({"origin": pa.array(keys), "n": range(ROWS)})


def test_a_skewed_key_is_named_with_its_share(tmp_path: Path) -> None:
    (finding,) = found(keyed(0.41).shuffle("origin", 16), tmp_path)
    assert finding.kind == "skewed_key" and finding.step == 0
    share = re.search(r"the key origin = 'JFK' holds about (\d+) % of the 60,000 rows", finding.text)
    assert share is not None and abs(int(share[1]) - 41) <= 4


def test_keys_without_skew_and_small_shuffles_are_not_spoken_of(tmp_path: Path) -> None:
    assert found(keyed(0.1).shuffle("origin", 16), tmp_path) == []
    assert found(keyed(0.9).head(5_000).shuffle("origin", 16), tmp_path) == []


def test_a_key_that_is_aggregated_before_the_shuffle_does_no_harm(tmp_path: Path) -> None:
    assert found(keyed(0.9).group_by("origin").agg({"n": ("n", "sum")}), tmp_path) == []


def test_a_filter_that_kept_everything_is_named(tmp_path: Path) -> None:
    (finding,) = found(keyed(0).filter("n >= 0"), tmp_path)
    assert finding.kind == "filter_kept_everything"
    assert finding.text.startswith('the filter "n" >= 0 kept all of 60,000 rows')
    mapped = keyed(0).map_batches(lambda batch: batch).filter("n < 100000")
    assert kinds(found(mapped, tmp_path)) == ["filter_kept_everything"]


def test_a_filter_that_dropped_a_row_or_a_part_of_a_file_is_not_spoken_of(tmp_path: Path) -> None:
    assert found(keyed(0).filter("n > 0"), tmp_path) == []
    assert found(keyed(0).filter("n >= 0").head(10), tmp_path) == []
    path = tmp_path / "sorted.parquet"
    keyed(0).write_parquet(path, memory="16MiB")
    import pyarrow.parquet as pq

    assert pq.ParquetFile(path).num_row_groups > 1
    first = pq.ParquetFile(path).metadata.row_group(0).num_rows
    # The bounds leave other row groups out, and of what is read every row passes.
    assert found(esker.read_parquet(path).filter(f"n < {first}"), tmp_path) == []


def flights(path: Path) -> Path:
    """Wide rows, of which 20 that lie together are of one carrier."""
    carriers = ["AA", "UA"] * (ROWS // 2)
    carriers[1000:1020] = ["HA"] * 20
    chance = np.random.default_rng(7)
    note = [chance.bytes(150).hex() for _ in range(ROWS)]
    esker.from_arrow({"carrier": carriers, "n": range(ROWS), "note": note}).write_parquet(path, memory="64MiB")
    return path


def test_a_search_says_what_an_index_would_have_read(tmp_path: Path) -> None:
    path = flights(tmp_path / "flights.parquet")
    search = esker.read_parquet(path).filter("carrier = 'HA'").select(["n", "note"])
    (finding,) = found(search, tmp_path)
    assert finding.kind == "index_would_help"
    said = re.match(
        r"20 of 60,000 rows matched: an index on `carrier` would have read at most ([\d.]+) % of the ([\d.]+) MiB",
        finding.text,
    )
    assert said is not None and float(said[1]) <= 10
    # It would: the same find, by an index, from the payload of a frozen set.
    frozen = tmp_path / "flights.esker"
    esker.freeze(esker.read_parquet(path), frozen, keys="n", index={"carrier": "equality"})
    result = esker.read_frozen(frozen).filter("carrier = 'HA'").select(["n", "note"]).execute()
    assert sum(batch.num_rows for batch in result) == 20
    assert result.explanation.actual is not None
    assert result.explanation.actual.bytes <= float(said[1]) / 100 * float(said[2]) * (1 << 20) * 1.2


def test_an_unindexed_column_of_a_frozen_set_is_found_out_too(tmp_path: Path) -> None:
    path = flights(tmp_path / "flights.parquet")
    frozen = tmp_path / "flights.esker"
    esker.freeze(esker.read_parquet(path), frozen, keys="n")
    seen = found(esker.read_frozen(frozen).filter("carrier = 'HA'"), tmp_path)
    assert kinds(seen) == ["index_would_help"] and "`carrier`" in seen[0].text


def test_a_search_that_an_index_would_not_help_is_not_spoken_of(tmp_path: Path) -> None:
    path = flights(tmp_path / "flights.parquet")
    rows = esker.read_parquet(path)
    # Most rows match; ranges may take many vectors; a reader that leaves early saw too little.
    for one in (rows.filter("carrier = 'AA'"), rows.filter("n > 59990"), rows.filter("carrier = 'HA'").head(5)):
        assert "index_would_help" not in kinds(found(one, tmp_path))
    frozen = tmp_path / "flights.esker"
    esker.freeze(rows, frozen, keys="n", index={"carrier": "equality"})
    assert found(esker.read_frozen(frozen).filter("carrier = 'HA'"), tmp_path) == []


def wide() -> Dataset:
    return esker.from_arrow({"k": [row % 997 for row in range(ROWS)], "note": [f"{row:0500d}" for row in range(ROWS)]})


@pytest.mark.parametrize("step", ["shuffle", "sort"])
def test_spilling_says_how_much_more_memory_would_spare_it_and_that_holds(tmp_path: Path, step: str) -> None:
    rows = wide().shuffle("k", 16) if step == "shuffle" else wide().sort("k")
    (finding,) = found(rows, tmp_path, memory="32MiB")
    assert finding.kind == "more_memory"
    said = re.search(r"the (\w+) spilled [\d.]+ MiB: with ([\d,]+) MiB more memory \(memory=(\d+)MiB\)", finding.text)
    assert said is not None and said[1] == step
    assert int(said[2].replace(",", "")) == int(said[3]) - 32
    assert found(rows, tmp_path, memory=f"{said[3]}MiB") == []
    assert read_events(tmp_path / "query.jsonl")[-1]["event"] == "query_done"
    memory = [event for event in read_events(tmp_path / "query.jsonl") if event["event"] == "memory"]
    assert memory[-1]["spilled_bytes"] == 0


def test_of_several_queries_in_a_log_the_last_is_judged(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    keyed(0).filter("n >= 0").count(log=log)
    assert kinds(findings(read_events(log))) == ["filter_kept_everything"]
    keyed(0).filter("n >= 1").count(log=log)
    assert findings(read_events(log)) == []


def test_events_of_later_versions_are_no_hindrance() -> None:
    assert findings([{"event": "something_new"}, {"event": "operator", "step": None}]) == []


# Joins


def sides(folder: Path, *, rows: int = ROWS, width: int = 300) -> tuple[Dataset, Dataset]:
    """Two files with a key and wide rows of noise; each key once on either side."""
    chance = np.random.default_rng(7)
    found = []
    for name in ("left", "right"):
        keys = chance.permutation(rows)
        note = [chance.bytes(width // 2).hex() for _ in range(rows)]
        path = folder / f"{name}.parquet"
        esker.from_arrow({"k": keys, name: note}).write_parquet(path, memory="64MiB")
        found.append(esker.read_parquet(path))
    return found[0], found[1]


def spilled_bytes(log: Path) -> int:
    return max(event["spilled_bytes"] for event in read_events(log) if event["event"] == "memory")


@pytest.mark.parametrize("algorithm", ["hash", "asj", "auto"])
def test_a_join_that_spilled_says_how_much_more_memory_would_spare_it_and_that_holds(
    tmp_path: Path, algorithm: str
) -> None:
    left, right = sides(tmp_path)
    joined = left.join(right, on="k", algorithm=algorithm)
    seen = [finding for finding in found(joined, tmp_path, memory="32MiB") if finding.kind == "more_memory"]
    assert len(seen) == 1
    said = re.search(
        r"the join spilled [\d.]+ MiB \(.*\): with ([\d,]+) MiB more memory \(memory=(\d+)MiB\)", seen[0].text
    )
    assert said is not None and int(said[1].replace(",", "")) == int(said[2]) - 32
    assert spilled_bytes(tmp_path / "query.jsonl") > 0
    assert "more_memory" not in kinds(found(joined, tmp_path, memory=f"{said[2]}MiB"))
    assert spilled_bytes(tmp_path / "query.jsonl") == 0


def test_a_join_says_what_it_read_and_what_another_way_would_have(tmp_path: Path) -> None:
    left, right = sides(tmp_path)
    left.write_parquet(tmp_path / "again.parquet")
    frozen = tmp_path / "left.esker"
    esker.freeze(left, frozen, keys="k")
    few = right.filter("k < 20").head(20)
    joined = esker.read_frozen(frozen).join(few, on="k")
    result = joined.execute()
    assert sum(batch.num_rows for batch in result) == 20
    (finding,) = [one for one in found(joined, tmp_path) if one.kind == "join_read_less"]
    said = re.search(r"the join by asj read ([\d.]+) (KiB|MiB): (\w+) would have read ([\d.]+) MiB", finding.text)
    assert said is not None and finding.step == 0
    read = float(said[1]) * (1 << (10 if said[2] == "KiB" else 20))
    assert result.explanation.actual is not None and result.explanation.actual.bytes == pytest.approx(read, rel=0.1)
    other = result.explanation.alternatives[said[3]].bytes
    assert other == pytest.approx(float(said[4]) * (1 << 20), rel=0.1) and other > 2 * read


def test_an_algorithm_that_was_asked_for_and_read_more_is_named(tmp_path: Path) -> None:
    left, right = sides(tmp_path)
    frozen = tmp_path / "left.esker"
    esker.freeze(left, frozen, keys="k")
    few = right.filter("k < 20").head(20)
    forced = esker.read_frozen(frozen).join(few, on="k", algorithm="hash")
    (finding,) = [one for one in found(forced, tmp_path) if one.kind.startswith("join_read")]
    assert finding.kind == "join_read_more"
    assert re.match(r"the join by hash, which was asked for, read [\d.]+ MiB: asj would have read", finding.text)
    assert kinds(found(esker.read_frozen(frozen).join(few, on="k"), tmp_path)) != ["join_read_more"]


def test_a_join_of_small_sides_or_with_one_way_only_is_not_spoken_of(tmp_path: Path) -> None:
    small = esker.from_arrow({"k": range(100), "n": range(100)})
    assert found(small.join(small, on="k"), tmp_path) == []
    assert found(small.filter("n >= 0").join(small, on="k"), tmp_path) == []


def test_a_key_that_both_sides_have_most_of_is_named_with_its_pairs(tmp_path: Path) -> None:
    left = esker.from_arrow({"k": ["hot"] * 300 + [f"k{n}" for n in range(600)], "a": range(900)})
    right = esker.from_arrow({"k": ["hot"] * 6_000 + [f"k{n}" for n in range(14_000)], "b": range(20_000)})
    (finding,) = found(left.join(right, on="k"), tmp_path)
    assert finding.kind == "skewed_key" and finding.step == 0
    said = re.search(
        r"the key k = 'hot' holds about (\d+) % of the 900 left rows and about (\d+) % of the 20,000 right rows"
        r" of the join: it alone makes about ([\d,]+) of its 1,800,600 rows",
        finding.text,
    )
    assert said is not None and abs(int(said[1]) - 33) <= 15 and abs(int(said[2]) - 30) <= 15
    assert int(said[3].replace(",", "")) == pytest.approx(1_800_000, rel=0.9)
    # A semi join makes no pairs.
    assert found(left.join(right, on="k", how="semi"), tmp_path) == []


def test_a_key_of_most_right_rows_is_named_where_parts_are_made_of_keys(tmp_path: Path) -> None:
    right = keyed(0.6)
    left = esker.from_arrow({"origin": [str(n) for n in range(1000)] + ["JFK"], "m": range(1001)})
    seen = found(left.join(right, on="origin", algorithm="hash"), tmp_path)
    assert kinds(seen) == ["skewed_key"] and "one part of it has to take them all" in seen[0].text
    assert found(left.join(right, on="origin", algorithm="in_memory"), tmp_path) == []
    assert found(left.join(keyed(0.05), on="origin", algorithm="hash"), tmp_path) == []


@pytest.mark.parametrize("algorithm", ["asj", "hash", "in_memory", "nested_loop", "sort_merge"])
def test_a_filter_below_a_join_that_kept_everything_is_named(tmp_path: Path, algorithm: str) -> None:
    left, right = sides(tmp_path, rows=2_000, width=10)
    every = left.filter("k >= 0").join(right, on="k", algorithm=algorithm)
    (finding,) = found(every, tmp_path)
    assert finding.text.startswith('the filter "k" >= 0 kept all of 2,000 rows')
    assert found(left.filter("k > 0").join(right, on="k", algorithm=algorithm), tmp_path) == []
