"""A unit against a dictionary: commits, copies, gaps."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from esker.cluster.messages import UnitWrite
from esker.cluster.unit import Unit, copy_of

PUTS = st.lists(
    st.tuples(st.dictionaries(st.integers(0, 4), st.binary(max_size=3), min_size=1, max_size=3), st.booleans()),
    min_size=1,
    max_size=8,
)


def history(puts: list[tuple[dict[int, bytes], bool]]) -> tuple[list[Unit], list[UnitWrite]]:
    """The unit after each put (the first is empty), and the writes between."""
    units, writes = [Unit()], []
    for version, (values, whole) in enumerate(puts, 1):
        last = units[-1]
        write = UnitWrite("u", last.version, last.digest, whole, tuple(values.items()))
        after = Unit.from_copy(last.copy("u"))
        after.apply(write, version)
        units.append(after)
        writes.append(write)
    return units, writes


@given(PUTS)
def test_contents_are_those_of_a_dictionary(puts: list[tuple[dict[int, bytes], bool]]) -> None:
    expected: dict[int, bytes] = {}
    units, _ = history(puts)
    for unit, (values, whole) in zip(units[1:], puts, strict=True):
        expected = {**({} if whole else expected), **values}
        assert {vector: value for vector, (_, value) in unit.entries.items()} == expected
        assert unit.complete and unit.digest == unit.recomputed_digest()


@given(PUTS)
def test_the_version_before_stays_readable(puts: list[tuple[dict[int, bytes], bool]]) -> None:
    unit = Unit()
    units, writes = history(puts)
    for version, write in enumerate(writes, 1):
        unit.apply(write, version)
        assert unit.at(version) == units[version].entries
        assert unit.at(version - 1) == units[version - 1].entries
        assert unit.at(version + 1) is None


@given(PUTS, st.data())
def test_a_copy_closes_the_gap_below_later_commits(
    puts: list[tuple[dict[int, bytes], bool]], data: st.DataObject
) -> None:
    units, writes = history(puts)
    joined = data.draw(st.integers(0, len(puts)))
    copied = data.draw(st.integers(joined, len(puts)))
    late = Unit()
    for version in range(joined + 1, len(puts) + 1):
        late.apply(writes[version - 1], version)
    assert late.merge(copy_of("u", copied, units[copied].entries)) or late.version > copied
    final = units[-1]
    if late.version == final.version:
        assert late.complete and (late.entries, late.digest) == (final.entries, final.digest)


@given(PUTS)
def test_a_copy_that_is_too_old_does_not_close_a_gap(puts: list[tuple[dict[int, bytes], bool]]) -> None:
    units, writes = history([({9: b"first"}, False), *puts, ({7: b"last"}, False)])
    late = Unit()
    late.apply(writes[-1], len(writes))
    assert not late.merge(copy_of("u", 1, units[1].entries)) and late.at(len(writes)) is None


def test_an_old_commit_does_not_undo_a_newer_copy() -> None:
    units, writes = history([({1: b"a"}, False), ({1: b"b"}, False)])
    unit = Unit()
    unit.merge(units[2].copy("u"))
    unit.apply(writes[0], 1)
    assert unit.entries == units[2].entries
