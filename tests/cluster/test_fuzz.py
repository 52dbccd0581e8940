"""Bytes and texts from strangers: every decoder answers or refuses in its own words.

Seeds that once mattered stand in `seeds/`; hypothesis bends and cuts them.
"""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pytest
from google.protobuf.message import DecodeError
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cluster import codec
from cluster.drg.v1 import case_pb2, grouping_service_pb2, run_service_pb2
from cluster.errors import RequestError
from cluster.server.cases import case_values, result_of
from cluster.server.grouping import SchemeShelf, group_message
from grouper.cases import open_cases, read_part
from grouper.errors import GrouperError
from grouper.grouping import columns_for, group
from grouper.scheme import load_scheme
from grouper.settlement.policyfile import load_policy
from tests.scheme import builder

EXAMPLES = int(os.environ.get("GROUPER_FUZZ", "0"))
"""How many inputs a decoder gets; by default few, and the same ones every time."""
QUICK = settings(
    max_examples=EXAMPLES or 150,
    deadline=None,
    derandomize=not EXAMPLES,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
SCHEME = load_scheme("chs-core")
SHELF = SchemeShelf((SCHEME,))
SEEDS = Path(__file__).parent / "seeds"


def _seed(compression: str | None, *, dictionary: bool) -> bytes:
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


ARROW = [
    _seed(kind, dictionary=dictionary)
    for kind in (None, "lz4", "zstd")
    for dictionary in (False, True)
]
KEPT = [path.read_bytes() for path in sorted(SEEDS.glob("*.arrows"))]


@st.composite
def bent(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """A seed with some bytes changed, left out or put in."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        match draw(st.sampled_from(("set", "cut", "put", "end", "word"))):
            case "set" if data:
                data[at] = draw(st.integers(0, 255))
            case "cut":
                del data[at : at + draw(st.integers(1, 16))]
            case "put":
                data[at:at] = draw(st.binary(min_size=1, max_size=16))
            case "end":
                del data[at:]
            case "word":
                value = draw(st.sampled_from((0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)))
                data[at : at + 4] = value.to_bytes(4, "little")
    return bytes(data)


@QUICK
@given(bent(ARROW) | st.binary(max_size=400))
@example(b"")
def test_arrow_bytes(data: bytes) -> None:
    try:
        answer, counts = group_message(data, SCHEME)
    except GrouperError:
        return
    with pa.ipc.open_stream(answer) as reader:
        table = reader.read_all()
    statuses = ("grouped", "ambiguous", "ungrouped", "invalid")
    assert table.num_rows == sum(counts[name] for name in statuses)


@pytest.mark.parametrize("data", KEPT, ids=[path.name for path in sorted(SEEDS.glob("*.arrows"))])
def test_kept_seeds(data: bytes) -> None:
    with pytest.raises(RequestError):
        codec.decode(data, "arrow_ipc")


CASE = case_pb2.Case(
    case_id="1", dx=["K35.900", "I10.x00"], px=["47.0901"], sex=1, age=30, attributes={"x": 1}
).SerializeToString()
MESSAGES = (
    case_pb2.Case,
    grouping_service_pb2.GroupCaseRequest,
    grouping_service_pb2.GroupBatchRequest,
    run_service_pb2.StartRunRequest,
    run_service_pb2.ListRunsRequest,
)


@QUICK
@given(bent([CASE]) | st.binary(max_size=200), st.sampled_from(MESSAGES))
def test_proto_bytes(data: bytes, kind: type) -> None:
    try:
        message = kind.FromString(data)  # type: ignore[attr-defined]
    except DecodeError:
        return
    if isinstance(message, case_pb2.Case):
        try:
            values = case_values(message)
        except RequestError:
            return
        found = SHELF.group(SCHEME, values)
        result_of(message.case_id, found)
        if values.get("case_id") is not None:
            alone = pa.table({"case_id": ["1"], "dx": [list(message.dx)], "px": [list(message.px)]})
            assert group(alone, SCHEME).num_rows == 1


POLICY = b'id = "mine"\ntitle = "Mine"\nextends = "guigang-points"\n[stability]\nmin_cases = 6\n'


@QUICK
@given(bent([POLICY]) | st.binary(max_size=200))
def test_policy_files(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "policy.toml"
        path.write_bytes(data)
        with suppress(GrouperError):
            load_policy(str(path))


PACK = {name: data for name, data in builder.files().items() if data is not None}


@settings(QUICK, max_examples=EXAMPLES or 60)
@given(st.fixed_dictionaries({name: bent([data]) for name, data in PACK.items()}))
def test_scheme_packs(files: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, data in files.items():
            (Path(folder) / name).write_bytes(data)
        with suppress(GrouperError):
            load_scheme(folder)


CSV = b"case_id,dx,px,age\n1,K35.900|I10.x00,47.0901,30\n2,I21.900,,\n"


@settings(QUICK, max_examples=EXAMPLES or 60)
@given(bent([CSV]), st.sampled_from(("utf-8", "gb18030")))
def test_case_files(data: bytes, encoding: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cases.csv"
        path.write_bytes(data)
        with suppress(GrouperError):
            source = open_cases(path, wanted=columns_for(SCHEME), encoding=encoding)
            for part in source.parts:
                for batch in read_part(source, part):
                    assert batch.num_rows >= 0
