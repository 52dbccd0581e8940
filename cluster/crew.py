"""The workers on Ray, and one `map` over them.

A few long-lived workers take the tasks, so that kernels are loaded once and not per part. Work in
flight is bounded and results come back in the order of the items. A task whose worker was lost is
done again elsewhere; a task that fails by its data is not, because it would fail again.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import ray
import ray.exceptions

from cluster.parcel import Sender
from cluster.worker import Outcome, Worker
from grouper.errors import RunError

R = TypeVar("R")

_IN_FLIGHT_PER_WORKER = 2
"""One at work and one waiting, so that a worker never waits for the driver."""
_WINDOW_PER_WORKER = 4
"""Items given out and not yet yielded, per worker: bounds what waits behind a slow item."""
_LOSSES_PER_ITEM = 3
"""An item that was at work when so many workers were lost is taken to be what kills them."""
_FAILED_STARTS = 3
_START_SECONDS = 180.0


@dataclass(slots=True)
class _Call:
    index: int
    item: Any
    losses: int = 0


@dataclass(slots=True, eq=False)
class _Slot:
    """One worker and the calls it has, oldest first."""

    actor: Any
    starting: Any
    pid: int = 0
    calls: deque[_Call] = field(default_factory=deque)


class Crew:
    """The workers: started, joined when warm, replaced when lost.

    Args:
        folder: where they are to stand; None where Ray was started there.
    """

    def __init__(self, size: int, folder: str | None) -> None:
        self._folder = folder
        self._failed_starts = 0
        self.sender = Sender()
        self._actor = ray.remote(num_cpus=1, max_restarts=0)(Worker)
        self.slots = [self._start(_Slot(None, None)) for _ in range(size)]

    def _start(self, slot: _Slot) -> _Slot:
        slot.actor = self._actor.options(scheduling_strategy="SPREAD").remote(self._folder)
        slot.starting = slot.actor.pid.remote()
        return slot

    def free(self) -> _Slot | None:
        """The warm worker with the fewest calls, if one can take another."""
        warm = (slot for slot in self.slots if slot.starting is None)
        slot = min(warm, key=lambda slot: len(slot.calls), default=None)
        return slot if slot is not None and len(slot.calls) < _IN_FLIGHT_PER_WORKER else None

    def starting(self) -> dict[Any, _Slot]:
        """Workers that are not warm yet, by the reference that tells when they are."""
        return {slot.starting: slot for slot in self.slots if slot.starting is not None}

    def join(self, slot: _Slot) -> None:
        """Takes in a worker whose start ended.

        Raises:
            RunError: workers fail to start one after the other.
        """
        try:
            slot.pid = ray.get(slot.starting)
        except ray.exceptions.RayError as error:
            self._failed_starts += 1
            if self._failed_starts >= _FAILED_STARTS:
                raise RunError(
                    f"no Ray worker starts: {_first_line(error)}",
                    hint="see that this version of drg-grouper is installed on every Ray node",
                ) from error
            self._start(slot)
        else:
            self._failed_starts = 0
            slot.starting = None

    def pids(self) -> list[int]:
        """Process ids of all workers, once they are warm; one just lost may be among them."""
        while starting := self.starting():
            (ended,), _ = ray.wait(list(starting), num_returns=1)
            self.join(starting[ended])
        return [slot.pid for slot in self.slots]

    def end(self) -> None:
        """Ends all workers."""
        for slot in self.slots:
            ray.kill(slot.actor)

    def replace(self, slot: _Slot) -> None:
        """Puts a new worker in the place of a lost one."""
        ray.kill(slot.actor)
        self._start(slot)


class TaskMap(Generic[R]):
    """One `map` call: which items wait, fly, must be done again, or are done."""

    def __init__(
        self,
        crew: Crew,
        task: Callable[[Any, Any], R],
        shared: object,
        items: Iterable[object],
    ) -> None:
        self._crew = crew
        self._sent = (task, shared)
        self._send()
        self._items = enumerate(items)
        self._window = len(crew.slots) * _WINDOW_PER_WORKER
        self._exhausted = False
        self._again: deque[_Call] = deque()
        self._flying: dict[Any, tuple[_Slot, _Call]] = {}
        self._done: dict[int, Outcome] = {}

    def _send(self) -> None:
        """Puts what all calls share where the workers find it; again, where it was lost."""
        task, shared = self._sent
        self._task = ray.put(task)
        # In a list the reference travels as such: a worker reads the object once and keeps it.
        self._box = [self._crew.sender.put(shared)]

    def begin(self) -> None:
        """Hands out the first items; what another map that was not read to its end gave is lost."""
        for slot in self._crew.slots:
            slot.calls.clear()
        self._give_out()

    def results(self) -> Iterator[R]:
        """Results in item order; the first failing item's error ends them."""
        following = 0
        while True:
            self._give_out()
            if following in self._done:
                yield self._done.pop(following).unwrap()
                following += 1
            elif self._flying or self._again or not self._exhausted:
                self._collect()
            else:
                return

    def _give_out(self) -> None:
        while (slot := self._crew.free()) is not None:
            call = self._next()
            if call is None:
                return
            ref = slot.actor.run.remote(self._task, self._box, call.item)
            slot.calls.append(call)
            self._flying[ref] = (slot, call)

    def _next(self) -> _Call | None:
        if self._again:
            return self._again.popleft()
        if self._exhausted or len(self._flying) + len(self._done) >= self._window:
            return None
        try:
            index, item = next(self._items)
        except StopIteration:
            self._exhausted = True
            return None
        return _Call(index, item)

    def _collect(self) -> None:
        """Waits until something ends, and takes it in."""
        starting = self._crew.starting()
        # While no worker is warm, silence means that the cluster has no room for one.
        limit = None if self._flying else _START_SECONDS
        ended, _ = ray.wait([*self._flying, *starting], num_returns=1, timeout=limit)
        if not ended:
            raise RunError(
                f"no Ray worker came up within {_START_SECONDS:.0f} seconds",
                hint="`ray status` shows whether the cluster has free CPUs; use fewer workers",
            )
        for ref in ended:
            if ref in starting:
                self._crew.join(starting[ref])
            elif ref in self._flying:
                self._take(ref)

    def _take(self, ref: Any) -> None:
        slot, call = self._flying[ref]
        try:
            outcome: Outcome = ray.get(ref)
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, ray.exceptions.RayError):  # not of the task's own making
                self._resend(ref, error.cause)
                return
            outcome = Outcome(error=error.cause or error)
        except ray.exceptions.ObjectLostError as error:
            self._resend(ref, error)
            return
        except ray.exceptions.RayError as error:
            self._lose(slot, error)
            return
        del self._flying[ref]
        slot.calls.remove(call)
        self._done[call.index] = outcome
        if outcome.error is not None:
            self._exhausted = True  # what would come after the first failure is not begun

    def _resend(self, ref: Any, error: Exception) -> None:
        """Does a call again whose inputs or answer were lost with the node that held them."""
        slot, call = self._flying.pop(ref)
        slot.calls.remove(call)
        call.losses += 1
        if call.losses >= _LOSSES_PER_ITEM:
            raise RunError(
                f"objects of item {call.index} were lost {call.losses} times: {_first_line(error)}",
                hint="see why nodes leave the Ray cluster, then start the run again",
            ) from error
        self._crew.sender.forget()
        self._send()
        self._again.append(call)

    def _lose(self, slot: _Slot, error: Exception) -> None:
        """Replaces a lost worker; its calls are done again, the oldest one being the suspect."""
        suspect = slot.calls[0]
        suspect.losses += 1
        if suspect.losses >= _LOSSES_PER_ITEM:
            raise RunError(
                f"{suspect.losses} workers were lost while they did item {suspect.index} "
                f"({suspect.item!r:.200}): {_first_line(error)}",
                hint="look for a lack of memory on the Ray nodes, then start the run again",
            ) from error
        self._flying = {
            ref: flight for ref, flight in self._flying.items() if flight[0] is not slot
        }
        self._again.extend(slot.calls)
        slot.calls.clear()
        self._crew.replace(slot)


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
