"""Regions and runs in an S3 store: a real server, real requests."""

import hashlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from moto.server import ThreadedMotoServer
from pyarrow import fs

from cluster.channel import Credentials
from cluster.client import Client
from cluster.drg.v1 import run_service_pb2
from cluster.errors import ServiceError
from cluster.server.config import ServerConfig
from cluster.server.principals import PrincipalEntry
from grouper import stores
from grouper.errors import OutputError, RegionError, RunError
from grouper.execution import LocalRunner
from grouper.run import rerun
from grouper.scheme import load_scheme
from grouper.settlement.policyfile import load_policy
from grouper.transferred import Record
from tests.cluster.conftest import serving
from tests.cluster.region import make_region
from tests.cluster.test_run_service import tables_of
from tests.cluster.typed import typed

BASE = "s3://drg/year"


@pytest.fixture(scope="module")
def store() -> Iterator[fs.S3FileSystem]:
    """An S3 server; the environment leads to it, as it would in operation."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ACCESS_KEY_ID", "test")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "test")
        environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
        environment.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        environment.setenv("AWS_EC2_METADATA_DISABLED", "true")
        system = fs.S3FileSystem(
            endpoint_override=f"{host}:{port}", scheme="http", allow_bucket_creation=True
        )
        system.create_dir("drg")
        yield system
    server.stop()


@pytest.fixture(autouse=True)
def own_transfers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Transfers lie in the test's folder; compiled kernels stay where they are."""
    monkeypatch.setattr(stores, "cache_root", lambda: tmp_path / "cache")


def upload(system: fs.FileSystem, folder: Path, base: str) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with system.open_output_stream(f"{base}/{path.relative_to(folder)}") as sink:
                sink.write(path.read_bytes())


def test_a_run_from_store_to_store(store: fs.S3FileSystem, tmp_path: Path) -> None:
    region = make_region(tmp_path / "region", parts=2, rows=500)
    upload(store, region, "drg/year/region")
    data = tmp_path / "data"
    data.mkdir()
    names = {"scheme": "chs-core", "policy": "guigang-points"}
    entries = tuple(
        PrincipalEntry(
            name=role.replace(":", "-"),
            role=role,
            token_sha256=hashlib.sha256(role.encode()).hexdigest(),
        )
        for role in ("bureau", "hospital:H1")
    )
    config = ServerConfig(port=0, data=data, grace_seconds=1.0, buckets=(BASE,), principals=entries)

    def known(role: str) -> Credentials:
        return Credentials(token=role, encrypted=False)

    with (
        serving(config) as front,
        Client(f"127.0.0.1:{front.port}", credentials=known("bureau")) as client,
        Client(f"127.0.0.1:{front.port}", credentials=known("hospital:H1")) as hospital,
    ):
        run_id = client.start_run(region=f"{BASE}/region", out=f"{BASE}/run", **names).run_id
        *_, last = client.watch_run(run_id)
        assert last.state == run_service_pb2.RUN_STATE_SUCCEEDED, last.failure
        assert last.spec.out == f"{BASE}/run"
        assert client.manifest(run_id)["checks"]
        points = pa.concat_tables(client.table(run_id, "points"))
        statement = pa.concat_tables(hospital.table(run_id, "clearing"))
        own = pa.concat_tables(hospital.table(run_id, "points"))
        for wrong in ("s3://other/year/run", "s3://drg/year/../x", f"{BASE}/", "file:///etc", BASE):
            with pytest.raises(ServiceError) as caught:
                client.start_run(region=f"{BASE}/region", out=wrong, **names)
            assert [one.field for one in caught.value.violations] == ["spec.out"], wrong
        nothing = client.start_run(region=f"{BASE}/nothing", out=f"{BASE}/none", **names).run_id
        *_, failed = client.watch_run(nothing)
        assert failed.failure.reason == "BAD_REGION"
    here = tmp_path / "here"
    rerun(region, load_scheme("chs-core"), load_policy("guigang-points"), here, LocalRunner())
    there = tmp_path / "there"
    stores.bring(f"{BASE}/run", there)
    assert tables_of(there) == tables_of(here)
    assert points.equals(pq.read_table(here / "points"))
    whole, whose = pq.read_table(here / "clearing.parquet"), pq.read_table(here / "cases")
    assert statement.equals(whole.filter(pa.compute.equal(whole["hospital_id"], "H1")))
    assert own.equals(points.filter(pa.compute.equal(whose["hospital_id"], "H1")))
    assert not list((data / ".grouper" / "transfers").glob(f"{run_id}*"))


