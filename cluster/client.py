"""A client of the service for programs: cases, streams of any size, and runs.

Calls that may be repeated without harm are repeated when the server is away for a moment. Errors
arrive as `cluster.errors.ServiceError` with the reason and the fields at fault.
"""

import json
import secrets
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import grpc
import pyarrow as pa
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from cluster import codec
from cluster.channel import IN_FLIGHT, Credentials, open_channel
from cluster.drg.v1 import case_pb2, grouping_service_pb2, run_service_pb2
from cluster.drg.v1.grouping_service_pb2_grpc import GroupingServiceStub
from cluster.drg.v1.run_service_pb2_grpc import RunServiceStub
from cluster.errors import ServiceError, Violation
from grouper.cases import COLUMNS, Kind, open_cases, read_part
from grouper.cases.files import split_codes
from grouper.cases.given import as_table

_SENT = tuple(
    column
    for column in COLUMNS.values()
    if column.kind in (Kind.CODES, Kind.INTEGER) or column.name in ("case_id", "dept")
)

ENDED = (
    run_service_pb2.RUN_STATE_SUCCEEDED,
    run_service_pb2.RUN_STATE_FAILED,
    run_service_pb2.RUN_STATE_CANCELLED,
)
"""States in which a run does not change any more."""


class Client:
    """A connection to one server.

    Args:
        server: `HOST:PORT`.
        timeout: seconds that a unary call may take.
        credentials: by default plaintext on loopback, and else TLS by the system's roots.

    Raises:
        ConfigError: plaintext beyond loopback, or a file that cannot be read.
    """

    def __init__(
        self, server: str, timeout: float = 30.0, credentials: Credentials | None = None
    ) -> None:
        self._timeout = timeout
        self._channel = open_channel(server, credentials)
        self._grouping = GroupingServiceStub(self._channel)
        self._runs = RunServiceStub(self._channel)

    def close(self) -> None:
        """Closes the connection."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def schemes(self) -> list[grouping_service_pb2.Scheme]:
        """The schemes that the server holds."""
        with _told():
            request = grouping_service_pb2.ListSchemesRequest()
            return list(self._grouping.ListSchemes(request, timeout=self._timeout).schemes)

    def group_case(
        self,
        *,
        dx: Sequence[str],
        px: Sequence[str] = (),
        case_id: str = "1",
        scheme: str = "",
        explain: bool = False,
        nearby: bool = False,
        attributes: Mapping[str, int] | None = None,
        **values: Any,
    ) -> grouping_service_pb2.GroupCaseResponse:
        """Groups one case.

        Args:
            dx: diagnoses, the principal first.
            px: procedures, the principal first.
            case_id: identity of the case.
            scheme: id of the scheme; may be left out where the server holds one only.
            explain: whether to say why.
            nearby: whether the explanation names the groups that are one change away.
            attributes: further integer columns of the scheme.
            values: `sex`, `age`, `age_days`, `weight`, `los`, `discharge`, `dept`, `icu_hours`.

        Raises:
            TypeError: a text stands where codes belong, whose letters would be taken for them.
            ServiceError: the server refused.
        """
        for name, codes in (("dx", dx), ("px", px)):
            if isinstance(codes, str):
                raise TypeError(f"{name} is a list of codes: [{codes!r}]")
        case = case_pb2.Case(case_id=case_id, dx=dx, px=px, attributes=attributes, **values)
        request = grouping_service_pb2.GroupCaseRequest(
            scheme=scheme, case=case, explain=explain, nearby=nearby
        )
        with _told():
            return self._grouping.GroupCase(request, timeout=self._timeout)

    def group_batches(self, batches: Iterable[Any], scheme: str = "") -> Iterator[pa.Table]:
        """Groups any number of cases; batches are cut to the size of a message.

        At most a few messages are under way, so neither side's memory grows with the input.

        Args:
            batches: case columns, as tables or batches of pyarrow, pandas or Polars; an iterator
                is read as the answers are taken.
            scheme: id of the scheme; may be left out where the server holds one only.

        Yields:
            `case_id, status, mdc, adrg, drg, severity, reason`, a table a message, in order.

        Raises:
            CaseTableError: a batch is no table.
            ServiceError: the server refused.
        """
        window = threading.Semaphore(IN_FLIGHT)
        ended = threading.Event()
        broken: list[BaseException] = []

        def requests() -> Iterator[grouping_service_pb2.GroupBatchRequest]:
            try:
                for batch in batches:
                    for data in codec.messages(as_table(batch)):
                        while not window.acquire(timeout=0.2):
                            if ended.is_set():
                                return
                        yield grouping_service_pb2.GroupBatchRequest(scheme=scheme, arrow_ipc=data)
            except GeneratorExit:  # the call ended first, and gRPC lets go of its input
                raise
            except BaseException as error:
                broken.append(error)
                raise

        with _told(broken):
            call = self._grouping.GroupBatch(requests())
            try:
                for response in call:
                    window.release()
                    with pa.ipc.open_stream(response.arrow_ipc) as reader:
                        yield reader.read_all()
            finally:
                ended.set()
                call.cancel()

    def group_file(
        self, path: Path, scheme: str = "", encoding: str = "utf-8"
    ) -> Iterator[pa.Table]:
        """Groups a file or folder of cases of any size; it is read as the answers are taken.

        Only columns that rules can ask for are sent: no person, no hospital and no money.

        Raises:
            CaseTableError: the cases cannot be read.
            ServiceError: the server refused.
        """
        source = open_cases(path, wanted=_SENT, encoding=encoding)
        batches = (_as_sent(batch) for part in source.parts for batch in read_part(source, part))
        return self.group_batches(batches, scheme)

    def start_run(
        self,
        *,
        region: str,
        scheme: str,
        policy: str,
        out: str,
        encoding: str = "utf-8",
        request_id: str | None = None,
    ) -> run_service_pb2.Run:
        """Starts a run; folders are names below the server's data folder.

        Args:
            region: the region folder.
            scheme: a pack folder or a built-in name.
            policy: a policy file or a built-in name.
            out: the run folder to write.
            encoding: of CSV files of cases.
            request_id: makes a repeated call harmless; made up where not given.

        Raises:
            ServiceError: the server refused.
        """
        spec = run_service_pb2.RunSpec(
            region=region, scheme=scheme, policy=policy, out=out, encoding=encoding
        )
        request = run_service_pb2.StartRunRequest(
            request_id=request_id or secrets.token_hex(16), spec=spec
        )
        with _told():
            return self._runs.StartRun(request, timeout=self._timeout).run

    def get_run(self, run_id: str) -> run_service_pb2.Run:
        """A run as it stands. Raises ServiceError."""
        request = run_service_pb2.GetRunRequest(run_id=run_id)
        with _told():
            return self._runs.GetRun(request, timeout=self._timeout).run

    def list_runs(self, page_size: int = 0) -> Iterator[run_service_pb2.Run]:
        """All runs, newest first, fetched page by page. Raises ServiceError."""
        token = ""
        while True:
            request = run_service_pb2.ListRunsRequest(page_size=page_size, page_token=token)
            with _told():
                page = self._runs.ListRuns(request, timeout=self._timeout)
            yield from page.runs
            token = page.next_page_token
            if not token:
                return

    def watch_run(self, run_id: str) -> Iterator[run_service_pb2.Run]:
        """The run now and after each change, until it ended; also across a server's restart.

        Raises:
            ServiceError: the server refused, or was not there to begin with.
        """
        request = run_service_pb2.WatchRunRequest(run_id=run_id)
        failures, reached = 0, False
        while True:
            try:
                with _told():
                    for response in self._runs.WatchRun(request, wait_for_ready=failures > 0):
                        failures, reached = 0, True
                        yield response.run
                        if response.run.state in ENDED:
                            return
            except ServiceError as error:
                failures += 1
                # Without a deadline the next call waits for the server for as long as it takes.
                if error.status != "UNAVAILABLE" or not reached or failures > 3:
                    raise

    def cancel_run(self, run_id: str) -> run_service_pb2.Run:
        """Asks a run to end. Raises ServiceError."""
        request = run_service_pb2.CancelRunRequest(run_id=run_id)
        with _told():
            return self._runs.CancelRun(request, timeout=self._timeout).run

    def manifest(self, run_id: str) -> dict[str, Any]:
        """The manifest of a run that succeeded. Raises ServiceError."""
        request = run_service_pb2.GetRunManifestRequest(run_id=run_id)
        with _told():
            text = self._runs.GetRunManifest(request, timeout=self._timeout).manifest_json
        manifest: dict[str, Any] = json.loads(text)
        return manifest

    def table(self, run_id: str, table: str) -> Iterator[pa.Table]:
        """A table of a run that succeeded, piece by piece, at least one. Raises ServiceError."""
        request = run_service_pb2.ReadRunTableRequest(run_id=run_id, table=table)
        with _told():
            for response in self._runs.ReadRunTable(request):
                with pa.ipc.open_stream(response.arrow_ipc) as reader:
                    yield reader.read_all()


def _as_sent(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with code lists as lists, also where a CSV file holds them as texts."""
    for name in ("dx", "px"):
        if name in batch.schema.names:
            column = batch.column(name)
            at = batch.schema.get_field_index(name)
            if not pa.types.is_list(column.type) and not pa.types.is_large_list(column.type):
                batch = batch.set_column(at, name, split_codes(column))
    return batch


