"""Messages come back as they were said, and bytes that are none are refused, whatever they are."""

from __future__ import annotations

import subprocess
import sys
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esker.cluster import messages, wire
from esker.cluster.codec import CodecError, pack, unpack
from esker.errors import PeerError

ALL = frozenset(wire._TYPES)
NUMBERS = st.integers(-(1 << 63), (1 << 63) - 1)


def values_of(kind: Any, name: str = "") -> st.SearchStrategy[Any]:
    """Values of a field's type; digests and sums are unsigned."""
    if kind is bool:
        return st.booleans()
    if kind is int:
        return st.integers(0, (1 << 64) - 1) if name in ("digest", "digests", "sums") else NUMBERS
    if kind is str:
        return st.text(max_size=8)
    if kind is bytes:
        return st.binary(max_size=12)
    if isinstance(kind, type) and hasattr(kind, "_fields"):
        hints = get_type_hints(kind)
        return st.builds(kind, **{field: values_of(hints[field], field) for field in kind._fields})
    if get_origin(kind) is tuple:
        parts = get_args(kind)
        if len(parts) == 2 and parts[1] is Ellipsis:
            return st.lists(values_of(parts[0], name), max_size=3).map(tuple)
        return st.tuples(*(values_of(part, name) for part in parts))
    return st.one_of(st.none(), st.integers(0, (1 << 64) - 1))


RANGES = st.tuples(st.integers(-5, 5), st.integers(5, 9))
QUERIES = st.lists(st.lists(st.lists(RANGES, max_size=2).map(tuple), max_size=2).map(tuple), max_size=3).map(tuple)


def said(kind: type[Any]) -> st.SearchStrategy[Any]:
    hints = get_type_hints(kind)
    fields = {name: QUERIES if name == "queries" else values_of(hints[name], name) for name in kind._fields}
    states = st.lists(st.tuples(st.text(max_size=5), NUMBERS, st.integers(0, (1 << 64) - 1)), max_size=3).map(tuple)
    if kind in (messages.Acknowledged, messages.Held, messages.Received):
        fields["units"] = states
    if kind is messages.Reshape:
        fields |= {"sources": states, "targets": states}
    return st.builds(kind, **fields)


@given(data=st.data(), stamp=NUMBERS)
def test_every_message_comes_back(data: st.DataObject, stamp: int) -> None:
    message = data.draw(st.sampled_from(wire._TYPES).flatmap(said))
    assert wire.decode(wire.encode(stamp, message), ALL) == (stamp, message)


@settings(max_examples=300)
@given(data=st.data())
def test_damaged_bytes_are_refused_or_are_another_message(data: st.DataObject) -> None:
    whole = wire.encode(1, data.draw(st.sampled_from(wire._TYPES).flatmap(said)))
    at = data.draw(st.integers(0, len(whole) - 1))
    damaged = data.draw(
        st.sampled_from([whole[:at], whole + b"\0", whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]])
    )
    try:
        stamp, message = wire.decode(damaged, ALL)
    except PeerError:
        return
    assert wire.encode(stamp, message) == damaged


@given(data=st.binary(max_size=200))
def test_any_bytes_at_all_are_refused_or_a_message(data: bytes) -> None:
    try:
        stamp, message = wire.decode(data, ALL)
    except PeerError:
        return
    assert wire.encode(stamp, message) == data


def test_a_client_cannot_say_what_nodes_say() -> None:
    with pytest.raises(PeerError, match="not for us to hear"):
        wire.decode(wire.encode(1, messages.Vote(1, True, ())), wire.FROM_CLIENTS)
    assert not wire.FROM_CLIENTS & wire.FROM_NODES and not wire.FROM_CLIENTS & wire.FROM_COORDINATOR


def test_a_count_of_many_items_allocates_nothing() -> None:
    data = bytearray(wire.encode(1, messages.Discard(("unit",))))
    data[9:13] = b"\xff\xff\xff\xff"
    with pytest.raises(PeerError, match="counts 4,294,967,295 items"):
        wire.decode(bytes(data), ALL)


@given(values=st.lists(st.binary(max_size=9), max_size=5))
def test_packed_values_come_apart(values: list[bytes]) -> None:
    packed = pack(values)
    assert unpack(packed) == values
    with pytest.raises(CodecError):
        unpack(packed + b"x")


def test_no_pickle_is_loaded_by_servers_and_clients() -> None:
    program = (
        "import sys, pickle; pickle.loads = pickle.Unpickler = None\n"
        "import esker.cluster.client, esker.cluster.node_server, esker.cluster.coordinator_server\n"
        "ours = [vars(module) for name, module in sys.modules.items() if name.startswith('esker.cluster')]\n"
        "assert len(ours) > 20 and not any('pickle' in names or 'cloudpickle' in names for names in ours)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
