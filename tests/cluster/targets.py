"""Decoders that take bytes from strangers, each as a function: it answers or refuses in our words.

hypothesis bends the seeds in `test_fuzz.py`; `benchmarks/fuzz.py` lets atheris look for paths that
no seed takes. What once mattered stands in `seeds/DECODER/`.
"""

import json
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from google.protobuf.message import DecodeError

from cluster.drg.v1 import case_pb2, grouping_service_pb2, run_service_pb2
from cluster.errors import RequestError
from cluster.server.cases import case_values, result_of
from cluster.server.grouping import SchemeShelf, group_message
from grouper.cases import open_cases, read_part
from grouper.errors import GrouperError
from grouper.grouping import columns_for, group
from grouper.scheme import load_scheme
from grouper.settlement.policyfile import load_policy
from grouper.settlement.region import load_region
from tests.scheme import builder

SCHEME = load_scheme("chs-core")
SHELF = SchemeShelf((SCHEME,))
SEEDS = Path(__file__).parent / "seeds"
STATUSES = ("grouped", "ambiguous", "ungrouped", "invalid")


@dataclass(frozen=True)
class Target:
    """A decoder: bytes that it takes, and what is tried with any bytes."""

    made: tuple[bytes, ...]
    run: Callable[[bytes], None]
    kept: str

    @property
    def seeds(self) -> list[bytes]:
        """The made ones, and those that are kept."""
        kept = sorted((SEEDS / self.kept).glob("*"))
        return [*self.made, *(path.read_bytes() for path in kept)]


def _stream(compression: str | None, *, dictionary: bool) -> bytes:
    ids: pa.Array = pa.array([str(n) for n in range(8)])
    table = pa.table(
        {
            "case_id": ids.dictionary_encode() if dictionary else ids,
            "dx": [["K35.900", "I10.x00"], ["I21.900"], [], None] * 2,
            "px": [["47.0901"], [], None, ["36.0601"]] * 2,
            "age": pa.array([1, None, 30, 99] * 2, pa.int16()),
        }
    )
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write(table)
    return bytes(sink.getvalue())


def arrow(data: bytes) -> None:
    """Arrow IPC bytes of `GroupBatch`: every case is counted once."""
    try:
        answer, counts = group_message(data, SCHEME)
    except GrouperError:
        return
    with pa.ipc.open_stream(answer) as reader:
        assert reader.read_all().num_rows == sum(counts[name] for name in STATUSES)


CASE = case_pb2.Case(
    case_id="1", dx=["K35.900", "I10.x00"], px=["47.0901"], sex=1, age=30, attributes={"x": 1}
)
MESSAGES = (
    case_pb2.Case,
    grouping_service_pb2.GroupCaseRequest,
    grouping_service_pb2.GroupBatchRequest,
    run_service_pb2.StartRunRequest,
    run_service_pb2.ListRunsRequest,
)


def proto(data: bytes) -> None:
    """A message of the contract; its first byte says which."""
    kind = MESSAGES[data[0] % len(MESSAGES)] if data else MESSAGES[0]
    try:
        message = kind.FromString(data[1:])
    except DecodeError:
        return
    if isinstance(message, case_pb2.Case):
        try:
            values = case_values(message, {"x"})
        except RequestError:
            return
        result_of(message.case_id, SHELF.group(SCHEME, values))
        if values.get("case_id") is not None:
            alone = pa.table({"case_id": ["1"], "dx": [list(message.dx)], "px": [list(message.px)]})
            assert group(alone, SCHEME).num_rows == 1


def policy(data: bytes) -> None:
    """A policy file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "policy.toml"
        path.write_bytes(data)
        with suppress(GrouperError):
            load_policy(str(path))


PACK = {name: data for name, data in builder.files().items() if data is not None}
_BETWEEN = b"\x1c"


def pack(data: bytes) -> None:
    """The files of a scheme pack one after the other; files that are not there are the seed's."""
    given = data.split(_BETWEEN)
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, whole) in enumerate(PACK.items()):
            (Path(folder) / name).write_bytes(given[number] if number < len(given) else whole)
        with suppress(GrouperError):
            load_scheme(folder)


CSV = b"case_id,dx,px,age\n1,K35.900|I10.x00,47.0901,30\n2,I21.900,,\n"


def csv(data: bytes) -> None:
    """A file of cases; its first byte says in which encoding."""
    encoding = "gb18030" if data[:1] == b"g" else "utf-8"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cases.csv"
        path.write_bytes(data[1:])
        with suppress(GrouperError):
            source = open_cases(path, wanted=columns_for(SCHEME), encoding=encoding)
            rows = 0
            for part in source.parts:
                for batch in read_part(source, part):
                    rows += batch.num_rows
                    assert group(pa.Table.from_batches([batch]), SCHEME).num_rows == batch.num_rows
            assert rows <= data.count(b"\n") + data.count(b"\r") + 1


REGION = {
    "hospitals.csv": b"hospital_id,name,level\nH1,First,3\nH2,Second,1\n",
    "budget.csv": b"pool,line,effective_month,amount\nemployee,fund_total,2024-01,9000000.00\n",
    "month_shares.csv": b"pool,month,amount\nemployee,2023-01,100.00\n",
    "reviews.csv": b"case_id,kind,unreasonable_cost,approved\n1,special,1.00,true\n",
    "deductions.csv": b"hospital_id,month,pool,money,points,reason\nH1,2024-01,employee,1.00,,x\n",
    "payments.csv": b"hospital_id,pool,month,amount,kind\nH1,employee,2024-01,5.00,monthly\n",
    "rates.csv": b"table,drg,class,value\nprices,FM11,3,1.5\n",
}


def region(data: bytes) -> None:
    """The small tables of a region folder one after the other."""
    given = data.split(_BETWEEN)
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, whole) in enumerate(REGION.items()):
            (Path(folder) / name).write_bytes(given[number] if number < len(given) else whole)
        with suppress(GrouperError):
            load_region(Path(folder))


def manifest(data: bytes) -> None:
    """The manifest of a run folder."""
    from grouper.run.folder import read_manifest

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "manifest.json").write_bytes(data)
        with suppress(GrouperError):
            read_manifest(Path(folder))


POLICY = b'id = "mine"\ntitle = "Mine"\nextends = "guigang-points"\n[stability]\nmin_cases = 6\n'
_MANIFEST = {
    "run": "1", "engine": "1", "scheme": {}, "policy": {}, "year": 2024, "inputs": {}, "stages": [],
    "checks": [], "notes": {}, "warnings": [],
}  # fmt: skip
_ARROW = tuple(
    _stream(kind, dictionary=dictionary)
    for kind in (None, "lz4", "zstd")
    for dictionary in (False, True)
)

TARGETS = {
    "arrow": Target(_ARROW, arrow, "arrow"),
    "proto": Target((b"\0" + CASE.SerializeToString(),), proto, "proto"),
    "pack": Target((_BETWEEN.join(PACK.values()),), pack, "pack"),
    "policy": Target((POLICY,), policy, "policy"),
    "csv": Target((b"u" + CSV, b"g" + CSV), csv, "csv"),
    "region": Target((_BETWEEN.join(REGION.values()),), region, "region"),
    "manifest": Target((json.dumps(_MANIFEST).encode(),), manifest, "manifest"),
}
