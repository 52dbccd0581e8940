"""Regions and runs in an S3 store: a real server, real requests."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from moto.server import ThreadedMotoServer
from pyarrow import fs

from cluster import storage
from cluster.client import Client
from cluster.drg.v1 import run_service_pb2
from cluster.errors import ServiceError
from cluster.server.config import ServerConfig
from grouper.errors import OutputError, RegionError
from grouper.execution import LocalRunner
from grouper.run import rerun
from grouper.scheme import load_scheme
from grouper.settlement.policyfile import load_policy
from tests.cluster.conftest import serving
from tests.cluster.region import make_region
from tests.cluster.test_run_service import tables_of

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
    config = ServerConfig(port=0, data=data, grace_seconds=1.0, buckets=(BASE,))
    with serving(config) as front, Client(f"127.0.0.1:{front.port}") as client:
        run_id = client.start_run(region=f"{BASE}/region", out=f"{BASE}/run", **names).run_id
        *_, last = client.watch_run(run_id)
        assert last.state == run_service_pb2.RUN_STATE_SUCCEEDED, last.failure
        assert last.spec.out == f"{BASE}/run"
        assert client.manifest(run_id)["checks"]
        points = pa.concat_tables(client.table(run_id, "points"))
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
    storage.bring(f"{BASE}/run", there)
    assert tables_of(there) == tables_of(here)
    assert points.equals(pq.read_table(here / "points"))
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
    record = storage._Record.add

    def add(self: storage._Record, name: str, mark: str) -> None:
        if len(sent) == 1:
            sent.append("lost")
            raise OSError("the power went")
        sent.append(name)
        record(self, name, mark)

    monkeypatch.setattr(storage._Record, "add", add)
    with pytest.raises(OutputError, match="the power went"):
        storage.publish(run, f"{BASE}/again")
    assert not store.get_file_info("drg/year/again/manifest.json").is_file
    storage.publish(run, f"{BASE}/again")
    assert sent == ["a.parquet", "lost", "points/part-00000.parquet", "manifest.json"]
    names = {Path(one.path).name for one in storage.files_below(f"{BASE}/again")}
    assert names == {"a.parquet", "part-00000.parquet", "manifest.json"}


def test_what_was_brought_is_not_brought_again(store: fs.S3FileSystem, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "cases").mkdir(parents=True)
    for name in ("hospitals.csv", "cases/a.csv", "cases/b.csv"):
        (source / name).write_text(name)
    upload(store, source, "drg/year/small")
    folder = tmp_path / "work" / "region"
    storage.bring(f"{BASE}/small", folder)
    first = (folder / "hospitals.csv").stat().st_mtime_ns
    with store.open_output_stream("drg/year/small/cases/a.csv") as sink:
        sink.write(b"changed in the store")
    store.delete_file("drg/year/small/cases/b.csv")
    storage.bring(f"{BASE}/small", folder)
    assert (folder / "cases" / "a.csv").read_text() == "changed in the store"
    assert not (folder / "cases" / "b.csv").exists()
    assert (folder / "hospitals.csv").stat().st_mtime_ns == first


def test_stores_that_are_not_there(store: fs.S3FileSystem, tmp_path: Path) -> None:
    with pytest.raises(RegionError):
        storage.bring("s3://no-such-bucket/region", tmp_path / "region")
    with pytest.raises(RegionError, match="cannot open"):
        storage.bring("nothing://bucket/region", tmp_path / "region")
