"""What a server is told when it starts, checked before anything else happens."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cluster.errors import StateError


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """Settings of one server.

    Attributes:
        host, port: where it listens; port 0 lets the system choose.
        data: folder below which regions, run folders, packs and policy files lie.
        state: folder of the register of runs and of their logs.
        schemes: packs it groups by, as folders or built-in names.
        workers: workers of a run; 1 runs in the run's own process, more on local Ray.
        ray: address of a running Ray cluster for runs.
        grace_seconds: how long calls may go on when the server stops.
    """

    host: str
    port: int
    data: Path
    state: Path
    schemes: tuple[str, ...] = ("chs-core",)
    workers: int = 1
    ray: str | None = None
    grace_seconds: float = 30.0

    def __post_init__(self) -> None:
        if not is_loopback(self.host):
            raise StateError(
                f"{self.host} is reached from outside, and this server speaks without encryption",
                hint="listen on 127.0.0.1 and put a proxy with TLS in front",
            )
        if not self.data.is_dir():
            raise StateError(f"the data folder {self.data} is missing", hint="make it, or name one")

    @property
    def listen(self) -> str:
        """The address as gRPC writes it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the host."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def parse_listen(text: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`.

    Raises:
        ValueError: it is not of that form.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{text!r} is not HOST:PORT, for example 127.0.0.1:50051")
    return host.strip("[]"), int(port)
