"""The page to try beside the gRPC door (`grouper serve --web`): it shows the runs of the register.

It reads the register's file on a connection of its own, read-only, so that it can neither wait for
the server nor hold it up.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from cluster.server.config import ServerConfig
from grouper.errors import MissingExtraError
from grouper.stores import is_address

_MOST = 200


@contextmanager
def page_beside(settings: ServerConfig, listen: str, runs: Sequence[Path]) -> Iterator[str]:
    """A page for as long as the context lasts; gives its address.

    Args:
        settings: of the server that it stands beside.
        listen: HOST:PORT on this machine; port 0 lets the system choose.
        runs: run folders that price a case.

    Raises:
        ValueError: `listen` is not of that form.
        AddressError: the address is taken, or reached from outside.
        MissingExtraError: the extra `web` is not installed.
    """
    try:
        import uvicorn  # noqa: F401 - what the extra brings, before anything of our own
    except ImportError as error:
        raise MissingExtraError("web", "grouper serve --web") from error
    from grouper.web.runs import RunStatus
    from grouper.web.server import WebServer
    from grouper.web.settings import WebSettings, parse_address

    register = settings.state.resolve() / "runs.sqlite"

    def listed() -> list[RunStatus]:
        return [
            RunStatus(
                name=Path(row["out"]).name,
                folder=Path(row["out"]),
                state=row["state"],
                stage=row["stage"],
                parts_done=row["parts_done"],
                parts_total=row["parts_total"],
                cases_done=row["cases_done"],
                cases_total=row["cases_total"],
                estimated_end=row["estimated_end"],
                started=row["started"],
                ended=row["ended"],
                failure=row["failure_message"],
                hint=row["failure_hint"],
                address=row["out"] if is_address(row["out"]) else "",
            )
            for row in _rows(register)
        ]

    host, port = parse_address(listen)
    page = WebSettings(
        host=host,
        port=port,
        schemes=settings.schemes,
        runs=tuple(runs),
        data=settings.data,
    )
    with WebServer(page, listed) as server:
        yield server.address


def _rows(register: Path) -> list[sqlite3.Row]:
    """The newest runs; none before the server has made its register."""
    if not register.is_file():
        return []
    with closing(sqlite3.connect(f"{register.as_uri()}?mode=ro", uri=True, timeout=1.0)) as db:
        db.row_factory = sqlite3.Row
        try:
            return db.execute(
                "select * from runs order by number desc limit ?", (_MOST,)
            ).fetchall()
        except sqlite3.OperationalError:
            # The file is there and its tables are not yet, or the server writes this moment.
            return []
