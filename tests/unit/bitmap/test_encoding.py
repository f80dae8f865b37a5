"""Bitmaps of mixed encodings, and the automatic choice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esker.bitmap import ENCODINGS, PROFILES, Bitmap, union
from esker.core.seeded import generator
from esker.errors import OptionError

ROW_COUNT = 700
ROWS = st.sets(st.integers(0, ROW_COUNT - 1))
FORMS = [(encoding, "balanced") for encoding in ENCODINGS] + [("auto", profile) for profile in PROFILES]
every_form = pytest.mark.parametrize("form", FORMS, ids=lambda form: "-".join(form))


def bitmap(rows: set[int], form: tuple[str, str]) -> Bitmap:
    return Bitmap.from_positions(sorted(rows), ROW_COUNT, *form)


@every_form
@given(left=ROWS, right=ROWS, other=st.sampled_from(FORMS))
def test_a_mixed_pair_gives_the_encoding_of_the_left(form, left, right, other):
    a, b = bitmap(left, form), bitmap(right, other)
    results = (a & b, left & right), (a | b, left | right), (a ^ b, left ^ right), (a - b, left - right)
    for result, expected in results:
        assert set(result.to_numpy().tolist()) == expected
        assert result.count() == len(expected)
        assert result.profile == a.profile
        assert result.encoding == a.encoding or a.profile
    assert a & b == b & a
    assert union([a, b]) == union([b, a])
    assert a.intersect_count(b) == len(left & right)
    assert (a == b) is (left == right)


@every_form
@given(left=ROWS, right=ROWS)
def test_automatic_results_serialize_as_if_they_had_been_made_afresh(form, left, right):
    a, b = bitmap(left, form), bitmap(right, form)
    assert (a | b).serialize() == bitmap(left | right, form).serialize()
    assert (~a).serialize() == bitmap(set(range(ROW_COUNT)) - left, form).serialize()


def test_each_profile_follows_its_rule():
    chance = generator(1)
    row_count = 63_000
    sparse = np.sort(chance.choice(row_count, 200, replace=False))
    half = np.flatnonzero(chance.random(row_count) < 0.5)
    run = np.arange(100, 50_000)
    expected = {
        "speed": ("wah64.1", "dense.1", "wah64.1"),
        "balanced": ("gap_run.1", "dense.1", "gap_run.1"),
        "size": ("gap_run.1", "dense.1", "gap_run.1"),
    }
    for profile, encodings in expected.items():
        made = [Bitmap.from_positions(rows, row_count, "auto", profile) for rows in (sparse, half, run)]
        assert tuple(each.encoding for each in made) == encodings
        for each in made:
            figures = each.statistics()
            assert (figures.encoding, figures.profile, figures.bytes) == (each.encoding, profile, each.nbytes)
            assert figures.candidates[each.encoding.partition(".")[0]] == each.nbytes
            if profile == "size":
                assert each.nbytes == min(figures.candidates.values())


def test_candidates_are_the_sizes_the_encodings_really_take():
    chance = generator(2)
    for share in (0.001, 0.05, 0.5, 0.97):
        rows = np.flatnonzero(chance.random(5_000) < share)
        figures = Bitmap.from_positions(rows, 5_000, "auto").statistics()
        assert figures.candidates == {
            name: Bitmap.from_positions(rows, 5_000, name).nbytes for name in ("dense", "wah64", "gap_run")
        }


def test_a_result_says_what_its_profile_would_choose():
    a, b = (Bitmap.from_positions(rows, 100_000, "auto", "size") for rows in ([1, 900], [2, 900]))
    assert "would choose gap_run.1" in (a & b).statistics().reason
    assert (a & b).optimized().encoding == "gap_run.1"
    assert a.statistics().reason == "profile size"
    assert a.recoded("val").statistics().reason == "as asked for"


def test_unknown_names_are_refused():
    with pytest.raises(OptionError, match="no profile 'fast'; there is: speed, balanced, size"):
        Bitmap.none(3, "auto", "fast")
    with pytest.raises(OptionError, match=r"no encoding 'ewah'; there is: wah32, .*, auto"):
        Bitmap.none(3, "ewah")
