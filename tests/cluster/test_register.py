"""The register of runs: durable, one owner, harmless repeats."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.errors import ConflictError, NotFoundError, RequestError, StateError
from cluster.server.register import Register, Spec, State


@pytest.fixture
def register(tmp_path: Path) -> Iterator[Register]:
    opened = Register(tmp_path)
    yield opened
    opened.close()


def spec(out: str = "out") -> Spec:
    return Spec(region="region", scheme="chs-core", policy="guigang-points", out=out)


def test_a_repeated_request_gives_the_same_run(register: Register) -> None:
    first = register.add("a", spec())
    assert register.add("a", spec()) == first
    assert first.state is State.QUEUED


def test_a_request_id_is_for_one_request(register: Register) -> None:
    register.add("a", spec())
    with pytest.raises(ConflictError):
        register.add("a", spec("elsewhere"))


def test_two_runs_do_not_write_to_one_folder(register: Register) -> None:
    first = register.add("a", spec())
    with pytest.raises(StateError, match=first.run_id):
        register.add("b", spec())
    register.end(first.run_id, State.SUCCEEDED)
    assert register.add("b", spec()).run_id != first.run_id


def test_pages_are_newest_first_and_complete(register: Register) -> None:
    made = [register.add(str(number), spec(str(number))).run_id for number in range(7)]
    seen, token, pages = [], "", 0
    while True:
        records, token = register.page(3, token)
        seen += [record.run_id for record in records]
        pages += 1
        if not token:
            break
    assert (seen, pages) == (made[::-1], 3)


@pytest.mark.parametrize("token", ["x", "-1", "9" * 30, "١"])
def test_a_foreign_page_token(register: Register, token: str) -> None:
    with pytest.raises(RequestError):
        register.page(3, token)


def test_an_unknown_run(register: Register) -> None:
    for method in (register.get, register.cancel):
        with pytest.raises(NotFoundError):
            method("nothing")


def test_a_waiting_run_is_cancelled_at_once_and_never_begun(register: Register) -> None:
    run = register.add("a", spec())
    assert register.cancel(run.run_id).state is State.CANCELLED
    assert not register.begin(run.run_id)
    assert register.next_queued() is None


def test_a_run_at_work_is_only_asked(register: Register) -> None:
    run = register.add("a", spec())
    assert register.begin(run.run_id)
    record = register.cancel(run.run_id)
    assert (record.state, record.cancel_requested) == (State.RUNNING, True)


def test_the_end_is_the_end(register: Register) -> None:
    run = register.add("a", spec())
    register.end(run.run_id, State.SUCCEEDED)
    record = register.cancel(run.run_id)
    assert (record.state, record.cancel_requested) == (State.SUCCEEDED, False)


def test_what_was_taken_in_is_there_after_a_loss(tmp_path: Path) -> None:
    first = Register(tmp_path)
    waiting, at_work = (first.add(name, spec(name)).run_id for name in ("a", "b"))
    first.begin(at_work)
    with pytest.raises(StateError, match="another server"):
        Register(tmp_path)
    first.close()
    second = Register(tmp_path)
    second.requeue_interrupted()
    assert second.get(waiting).state is State.QUEUED
    interrupted = second.get(at_work)
    assert (interrupted.state, interrupted.attempts) == (State.QUEUED, 1)
    second.close()
