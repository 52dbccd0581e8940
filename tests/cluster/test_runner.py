"""The Ray runner: order, bounds, errors as they were raised, and lost workers."""

import os
import pickle
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cluster.runner import RayRunner
from grouper.bulk import group_files
from grouper.cases import open_cases
from grouper.errors import CaseTableError, RunError
from grouper.execution import Runner
from grouper.grouping import columns_for
from grouper.scheme import load_scheme
from tests.cluster import tasks


@pytest.fixture(scope="module")
def runner() -> Iterator[RayRunner]:
    with RayRunner(2) as ray_runner:
        yield ray_runner


def test_is_a_runner(runner: RayRunner) -> None:
    assert isinstance(runner, Runner)
    assert runner.workers == 2


def test_results_come_in_item_order_from_both_workers(runner: RayRunner) -> None:
    assert len(set(runner.crew.pids())) == 2
    results = list(runner.map(tasks.add, 1000, range(60)))
    assert [value for value, _ in results] == [1000 + item for item in range(60)]
    assert {pid for _, pid in results} == set(runner.crew.pids())


def test_no_items_no_results(runner: RayRunner) -> None:
    assert list(runner.map(tasks.add, 1, [])) == []


def test_items_are_taken_only_as_far_as_the_window(runner: RayRunner) -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for item in range(10_000):
            taken += 1
            yield item

    results = runner.map(tasks.add, 0, items())
    for _ in range(20):
        next(results)
    results.close()  # type: ignore[attr-defined]
    assert taken <= 20 + 4 * runner.workers


def test_shared_of_each_map_is_its_own(runner: RayRunner) -> None:
    for shared in ([1, 2], [3, 4]):
        assert list(runner.map(tasks.read_item, shared, [0, 1, 0])) == [*shared, shared[0]]


def test_a_kept_result_does_not_hold_a_place_in_the_object_store(runner: RayRunner) -> None:
    """Twice as much as the store holds can be kept; what lies in the store cannot be written to."""
    kept = list(runner.map(tasks.array, 8 << 20, range(64)))
    assert sum(array.nbytes for array in kept) == 512 << 20
    assert all(array.flags.writeable for array in kept)
    assert [int(array[-1]) for array in kept] == list(range(64))


def test_the_first_failing_item_ends_the_map_with_its_own_error(
    runner: RayRunner, tmp_path: Path
) -> None:
    results = runner.map(tasks.fail_from_five, tmp_path, range(1000))
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(CaseTableError, match="part 5") as caught:
        next(results)
    assert (caught.value.file, caught.value.column) == ("part-5.parquet", "dx")
    assert len(list(tmp_path.iterdir())) <= 5 + 4 * runner.workers
    assert list(runner.map(tasks.read_item, [7], [0])) == [7]


def test_bad_data_is_told_with_its_part_and_row(runner: RayRunner, tmp_path: Path) -> None:
    """A row that no reader can take: named, and not tried again on another worker."""
    cases = tmp_path / "cases"
    cases.mkdir()
    rows = [f"{number},K35.900" for number in range(50)]
    for name, row in (("a.csv", rows[20]), ("b.csv", "20,K35.900,and,more"), ("c.csv", rows[20])):
        text = ["case_id,dx", *rows[:20], row, *rows[21:]]
        (cases / name).write_text("\n".join(text) + "\n")
    scheme = load_scheme("chs-core")
    source = open_cases(cases, wanted=columns_for(scheme))
    pids = runner.crew.pids()
    with pytest.raises(CaseTableError, match="Row #22") as caught:
        group_files(source, scheme, tmp_path / "out", runner)
    assert caught.value.file == "b.csv"
    assert "mend the row" in caught.value.hint
    assert runner.crew.pids() == pids
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("victim", [0, 17])
def test_a_killed_worker_loses_nothing(runner: RayRunner, tmp_path: Path, victim: int) -> None:
    (tmp_path / "victim").write_text(str(victim))
    assert list(runner.map(tasks.die_once, tmp_path, range(40))) == list(range(40))
    assert not (tmp_path / "victim").exists()


