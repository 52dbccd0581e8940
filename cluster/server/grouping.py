"""GroupingService: cases are grouped in this process, because a task per request cannot pay."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from concurrent.futures import Executor
from typing import Any, TypeVar

import pyarrow as pa

from cluster.codec import UNPACKED_BYTES, decode, encode_answer
from cluster.drg.v1 import grouping_service_pb2 as messages
from cluster.drg.v1 import grouping_service_pb2_grpc as service
from cluster.errors import RequestError, Violation
from cluster.server.cases import case_values, fill, result_of
from cluster.server.metrics import Metrics
from cluster.tracing import Tracing
from grouper.explain import MOST_CODES, Explainer, Explanation
from grouper.grouping import group_counted
from grouper.scheme import Scheme
from grouper.single import SingleGrouper, SingleResult

T = TypeVar("T")

_AT_ONCE = 3
"""Messages of a stream that were read and are not yet answered."""


class SchemeShelf:
    """The schemes that a server holds, by id."""

    def __init__(self, schemes: Sequence[Scheme]) -> None:
        self.schemes: dict[str, Scheme] = {}
        self._singles: dict[str, SingleGrouper] = {}
        self._explainers: dict[str, Explainer] = {}
        for scheme in schemes:
            self.add(scheme)

    def add(self, scheme: Scheme) -> None:
        """Puts a scheme on the shelf, ready to group and to explain."""
        self.schemes[scheme.id] = scheme
        self._singles[scheme.id] = SingleGrouper(scheme)
        self._explainers[scheme.id] = Explainer(scheme)

    def group(self, scheme: Scheme, case: dict[str, object]) -> SingleResult:
        """Where a case falls."""
        return self._singles[scheme.id].group(case)

    def explain(self, scheme: Scheme, case: dict[str, object], nearby: bool) -> Explanation:
        """Why a case falls where it falls."""
        return self._explainers[scheme.id].explain(case, nearby=nearby)

    def find(self, scheme_id: str) -> Scheme:
        """The scheme of an id; the only one where the id is empty.

        Raises:
            RequestError: there is none, or an empty id could mean several.
        """
        if not scheme_id and len(self.schemes) == 1:
            return next(iter(self.schemes.values()))
        found = self.schemes.get(scheme_id)
        if found is None:
            told = f"no scheme {scheme_id!r}" if scheme_id else "must name a scheme"
            raise RequestError(
                Violation("scheme", told), hint=f"this server holds {', '.join(self.schemes)}"
            )
        return found


class GroupingService(service.GroupingServiceServicer):
    """Groups cases by the schemes on the shelf."""

    def __init__(
        self,
        shelf: SchemeShelf,
        executor: Executor,
        metrics: Metrics,
        tracing: Tracing,
        arrow_bytes: int = UNPACKED_BYTES,
    ) -> None:
        self._shelf = shelf
        self._executor = executor
        self._metrics = metrics
        self._tracing = tracing
        self._arrow_bytes = arrow_bytes

    async def GroupCase(  # noqa: N802 - named by the contract
        self, request: messages.GroupCaseRequest, context: Any
    ) -> messages.GroupCaseResponse:
        """One case, now.

        Raises RequestError: no case, an attribute that is none, or too many codes to explain.
        """
        scheme = self._shelf.find(request.scheme)
        if not request.HasField("case"):
            raise RequestError(Violation("case", "must be set"))
        codes = len(request.case.dx) + len(request.case.px)
        if request.explain and codes > MOST_CODES:
            told = f"{codes:,} codes; at most {MOST_CODES} are explained"
            raise RequestError(Violation("case", told), hint="group it without `explain`")
        case = case_values(request.case, scheme.attributes)
        result = self._shelf.group(scheme, case)
        self._metrics.grouped(
            scheme.id,
            {
                result.status: 1,
                "unknown_dx": result.unknown_dx,
                "unknown_px": result.unknown_px,
            },
        )
        response = messages.GroupCaseResponse(
            result=result_of(request.case.case_id, result),
            scheme=scheme.id,
        )
        if request.explain:
            # Off the loop: it walks the rules' texts, which takes far longer than grouping.
            loop = asyncio.get_running_loop()
            found = await loop.run_in_executor(
                self._executor, self._shelf.explain, scheme, case, request.nearby
            )
            fill(response.explanation, found)
        return response

    async def GroupBatch(  # noqa: N802 - named by the contract
        self, request_iterator: AsyncIterator[messages.GroupBatchRequest], context: Any
    ) -> AsyncIterator[messages.GroupBatchResponse]:
        """An answer for every message, in order. Raises RequestError, CaseTableError."""
        # Messages are read and grouped while the answers of earlier ones are sent.
        ahead = _Ahead()
        reader = ahead.start(self._read(request_iterator, ahead))
        try:
            while (answer := await ahead.answers.get()) is not None:
                yield messages.GroupBatchResponse(arrow_ipc=await answer)
                ahead.room.release()
            await reader
        finally:
            # A call that ends takes back what still waits for a thread.
            ahead.cancel()

    async def _read(
        self, requests: AsyncIterator[messages.GroupBatchRequest], ahead: "_Ahead"
    ) -> None:
        """Begins to group each message that comes; None stands behind the last one."""
        scheme: Scheme | None = None
        try:
            while await ahead.room.acquire():
                request = await anext(requests, None)
                if request is None:
                    return
                if scheme is None or request.scheme:
                    scheme = self._shelf.find(request.scheme)
                answer = ahead.start(self._grouped(request.arrow_ipc, scheme))
                ahead.answers.put_nowait(answer)
        finally:
            ahead.answers.put_nowait(None)

    async def _grouped(self, data: bytes, scheme: Scheme) -> bytes:
        """The answer of one message."""
        # Off the loop: the kernels release the lock, so other calls are answered meanwhile.
        with self._tracing.span("group message", scheme=scheme.id):
            answer, counts = await asyncio.get_running_loop().run_in_executor(
                self._executor, group_message, data, scheme, self._arrow_bytes
            )
        self._metrics.grouped(scheme.id, counts)
        return answer

    async def ListSchemes(  # noqa: N802 - named by the contract
        self, request: messages.ListSchemesRequest, context: Any
    ) -> messages.ListSchemesResponse:
        """The schemes on the shelf."""
        return messages.ListSchemesResponse(
            schemes=[
                messages.Scheme(id=one.id, title=one.title, digest=one.digest)
                for _, one in sorted(self._shelf.schemes.items())
            ]
        )


class _Ahead:
    """What a stream has under way, and the answers in the order of its messages."""

    def __init__(self) -> None:
        self.room = asyncio.Semaphore(_AT_ONCE)
        self.answers: asyncio.Queue[asyncio.Task[bytes] | None] = asyncio.Queue()
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Begins a piece of work."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._end)
        return task

    def _end(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # of a message behind the one that failed, nobody asks for it

    def cancel(self) -> None:
        """Ends all that is under way."""
        for task in tuple(self._tasks):
            task.cancel()


def group_message(
    data: bytes, scheme: Scheme, arrow_bytes: int = UNPACKED_BYTES
) -> tuple[bytes, dict[str, int]]:
    """Groups the cases of one message: Arrow IPC bytes in and out, and cases by status.

    Raises:
        RequestError: the bytes are no Arrow IPC stream, or they or the answer break a limit.
        CaseTableError: a needed column is missing or has the wrong type.
    """
    cases: pa.Table = decode(data, "arrow_ipc", arrow_bytes)
    answers, counts = group_counted(cases, scheme)
    return encode_answer(answers), counts
