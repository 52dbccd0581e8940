"""RunService: the register over the wire."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from google.protobuf.timestamp_pb2 import Timestamp
from pyarrow import fs

from cluster import codec
from cluster.drg.v1 import run_service_pb2 as messages
from cluster.drg.v1 import run_service_pb2_grpc as service
from cluster.errors import NotFoundError, NotReadyError, RequestError, StateError, Violation
from cluster.server.grouping import SchemeShelf
from cluster.server.ownrows import BESIDE, must_be_own, own_pieces
from cluster.server.principals import CALLER, Role
from cluster.server.register import Record, Register, Spec, State
from cluster.server.supervisor import Supervisor
from cluster.tracing import current_parent
from grouper import __version__
from grouper.cases.files import is_text_encoding
from grouper.run.folder import admit, belongs, read_manifest
from grouper.scheme import pack_folder
from grouper.scheme.layers import BUILTIN
from grouper.settlement.policyfile import load_policy
from grouper.stores import MANIFEST, is_address, may_use, opened, within_region

_REQUEST_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_TABLE = re.compile(r"[a-z][a-z_]{0,63}")
_DEFAULT_PAGE, _LARGEST_PAGE = 50, 500
_BATCH_ROWS = 16_384
_OUTSIDE = (
    "a server works only below that folder: copy there, or set it with `grouper serve --data`"
)

_STATES = {
    State.QUEUED: messages.RUN_STATE_QUEUED,
    State.RUNNING: messages.RUN_STATE_RUNNING,
    State.SUCCEEDED: messages.RUN_STATE_SUCCEEDED,
    State.FAILED: messages.RUN_STATE_FAILED,
    State.CANCELLED: messages.RUN_STATE_CANCELLED,
}


class RunService(service.RunServiceServicer):
    """Starts, shows and ends runs, and hands out what they wrote."""

    def __init__(
        self,
        data: Path,
        state: Path,
        shelf: SchemeShelf,
        register: Register,
        supervisor: Supervisor,
        executor: Executor,
        buckets: tuple[str, ...] = (),
    ) -> None:
        self._data = data.resolve()
        self._state = state.resolve()
        self._folder = f"the server's data folder {self._data}"
        self._buckets = buckets
        self._shelf = shelf
        self._register = register
        self._supervisor = supervisor
        self._executor = executor

    async def StartRun(  # noqa: N802 - named by the contract
        self, request: messages.StartRunRequest, context: Any
    ) -> messages.StartRunResponse:
        """Takes a run in; one whose policy, scheme or run folder cannot serve is refused.

        Raises RequestError, ConflictError, StateError, and what `_check_files` raises.
        """
        spec = self._check_start(request)
        if not await self._supervisor.call(self._register.holds, request.request_id):
            await asyncio.to_thread(_check_files, spec)
        record = await self._supervisor.call(
            *(self._register.add, request.request_id, spec),
            *(CALLER.get().name, current_parent()),
        )
        await self._supervisor.wake()
        return messages.StartRunResponse(run=self._message(record))

    async def GetRun(  # noqa: N802 - named by the contract
        self, request: messages.GetRunRequest, context: Any
    ) -> messages.GetRunResponse:
        """One run. Raises NotFoundError."""
        return messages.GetRunResponse(run=self._message(await self._get(request.run_id)))

    async def ListRuns(  # noqa: N802 - named by the contract
        self, request: messages.ListRunsRequest, context: Any
    ) -> messages.ListRunsResponse:
        """A page of runs. Raises RequestError."""
        if request.page_size < 0:
            raise RequestError(Violation("page_size", "must not be negative"))
        size = min(request.page_size or _DEFAULT_PAGE, _LARGEST_PAGE)
        records, token = await self._supervisor.call(self._register.page, size, request.page_token)
        runs = [self._message(record) for record in records]
        return messages.ListRunsResponse(runs=runs, next_page_token=token)

    async def WatchRun(  # noqa: N802 - named by the contract
        self, request: messages.WatchRunRequest, context: Any
    ) -> AsyncIterator[messages.WatchRunResponse]:
        """The run until it ended. Raises NotFoundError, NotReadyError at shutdown."""
        record = None
        async for record in self._supervisor.watch(request.run_id):
            yield messages.WatchRunResponse(run=self._message(record))
        if record is not None and not record.state.ended:
            raise NotReadyError("the server stops", hint="watch again when it is back")

    async def CancelRun(  # noqa: N802 - named by the contract
        self, request: messages.CancelRunRequest, context: Any
    ) -> messages.CancelRunResponse:
        """Asks a run to end. Raises NotFoundError."""
        record = await self._supervisor.cancel(request.run_id)
        return messages.CancelRunResponse(run=self._message(record))

    async def GetRunManifest(  # noqa: N802 - named by the contract
        self, request: messages.GetRunManifestRequest, context: Any
    ) -> messages.GetRunManifestResponse:
        """The manifest. Raises NotFoundError, StateError."""
        record = await self._finished(request.run_id)
        text = await asyncio.to_thread(_manifest, record.spec.out)
        return messages.GetRunManifestResponse(manifest_json=text)

    async def ReadRunTable(  # noqa: N802 - named by the contract
        self, request: messages.ReadRunTableRequest, context: Any
    ) -> AsyncIterator[messages.ReadRunTableResponse]:
        """A table in pieces. Raises RequestError, NotFoundError, StateError."""
        if not _TABLE.fullmatch(request.table):
            raise RequestError(Violation("table", "must be the name of a table, as `clearing`"))
        caller = CALLER.get()
        if caller.role is Role.HOSPITAL:
            must_be_own(request.table)
        record = await self._finished(request.run_id)
        loop = asyncio.get_running_loop()
        files = await loop.run_in_executor(
            self._executor, _table_files, record.spec.out, request.table
        )
        if not files:
            raise NotFoundError(
                f"the run has no table {request.table!r}",
                hint="docs/regions-and-runs.md names the tables of a run",
            )
        if caller.role is Role.HOSPITAL:
            beside = await loop.run_in_executor(
                self._executor, _table_files, record.spec.out, BESIDE
            )
            pieces = own_pieces(files, beside, request.table, caller.hospital)
        else:
            pieces = _pieces(files)
        while (data := await loop.run_in_executor(self._executor, next, pieces, None)) is not None:
            yield messages.ReadRunTableResponse(arrow_ipc=data)

    async def _get(self, run_id: str) -> Record:
        return await self._supervisor.call(self._register.get, run_id)

    async def _finished(self, run_id: str) -> Record:
        record = await self._get(run_id)
        if record.state is not State.SUCCEEDED:
            raise StateError(
                f"the run {run_id} has no result: its state is {record.state.value}",
                hint="WatchRun (`grouper watch`) tells when it has succeeded",
            )
        return record

    def _check_start(self, request: messages.StartRunRequest) -> Spec:
        wrong = []
        if not _REQUEST_ID.fullmatch(request.request_id):
            wrong.append(Violation("request_id", "must be 1 to 64 letters, digits, -, _ or ."))
        paths = {}
        for name in ("region", "scheme", "policy", "out"):
            try:
                paths[name] = self._place(name, getattr(request.spec, name))
            except ValueError as error:
                wrong.append(Violation(f"spec.{name}", str(error)))
        encoding = request.spec.encoding or "utf-8"
        if not is_text_encoding(encoding):
            wrong.append(Violation("spec.encoding", "no such encoding; use utf-8 or gb18030"))
        region = paths.get("region", "")
        if region and not is_address(region) and not Path(region).is_dir():
            told = f"there is no folder {request.spec.region} below {self._folder}"
            wrong.append(Violation("spec.region", told))
        out = paths.get("out", "")
        if region and (fault := within_region(out, region)):
            wrong.append(Violation("spec.out", f"{request.spec.out} {fault}"))
        if wrong:
            outside = any(self._folder in one.description for one in wrong)
            raise RequestError(*wrong, hint=_OUTSIDE if outside else "")
        return Spec(**paths, encoding=encoding)

    def _place(self, field: str, name: str) -> str:
        """Where a named thing lies: a path below the data folder, or a built-in name as it is."""
        if not name or "\0" in name:
            raise ValueError("must be set")
        if field == "scheme" and name in self._shelf.schemes:
            return self._shelf.schemes[name].source
        if is_address(name) and field in ("region", "out"):
            if not may_use(name, self._buckets):
                raise ValueError("must lie below one of the buckets in the server's settings")
            return name
        try:
            path = (self._data / name).resolve()
            path.exists()
        except OSError as error:  # a name longer than the file system takes
            raise ValueError(f"no file can have this name: {error.strerror}") from error
        if not path.is_relative_to(self._data) or path == self._data:
            raise ValueError(f"{name} does not lie below {self._folder}")
        if field == "out" and path.is_relative_to(self._state):
            raise ValueError(f"{name} lies among the server's own files; name another folder")
        if field in ("scheme", "policy") and "/" not in name and not path.exists():
            return name
        return str(path)

    def _shown(self, place: str) -> str:
        if is_address(place):
            return place
        path = Path(place)
        return str(path.relative_to(self._data)) if path.is_relative_to(self._data) else place

    def _named(self, scheme: str) -> str:
        """A scheme as a caller may name it again."""
        held = (one.id for one in self._shelf.schemes.values() if one.source == scheme)
        path = Path(scheme)
        return next(held, path.name if path.parent == BUILTIN else self._shown(scheme))

    def _message(self, record: Record) -> messages.Run:
        spec = record.spec
        run = messages.Run(
            run_id=record.run_id,
            request_id=record.request_id,
            spec=messages.RunSpec(
                region=self._shown(spec.region),
                scheme=self._named(spec.scheme),
                policy=self._shown(spec.policy),
                out=self._shown(spec.out),
                encoding=spec.encoding,
            ),
            state=_STATES[record.state],
            progress=messages.RunProgress(
                stage=record.stage,
                parts_done=record.parts_done,
                parts_total=record.parts_total,
                cases_done=record.cases_done,
                cases_total=record.cases_total,
                estimated_end_time=_time(record.estimated_end),
            ),
            create_time=_time(record.created),
            start_time=_time(record.started),
            end_time=_time(record.ended),
            attempts=record.attempts,
            cancel_requested=record.cancel_requested,
        )
        if record.state is State.FAILED:
            run.failure.reason = record.failure_reason
            run.failure.message = record.failure_message
            run.failure.hint = record.failure_hint
        return run


def _check_files(spec: Spec) -> None:
    """What a run would refuse at its start and is cheap to see, said in the same words.

    Raises:
        PolicyError: the policy is unknown or faulty.
        PackError: there is no such scheme.
        OutputError: the run folder cannot be one.
        RunError: it holds the run of another policy or engine.
    """
    policy = load_policy(spec.policy)
    pack_folder(spec.scheme)
    if is_address(spec.out):
        return
    out = Path(spec.out)
    manifest = read_manifest(out) if out.is_dir() else None
    if manifest is None:
        admit(out, Path(spec.region))
    elif (manifest.engine, manifest.policy.get("digest")) != (__version__, policy.digest):
        belongs(out, manifest, "")  # whose id takes long to compute; it is another one


def _time(seconds: float | None) -> Timestamp | None:
    return (
        None if seconds is None else Timestamp(seconds=int(seconds), nanos=int(seconds % 1 * 1e9))
    )


def _manifest(out: str) -> str:
    system, path = opened(out)
    with system.open_input_stream(f"{path}/{MANIFEST}") as file:
        return bytes(file.readall()).decode()


def _table_files(out: str, table: str) -> list[pa.NativeFile]:
    """The files of a table, opened in their order; none where the run has no such table."""
    system, base = opened(out)
    single = f"{base}/{table}.parquet"
    if system.get_file_info(single).is_file:
        return [system.open_input_file(single)]
    parts = system.get_file_info(fs.FileSelector(f"{base}/{table}", allow_not_found=True))
    names = sorted(one.path for one in parts if one.is_file and one.extension == "parquet")
    return [system.open_input_file(name) for name in names]


def _pieces(files: list[pa.NativeFile]) -> Iterator[bytes]:
    for opened_file in files:
        with pq.ParquetFile(opened_file) as file:
            empty = True
            for batch in file.iter_batches(_BATCH_ROWS, use_threads=False):
                empty = False
                yield from codec.messages(batch)
            if empty:
                yield codec.encode(pa.Table.from_batches([], file.schema_arrow))
