"""A whole cluster under TLS and token, as the command line starts it; and what is said when they do not agree."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import flight

import esker
from esker.cluster import connect
from esker.core.clock import SYSTEM_CLOCK
from esker.errors import AuthenticationError, InputFileError, OptionError, TlsError
from esker.runtime.flight import Security, new_token, write_token
from esker.ui.live.cluster_source import cluster_source
from tests.unit.cluster.certificates import Certificate, authority, signed_by

PEOPLE = pa.table({"age": [20, 76, 42] * 1000, "line": list(range(3000))})


class Served:
    """A coordinator and three nodes with certificates, the folder of their files, and where they listen."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.signer = authority(folder, "ca")
        self.other = authority(folder, "other")
        self.token = folder / "token"
        write_token(self.token)
        self._stack = stack
        self.address = self.start("coordinator", ["cluster", "coordinate"])
        for number in range(3):
            words = ["node", "serve", "--coordinator", self.address, "--number", str(number)]
            self.start(f"node-{number}", words)

    def words(self, name: str, words: list[str], trusted: Certificate | None = None) -> list[str]:
        own = signed_by(self.signer, self.folder, name)
        trust = (trusted or self.signer).certificate
        return [
            sys.executable, "-m", "esker.cli.main", *words, "--json", "--data", str(self.folder / name),
            "--token-file", str(self.token), "--tls-cert", str(own.certificate), "--tls-key", str(own.key),
            "--tls-ca", str(trust),
        ]  # fmt: skip

    def start(self, name: str, words: list[str]) -> str:
        process = self._stack.enter_context(
            subprocess.Popen(self.words(name, words), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        )
        self._stack.callback(process.kill)
        assert process.stdout is not None
        return str(json.loads(process.stdout.readline())["address"])


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with ExitStack() as stack:
        yield Served(tmp_path_factory.mktemp("tls"), stack)


def _is_whole(status: dict[str, Any]) -> bool:
    # A node may have none: where blocks go depends on their names, which each build has of its own.
    held = sum(node["units"] for node in status["nodes"])
    return all(node["connected"] for node in status["nodes"]) and held == 2 * status["units"] and not status["short"]


def test_a_cluster_under_tls_is_put_to_and_asked_by_all_kinds_of_clients(served: Served) -> None:
    trust = served.signer.certificate
    with connect(served.address, token=served.token, authority=trust) as cluster:
        deadline = SYSTEM_CLOCK.seconds() + 120
        while len(cluster.status()["members"]) < 3:
            assert SYSTEM_CLOCK.seconds() < deadline
            SYSTEM_CLOCK.sleep(0.1)
        cluster.build(PEOPLE, ["age"], index="people", block_rows=64)
        assert cluster.count("age < 50", index="people") == 2000
        # What nodes hold came to each from the coordinator, under TLS.
        while not _is_whole(status := cluster.status()):
            assert SYSTEM_CLOCK.seconds() < deadline, json.dumps(status)
            SYSTEM_CLOCK.sleep(0.1)
    assert [node["address"].partition("://")[0] for node in status["nodes"]] == ["grpc+tls"] * 3
    place = served.address.partition("://")[2]
    found = esker.read(f"esker://{place}/people?token_file={served.token}&ca={trust}").filter("line = 77")
    assert found.to_arrow().to_pylist() == [{"age": 42, "line": 77}]
    options = flight.FlightCallOptions(headers=[(b"authorization", b"Bearer " + served.token.read_bytes().strip())])
    with flight.connect(served.address, tls_root_certs=trust.read_bytes()) as client:
        asked = flight.Ticket(b'{"index": "people", "query": "age = 76", "count": true}')
        assert client.do_get(asked, options).read_all().to_pydict() == {"count": [1000]}


def test_the_page_shows_a_cluster_under_tls_that_it_is_told_to_trust(served: Served) -> None:
    trust = served.signer.certificate
    with cluster_source(served.address, served.token, trust) as source:
        deadline = SYSTEM_CLOCK.seconds() + 60
        while [node["state"] for node in (json.loads(source.shown) or {}).get("status", {}).get("nodes", [])] != [
            "up"
        ] * 3:
            assert SYSTEM_CLOCK.seconds() < deadline, source.shown
            SYSTEM_CLOCK.sleep(0.1)
    with cluster_source(served.address, served.token) as source:
        assert "of no authority that is trusted here" in str(source.look())
    words = [sys.executable, "-m", "esker.cli.main", "ui", str(served.folder), "--no-browser", "--json"]
    words += ["--cluster", served.address, "--token-file", str(served.token), "--tls-ca", str(trust)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as page:
        assert page.stdout is not None
        link = json.loads(page.stdout.readline())["link"]
        page.terminate()
    assert link.startswith("http://127.0.0.1:")


def test_a_client_that_trusts_another_authority_or_none_is_told_at_once(served: Served) -> None:
    for trusted in (served.other.certificate, None):
        with (
            connect(served.address, token=served.token, authority=trusted) as cluster,
            pytest.raises(TlsError, match=r"of no authority that is trusted here: .*--tls-ca"),
        ):
            cluster.query("R:[1,1]")


def test_a_plain_client_is_told_to_speak_tls(served: Served) -> None:
    plain = served.address.replace("grpc+tls://", "grpc://")
    with connect(plain, token=served.token) as cluster:
        with pytest.raises(TlsError, match=r"speaks TLS: write grpc\+tls://"):
            cluster.count("R:[1,1]")
        with pytest.raises(TlsError, match="speaks TLS"):
            cluster.status()
    with pytest.raises(OptionError, match=r"an authority is for TLS.*grpc\+tls"):
        connect(plain, token=served.token, authority=served.signer.certificate)


def test_tls_does_not_stand_for_the_token(served: Served) -> None:
    with (
        connect(served.address, token=new_token(), authority=served.signer.certificate) as cluster,
        pytest.raises(AuthenticationError),
    ):
        cluster.count("R:[1,1]")


@pytest.mark.parametrize("how", ["plain", "other"])
def test_a_node_that_does_not_agree_ends_and_says_why(served: Served, how: str) -> None:
    address = served.address if how == "other" else served.address.replace("grpc+tls://", "grpc://")
    words = served.words(
        f"stranger-{how}", ["node", "serve", "--coordinator", address, "--number", "9"],
        served.other if how == "other" else None,
    )  # fmt: skip
    ended = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode != 0
    assert ("speaks TLS" if how == "plain" else "no authority that is trusted") in ended.stderr


def test_files_that_are_no_certificates_are_named(served: Served) -> None:
    own = signed_by(served.signer, served.folder, "own")
    with pytest.raises(InputFileError, match="own.pem and .*other.key are no certificate and its key"):
        Security.from_files(certificate=own.certificate, key=served.other.key)
    with pytest.raises(InputFileError, match="token holds no certificate"):
        Security.from_files(authority=served.token)
    with pytest.raises(InputFileError, match="missing.pem"):
        Security.from_files(authority=served.folder / "missing.pem")


def test_a_certificate_for_another_name_is_refused(served: Served) -> None:
    from esker.cluster.coordinator_server import CoordinatorServer
    from esker.runtime.flight import ServerAddress

    wrong = signed_by(served.signer, served.folder, "wrong", "DNS:elsewhere.example")
    security = Security.from_files(certificate=wrong.certificate, key=wrong.key)
    server = CoordinatorServer(served.folder / "wrong", ServerAddress("127.0.0.1:0"), security)
    try:
        with (
            connect(server.address, authority=served.signer.certificate) as cluster,
            pytest.raises(TlsError, match="for other names"),
        ):
            cluster.count("R:[1,1]")
    finally:
        server.stop()
