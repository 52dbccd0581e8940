"""Structured logs, and the audit log of runs. Neither holds a diagnosis, a person or a token.

A log line is a constant sentence with named values beside it; the text of an error that was not
foreseen never gets in, because it may quote a case.
"""

import json
import logging
import threading
import traceback
from datetime import UTC, datetime
from pathlib import Path

from cluster.server.principals import Principal
from grouper.audit import append_line

_FIELDS = "fields"
_OWN = "cluster"


def say(log: logging.Logger, level: int, event: str, **fields: object) -> None:
    """Logs an event with values that stand beside it, never inside its sentence."""
    if log.isEnabledFor(level):
        log.log(level, event, extra={_FIELDS: fields})


class JsonLines(logging.Formatter):
    """A JSON object a line: time, level, logger, event, and the event's values."""

    def format(self, record: logging.LogRecord) -> str:
        """One line. Of other libraries' records only the place is told, not the text."""
        told: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        if record.name.partition(".")[0] == _OWN:
            told["event"] = record.getMessage()
        else:
            told["event"] = f"record of {Path(record.pathname).name}:{record.lineno}"
        told |= getattr(record, _FIELDS, {})
        if record.exc_info and record.exc_info[0] is not None:
            told["error"] = record.exc_info[0].__name__
            told["frames"] = frames(record.exc_info[1])
        return json.dumps(told, ensure_ascii=False, default=str)


def frames(error: BaseException | None) -> list[str]:
    """Where an error passed, without its text."""
    trace = traceback.extract_tb(error.__traceback__) if error is not None else ()
    return [f"{Path(one.filename).name}:{one.lineno} {one.name}" for one in trace]


def log_as_json(level: int = logging.INFO) -> None:
    """Writes the logs of this process to standard error as JSON lines."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)


class AuditLog:
    """Who started, changed or read which run: appended to `audit.jsonl` and synced.

    The file is opened for every line, so that it may be moved away at any time.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "audit.jsonl"
        self._lock = threading.Lock()

    def note(
        self, principal: Principal | None, method: str, run_id: str, detail: str, code: str
    ) -> None:
        """One line.

        Args:
            principal: who called; None where nobody could be recognised.
            method: the method's name.
            run_id: the run; empty where the call names none.
            detail: the table that was read, or the request_id.
            code: status of the call.
        """
        line = {
            "principal": principal.name if principal else "",
            "role": principal.role.value if principal else "",
            "method": method,
            "run_id": run_id,
            "detail": detail,
            "code": code,
        }
        if principal is not None and principal.hospital:
            line["hospital"] = principal.hospital
        with self._lock:
            append_line(self._path, line)
