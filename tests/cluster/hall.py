"""A server behind TLS with callers in every role, and how to get in."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from cluster.channel import Credentials
from cluster.client import Client
from cluster.server.app import FrontEnd
from cluster.server.principals import PrincipalEntry

ROLES = ("bureau", "hospital:H1", "hospital:H2", "reader")
NAMES = {"region": "region", "scheme": "chs-core", "policy": "guigang-points"}


def token_of(role: str) -> str:
    return f"secret of {role}"


def entry(role: str) -> PrincipalEntry:
    digest = hashlib.sha256(token_of(role).encode()).hexdigest()
    return PrincipalEntry(name=role.replace(":", "-"), role=role, token_sha256=digest)


@dataclass(frozen=True)
class Hall:
    """A server behind TLS, with its run, and how to get in."""

    front: FrontEnd
    root: Path
    data: Path
    state: Path
    run_id: str

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.front.port}"

    def client(self, role: str) -> Client:
        known = Credentials(ca=self.root, token=token_of(role) if role else "")
        return Client(self.address, credentials=known)


def cases(rows: int = 3) -> pa.Table:
    return pa.table({"case_id": [str(n) for n in range(rows)], "dx": [["K35.900"]] * rows})


def known_by(role: str) -> tuple[tuple[str, str], ...]:
    """The metadata of a call with the token of a role."""
    return (("authorization", f"Bearer {token_of(role)}"),)
