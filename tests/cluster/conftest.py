"""A real server on a real socket, in a thread of its own."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from cluster.client import Client
from cluster.drg.v1 import run_service_pb2
from cluster.server.app import FrontEnd
from cluster.server.config import ServerConfig, TlsFiles
from tests.cluster.certificates import Authority, Pair
from tests.cluster.hall import NAMES, ROLES, Hall, entry
from tests.cluster.region import make_region

Serving = Callable[[ServerConfig], AbstractContextManager[FrontEnd]]


@contextmanager
def serving(config: ServerConfig) -> Iterator[FrontEnd]:
    """A warm server for as long as the context lasts."""
    warm = threading.Event()
    told: list[FrontEnd] = []
    failed: list[BaseException] = []
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def live() -> None:
        async with FrontEnd(config) as front:
            told.append(front)
            warm.set()
            await stop.wait()

    def run() -> None:
        try:
            loop.run_until_complete(live())
        except BaseException as error:  # noqa: BLE001 - it is raised in the test's thread
            failed.append(error)
        finally:
            loop.close()
            warm.set()

    thread = threading.Thread(target=run, name="server")
    thread.start()
    warm.wait()
    try:
        if told:
            yield told[0]
    finally:
        if told and not failed:
            loop.call_soon_threadsafe(stop.set)
        thread.join()
        if failed:
            raise failed[0]


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of the session's server."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="session")
def front(data_folder: Path) -> Iterator[FrontEnd]:
    """The session's server; it holds chs-core."""
    config = ServerConfig(
        host="127.0.0.1",
        port=0,
        data=data_folder,
        state=data_folder / ".grouper",
        grace_seconds=1.0,
    )
    with serving(config) as running:
        yield running


@pytest.fixture
def address(front: FrontEnd) -> str:
    """Where the session's server listens."""
    return f"127.0.0.1:{front.port}"


@pytest.fixture
def client(address: str) -> Iterator[Client]:
    """A client of the session's server."""
    with Client(address) as connected:
        yield connected


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"), "root")


@pytest.fixture(scope="session")
def pair(authority: Authority) -> Pair:
    return authority.sign("localhost")


@pytest.fixture(scope="session")
def hall(
    authority: Authority, pair: Pair, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Hall]:
    data = tmp_path_factory.mktemp("hall")
    make_region(data / "region", parts=2, rows=400)
    config = ServerConfig(
        host="0.0.0.0",
        port=0,
        data=data,
        state=data / "state",
        grace_seconds=1.0,
        tls=TlsFiles(certificate=pair.certificate, key=pair.key),
        principals=tuple(entry(role) for role in ROLES),
    )
    with serving(config) as front:
        hall = Hall(front, authority.file, data, config.state, "")
        with hall.client("bureau") as client:
            run_id = client.start_run(**NAMES, out="run", request_id="the-run").run_id
            *_, last = client.watch_run(run_id)
            assert last.state == run_service_pb2.RUN_STATE_SUCCEEDED, last.failure
        yield Hall(front, authority.file, data, config.state, run_id)
