"""Certificates: real handshakes that succeed, and those that must not."""

from pathlib import Path
from typing import Any

import pytest

from cluster.channel import Credentials
from cluster.client import Client
from cluster.errors import ConfigError, ServiceError
from cluster.server.config import ServerConfig, TlsFiles
from cluster.server.principals import PrincipalEntry
from tests.cluster.certificates import Authority, Pair
from tests.cluster.conftest import serving
from tests.cluster.hall import Hall, entry, token_of


def test_plaintext_does_not_get_through_an_encrypted_door(hall: Hall) -> None:
    known = Credentials(token=token_of("bureau"), encrypted=False)
    with Client(hall.address, 0.8, known) as client, pytest.raises(ServiceError) as caught:
        client.schemes()
    assert caught.value.status in ("UNAVAILABLE", "DEADLINE_EXCEEDED")


def test_a_client_trusts_only_its_root(hall: Hall, tmp_path: Path) -> None:
    stranger = Authority(tmp_path, "stranger")
    known = Credentials(ca=stranger.file, token=token_of("bureau"))
    with Client(hall.address, 0.8, known) as client, pytest.raises(ServiceError) as caught:
        client.schemes()
    assert caught.value.status in ("UNAVAILABLE", "DEADLINE_EXCEEDED")


def test_files_that_a_client_cannot_use(authority: Authority, pair: Pair) -> None:
    other = authority.sign("localhost")
    for wrong, told in (
        ({"certificate": pair.certificate}, "given together"),
        ({"certificate": pair.certificate, "key": other.key}, "KEY_VALUES_MISMATCH"),
        ({"ca": pair.key}, "NO_CERTIFICATE"),
        ({"ca": Path("/nowhere")}, "cannot read /nowhere"),
    ):
        with pytest.raises(ConfigError, match=told):
            Client("localhost:443", credentials=Credentials(**wrong))


def test_a_client_never_sends_plaintext_away() -> None:
    with pytest.raises(ConfigError, match="without encryption"):
        Client("example.org:443", credentials=Credentials(token="secret", encrypted=False))


def test_client_certificates(
    authority: Authority, pair: Pair, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    config = ServerConfig(
        port=0,
        data=tmp_path,
        grace_seconds=1.0,
        tls=TlsFiles(certificate=pair.certificate, key=pair.key, client_ca=authority.file),
        principals=(
            PrincipalEntry(name="h1", role="hospital:H1", subject="hospital one"),
            PrincipalEntry(name="office", role="bureau", subject="office"),
        ),
    )
    stranger = Authority(tmp_path_factory.mktemp("stranger"), "stranger").sign("office")
    shown = {
        "hospital": authority.sign("hospital one"),
        "office": authority.sign("office"),
        "unlisted": authority.sign("somebody"),
        "expired": authority.sign("office", days=-1),
        "stranger": stranger,
        "none": None,
    }
    expected = {"hospital": "PERMISSION_DENIED", "office": "", "unlisted": "UNAUTHENTICATED"}
    with serving(config) as front:
        for name, own in shown.items():
            known = Credentials(
                ca=authority.file,
                certificate=own.certificate if own else None,
                key=own.key if own else None,
            )
            with Client(f"127.0.0.1:{front.port}", 0.8, known) as client:
                try:
                    assert list(client.list_runs()) == []
                    status = ""
                except ServiceError as error:
                    status = error.status
            # Whoever fails the handshake does not get as far as a role.
            closed = {"UNAVAILABLE", "DEADLINE_EXCEEDED"}
            assert status in ({expected[name]} if name in expected else closed), name


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"tls": None}, "without encryption"),
        ({"principals": ()}, "anybody could call"),
        ({"tls": {"certificate": "/nowhere", "key": "/nowhere"}}, "cannot read /nowhere"),
    ],
)
def test_doors_that_do_not_open(
    pair: Pair, tmp_path: Path, change: dict[str, Any], told: str
) -> None:
    settings = {
        "host": "0.0.0.0",
        "port": 0,
        "data": tmp_path,
        "tls": {"certificate": pair.certificate, "key": pair.key},
        "principals": (entry("bureau"),),
    }
    with pytest.raises(ConfigError, match=told), serving(ServerConfig(**(settings | change))):
        pass


def test_a_certificate_and_a_key_that_do_not_belong_together(
    authority: Authority, pair: Pair, tmp_path: Path
) -> None:
    other = authority.sign("localhost")
    tls = TlsFiles(certificate=pair.certificate, key=other.key)
    with (
        pytest.raises(ConfigError, match="not usable"),
        serving(ServerConfig(port=0, data=tmp_path, tls=tls)),
    ):
        pass
