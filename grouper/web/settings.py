"""What the page's server is told when it starts, and the limits of what it takes."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from grouper.errors import GrouperError

DEFAULT_ADDRESS: Final = "127.0.0.1:8051"

MAX_FORM_BYTES: Final = 256 * 1024
"""Largest body of a case, or of a pasted text."""

MAX_UPLOAD_BYTES: Final = 32 * 1024 * 1024
"""Largest file that may be uploaded; `grouper group` takes files of any size."""

MAX_UPLOAD_CASES: Final = 200_000
MAX_TEXT: Final = 64
"""Most characters of a code or of another text of a case."""


class AddressError(GrouperError):
    """The page cannot be served at this address."""

    code: ClassVar[str] = "BAD_ADDRESS"


@dataclass(frozen=True, slots=True)
class Tls:
    """Certificates of a server that other machines may reach.

    Attributes:
        certificate, key: PEM files of the server.
        clients: PEM file of the authority whose certificates admit a browser.
    """

    certificate: Path
    key: Path
    clients: Path


@dataclass(frozen=True, slots=True)
class WebSettings:
    """Settings of one page.

    Attributes:
        host, port: where it listens; port 0 lets the system choose.
        schemes: packs to group by, as folders or built-in names; the first is the one shown first.
        runs: run folders that price a case.
        data: folder below which further runs are looked for; None for nowhere.
        tls: certificates; without them only this machine reaches the page.

    Raises:
        AddressError: other machines could reach the page without showing a certificate.
    """

    host: str
    port: int
    schemes: tuple[str, ...] = ("chs-core",)
    runs: tuple[Path, ...] = ()
    data: Path | None = None
    tls: Tls | None = None

    def __post_init__(self) -> None:
        if self.tls is None and not is_loopback(self.host):
            raise AddressError(
                f"{self.host} is reached from outside, and the page asks nobody who they are",
                hint="listen on 127.0.0.1, or use `grouper web` with --tls-cert, --tls-key and"
                " --tls-clients",
            )
        for file in (self.tls.certificate, self.tls.key, self.tls.clients) if self.tls else ():
            if not file.is_file():
                raise AddressError(f"there is no file {file}", hint="check the --tls- options")


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the host."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_everywhere(host: str) -> bool:
    """Whether a server that listens there listens on all interfaces."""
    return host in ("0.0.0.0", "::")


def name_of(host: str) -> str:
    """A host as in an address; the machine's name where a server listens on all interfaces."""
    if is_everywhere(host):
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`.

    Raises:
        ValueError: it is not of that form.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ValueError(f"{text!r} is not HOST:PORT, for example {DEFAULT_ADDRESS}")
    return host.strip("[]"), int(port)
