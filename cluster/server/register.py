"""The register of runs: one SQLite file in WAL mode, so that what was taken in survives the server.

One server owns it; a lock file refuses a second one. Every change is committed (and synced) before
the caller hears of it.
"""

import hashlib
import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from cluster.errors import ConflictError, NotFoundError, RequestError, StateError, Violation

_SCHEMA = """
create table if not exists runs (
    number integer primary key autoincrement,
    run_id text not null unique,
    request_id text not null unique,
    fingerprint text not null,
    region text not null,
    scheme text not null,
    policy text not null,
    out text not null,
    encoding text not null,
    state text not null,
    stage text not null default '',
    parts_done integer not null default 0,
    parts_total integer not null default 0,
    cases_done integer not null default 0,
    cases_total integer not null default 0,
    estimated_end real,
    failure_reason text not null default '',
    failure_message text not null default '',
    failure_hint text not null default '',
    created real not null,
    started real,
    ended real,
    attempts integer not null default 0,
    cancel_requested integer not null default 0,
    principal text not null default '',
    traceparent text not null default ''
);
create index if not exists runs_by_state on runs (state, number);
"""

_LATER_COLUMNS = ("principal", "traceparent")


class State(StrEnum):
    """Where a run stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing will change any more."""
        return self in (State.SUCCEEDED, State.FAILED, State.CANCELLED)


@dataclass(frozen=True, slots=True)
class Spec:
    """What is to be run: names below the server's data folder, or built-in ones."""

    region: str
    scheme: str
    policy: str
    out: str
    encoding: str = "utf-8"

    @property
    def fingerprint(self) -> str:
        """Digest of the request, to tell a repeated call from a reused request_id."""
        text = "\0".join(astuple(self))
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Record:
    """One run as the register holds it; times are seconds since 1970, UTC."""

    number: int
    run_id: str
    request_id: str
    spec: Spec
    state: State
    stage: str
    parts_done: int
    parts_total: int
    cases_done: int
    cases_total: int
    estimated_end: float | None
    failure_reason: str
    failure_message: str
    failure_hint: str
    created: float
    started: float | None
    ended: float | None
    attempts: int
    cancel_requested: bool
    principal: str
    traceparent: str


