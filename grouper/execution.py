"""Where tasks run: one protocol, the in-process runner, and the look-up of installed runners.

A *task* is a module-level pure function ``task(shared, item) -> result``: it can be sent to another
process by name, its result is small and can be pickled, and what it writes goes to a file that it
names from ``item`` alone. A run is a handful of ``map`` calls; which runner serves them changes
nothing in the answer, only where and how many at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Protocol, Self, TypeVar, cast, runtime_checkable

from grouper.errors import MissingExtraError

S = TypeVar("S")
I = TypeVar("I")  # noqa: E741 - the item of a map; S, I, R read as the signature task(shared, item)
R = TypeVar("R")

RUNNER_GROUP = "grouper.runners"
"""Entry point group. A value is a factory ``(workers: int, address: str | None) -> Runner``."""


class Constant:
    """Base of what is large, never changes, and is shared by many ``map`` calls.

    A runner may send an object of it to a worker once, and tell it by its identity from then on.
    """

    __slots__ = ()


@runtime_checkable
class Runner(Protocol):
    """Runs pure tasks over items, here or elsewhere.

    ``map`` yields the results in the order of ``items``, whatever order they finish in. ``shared``
    is shipped once per call, never once per item. ``items`` is consumed lazily: a runner holds a
    bounded number of items in flight, and may begin with the first of them before a result is asked
    for; so one ``map`` is read to its end before the next. An exception of a task ends the ``map``
    with that exception; unfinished tasks are cancelled or ignored, and because a part is written
    under a temporary name and renamed, they leave no half-written part behind.
    """

    @property
    def workers(self) -> int:
        """How many tasks may run at the same time."""
        ...

    def map(self, task: Callable[[S, I], R], shared: S, items: Iterable[I]) -> Iterator[R]:
        """Results of ``task(shared, item)`` in item order."""
        ...

    def close(self) -> None:
        """Give back what the runner holds (processes, connections); it may be called twice."""
        ...


class LocalRunner:
    """Runs every task in this process, one after the other, in item order."""

    @property
    def workers(self) -> int:
        """Always 1."""
        return 1

    def map(self, task: Callable[[S, I], R], shared: S, items: Iterable[I]) -> Iterator[R]:
        """Results of ``task(shared, item)`` in item order, each computed when it is asked for."""
        for item in items:
            yield task(shared, item)

    def close(self) -> None:
        """Nothing to give back."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_runner(workers: int = 1, address: str | None = None, name: str = "ray") -> Runner:
    """The runner for a number of workers.

    One worker without an ``address`` runs in this process. Anything else is looked up by ``name``
    among the installed entry points of the group ``grouper.runners``, so that this package needs to
    know none of them.

    Raises:
        MissingExtraError: more than one worker, or an address, and no such runner is installed.
    """
    if workers == 1 and address is None:
        return LocalRunner()
    from importlib.metadata import entry_points

    for entry in entry_points(group=RUNNER_GROUP):
        if entry.name == name:
            factory = cast("Callable[[int, str | None], Runner]", entry.load())
            return factory(workers, address)
    raise MissingExtraError("cluster", f"the runner '{name}'")
