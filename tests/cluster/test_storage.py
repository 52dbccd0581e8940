"""Regions and runs in an S3 store: a real server, real requests."""

import hashlib
from collections.abc import Iterator
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
from grouper.errors import OutputError, RegionError
from grouper.execution import LocalRunner
from grouper.run import rerun
from grouper.scheme import load_scheme
from grouper.settlement.policyfile import load_policy
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
    record = stores._Record.add

    def add(self: stores._Record, name: str, mark: str) -> None:
        if len(sent) == 1:
            sent.append("lost")
            raise OSError("the power went")
        sent.append(name)
        record(self, name, mark)

    monkeypatch.setattr(stores._Record, "add", add)
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


def test_commands_from_store_to_store(
    store: fs.S3FileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """rerun, report, sql and group with addresses, as a user types them."""
    monkeypatch.setenv("GROUPER_CACHE", str(tmp_path / "cache"))
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
    assert f"open {place}/run/report/index.html" in typed("report", f"{place}/run")
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
    assert "cannot list" in typed("report", f"{place}/nothing", code=1)


def test_stores_that_are_not_there(store: fs.S3FileSystem, tmp_path: Path) -> None:
    with pytest.raises(RegionError):
        stores.bring("s3://no-such-bucket/region", tmp_path / "region")
    with pytest.raises(RegionError, match="cannot open"):
        stores.bring("nothing://bucket/region", tmp_path / "region")


def test_commands_that_read_a_store(
    store: fs.S3FileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """compare, close, sweep, quality, indicators and the trials of schemes, with addresses."""
    monkeypatch.setenv("GROUPER_CACHE", str(tmp_path / "cache"))
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