def test_an_item_that_kills_every_worker_is_named(runner: RayRunner) -> None:
    results = runner.map(tasks.always_die, None, range(10))
    with pytest.raises(RunError, match="item 3"):
        list(results)
    assert list(runner.map(tasks.read_item, [7], [0])) == [7]


def until_lost(reference: object) -> None:
    """Wait until Ray has noticed on a busy machine that nobody owns an object any more."""
    import ray

    ask = ray.remote(num_cpus=0)(lambda values: len(values))
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            ray.get(ask.remote(reference), timeout=5)
        except ray.exceptions.GetTimeoutError:  # no process for the question was up in time
            pass
        except ray.exceptions.RayError:
            return
        time.sleep(0.2)
    pytest.fail("the object is still there")


def until_dead(owner: Any) -> None:
    """Waits until a killed actor answers no more: calls may overtake the kill."""
    import ray

    for _ in range(100):
        try:
            ray.get(owner.put.remote(0))
        except ray.exceptions.ActorDiedError:
            return
        except ray.exceptions.ActorUnavailableError:
            pass
        time.sleep(0.1)
    pytest.fail("the actor still lives")


def test_lost_objects_are_sent_again(runner: RayRunner) -> None:
    """The process that owns what all items share is killed: the calls get another copy."""
    import ray

    from cluster.crew import TaskMap
    from cluster.parcel import Parcel

    shared = list(range(200_000))  # too large to travel with its reference
    work = TaskMap[int](runner.crew, tasks.read_item, shared, range(40))
    owner = ray.remote(num_cpus=0)(tasks.Owner).remote()
    (lost,) = ray.get(owner.put.remote(Parcel(pickle.dumps(shared), [], [])))
    ray.kill(owner)
    until_dead(owner)
    until_lost(lost)
    work._box = [lost]
    assert list(work.results()) == shared[:40]
    assert work._box[0] != lost


def test_constants_travel_once(runner: RayRunner) -> None:
    """A worker keeps them from map to map, as long as no more than a few others came between."""

    def looked(table: tasks.Table, more: int) -> dict[int, int]:
        found = list(runner.map(tasks.look, (table, more), range(4)))
        assert {total for _, _, total in found} == {int(table.rows.sum()) + more}
        return {pid: place for pid, place, _ in found}

    table = tasks.Table(np.arange(100_000))
    places = looked(table, 1)
    again = looked(table, 2)
    both = places.keys() & again.keys()
    assert both
    assert all(places[pid] == again[pid] for pid in both)
    for number in range(10):
        looked(tasks.Table(np.full(10, number)), 3)
    looked(table, 4)


def test_a_closed_runner_says_so() -> None:
    closed = RayRunner(1)
    closed.close()
    closed.close()
    with pytest.raises(RunError, match="closed"):
        closed.map(tasks.read_item, [1], [0])


def told(program: str, env: dict[str, str]) -> str:
    """What a program that fails says on its error stream."""
    ended = subprocess.run(
        [sys.executable, "-c", f"from cluster.runner import RayRunner\n{program}"],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    return ended.stderr


def test_a_local_ray_that_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    env = {**os.environ, "RAY_TMPDIR": str(tmp_path / "file")}
    assert "RunError: a local Ray does not start: " in told("RayRunner(2)", env)


def test_ray_that_was_imported_too_early() -> None:
    """It has read its environment, and would start a cluster that asks nobody for a token."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    error = told("import ray; RayRunner(2)", env)
    assert "RunError: a local Ray does not start: ray was imported before" in error


@pytest.mark.parametrize("address", ["127.0.0.1:9", ":9"])
def test_an_address_without_a_cluster(address: str) -> None:
    last = told(f"RayRunner(1, '{address}')", dict(os.environ)).splitlines()[-1]
    assert f"no Ray cluster answers at {address}: " in last


def test_local_ray_is_for_this_machine_only(runner: RayRunner) -> None:
    import ray

    (node,) = ray.nodes()
    assert node["NodeManagerAddress"] == "127.0.0.1"
    assert os.environ["RAY_AUTH_MODE"] == "token"
