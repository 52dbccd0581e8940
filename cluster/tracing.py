"""Traces from a request to the tasks of its run, by OpenTelemetry.

A task is timed where it runs, and its span is written by the run's driver: so workers need no
exporter and no address.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO, TypeVar

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from grouper.execution import Runner

S = TypeVar("S")
I = TypeVar("I")  # noqa: E741 - S, I, R read as the signature task(shared, item)
R = TypeVar("R")

TRACEPARENT = "traceparent"
_PROPAGATOR = TraceContextTextMapPropagator()
_FILE = "file:"


class _FileExporter(SpanExporter):
    """A JSON object a line and span; several processes may append to the same file."""

    def __init__(self, path: Path) -> None:
        self._file: TextIO = path.open("a", encoding="utf-8")

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self._file.write("".join(span.to_json(indent=None) + "\n" for span in spans))
        self._file.flush()
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        self._file.close()


class Tracing:
    """Makes spans, or nothing where no target is set.

    Args:
        target: an OTLP address over HTTP, `file:PATH`, or empty.
        service: name of this process in the traces.
    """

    def __init__(self, target: str, service: str) -> None:
        self.target = target
        self._provider: TracerProvider | None = None
        if not target:
            self._tracer: trace.Tracer = trace.NoOpTracer()
            return
        self._provider = TracerProvider(resource=Resource({"service.name": service}))
        if target.startswith(_FILE):
            file = _FileExporter(Path(target.removeprefix(_FILE)))
            self._provider.add_span_processor(SimpleSpanProcessor(file))
        else:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

            exporter = OTLPSpanExporter(endpoint=target.rstrip("/") + "/v1/traces")
            self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("drg-grouper")

    @property
    def on(self) -> bool:
        """Whether spans go anywhere."""
        return self._provider is not None

    def span(
        self, name: str, parent: str = "", **attributes: str | int
    ) -> AbstractContextManager[trace.Span]:
        """A span around what the context does.

        Args:
            name: what is done.
            parent: `traceparent` of the caller; empty for the span that is current here.
            attributes: values beside it.
        """
        context = _PROPAGATOR.extract({TRACEPARENT: parent}) if parent else None
        # The text of an error may quote a case, so only its status is told.
        return self._tracer.start_as_current_span(
            name,
            context=context,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        )

    def done(self, name: str, start: int, end: int, attributes: Mapping[str, str | int]) -> None:
        """A span of the past; `start` and `end` are nanoseconds since 1970."""
        self._tracer.start_span(name, start_time=start, attributes=attributes).end(end)

    def close(self) -> None:
        """Sends what was not sent yet."""
        if self._provider is not None:
            self._provider.shutdown()


def current_parent() -> str:
    """`traceparent` of the span that is current here, for another process; empty without one."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    return carrier.get(TRACEPARENT, "")


@dataclass(frozen=True, slots=True)
class _Timed:
    result: Any
    start: int
    end: int
    pid: int


def _timed(shared: tuple[Callable[[Any, Any], Any], Any], item: Any) -> _Timed:
    task, inner = shared
    start = time.time_ns()
    result = task(inner, item)
    return _Timed(result, start, time.time_ns(), os.getpid())


class TracedRunner:
    """A runner whose tasks become spans below the one that is current."""

    def __init__(self, runner: Runner, tracing: Tracing) -> None:
        self._runner = runner
        self._tracing = tracing

    @property
    def workers(self) -> int:
        """How many tasks may run at the same time."""
        return self._runner.workers

    def map(self, task: Callable[[S, I], R], shared: S, items: Iterable[I]) -> Iterator[R]:
        """Results of `task(shared, item)` in item order."""
        name = getattr(task, "__name__", "task").strip("_")
        for number, timed in enumerate(self._runner.map(_timed, (task, shared), items)):
            attributes = {"item": number, "pid": timed.pid}
            self._tracing.done(f"task {name}", timed.start, timed.end, attributes)
            yield timed.result

    def close(self) -> None:
        """Closes the runner."""
        self._runner.close()
