"""Errors of the service, on top of the engine's own: both sides of the wire use them."""

from dataclasses import dataclass
from typing import ClassVar

from grouper.errors import BadFileError, GrouperError


@dataclass(frozen=True, slots=True)
class Violation:
    """One field of a request that is not as it must be.

    Attributes:
        field: path of the field in the request message, for example `case.dx`.
        description: what it must be.
    """

    field: str
    description: str


class RequestError(GrouperError):
    """A malformed request (INVALID_ARGUMENT).

    Attributes:
        violations: each field at fault.
    """

    code: ClassVar[str] = "BAD_REQUEST"

    def __init__(self, *violations: Violation, hint: str = "") -> None:
        # Who reads the sentence has never seen the message; programs have the violations.
        told = "; ".join(f"{v.field.removeprefix('spec.')}: {v.description}" for v in violations)
        super().__init__(told, hint=hint)
        self.violations = violations


class NotFoundError(GrouperError):
    """The request names a thing that is not there (NOT_FOUND)."""

    code: ClassVar[str] = "NOT_FOUND"


class ConflictError(GrouperError):
    """A request_id was used before, for something else (ALREADY_EXISTS)."""

    code: ClassVar[str] = "REQUEST_ID_REUSED"


class StateError(GrouperError):
    """The thing is not in the state that the request needs (FAILED_PRECONDITION)."""

    code: ClassVar[str] = "WRONG_STATE"


class NotReadyError(GrouperError):
    """The server warms up or shuts down (UNAVAILABLE): the same call may go through later."""

    code: ClassVar[str] = "NOT_READY"


class ServiceError(GrouperError):
    """What a server answered instead of a result, as the client sees it.

    Attributes:
        status: name of the gRPC status, for example `INVALID_ARGUMENT`.
        reason: the stable word of the error, for example `BAD_REQUEST`; empty where none came.
        violations: fields of the request at fault.
    """

    code: ClassVar[str] = "SERVICE"

    def __init__(
        self,
        message: str,
        *,
        status: str,
        reason: str = "",
        violations: tuple[Violation, ...] = (),
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.reason = reason
        self.violations = violations


class ConfigError(BadFileError):
    """The server's settings contradict themselves or name things that are not there.

    Attributes:
        key: dotted name of the setting at fault; empty where none is.
    """

    code: ClassVar[str] = "BAD_CONFIG"

    def __init__(self, message: str, *, file: str = "", key: str = "", hint: str = "") -> None:
        super().__init__(message, file=file, hint=hint)
        self.key = key

    def where(self) -> str:
        """The file, and the key in it."""
        return f"{self.file}: {self.key}" if self.file and self.key else self.file or self.key


class UnknownCallerError(GrouperError):
    """The call carries no credentials, or none that the server knows (UNAUTHENTICATED)."""

    code: ClassVar[str] = "UNKNOWN_CALLER"


class ForbiddenError(GrouperError):
    """The caller's role does not allow this (PERMISSION_DENIED)."""

    code: ClassVar[str] = "FORBIDDEN"


class LimitError(GrouperError):
    """A limit of the server was reached (RESOURCE_EXHAUSTED).

    Attributes:
        retry_seconds: when the same call may go through; None where it never will.
    """

    code: ClassVar[str] = "LIMIT_REACHED"

    def __init__(self, message: str, *, hint: str = "", retry_seconds: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_seconds = retry_seconds


class IdleError(GrouperError):
    """A stream was silent for too long (DEADLINE_EXCEEDED)."""

    code: ClassVar[str] = "STREAM_IDLE"
