"""How an error becomes a gRPC status with `google.rpc` details, for every method in one place."""

import logging
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NoReturn

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from cluster.errors import (
    ConflictError,
    NotFoundError,
    NotReadyError,
    RequestError,
    StateError,
)
from grouper.errors import CaseTableError, GrouperError, MissingExtraError

DOMAIN = "drg-grouper"
DETAILS_KEY = "grpc-status-details-bin"
_SERVICES = "/drg.v1."
_RETRY_SECONDS = 1

_log = logging.getLogger(__name__)

_CODES: tuple[tuple[type[GrouperError], grpc.StatusCode], ...] = (
    (RequestError, grpc.StatusCode.INVALID_ARGUMENT),
    (CaseTableError, grpc.StatusCode.INVALID_ARGUMENT),
    (NotFoundError, grpc.StatusCode.NOT_FOUND),
    (ConflictError, grpc.StatusCode.ALREADY_EXISTS),
    (StateError, grpc.StatusCode.FAILED_PRECONDITION),
    (NotReadyError, grpc.StatusCode.UNAVAILABLE),
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
    if isinstance(error, NotReadyError):
        delay = duration_pb2.Duration(seconds=_RETRY_SECONDS)
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    number: int = status_code(error).value[0]
    status = status_pb2.Status(code=number, message=error.message)
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status


async def _abort(context: Any, error: Exception) -> NoReturn:
    if isinstance(error, GrouperError):
        metadata = ((DETAILS_KEY, rich_status(error).SerializeToString()),)
        await context.abort(status_code(error), error.message, metadata)
    # Frames only: the text of an unforeseen error may quote a case.
    _log.error(
        "unforeseen %s\n%s", type(error).__name__, "".join(traceback.format_tb(error.__traceback__))
    )
    await context.abort(
        grpc.StatusCode.INTERNAL, "unforeseen error; the server's log has the place"
    )
    raise AssertionError("abort does not return")


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Maps errors of the engine to statuses, and refuses calls while the server is not ready."""

    def __init__(self, ready: Callable[[], bool]) -> None:
        self._ready = ready

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Wraps the methods of our own services."""
        handler = await continuation(handler_call_details)
        if handler is None or not handler_call_details.method.startswith(_SERVICES):
            return handler
        if handler.response_streaming:
            make = (
                grpc.stream_stream_rpc_method_handler
                if handler.request_streaming
                else grpc.unary_stream_rpc_method_handler
            )
            behavior = self._streaming(handler.stream_stream or handler.unary_stream)
        else:
            make = grpc.unary_unary_rpc_method_handler
            behavior = self._unary(handler.unary_unary)
        return make(behavior, handler.request_deserializer, handler.response_serializer)

    def _check_ready(self) -> None:
        if not self._ready():
            raise NotReadyError("the server is not ready", hint="try again in a moment")

    def _unary(self, method: Callable[[Any, Any], Awaitable[Any]]) -> Any:
        async def answer(request: Any, context: Any) -> Any:
            try:
                self._check_ready()
                return await method(request, context)
            except grpc.aio.AbortError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets a status
                await _abort(context, error)

        return answer

    def _streaming(self, method: Callable[[Any, Any], AsyncIterator[Any]]) -> Any:
        async def answer(request: Any, context: Any) -> AsyncIterator[Any]:
            try:
                self._check_ready()
                async for message in method(request, context):
                    yield message
            except grpc.aio.AbortError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets a status
                await _abort(context, error)

        return answer
