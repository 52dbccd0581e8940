"""How an error becomes a gRPC status with `google.rpc` details, for every method in one place."""

from typing import Any

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from cluster.errors import (
    ConflictError,
    ForbiddenError,
    IdleError,
    LimitError,
    NotFoundError,
    NotReadyError,
    RequestError,
    StateError,
    UnknownCallerError,
)
from grouper.errors import CaseTableError, GrouperError, MissingExtraError

DOMAIN = "drg-grouper"
DETAILS_KEY = "grpc-status-details-bin"
_PUSHBACK_KEY = "grpc-retry-pushback-ms"
_RETRY_SECONDS = 1.0

_CODES: tuple[tuple[type[GrouperError], grpc.StatusCode], ...] = (
    (RequestError, grpc.StatusCode.INVALID_ARGUMENT),
    (CaseTableError, grpc.StatusCode.INVALID_ARGUMENT),
    (NotFoundError, grpc.StatusCode.NOT_FOUND),
    (ConflictError, grpc.StatusCode.ALREADY_EXISTS),
    (StateError, grpc.StatusCode.FAILED_PRECONDITION),
    (NotReadyError, grpc.StatusCode.UNAVAILABLE),
    (UnknownCallerError, grpc.StatusCode.UNAUTHENTICATED),
    (ForbiddenError, grpc.StatusCode.PERMISSION_DENIED),
    (LimitError, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (IdleError, grpc.StatusCode.DEADLINE_EXCEEDED),
    (MissingExtraError, grpc.StatusCode.UNIMPLEMENTED),
    # Packs, policies, regions and outputs lie on the server: the request was well formed.
    (GrouperError, grpc.StatusCode.FAILED_PRECONDITION),
)


def status_code(error: GrouperError) -> grpc.StatusCode:
    """The status code of an error."""
    return next(code for kind, code in _CODES if isinstance(error, kind))


def rich_status(error: GrouperError) -> status_pb2.Status:
    """The error as `google.rpc.Status`: one ErrorInfo with its code, and what else applies."""
    details: list[Any] = [error_details_pb2.ErrorInfo(reason=error.code, domain=DOMAIN)]
    if error.hint:
        details[0].metadata["hint"] = error.hint
    if error.where():
        details[0].metadata["place"] = error.where()
    violations: list[tuple[str, str]] = []
    if isinstance(error, RequestError):
        violations = [(one.field, one.description) for one in error.violations]
    elif isinstance(error, CaseTableError):
        violations = [("arrow_ipc", error.message)]
    if violations:
        bad_request = error_details_pb2.BadRequest()
        for field, description in violations:
            bad_request.field_violations.add(field=field, description=description)
        details.append(bad_request)
    if (seconds := _retry_seconds(error)) is not None:
        delay = duration_pb2.Duration()
        delay.FromNanoseconds(int(seconds * 1e9))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    number: int = status_code(error).value[0]
    status = status_pb2.Status(code=number, message=error.message)
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def _retry_seconds(error: GrouperError) -> float | None:
    """When the same call may go through; None where it never will."""
    if isinstance(error, NotReadyError):
        return _RETRY_SECONDS
    return error.retry_seconds if isinstance(error, LimitError) else None


def trailing_metadata(error: GrouperError) -> tuple[tuple[str, str], ...]:
    """What makes gRPC clients that repeat calls wait for as long as RetryInfo says, or give up."""
    if not isinstance(error, LimitError | NotReadyError):
        return ()
    seconds = _retry_seconds(error)
    return ((_PUSHBACK_KEY, "-1" if seconds is None else str(int(seconds * 1000) + 1)),)
