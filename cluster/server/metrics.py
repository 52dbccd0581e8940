"""What Prometheus reads: calls, streams, cases, and the runs at work. No label names a person."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from cluster.errors import ConfigError
from cluster.server.config import parse_listen

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600)
_STATUSES = ("grouped", "ambiguous", "ungrouped", "invalid")


@dataclass(slots=True)
class _Method:
    """The series of one method, found once."""

    seconds: Any
    open_streams: Any
    received: Any
    sent: Any
    requests: dict[str, Any] = field(default_factory=dict)


class Metrics:
    """The series of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "drg_requests",
            "Calls by method and status.",
            ("method", "code"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "drg_request_seconds",
            "Time from the start of a call to its end.",
            ("method",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._streams = Gauge(
            "drg_streams", "Streams that are open.", ("method",), registry=self.registry
        )
        self._messages = Counter(
            "drg_stream_messages",
            "Messages of streams.",
            ("method", "direction"),
            registry=self.registry,
        )
        self._cases = Counter(
            "drg_cases", "Cases by scheme and status.", ("scheme", "status"), registry=self.registry
        )
        self._unknown = Counter(
            "drg_unknown_codes",
            "Codes that the scheme does not know.",
            ("scheme", "list"),
            registry=self.registry,
        )
        self._runs = Gauge(
            "drg_runs", "Runs of the register by state.", ("state",), registry=self.registry
        )
        self._parts = Gauge(
            "drg_run_parts", "Parts of the run at work.", ("stage", "is"), registry=self.registry
        )
        self._stage_seconds = Counter(
            "drg_run_stage_seconds",
            "Time that runs spent in a stage.",
            ("stage",),
            registry=self.registry,
        )
        self._methods: dict[str, _Method] = {}

    def of(self, method: str) -> _Method:
        """The series of a method."""
        found = self._methods.get(method)
        if found is None:
            found = self._methods[method] = _Method(
                self._seconds.labels(method),
                self._streams.labels(method),
                self._messages.labels(method, "received"),
                self._messages.labels(method, "sent"),
            )
        return found

    def ended(self, method: str, code: str, seconds: float) -> None:
        """Counts a call that ended."""
        found = self.of(method)
        if code not in found.requests:
            found.requests[code] = self._requests.labels(method, code)
        found.requests[code].inc()
        found.seconds.observe(seconds)

    def grouped(self, scheme: str, counts: Mapping[str, int]) -> None:
        """Counts cases; `counts` is by status, `unknown_dx` and `unknown_px` among them."""
        for status in _STATUSES:
            if number := counts.get(status):
                self._cases.labels(scheme, status).inc(number)
        for name in ("dx", "px"):
            if number := counts.get(f"unknown_{name}"):
                self._unknown.labels(scheme, name).inc(number)

    def runs(self, by_state: Mapping[str, int]) -> None:
        """Notes how many runs are in each state."""
        for state, number in by_state.items():
            self._runs.labels(state).set(number)

    def stage(self, stage: str, done: int, total: int) -> None:
        """Notes how far the run at work got; an empty stage where none is."""
        self._parts.clear()
        if stage:
            self._parts.labels(stage, "done").set(done)
            self._parts.labels(stage, "total").set(total)

    def spent(self, stage: str, seconds: float) -> None:
        """Counts time spent in a stage."""
        self._stage_seconds.labels(stage).inc(max(0.0, seconds))

    def serve(self, listen: str) -> WSGIServer:
        """Answers scrapes at `HOST:PORT` from a thread of its own.

        Raises:
            ConfigError: the address is taken.
        """
        host, port = parse_listen(listen)
        try:
            server, _ = start_http_server(port, host, registry=self.registry)
        except OSError as error:
            raise ConfigError(
                f"cannot listen on {listen}: {error.strerror}",
                key="metrics",
                hint="name another port",
            ) from None
        return server
