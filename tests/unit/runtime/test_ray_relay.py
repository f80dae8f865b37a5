from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from esker.runtime.ray_relay import Layout


@given(
    data=st.binary(min_size=1),
    buffers=st.lists(st.binary()),
    blobs=st.dictionaries(st.binary(min_size=1), st.binary()),
)
def test_a_packed_task_is_the_same_behind_the_line(
    data: bytes, buffers: list[bytes], blobs: dict[bytes, bytes]
) -> None:
    layout, whole = Layout.of((data, buffers, blobs, ["/source", ""], "/here"))
    found, found_buffers, found_blobs, path, folder = layout.sent(bytearray(whole))
    assert (found, [bytes(buffer) for buffer in found_buffers], found_blobs) == (data, buffers, blobs)
    assert (path, folder) == (["/source", ""], "/here")