def test_a_transfer_that_was_interrupted_goes_on(
    store: fs.S3FileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "work" / "run"
    (run / "points").mkdir(parents=True)
    (run / ".work").mkdir()
    for name in ("a.parquet", "points/part-00000.parquet", "manifest.json", ".work/scratch"):
        (run / name).write_text(name)
    sent: list[str] = []
    record = Record.add

    def add(self: Record, name: str, mark: str) -> None:
        if len(sent) == 1:
            sent.append("lost")
            raise OSError("the power went")
        sent.append(name)
        record(self, name, mark)

    monkeypatch.setattr(Record, "add", add)
    with pytest.raises(OutputError, match="the power went"):
        stores.publish(run, f"{BASE}/again")
    assert not store.get_file_info("drg/year/again/manifest.json").is_file
    stores.publish(run, f"{BASE}/again")
    assert sent == ["a.parquet", "lost", "points/part-00000.parquet", "manifest.json"]
    names = {Path(one.path).name for one in stores.files_below(f"{BASE}/again")}
    assert names == {"a.parquet", "part-00000.parquet", "manifest.json"}


def test_what_was_brought_is_not_brought_again(store: fs.S3FileSystem, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "cases").mkdir(parents=True)
    for name in ("hospitals.csv", "cases/a.csv", "cases/b.csv"):
        (source / name).write_text(name)
    upload(store, source, "drg/year/small")
    folder = tmp_path / "work" / "region"
    stores.bring(f"{BASE}/small", folder)
    first = (folder / "hospitals.csv").stat().st_mtime_ns
    with store.open_output_stream("drg/year/small/cases/a.csv") as sink:
        sink.write(b"changed in the store")
    store.delete_file("drg/year/small/cases/b.csv")
    stores.bring(f"{BASE}/small", folder)
    assert (folder / "cases" / "a.csv").read_text() == "changed in the store"
    assert not (folder / "cases" / "b.csv").exists()
    assert (folder / "hospitals.csv").stat().st_mtime_ns == first


def test_commands_from_store_to_store(store: fs.S3FileSystem, tmp_path: Path) -> None:
    """rerun, report, sql and group with addresses, as a user types them."""
    region = make_region(tmp_path / "region", parts=2, rows=300)
    upload(store, region, "drg/typed/region")
    place = "s3://drg/typed"
    names = ("--scheme", "chs-core", "--policy", "guigang-points")
    run = ("rerun", f"{place}/region", *names, "--out", f"{place}/run")
    assert f"settled: {place}/run " in typed(*run)
    assert f"verified: {place}/run " in typed(*run)
    assert f"verified: {place}/run " in typed("rerun", region, *names, "--out", f"{place}/run")
    here = tmp_path / "here"
    typed("rerun", f"{place}/region", *names, "--out", here)
    with stores.copied(f"{place}/run") as there:
        assert tables_of(there) == tables_of(here)
    make_region(tmp_path / "other", parts=1, rows=50)
    assert "of other inputs" in typed(
        "rerun", tmp_path / "other", *names, "--out", f"{place}/run", code=1
    )
    assert f"written to {place}/run/report/index.html" in typed("report", f"{place}/run")
    assert store.get_file_info("drg/typed/run/report/index.html").size > 1000
    told = typed("sql", f"{place}/run", "select count(*) as n from points")
    assert "600" in told
    for out in ("grouped", "grouped.parquet"):
        typed(
            "group", "--scheme", "chs-core", "--cases", f"{place}/region/cases",
            "--out", f"{place}/{out}",
        )  # fmt: skip
        with stores.copied(f"{place}/{out}") as there:
            assert pq.read_table(there).equals(pq.read_table(here / "grouped"))
    typed(
        "group", "--scheme", "chs-core", "--cases", f"{place}/region/cases/part-00000.parquet",
        "--out", f"{place}/grouped",
    )  # fmt: skip
    assert [Path(one.path).name for one in stores.files_below(f"{place}/grouped")] == [
        "part-00000.parquet"
    ]
    refused = ("group", "--scheme", "chs-core", "--cases", region / "cases", "--out")
    assert "holds other things" in typed(*refused, f"{place}/run", code=1)
    other = typed(*refused, f"{place}/grouped.csv", code=1)
    assert f"error: {place}/grouped.csv cannot be written: results are Parquet" in other
    assert "cannot list" in typed("report", f"{place}/nothing", code=1)


def test_stores_that_are_not_there(store: fs.S3FileSystem, tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match="history/, which holds files of the region"),
        stores.places(f"{BASE}/region", f"{BASE}/region/history"),
    ):
        pass
    with pytest.raises(RegionError):
        stores.bring("s3://no-such-bucket/region", tmp_path / "region")
    with pytest.raises(RegionError, match="cannot open"):
        stores.bring("nothing://bucket/region", tmp_path / "region")


