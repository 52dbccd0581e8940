"""Backup and restore: what a server knew and made comes back as it was, or not at all."""

import json
import shutil
from pathlib import Path

import pytest

from cluster.backup import INDEX, back_up, restore
from cluster.server.register import Register, Spec, State
from grouper.errors import OutputError, RunError
from grouper.execution import LocalRunner
from grouper.run import rerun
from grouper.scheme import load_scheme
from grouper.settlement.policyfile import load_policy
from tests.settlement.regions import random_region, write_pack

WEIGHTS = [["BR19", "0.7434", "", ""], ["BR29", "1.51", "1", "1"], ["BR59", "6.02", "", "1"]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a region, a finished run and one that was interrupted."""
    data = tmp_path_factory.mktemp("served") / "data"
    random_region(data / "region", 3, 120)
    scheme = load_scheme(write_pack(data / "pack", WEIGHTS))
    rerun(
        data / "region", scheme, load_policy("guigang-points"), data / "runs" / "a", LocalRunner()
    )
    (data / "runs" / "b" / ".work").mkdir(parents=True)
    (data / "export").mkdir()
    (data / "export" / "manifest.json").write_text('{"counts": {}}')
    (data / "runs" / "c" / "grouped").mkdir(parents=True)
    (data / "runs" / "c" / "manifest.json").write_text("{")
    return data


@pytest.fixture
def data(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "data")
    return tmp_path / "data"


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _spec(data: Path) -> Spec:
    """As the service writes it."""
    return Spec(f"{data}/region", f"{data}/pack", "guigang-points", f"{data}/runs/a")


def test_back_and_forth_while_the_server_works(data: Path, tmp_path: Path) -> None:
    state = data / ".grouper"
    register = Register(state)
    run = register.add("request", _spec(data), "", "")
    (state / "audit.jsonl").write_text('{"event": "start"}\n')
    (state / "transfers" / run.run_id / "region").mkdir(parents=True)
    (state / "transfers" / run.run_id / "region" / "budget.csv").write_text("")
    kept = back_up(data, state, tmp_path / "backup")
    register.begin(run.run_id)
    register.close()
    assert (kept.runs, kept.left_out) == (1, ("runs/b", "runs/c"))
    fresh = tmp_path / "fresh"
    assert restore(tmp_path / "backup", fresh, fresh / ".grouper") == kept.files
    assert contents(fresh / "runs" / "a") == contents(data / "runs" / "a")
    assert not (fresh / "region").exists()
    assert (fresh / ".grouper" / "audit.jsonl").read_text() == '{"event": "start"}\n'
    assert not (fresh / ".grouper" / "transfers").exists()
    again = Register(fresh / ".grouper")
    assert again.get(run.run_id).state is State.QUEUED
    assert again.get(run.run_id).spec == _spec(fresh)
    again.close()


def test_inputs_and_links(data: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    first = back_up(data, state, tmp_path / "one", inputs=True)
    (data / "region" / "budget.csv").write_text("pool,line,effective_month,amount\n")
    second = back_up(data, state, tmp_path / "two", inputs=True, previous=tmp_path / "one")
    assert (first.linked, second.linked) == (0, first.files - 1)
    fresh, other = tmp_path / "fresh", tmp_path / "other"
    restore(tmp_path / "two", fresh, other)
    expected = {n: b for n, b in contents(data).items() if not n.startswith(("runs/b", "runs/c"))}
    assert contents(fresh) == expected
    assert contents(other) == {}


def test_what_is_refused(data: Path, tmp_path: Path) -> None:
    state = data / ".grouper"
    with pytest.raises(OutputError, match="is not a folder"):
        back_up(tmp_path / "none", state, tmp_path / "backup")
    (tmp_path / "empty").mkdir()
    with pytest.raises(OutputError, match="holds no run, and"):
        back_up(tmp_path / "empty", tmp_path / "empty" / ".grouper", tmp_path / "backup")
    (tmp_path / "empty").rmdir()
    assert not (tmp_path / "backup").exists()
    with pytest.raises(OutputError, match="lies inside"):
        back_up(data, state, data / "backup")
    with pytest.raises(OutputError, match="is not a backup: No such file or directory"):
        restore(data, tmp_path / "fresh", tmp_path / "fresh" / ".grouper")
    state.mkdir()
    (state / "runs.sqlite").write_text("no register")
    with pytest.raises(OutputError, match=r"runs\.sqlite cannot be read: file is not a database"):
        back_up(data, state, tmp_path / "backup")
    shutil.rmtree(state)
    back_up(data, state, tmp_path / "backup")
    with pytest.raises(OutputError, match="is there already"):
        restore(tmp_path / "backup", data, data / ".grouper")
    months = tmp_path / "backup" / "data" / "runs" / "a" / "months.parquet"
    months.write_bytes(b"")
    with pytest.raises(RunError, match=r"months\.parquet was altered in the backup"):
        restore(tmp_path / "backup", tmp_path / "fresh", tmp_path / "state")
    months.unlink()
    with pytest.raises(RunError, match=r"months\.parquet is missing in the backup"):
        restore(tmp_path / "backup", tmp_path / "fresh", tmp_path / "state")
    index = json.loads((tmp_path / "backup" / INDEX).read_text())
    index["files"]["../away"] = ""
    (tmp_path / "backup" / INDEX).write_text(json.dumps(index))
    with pytest.raises(OutputError, match="a name leaves the folder"):
        restore(tmp_path / "backup", tmp_path / "fresh", tmp_path / "state")
    (data / "runs" / "a" / "months.parquet").write_bytes(b"")
    with pytest.raises(RunError, match="its manifest says otherwise"):
        back_up(data, state, tmp_path / "other")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup", "data"]
