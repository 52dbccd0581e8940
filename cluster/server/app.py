"""The server's life: listen, warm up, serve, and at the end say so, drain, and stop."""

import asyncio
import contextlib
import errno
import gc
import logging
import os
import signal
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self
from wsgiref.simple_server import WSGIServer

import grpc
import pyarrow as pa
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from grpc_reflection.v1alpha.reflection_pb2_grpc import add_ServerReflectionServicer_to_server

from cluster.drg.v1 import grouping_service_pb2, run_service_pb2
from cluster.drg.v1 import grouping_service_pb2_grpc as grouping_grpc
from cluster.drg.v1 import run_service_pb2_grpc as run_grpc
from cluster.errors import ConfigError, StateError
from cluster.server.config import ServerConfig
from cluster.server.door import Door
from cluster.server.grouping import GroupingService, SchemeShelf
from cluster.server.limits import Gate
from cluster.server.logs import AuditLog, say
from cluster.server.metrics import Metrics
from cluster.server.principals import Principals
from cluster.server.register import Register
from cluster.server.runs import RunService
from cluster.server.supervisor import Supervisor
from cluster.server.tls import server_credentials
from cluster.tracing import Tracing
from grouper.grouping import group_batch
from grouper.scheme import load_scheme

GROUPING = grouping_service_pb2.DESCRIPTOR.services_by_name["GroupingService"].full_name
RUNS = run_service_pb2.DESCRIPTOR.services_by_name["RunService"].full_name
_NAMES = ("", GROUPING, RUNS)
_KEEPALIVE_MS = 60_000
_WATCH_SECONDS = 2.0
"""How often the principals file is looked at; SIGHUP has it read at once."""

_log = logging.getLogger(__name__)