def test_commands_that_read_a_store(store: fs.S3FileSystem, tmp_path: Path) -> None:
    """compare, close, sweep, quality, indicators and the trials of schemes, with addresses."""
    region = make_region(tmp_path / "region", parts=1, rows=300)
    place, names = "s3://drg/read", ("--scheme", "chs-core", "--policy", "guigang-points")
    upload(store, region, "drg/read/region")
    typed("rerun", region, *names, "--out", tmp_path / "run")
    upload(store, tmp_path / "run", "drg/read/run")
    here = typed("compare", tmp_path / "run", tmp_path / "run")
    assert typed("compare", f"{place}/run", tmp_path / "run") == here
    assert typed("indicators", f"{place}/run") == typed("indicators", tmp_path / "run")
    cases = f"{place}/region/cases"
    told = typed("scheme", "stats", "chs-core", "--cases", cases)
    assert told == typed("scheme", "stats", "chs-core", "--cases", region / "cases")
    assert "300 cases grouped by both" in typed(
        "scheme", "diff", "chs-core", "chs-core", "--cases", f"{cases}/part-00000.parquet"
    )
    quality = ("quality", f"{place}/region", "--scheme", "chs-core", "--out", tmp_path / "quality")
    assert "300 cases" in typed(*quality)
    swept = ("--key", "low.ratio", "--from", "0.2", "--to", "0.3", "--steps", "2")
    typed("sweep", f"{place}/region", *names, *swept, "--out", tmp_path / "sweep")
    month = pq.read_table(tmp_path / "run" / "months.parquet")["month"][0].as_py()
    close = ("close", f"{place}/run", month, "--region", f"{place}/region")
    assert f"written to {place}/region/closed.csv" in typed(*close)
    assert "is closed already" in typed(*close, code=1)
    typed("close", tmp_path / "run", month, "--region", region)
    with stores.copied(f"{place}/region") as there:
        for name in ("closed.csv", "closed_statements.csv", f"closed_cases/{month}.parquet"):
            assert (there / name).read_bytes() == (region / name).read_bytes()


