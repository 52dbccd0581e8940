"""Who calls, in which role, and what each role may do.

A principal is known by a bearer token, of which the server holds only the SHA-256, or by the
subject of a client certificate. A method that stands in no row of `ALLOWED` is for nobody.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from cluster.errors import ForbiddenError, UnknownCallerError

_ROLE = re.compile(r"bureau|reader|hospital:[^\s:]{1,64}")


class Role(StrEnum):
    """What a principal is.

    `bureau` (医保经办机构) may do everything; `reader` reads every run; `hospital` groups cases and
    reads its own rows of a run that it was told of.
    """

    BUREAU = "bureau"
    HOSPITAL = "hospital"
    READER = "reader"


_EVERYONE = frozenset(Role)
_READS = frozenset((Role.BUREAU, Role.READER))
_CHANGES = frozenset((Role.BUREAU,))

ALLOWED: Mapping[str, frozenset[Role]] = {
    "/drg.v1.GroupingService/GroupCase": _EVERYONE,
    "/drg.v1.GroupingService/GroupBatch": _EVERYONE,
    "/drg.v1.GroupingService/ListSchemes": _EVERYONE,
    "/drg.v1.RunService/StartRun": _CHANGES,
    "/drg.v1.RunService/CancelRun": _CHANGES,
    "/drg.v1.RunService/GetRun": _READS,
    "/drg.v1.RunService/ListRuns": _READS,
    "/drg.v1.RunService/WatchRun": _READS,
    "/drg.v1.RunService/GetRunManifest": _READS,
    "/drg.v1.RunService/ReadRunTable": _EVERYONE,
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": _EVERYONE,
}
"""Roles that may call a method. A hospital gets only its own rows of `ReadRunTable`."""
OPEN = frozenset(
    ("/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch", "/grpc.health.v1.Health/List")
)
"""Methods that need no credentials: load balancers ask them."""


class PrincipalEntry(BaseModel):
    """One `[[principals]]` of the settings.

    Attributes:
        name: what logs call it.
        role: `bureau`, `reader`, or `hospital:<hospital_id>`.
        token_sha256: SHA-256 of its bearer token, 64 hexadecimal digits.
        subject: common name of its client certificate.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[\w.@-]{1,64}$")]
    role: Annotated[str, Field(pattern=f"^(?:{_ROLE.pattern})$")]
    token_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    subject: Annotated[str, Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _known_by_something(self) -> Self:
        if self.token_sha256 is None and self.subject is None:
            raise ValueError("must have token_sha256 or subject")
        return self


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls; `hospital` is set for the role of that name only."""

    name: str
    role: Role
    hospital: str = ""

    def must_be_allowed(self, method: str) -> None:
        """Raises ForbiddenError where the role does not allow the method."""
        if self.role not in ALLOWED.get(method, ()):
            called = method.rpartition("/")[2]
            raise ForbiddenError(
                f"the role {self.role.value} may not call {called}",
                hint="the service's operator gives roles",
            )


LOCAL = Principal("local", Role.BUREAU)
"""A caller on loopback of a server that names no principals: whoever works on this machine."""

CALLER: ContextVar[Principal] = ContextVar("caller", default=LOCAL)
"""Who made the call that is being answered."""


class Principals:
    """The principals of a server.

    Args:
        entries: of the settings; none means that every caller is `LOCAL`.
    """

    def __init__(self, entries: Iterable[PrincipalEntry]) -> None:
        self.replace(entries)

    def replace(self, entries: Iterable[PrincipalEntry]) -> None:
        """Puts others in their place; calls that were let in go on."""
        self._by_token: dict[str, Principal] = {}
        self._by_subject: dict[str, Principal] = {}
        for entry in entries:
            role, _, hospital = entry.role.partition(":")
            principal = Principal(entry.name, Role(role), hospital)
            if entry.token_sha256 is not None:
                self._by_token[entry.token_sha256] = principal
            if entry.subject is not None:
                self._by_subject[entry.subject] = principal
        self._open = not self._by_token and not self._by_subject

    def identify(self, context: Any) -> Principal:
        """The caller by its token, or else by its certificate.

        Raises:
            UnknownCallerError: neither is known.
        """
        if self._open:
            return LOCAL
        for key, value in context.invocation_metadata() or ():
            if key == "authorization":
                return self._by_bearer(str(value))
        if self._by_subject:
            for name in context.auth_context().get("x509_common_name", ()):
                found = self._by_subject.get(name.decode("utf-8", "replace"))
                if found is not None:
                    return found
        raise UnknownCallerError(
            "the call carries no credentials that this server knows",
            hint="send a bearer token (commands take it from GROUPER_TOKEN), or use a client"
            " certificate that the operator has listed",
        )

    def _by_bearer(self, value: str) -> Principal:
        kind, _, token = value.partition(" ")
        # Looked up by digest: how long it takes says nothing about the token.
        digest = hashlib.sha256(token.strip().encode()).hexdigest()
        found = self._by_token.get(digest) if kind.lower() == "bearer" else None
        if found is None:
            raise UnknownCallerError(
                "the bearer token is not known", hint="ask the service's operator for a new one"
            )
        return found