class FrontEnd:
    """One server. Used as an async context manager: entered, it is warm and serves.

    Raises:
        StateError: the address is taken, or another server owns the register.
        PackError: a scheme cannot be loaded.
    """

    def __init__(self, config: ServerConfig) -> None:
        self._config = config
        self._ready = False
        self._health = health.aio.HealthServicer()
        self._executor = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="cases")
        self._shelf = SchemeShelf(())
        self._register = Register(config.state)
        self.metrics = Metrics()
        self._tracing = Tracing(config.traces, "drg-grouper server")
        self._supervisor = Supervisor(config, self._register, self.metrics)
        self._principals = Principals(config.callers())
        self._watch: asyncio.Task[None] | None = None
        self._door = Door(
            *(lambda: self._ready, self._principals, Gate(config.limits)),
            *(self.metrics, self._tracing, AuditLog(config.state)),
        )
        self._server = grpc.aio.server(
            options=(
                # Two servers on one port would share its calls at random.
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", config.limits.message_bytes),
                ("grpc.max_concurrent_streams", config.limits.streams),
                # Callers that vanished without a word are found out, and their streams end.
                ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
                ("grpc.keepalive_timeout_ms", _KEEPALIVE_MS // 3),
            ),
        )
        self._scrapes: WSGIServer | None = None
        self.port = 0

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stop(grace=0)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stop(self._config.grace_seconds)

    async def _start(self) -> None:
        server = self._server
        config = self._config
        grouping = GroupingService(
            self._shelf, self._executor, self.metrics, self._tracing, config.limits.arrow_bytes
        )
        runs = RunService(
            config.data,
            config.state,
            self._shelf,
            self._register,
            self._supervisor,
            self._executor,
            config.buckets,
        )
        inside = self._door.before(server)
        grouping_grpc.add_GroupingServiceServicer_to_server(grouping, inside)
        run_grpc.add_RunServiceServicer_to_server(runs, inside)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, inside)
        names = (GROUPING, RUNS, health.SERVICE_NAME, reflection.SERVICE_NAME)
        answers = reflection.aio.ReflectionServicer(names)
        add_ServerReflectionServicer_to_server(answers, inside)  # type: ignore[no-untyped-call]
        await self._set_health(health_pb2.HealthCheckResponse.NOT_SERVING)
        _see_free(self._config)
        try:
            tls = self._config.tls
            if tls is None:
                self.port = server.add_insecure_port(self._config.listen)
            else:
                self.port = server.add_secure_port(self._config.listen, server_credentials(tls))
        except RuntimeError as error:
            raise StateError(
                f"cannot listen on {self._config.listen}", hint="is another server there?"
            ) from error
        if self._config.metrics:
            self._scrapes = self.metrics.serve(self._config.metrics)
        await server.start()
        await asyncio.to_thread(self._warm_up)
        await self._supervisor.start()
        self._ready = True
        if self._config.principals_file is not None:
            self._watch = asyncio.create_task(self._watch_callers(self._config.principals_file))
        await self._set_health(health_pb2.HealthCheckResponse.SERVING)
        say(_log, logging.INFO, "serving", port=self.port, encrypted=self._config.tls is not None)

    async def _watch_callers(self, file: Path) -> None:
        """Takes up the principals file when it changes, without a restart."""
        seen = _state_of(file)
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            if (now := _state_of(file)) != seen:
                seen = now
                self.reload()

    def reload(self) -> None:
        """Reads again who may call; where the file is faulty, those who could call still can."""
        try:
            entries = self._config.callers()
            if not entries:  # which would let everybody in
                raise ConfigError("nobody could call", key="principals")
        except ConfigError as error:
            fault = {"file": error.file, "key": error.key, "fault": error.message}
            say(_log, logging.ERROR, "principals not taken up", **fault)
            return
        self._principals.replace(entries)
        say(_log, logging.INFO, "principals taken up", principals=len(entries))

    def _warm_up(self) -> None:
        """Loads every scheme and groups one case by it, so that no caller waits for a compiler."""
        case = pa.record_batch({"case_id": ["0"], "dx": [["I10.x00"]]})
        for name in self._config.schemes:
            scheme = load_scheme(name)
            group_batch(case, scheme)
            self._shelf.add(scheme)

    async def _set_health(self, status: int) -> None:
        for name in _NAMES:
            await self._health.set(name, status)

    async def _stop(self, grace: float) -> None:
        """NOT_SERVING first, so that no new caller comes; then the drain; then the end."""
        await self._health.enter_graceful_shutdown()
        if self._ready:
            say(_log, logging.INFO, "stopping")
        self._ready = False
        if self._watch is not None:
            self._watch.cancel()
        # Watchers wait for runs, not for the server: they are sent away while calls drain.
        await asyncio.gather(self._supervisor.stop(), self._server.stop(grace))
        self._supervisor.close()
        self._executor.shutdown()
        self._door.close()
        self._register.close()
        await asyncio.to_thread(self._close_watchers)

    def _close_watchers(self) -> None:
        if self._scrapes is not None:
            self._scrapes.shutdown()
            self._scrapes.server_close()
        self._tracing.close()


def _see_free(config: ServerConfig) -> None:
    """Tries the address first: gRPC would write lines of its own before it says that it cannot.

    Raises:
        StateError: nobody can listen there, or somebody does.
    """
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    try:
        socket.create_server((config.host, config.port), family=family).close()
    except OSError as error:
        why = str(error.strerror).partition(" (while")[0]
        hint = "name an address of this machine"
        if error.errno == errno.EADDRINUSE:
            hint = "is another server there?"
        raise StateError(f"cannot listen on {config.listen}: {why}", hint=hint) from error


def _state_of(file: Path) -> tuple[int, ...]:
    """What changes when a file does; empty where it is not there."""
    try:
        told = file.stat()
    except OSError:
        return ()
    return told.st_mtime_ns, told.st_size, told.st_ino


async def serve(config: ServerConfig, started: Callable[[int], None]) -> None:
    """Serves until SIGTERM or SIGINT.

    Args:
        config: the settings.
        started: called with the port once the server is warm.
    """
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stopped.set)
    async with FrontEnd(config) as front:
        # The schemes stay to the end; they are not looked through for garbage on and on.
        gc.collect()
        gc.freeze()
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(signal.SIGHUP, front.reload)
        started(front.port)
        await stopped.wait()