def test_the_life_of_a_month_in_a_store(
    store: fs.S3FileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """month add, late and calendar, supervise, sample and appeals, with addresses."""
    region, place, month = tmp_path / "region", "s3://drg/life", "2024-03"
    make_region(region, parts=1, rows=300)
    upload(store, region, "drg/life/region")
    cases = pq.read_table(make_region(tmp_path / "more", parts=1, rows=90, seed=2) / "cases")
    renamed = cases.set_column(
        0, "case_id", pa.array([f"new-{n}" for n in range(cases.num_rows)])
    ).filter(pa.compute.equal(cases["settle_month"], month))
    pq.write_table(renamed, tmp_path / "march.parquet")
    stores.put(tmp_path / "march.parquet", f"{place}/march.parquet")
    how = ("--month", month, "--scheme", "chs-core")
    add = ("month", "add", f"{place}/region", f"{place}/march.parquet", *how)
    send = stores._send
    stopped: list[str] = []

    def stop_at_the_part(file: Path, system: fs.FileSystem, path: str) -> None:
        if path.endswith(".parquet"):
            stopped.append(path)
            raise OSError("the power went")
        send(file, system, path)

    with monkeypatch.context() as power:
        power.setattr(stores, "_send", stop_at_the_part)
        assert "the power went" in typed(*add, code=1)
    assert len(stopped) == 1
    assert len(stores.files_below(f"{place}/region/cases")) == 1
    told = typed(*add)
    assert told == typed("month", "add", region, tmp_path / "march.parquet", *how).replace(
        str(region), f"{place}/region"
    )
    assert "was added to 2024-03 before" in typed(*add, code=1)
    with stores.copied(f"{place}/region") as there:
        assert _bytes(there) == _bytes(region)
    for name, *rest in (("late", "--month", month), ("calendar", "--year", "2024")):
        assert typed("month", name, f"{place}/region", *rest) == typed("month", name, region, *rest)
    names = ("--scheme", "chs-core", "--policy", "guigang-points")
    run = tmp_path / "run"
    typed("rerun", region, *names, "--out", run)
    upload(store, run, "drg/life/run")
    for command in (
        "supervise AT/run --region AT/region",
        "sample AT/run --seed 3",
        f"appeals send AT/run --region AT/region --out AT/sent --month {month}",
        f"appeals read AT/run AT/sent/H1-{month}.xlsx --region AT/region --out AT/answers",
    ):
        told = typed(*command.replace("AT/", f"{place}/").split())
        assert told == typed(*command.replace("AT/", f"{tmp_path}/").split()).replace(
            str(tmp_path), place
        )
    for name in ("run", "sent", "answers"):
        with stores.copied(f"{place}/{name}") as folder:
            names_there = {path.relative_to(folder) for path in folder.rglob("*")}
            here_too = tmp_path / name
            assert names_there == {path.relative_to(here_too) for path in here_too.rglob("*")}
    again = ("appeals", "send", f"{place}/run", "--region", f"{place}/region", "--out")
    assert "holds other things" in typed(*again, f"{place}/sent", code=1)


def test_a_store_that_others_change_meanwhile(store: fs.S3FileSystem, tmp_path: Path) -> None:
    place = f"{BASE}/shared"
    source = tmp_path / "source"
    source.mkdir()
    (source / "closed.csv").write_text("january")
    upload(store, source, "drg/year/shared")
    change = partial(stores.changed, without=(), last="closed.csv")

    def close(meanwhile: str) -> None:
        with change(place) as folder:
            text = (folder / "closed.csv").read_text()
            (folder / "closed.csv").write_text(f"{text} february")
            if meanwhile:
                (source / "closed.csv").write_text(meanwhile)
                upload(store, source, "drg/year/shared")

    with pytest.raises(OutputError, match="changed by others"):
        close("january march")
    close("")
    with change(place) as folder:
        assert (folder / "closed.csv").read_text() == "january march february"
        with pytest.raises(RunError, match="another process changes"):
            close("")


def _bytes(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("[!.]*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}
