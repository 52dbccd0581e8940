"""Runs the register's runs, each in a process of its own, and tells who watches.

A run's driver works long in Python; beside the server's loop it would make every other call wait.
The child reports on its standard output, one JSON object a line, and ends when its standard input
does, so that no run outlives a server that was killed.
"""

import asyncio
import contextlib
import dataclasses
import functools
import json
import logging
import sys
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from cluster.server.config import ServerConfig
from cluster.server.logs import frames, say
from cluster.server.metrics import Metrics
from cluster.server.register import Record, Register, State

T = TypeVar("T")

_log = logging.getLogger(__name__)

_MAX_ATTEMPTS = 3
_END_SECONDS = 20.0
"""How long a child may take to end when asked; what it has not finished is done again later."""


class Supervisor:
    """Owns the register on behalf of the event loop and works its queue, one run at a time."""

    def __init__(self, config: ServerConfig, register: Register, metrics: Metrics) -> None:
        self._config = config
        self._metrics = metrics
        self._register = register
        # One thread: the register's transactions are short, and SQLite has one writer.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="register")
        self._changed = asyncio.Condition()
        self._versions: dict[str, int] = {}
        self._wake = asyncio.Event()
        self._stopping = False
        self._child: tuple[str, asyncio.subprocess.Process] | None = None
        self._task: asyncio.Task[None] | None = None

    async def call(self, method: Callable[..., T], *args: object, **named: object) -> T:
        """Calls a method of the register off the loop."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, functools.partial(method, *args, **named))

    async def start(self) -> None:
        """Takes up the queue, first what was interrupted when the server was lost."""
        await self.call(self._register.requeue_interrupted)
        await self._count()
        self._task = asyncio.create_task(self._work())

    async def stop(self) -> None:
        """Interrupts the run at work; it goes on when a server starts again."""
        self._stopping = True
        self._wake.set()
        async with self._changed:
            self._changed.notify_all()
        if self._child is not None:
            await _end(self._child[1])
        if self._task is not None:
            await self._task

    def close(self) -> None:
        """Ends the register's thread, when no call is left that could need it."""
        self._thread.shutdown()

    async def wake(self) -> None:
        """Says that the queue has a new run."""
        await self._count()
        self._wake.set()

    async def _count(self) -> None:
        self._metrics.runs(await self.call(self._register.counts))

    async def cancel(self, run_id: str) -> Record:
        """Asks a run to end. Raises NotFoundError."""
        record = await self.call(self._register.cancel, run_id)
        await self._tell(run_id)
        if record.state is State.RUNNING and self._child is not None and self._child[0] == run_id:
            await _end(self._child[1])
        return record

    async def watch(self, run_id: str) -> AsyncIterator[Record]:
        """The run now and after each change, until it ended or the server stops.

        A slow watcher gets the latest state, not every state. Raises NotFoundError.
        """
        while True:
            seen = self._versions.get(run_id, 0)
            record = await self.call(self._register.get, run_id)
            yield record
            if record.state.ended:
                return
            async with self._changed:
                while self._versions.get(run_id, 0) == seen and not self._stopping:
                    await self._changed.wait()
            if self._stopping:
                return

    async def _tell(self, run_id: str) -> None:
        await self._count()
        async with self._changed:
            self._versions[run_id] = self._versions.get(run_id, 0) + 1
            self._changed.notify_all()

    async def _work(self) -> None:
        while not self._stopping:
            self._wake.clear()
            record = await self.call(self._register.next_queued)
            if record is None:
                await self._wake.wait()
                continue
            try:
                await self._run(record)
            except Exception as error:  # noqa: BLE001 - the queue must go on
                say(
                    *(_log, logging.ERROR, "unforeseen error of a run"),
                    run_id=record.run_id,
                    error=type(error).__name__,
                    frames=frames(error),
                )
                failure = ("INTERNAL", "unforeseen error of the server", "see the server's log")
                await self.call(self._register.end, record.run_id, State.FAILED, failure)
            await self._tell(record.run_id)

    async def _run(self, record: Record) -> None:
        run_id = record.run_id
        if not await self.call(self._register.begin, run_id):
            return  # it was cancelled while it waited
        logs = self._config.state / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        with (logs / f"{run_id}.log").open("ab") as log:
            child = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "cluster.server.job"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the server, which then ends the child
            )
        self._child = (run_id, child)
        say(_log, logging.INFO, "run started", run_id=run_id, attempt=record.attempts + 1)
        await self._tell(run_id)
        last: dict[str, Any] = {}
        stage, since = "", time.monotonic()
        try:
            assert child.stdin is not None
            assert child.stdout is not None
            if self._stopping or (await self.call(self._register.get, run_id)).cancel_requested:
                await _end(child)  # asked for while there was no child to ask
            child.stdin.write(json.dumps(self._order(record)).encode() + b"\n")
            async for line in child.stdout:
                last = json.loads(line)
                if last["event"] == "progress":
                    if last["stage"] != stage:
                        self._metrics.spent(stage or "start", time.monotonic() - since)
                        stage, since = last["stage"], time.monotonic()
                    self._metrics.stage(stage, last["parts_done"], last["parts_total"])
                    await self.call(self._register.progress, run_id, **_without_event(last))
                    await self._tell(run_id)
            await child.wait()
        finally:
            await _end(child)
            self._child = None
            self._metrics.spent(stage or "start", time.monotonic() - since)
            self._metrics.stage("", 0, 0)
        await self._settle(run_id, last)
        ended = await self.call(self._register.get, run_id)
        say(_log, logging.INFO, "run ended", run_id=run_id, state=ended.state.value)

    def _order(self, record: Record) -> dict[str, Any]:
        return {
            **dataclasses.asdict(record.spec),
            "workers": self._config.workers,
            "ray": self._config.ray,
            "run_id": record.run_id,
            "work": str(self._config.state / "transfers" / record.run_id),
            "traces": self._config.traces,
            "traceparent": record.traceparent,
        }

    async def _settle(self, run_id: str, last: dict[str, Any]) -> None:
        """Notes how the child ended: well, with an error, on request, or lost."""
        record = await self.call(self._register.get, run_id)
        if last.get("event") == "succeeded":
            await self.call(self._register.end, run_id, State.SUCCEEDED)
        elif last.get("event") == "failed":
            failure = (last["reason"], last["message"], last["hint"])
            await self.call(self._register.end, run_id, State.FAILED, failure)
        elif record.cancel_requested:
            await self.call(self._register.end, run_id, State.CANCELLED)
        elif self._stopping or record.attempts < _MAX_ATTEMPTS:
            await self.call(self._register.requeue, run_id)
        else:
            failure = (
                "PROCESS_LOST",
                f"the process of the run was lost {record.attempts} times",
                f"see {run_id}.log among the server's logs; a lack of memory is the usual cause",
            )
            await self.call(self._register.end, run_id, State.FAILED, failure)


def _without_event(message: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in message.items() if key != "event"}


async def _end(child: asyncio.subprocess.Process) -> None:
    """Asks the child to end, and ends it where it does not."""
    for ask in (child.terminate, child.kill):
        if child.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            ask()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(child.wait(), _END_SECONDS)