@contextmanager
def _told(broken: Sequence[BaseException] = ()) -> Iterator[None]:
    """Turns the wire's errors into ours; an error of the caller's own input comes first."""
    try:
        yield
    except grpc.RpcError as error:
        if broken:
            raise broken[0] from None
        raise _service_error(error) from error


def _service_error(error: grpc.RpcError) -> ServiceError:
    reason, hint, place = "", "", ""
    violations: list[Violation] = []
    status = rpc_status.from_call(cast("grpc.Call", error))
    for detail in status.details if status is not None else ():
        info = error_details_pb2.ErrorInfo()
        bad_request = error_details_pb2.BadRequest()
        if detail.Unpack(info):
            reason, hint = info.reason, info.metadata.get("hint", "")
            place = info.metadata.get("place", "")
        elif detail.Unpack(bad_request):
            violations += [Violation(v.field, v.description) for v in bad_request.field_violations]
    name = error.code().name
    if name == "UNAVAILABLE" and not hint:
        hint = (
            "is the server there (`grouper serve` starts one), and where it is encrypted, "
            "did --ca's root sign its certificate for this name, and does it ask for --certificate?"
        )
    elif name == "RESOURCE_EXHAUSTED" and not reason:  # gRPC's own, before the server sees the call
        hint = "the server's operator sets how large a message may be: limits.message_bytes"
    message = error.details() or name
    return ServiceError(
        f"{place}: {message}" if place else message,
        status=name,
        reason=reason,
        violations=tuple(violations),
        hint=hint,
    )
