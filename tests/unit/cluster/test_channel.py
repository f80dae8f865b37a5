"""Sending never waits for a peer that hangs; order is kept; what breaks is said once."""

from __future__ import annotations

import threading

import pytest

from esker.cluster.channel import Channel


def test_words_come_in_order_at_once_and_by_the_thread() -> None:
    heard: list[bytes] = []
    channel = Channel(heard.append)
    for number in range(2000):
        channel.send(number.to_bytes(100, "little"))
        if number % 500 == 0:
            channel.heard()
    deadline = threading.Event()
    while len(heard) < 2000 and not deadline.wait(0.01):
        pass
    assert [int.from_bytes(word, "little") for word in heard] == list(range(2000))
    channel.close()


def test_a_peer_that_stopped_reading_makes_nobody_wait() -> None:
    let_go, taken = threading.Event(), [0]

    def write(data: bytes) -> None:
        # As a transport does: some bytes go into its window, then a write waits.
        if taken[0] + len(data) > 60_000:
            let_go.wait()
        taken[0] += len(data)

    channel = Channel(write)
    for _ in range(5000):
        channel.send(bytes(200))
    assert taken[0] <= 60_000
    channel.close()
    let_go.set()


def test_a_stream_that_breaks_is_told_of_once_and_takes_no_more() -> None:
    broken: list[str] = []

    def write(data: bytes) -> None:
        raise OSError("gone")

    channel = Channel(write, lambda: broken.append("broken"))
    channel.send(b"one")
    channel.send(b"two")
    assert channel.closed and broken == ["broken"]


def test_who_lets_a_stream_go_waits_for_the_write_that_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("esker.cluster.channel._SETTLE_SECONDS", 600.0)
    begun, let_go, ended = threading.Event(), threading.Event(), threading.Event()

    def write(data: bytes) -> None:
        begun.set()
        let_go.wait(60)

    channel = Channel(write)
    sender = threading.Thread(target=channel.send, args=(b"word",))

    def end() -> None:
        channel.close()
        channel.settle()
        ended.set()

    ending = threading.Thread(target=end)
    sender.start()
    assert begun.wait(60)
    ending.start()
    assert not ended.wait(0.05)
    let_go.set()
    assert ended.wait(60)
    sender.join()
    ending.join()
