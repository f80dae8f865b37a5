"""The ring against the plainest way to say it: sort all points, walk."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esker.cluster.ring import POINTS, Ring, node_points, point
from esker.errors import OptionError

NODES = st.sets(st.integers(0, 200), min_size=1, max_size=12)
PLACES = st.integers(0, POINTS - 1)


def walk(nodes: set[int], virtual_nodes: int, place: int, copies: int) -> tuple[int, ...]:
    """Source 004, Algorithms 1 and 2: successors of a point, the point itself not included."""
    placed = sorted((at, node) for node in nodes for at in node_points(node, virtual_nodes))
    onwards = [node for at, node in placed if at > place] + [node for at, node in placed if at <= place]
    return tuple(dict.fromkeys(onwards))[:copies]


def test_a_point_is_sha1_mod_two_to_the_64() -> None:
    assert point(17) == int(hashlib.sha1(b"17").hexdigest(), 16) % 2**64


@given(NODES, st.integers(1, 4), PLACES, st.integers(1, 4))
def test_holders_are_the_next_nodes_clockwise(nodes: set[int], virtual: int, place: int, copies: int) -> None:
    assert Ring(nodes, virtual).holders(place, copies) == walk(nodes, virtual, place, copies)


def test_a_key_on_a_nodes_own_point_belongs_to_the_next_node() -> None:
    ring = Ring(range(5))
    assert ring.holders(point(3), 1) == (ring.successor(3),)


@given(NODES)
def test_predecessor_undoes_successor(nodes: set[int]) -> None:
    ring = Ring(nodes)
    assert all(ring.predecessor(ring.successor(node)) == node for node in nodes)


@given(NODES, NODES, st.integers(1, 3), st.integers(1, 3), st.lists(PLACES, max_size=20))
def test_changes_are_where_holders_differ(
    before: set[int], after: set[int], virtual: int, copies: int, places: list[int]
) -> None:
    old, new = Ring(before, virtual), Ring(after, virtual)
    arcs = old.changes(new, copies)
    for place in [*places, *(at for node in before | after for at in node_points(node, virtual))]:
        found = [(arc.before, arc.after) for arc in arcs if arc.contains(place)]
        was, now = old.holders(place, copies), new.holders(place, copies)
        assert found == ([(was, now)] if was != now else [])


@given(NODES, NODES, st.integers(1, 3))
def test_a_changed_ring_is_the_ring_of_its_nodes(before: set[int], after: set[int], virtual: int) -> None:
    changed, made = Ring(before, virtual).changed(after), Ring(after, virtual)
    assert (changed._points, changed._owners, changed.nodes) == (made._points, made._owners, made.nodes)


@given(NODES.filter(lambda nodes: len(nodes) >= 4))
def test_two_pairs_of_nodes_copy_what_a_node_had(nodes: set[int]) -> None:
    # REALLOCATE: predecessor to successor, successor to the one after it (source 004, Algorithm 4).
    ring = Ring(nodes)
    gone = min(nodes)
    pairs = set()
    for arc in ring.changes(ring.without(gone), 2):
        source = next(node for node in arc.before if node != gone)
        pairs |= {(source, target) for target in set(arc.after) - set(arc.before)}
    successor = ring.successor(gone)
    assert pairs == {(ring.predecessor(gone), successor), (successor, ring.without(gone).successor(successor))}


def test_a_node_that_leaves_moves_a_share_of_the_keys() -> None:
    ring = Ring(range(100), 64)
    keys = [point(f"key {number}") for number in range(20_000)]
    smaller = ring.without(40)
    moved = sum(ring.holders(key, 2) != smaller.holders(key, 2) for key in keys)
    assert moved < 2.0 * 2 * len(keys) / 100


@given(st.integers(1, 40), st.integers(1, 20))
def test_shares_of_arcs_are_the_circle(count: int, virtual: int) -> None:
    assert sum(arc.share for arc in Ring(range(count), virtual).arcs(2)) == pytest.approx(1.0)


def test_errors_name_the_option() -> None:
    with pytest.raises(OptionError, match="virtual_nodes=0"):
        Ring([1], 0)
    with pytest.raises(OptionError, match="node 7 is not on the ring"):
        Ring([1, 2]).successor(7)
