"""Tasks on Ray: a local one for this machine's cores, or a cluster that already runs."""

import logging
import os
import secrets
import socket
import sys
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from grouper.errors import MissingExtraError, RunError

if TYPE_CHECKING:
    from cluster.crew import Crew

S = TypeVar("S")
I = TypeVar("I")  # noqa: E741 - S, I, R read as the signature task(shared, item)
R = TypeVar("R")

_CONNECT_SECONDS = 10.0
_OBJECT_STORE_BYTES = 256 << 20
"""Local object store. It holds compiled schemes and small arrays; cases go through files."""

_QUIET = {
    # Ray asks for consent and prints advice on the terminal unless these are set.
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # What gRPC does at a fork can hang the child, and Ray starts its processes by forking.
    "GRPC_ENABLE_FORK_SUPPORT": "0",
}
_CLOSED = {
    # A local Ray listens on loopback only (the name is history: it switches clusters off), and
    # answers only who knows the token, because other users of the machine reach loopback too.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_AUTH_MODE": "token",
}


class RayRunner:
    """Implements `grouper.execution.Runner` on Ray.

    Args:
        workers: workers to use; with an address, 1 or less means every CPU of the cluster.
        address: a running cluster (`HOST:PORT` or `auto`); None starts a local Ray that ends with
            the runner.

    Raises:
        MissingExtraError: Ray is not installed.
        RunError: the cluster cannot be reached, or a local Ray cannot be started.
    """

    def __init__(self, workers: int, address: str | None = None) -> None:
        if address is None:
            _not_too_late()
        try:
            # Ray reads its environment when it is imported, so it is prepared first.
            _set_environment(address)
            import ray

            from cluster import crew
        except ImportError as missing:
            raise MissingExtraError("cluster", "running on several workers") from missing
        self._owns_ray = not ray.is_initialized()
        if self._owns_ray:
            _connect(workers, address)
        if address is not None and workers <= 1:
            workers = int(ray.cluster_resources().get("CPU", 1))
        self._workers = max(1, workers)
        # A local Ray is started here, a running one was somewhere else.
        folder = None if address is None else os.getcwd()  # noqa: PTH109 - told as a text
        self._crew: Crew | None = crew.Crew(self._workers, folder)

    @property
    def workers(self) -> int:
        """How many tasks may run at the same time."""
        return self._workers

    @property
    def crew(self) -> "Crew":
        """The workers.

        Raises:
            RunError: the runner was closed.
        """
        if self._crew is None:
            raise RunError("this runner is closed", hint="open another one")
        return self._crew

    def map(self, task: Callable[[S, I], R], shared: S, items: Iterable[I]) -> Iterator[R]:
        """Results of `task(shared, item)` in item order; the first items are at work at once.

        Raises:
            RunError: no worker starts, or one item loses every worker that takes it.
            Exception: whatever the first failing item raised.
        """
        from cluster.crew import TaskMap

        work = TaskMap[R](self.crew, task, shared, items)
        work.begin()
        return work.results()

    def close(self) -> None:
        """Ends the workers, and the local Ray or the connection if this runner made it."""
        crew, self._crew = self._crew, None
        if crew is None:
            return
        if self._owns_ray:
            import ray

            ray.shutdown()
        else:
            crew.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _not_too_late() -> None:
    """A Ray that was imported has read its environment, and would ask nobody for a token.

    Raises:
        RunError: it was imported, neither started nor told whom to ask.
    """
    ray = sys.modules.get("ray")
    if ray is not None and "RAY_AUTH_MODE" not in os.environ and not ray.is_initialized():
        raise RunError(
            "a local Ray does not start: ray was imported before it could be closed to"
            " other users of this machine",
            hint="open the runner before `import ray`, or call ray.init() yourself",
        )


def _set_environment(address: str | None) -> None:
    local = address is None
    for name, value in {**_QUIET, **(_CLOSED if local else {})}.items():
        os.environ.setdefault(name, value)
    if local and os.environ["RAY_AUTH_MODE"] == "token":
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    elif address is not None and _asks_for_token(address):
        os.environ.setdefault("RAY_AUTH_MODE", "token")


def _asks_for_token(address: str) -> bool:
    """Whether a cluster wants a token, as one of `ray start` does unless it is told otherwise.

    Ray's clients offer none unasked, and workers of a cluster without one die of it.

    Raises:
        RunError: nobody listens there.
    """
    import grpc

    _knock(address)
    with grpc.insecure_channel(address) as channel:
        asked: Any = channel.unary_unary("/ray.rpc.NodeInfoGcsService/GetClusterId")
        try:
            asked(b"", timeout=_CONNECT_SECONDS)
        except grpc.RpcError as refused:
            return bool(refused.code() is grpc.StatusCode.UNAUTHENTICATED)
    return False


def _connect(workers: int, address: str | None) -> None:
    import ray

    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is None:
        try:
            ray.init(
                address="local",  # never a cluster of somebody else on this machine
                num_cpus=max(1, workers),
                include_dashboard=False,
                object_store_memory=_OBJECT_STORE_BYTES,
                **quiet,
            )
        except Exception as error:  # Ray raises plain ones
            told = str(error).partition("\n")[0]
            raise RunError(
                f"a local Ray does not start: {told}",
                hint="see that there is room in memory and below /tmp, and try again; one worker"
                " (--workers 1) needs no Ray",
            ) from error
        return
    try:
        ray.init(address=address, **quiet)
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise _silent(address, error) from error


def _knock(address: str) -> None:
    """Fails at once where nobody listens: Ray itself would try for minutes.

    Raises:
        RunError: nobody does.
    """
    host, colon, port = address.rpartition(":")
    if colon and not host:
        raise _silent(address, ValueError("the host is missing"))
    if not colon or "/" in host:
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_SECONDS).close()
    except (OSError, ValueError) as error:
        raise _silent(address, error) from error


def _silent(address: str, error: Exception) -> RunError:
    first_line = str(error).partition("\n")[0]
    hint = "`ray status --address HOST:PORT` must answer from here; 6379 is Ray's usual port"
    if os.environ.get("RAY_AUTH_MODE") == "token":
        hint = "the cluster's token belongs in ~/.ray/auth_token, or in the variable RAY_AUTH_TOKEN"
    return RunError(f"no Ray cluster answers at {address}: {first_line}", hint=hint)