class Register:
    """Runs on disk. Every method is a short transaction; one thread calls at a time.

    Args:
        folder: where `runs.sqlite` lies; made where it is missing.

    Raises:
        StateError: another server owns the folder.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(folder / "owner.lock", timeout=0)
        try:
            self._lock.acquire()
        except Timeout as error:
            raise StateError(
                f"another server owns the register in {folder}",
                hint="stop it, or give this one its own --state folder",
            ) from error
        self._db = sqlite3.connect(
            folder / "runs.sqlite", isolation_level=None, check_same_thread=False
        )
        self._db.row_factory = sqlite3.Row
        self._db.execute("pragma journal_mode = wal")
        self._db.execute("pragma synchronous = full")
        self._db.executescript(_SCHEMA)
        known = {row["name"] for row in self._db.execute("pragma table_info(runs)")}
        for column in _LATER_COLUMNS:
            if column not in known:  # a register of an earlier version
                self._db.execute(f"alter table runs add column {column} text not null default ''")

    def close(self) -> None:
        """Closes the file and gives the folder free."""
        self._db.close()
        self._lock.release()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("begin immediate")
        try:
            yield
        except BaseException:
            self._db.execute("rollback")
            raise
        self._db.execute("commit")

    def add(
        self, request_id: str, spec: Spec, principal: str = "", traceparent: str = ""
    ) -> Record:
        """Takes a run in; the same request again gives the same run.

        Args:
            request_id: the caller's name of the request.
            spec: what is to be run.
            principal: who asks.
            traceparent: of the span that the run's spans stand below.

        Raises:
            ConflictError: the request_id was used for another request.
            StateError: a run that has not ended writes to the same folder.
        """
        with self._transaction():
            known = self._one("request_id = ?", request_id)
            if known is not None:
                if known.spec.fingerprint != spec.fingerprint:
                    raise ConflictError(
                        f"the request_id {request_id} was used for another request",
                        hint="use a new request_id for a new request",
                    )
                return known
            busy = self._one(
                "out = ? and state in (?, ?)", spec.out, State.QUEUED.value, State.RUNNING.value
            )
            if busy is not None:
                raise StateError(
                    f"the run {busy.run_id} already writes to {spec.out}",
                    hint="wait for its end, cancel it, or name another folder",
                )
            run_id = secrets.token_hex(8)
            self._db.execute(
                "insert into runs (run_id, request_id, fingerprint, region, scheme, policy, out,"
                " encoding, state, created, principal, traceparent)"
                " values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(run_id, request_id, spec.fingerprint, *astuple(spec)),
                    *(State.QUEUED, time.time(), principal, traceparent),
                ),
            )
            return self.get(run_id)

    def get(self, run_id: str) -> Record:
        """One run.

        Raises:
            NotFoundError: the register has no such run.
        """
        record = self._one("run_id = ?", run_id)
        if record is None:
            raise NotFoundError(
                f"no run {run_id!r}", hint="ListRuns (`grouper runs`) names the runs"
            )
        return record

    def holds(self, request_id: str) -> bool:
        """Whether a request was taken in before."""
        return self._one("request_id = ?", request_id) is not None

    def page(self, size: int, token: str) -> tuple[list[Record], str]:
        """Runs, newest first, and the token of the next page.

        Raises:
            RequestError: the token is not one of ours.
        """
        before = 1 << 62
        if token:
            if not token.isascii() or not token.isdigit() or len(token) > 18:
                raise RequestError(Violation("page_token", "not a token of an earlier page"))
            before = int(token)
        rows = self._db.execute(
            "select * from runs where number < ? order by number desc limit ?", (before, size + 1)
        ).fetchall()
        records = [_record(row) for row in rows[:size]]
        return records, str(records[-1].number) if len(rows) > size else ""

    def counts(self) -> dict[str, int]:
        """How many runs are in each state."""
        found = self._db.execute("select state, count(*) from runs group by state").fetchall()
        return {state.value: 0 for state in State} | {row[0]: row[1] for row in found}

    def next_queued(self) -> Record | None:
        """The run that waits longest."""
        return self._one("state = ? order by number limit 1", State.QUEUED.value)

    def begin(self, run_id: str) -> bool:
        """Notes that the run is started; false where it no longer waits."""
        changed = self._db.execute(
            "update runs set state = ?, started = ?, attempts = attempts + 1"
            " where run_id = ? and state = ?",
            (State.RUNNING.value, time.time(), run_id, State.QUEUED.value),
        )
        return changed.rowcount == 1

    def progress(
        self,
        run_id: str,
        *,
        stage: str,
        parts_done: int,
        parts_total: int,
        cases_done: int,
        cases_total: int,
        estimated_end: float | None,
    ) -> None:
        """Notes how far the run got."""
        self._db.execute(
            "update runs set stage = ?, parts_done = ?, parts_total = ?, cases_done = ?,"
            " cases_total = ?, estimated_end = ? where run_id = ?",
            (stage, parts_done, parts_total, cases_done, cases_total, estimated_end, run_id),
        )

    def end(self, run_id: str, state: State, failure: tuple[str, str, str] = ("", "", "")) -> None:
        """Notes the end of the run; `failure` is its reason, message and hint."""
        self._db.execute(
            "update runs set state = ?, ended = ?, estimated_end = null, failure_reason = ?,"
            " failure_message = ?, failure_hint = ? where run_id = ?",
            (state.value, time.time(), *failure, run_id),
        )

    def requeue(self, run_id: str) -> None:
        """Puts an interrupted run back; it goes on from its finished parts."""
        self._db.execute(
            "update runs set state = ?, estimated_end = null where run_id = ?",
            (State.QUEUED.value, run_id),
        )

    def requeue_interrupted(self) -> None:
        """Puts back the runs that were at work when the server was lost."""
        self._db.execute(
            "update runs set state = ?, estimated_end = null where state = ?",
            (State.QUEUED.value, State.RUNNING.value),
        )

    def cancel(self, run_id: str) -> Record:
        """Notes that somebody asked for the end; a run that waits ends at once.

        Raises:
            NotFoundError: the register has no such run.
        """
        with self._transaction():
            record = self.get(run_id)
            if not record.state.ended:
                self._db.execute("update runs set cancel_requested = 1 where run_id = ?", (run_id,))
            if record.state is State.QUEUED:
                self.end(run_id, State.CANCELLED)
            return self.get(run_id)

    def _one(self, condition: str, *values: str) -> Record | None:
        row = self._db.execute(f"select * from runs where {condition}", values).fetchone()
        return None if row is None else _record(row)


def _record(row: sqlite3.Row) -> Record:
    values: dict[str, Any] = dict(row)
    del values["fingerprint"]
    spec = Spec(**{field.name: values.pop(field.name) for field in fields(Spec)})
    values["state"] = State(values["state"])
    values["cancel_requested"] = bool(values["cancel_requested"])
    return Record(spec=spec, **values)
