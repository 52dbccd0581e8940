"""The door: every call passes here once. Who calls, may they, is there room, how did it end.

The services behind it know none of this; they answer, or raise an error of the engine.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, cast

import grpc

from cluster.errors import IdleError, LimitError, NotReadyError
from cluster.server.limits import Gate
from cluster.server.logs import AuditLog, frames, say
from cluster.server.metrics import Metrics
from cluster.server.principals import CALLER, OPEN, Principal, Principals
from cluster.server.status import DETAILS_KEY, rich_status, status_code, trailing_metadata
from cluster.tracing import TRACEPARENT, Tracing
from grouper.counted import counted
from grouper.errors import GrouperError

_OWN = "/drg.v1."
_AUDITED = "/drg.v1.RunService/"
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Call:
    """What is known of a call while it lasts."""

    method: str
    started: float
    principal: Principal | None = None
    run_id: str = ""
    detail: str = ""
    code: str = "OK"
    ended: bool = False

    def asks(self, request: Any) -> None:
        """Notes what the request is about, for the audit log."""
        self.run_id = getattr(request, "run_id", "")
        self.detail = getattr(request, "table", "") or getattr(request, "request_id", "")

    def answers(self, response: Any) -> None:
        """Notes the run that a start made."""
        if not self.run_id and (run := getattr(response, "run", None)) is not None:
            self.run_id = run.run_id


class Door:
    """Identifies callers, holds roles and limits, and turns errors into statuses.

    Args:
        ready: whether the server is warm and not stopping.
        principals: who may call.
        gate: what they may take.
        metrics, tracing, audit: where calls are noted.
    """

    def __init__(
        self,
        ready: Callable[[], bool],
        principals: Principals,
        gate: Gate,
        metrics: Metrics,
        tracing: Tracing,
        audit: AuditLog,
    ) -> None:
        self._ready = ready
        self._principals = principals
        self._gate = gate
        self._metrics = metrics
        self._tracing = tracing
        self._audit = audit
        self._wrapped: dict[str, Any] = {}
        # One thread keeps the lines in order, and the disk off the loop.
        self._scribe = ThreadPoolExecutor(1, thread_name_prefix="audit")

    def close(self) -> None:
        """Ends when every audit line is on disk."""
        self._scribe.shutdown()

    def before(self, server: grpc.aio.Server) -> grpc.aio.Server:
        """What services are added to in place of the server, so that their calls pass here.

        An interceptor would do the same, for a part of the time of every call.
        """
        return cast("grpc.aio.Server", _Doorway(self, server))

    def guard(self, method: str, handler: Any) -> Any:
        """A method's handler as it is called from outside; health's stays open."""
        if handler is None or method in OPEN:
            return handler
        if (wrapped := self._wrapped.get(method)) is not None:
            return wrapped
        if handler.response_streaming:
            make = (
                grpc.stream_stream_rpc_method_handler
                if handler.request_streaming
                else grpc.unary_stream_rpc_method_handler
            )
            inner = handler.stream_stream or handler.unary_stream
            behavior = self._streaming(method, inner, takes_stream=handler.request_streaming)
        else:
            make = grpc.unary_unary_rpc_method_handler
            behavior = self._unary(method, handler.unary_unary)
        wrapped = make(behavior, handler.request_deserializer, handler.response_serializer)
        self._wrapped[method] = wrapped
        return wrapped

    def _admit(self, call: _Call, context: Any) -> None:
        call.principal = self._principals.identify(context)
        CALLER.set(call.principal)
        call.principal.must_be_allowed(call.method)
        if call.method.startswith(_OWN) and not self._ready():
            raise NotReadyError("the server is not ready", hint="try again in a moment")
        self._gate.take_call(call.principal)

    def _span(self, call: _Call, context: Any) -> Any:
        if not self._tracing.on:
            return nullcontext()
        metadata = context.invocation_metadata() or ()
        parent = next((str(value) for key, value in metadata if key == TRACEPARENT), "")
        return self._tracing.span(call.method.lstrip("/"), parent)

    def _unary(self, method: str, inner: Callable[[Any, Any], Awaitable[Any]]) -> Any:
        audited = method.startswith(_AUDITED)

        async def answer(request: Any, context: Any) -> Any:
            call = _Call(method, time.perf_counter())
            if audited:
                call.asks(request)
            try:
                self._admit(call, context)
                with self._span(call, context):
                    response = await inner(request, context)
                if audited:
                    call.answers(response)
                return response
            except BaseException as error:
                await self._fail(call, context, error)
                raise
            finally:
                await self._end(call)

        return answer

    def _streaming(
        self, method: str, inner: Callable[[Any, Any], AsyncIterator[Any]], *, takes_stream: bool
    ) -> Any:
        series = self._metrics.of(method)

        async def answer(request: Any, context: Any) -> AsyncIterator[Any]:
            call = _Call(method, time.perf_counter())
            if takes_stream:
                request = self._received(request, series)
            else:
                call.asks(request)
            series.open_streams.inc()
            try:
                self._admit(call, context)
                assert call.principal is not None
                with self._gate.stream(call.principal), self._span(call, context):
                    async for message in inner(request, context):
                        series.sent.inc()
                        yield message
            except GeneratorExit:
                call.code = "CANCELLED"
                raise
            except BaseException as error:
                await self._fail(call, context, error)
                raise
            finally:
                series.open_streams.dec()
                await self._end(call)

        return answer

    async def _received(self, requests: AsyncIterator[Any], series: Any) -> AsyncIterator[Any]:
        """The caller's messages: not too many, and not too slowly."""
        limits = self._gate.limits
        number = 0
        messages = aiter(requests)
        while True:
            try:
                async with asyncio.timeout(limits.idle_seconds):
                    message = await anext(messages)
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise IdleError(
                    f"no message came for {limits.idle_seconds:g} s",
                    hint="close a stream when its last message is sent",
                ) from None
            number += 1
            if number > limits.stream_messages:
                raise LimitError(
                    f"a stream has at most {counted(limits.stream_messages, 'message')}",
                    hint="send the rest in another stream",
                )
            series.received.inc()
            yield message

    async def _fail(self, call: _Call, context: Any, error: BaseException) -> None:
        """Ends the call with the status of an error; returns where gRPC itself ends it."""
        if isinstance(error, asyncio.CancelledError):
            call.code = "CANCELLED"
            return
        if isinstance(error, grpc.aio.AbortError):
            call.code = getattr(context.code(), "name", "UNKNOWN")
            return
        if isinstance(error, GrouperError):
            code = status_code(error)
            call.code = code.name
            await self._end(call)
            details = ((DETAILS_KEY, rich_status(error).SerializeToString()),)
            await context.abort(code, error.message, details + trailing_metadata(error))
        call.code = grpc.StatusCode.INTERNAL.name
        await self._end(call)
        say(
            *(_log, logging.ERROR, "unforeseen error"),
            method=call.method,
            error=type(error).__name__,
            frames=frames(error),
        )
        await context.abort(
            grpc.StatusCode.INTERNAL, "unforeseen error; the server's log has the place"
        )

    async def _end(self, call: _Call) -> None:
        """Notes how the call ended, once, and before its caller hears of it."""
        if call.ended:
            return
        call.ended = True
        seconds = time.perf_counter() - call.started
        self._metrics.ended(call.method, call.code, seconds)
        level = logging.DEBUG if call.code == "OK" else logging.INFO
        if _log.isEnabledFor(level):
            say(
                *(_log, level, "call"),
                method=call.method,
                code=call.code,
                principal=call.principal.name if call.principal else "",
                milliseconds=round(seconds * 1000, 3),
            )
        if call.method.startswith(_AUDITED):
            name = call.method.removeprefix(_AUDITED)
            note = self._scribe.submit(
                self._audit.note, call.principal, name, call.run_id, call.detail, call.code
            )
            # A caller that went away is noted as well; nobody waits for that line.
            if call.code != "CANCELLED":
                await asyncio.wrap_future(note)


class _Doorway:
    """The part of a server that services are added to."""

    def __init__(self, door: Door, server: grpc.aio.Server) -> None:
        self._door, self._server = door, server

    def add_generic_rpc_handlers(self, handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        """Adds the handlers of a service, behind the door."""
        behind = tuple(_Behind(self._door, handler) for handler in handlers)
        self._server.add_generic_rpc_handlers(behind)

    def add_registered_method_handlers(self, service: str, handlers: dict[str, Any]) -> None:
        """Adds nothing: a server of this kind finds methods by their generic handlers."""


class _Behind(grpc.GenericRpcHandler):
    """The handlers of a service, each guarded."""

    def __init__(self, door: Door, handlers: grpc.GenericRpcHandler) -> None:
        self._door, self._handlers = door, handlers

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """The handler of a method; None where it is another service's."""
        found = self._handlers.service(handler_call_details)
        return self._door.guard(handler_call_details.method, found)
