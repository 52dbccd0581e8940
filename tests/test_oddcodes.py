"""Unknown, retired and grey codes: counted by hospital, alike in every form and split."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from grouper.bulk import group_files
from grouper.cases import COLUMNS, open_cases
from grouper.execution import LocalRunner
from grouper.grouping import columns_for, group_batch
from grouper.oddcodes import OddCodes, join_odd_codes, write_odd_codes
from grouper.run import rerun
from grouper.scheme import Scheme, from_pack, load_scheme
from grouper.settlement.policyfile import load_policy
from tests.scheme import builder

DX_MAP = "from,to\nOLD,I63.900\nI64.x00,I63.900\nJ44.000,J96.000\n"
DX = "code,name\nI63.900,cerebral infarction\nI64.x00,stroke\n"
CHANGES: dict[str, str | bytes | None] = {"dx_map.csv": DX_MAP, "dx.csv": DX}

LISTS = [["OLD", "nope"], ["I64.x00", "I64.x00"], ["I63.900", "nope"], ["I63.900"], ["nope"]]
PROCEDURES = [["01.23"], ["what"], [], ["01.2300"], ["what", "what"]]
HOSPITALS = ["H1", "H2", "H1", "H1", None]
EXPECTED = [
    ("", "dx", "unknown", "nope", 1, 1),
    ("", "px", "unknown", "what", 2, 1),
    ("H1", "dx", "retired", "OLD", 1, 1),
    ("H1", "dx", "unknown", "nope", 2, 2),
    ("H1", "px", "retired", "01.23", 1, 1),
    ("H2", "dx", "grey", "I64.x00", 2, 1),
    ("H2", "px", "unknown", "what", 1, 1),
]


def scheme(edition: str = "") -> Scheme:
    return from_pack(builder.pack(CHANGES), edition=edition)


def batch(form: str) -> pa.RecordBatch:
    table = {"case_id": [str(i) for i in range(5)], "hospital_id": HOSPITALS}
    for name, lists in (("dx", LISTS), ("px", PROCEDURES)):
        plain = pa.array(lists, pa.list_(pa.string()))
        if form == "joined":
            plain = pa.array(["|".join(codes) for codes in lists])
        elif form == "coded":
            plain = plain.cast(pa.list_(pa.dictionary(pa.int32(), pa.string())))
        table[name] = plain
    return pa.RecordBatch.from_pydict(table)


def rows(table: pa.Table) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in table.to_pylist()]


@pytest.mark.parametrize("edition", ["", "clinical"])
@pytest.mark.parametrize("form", ["plain", "coded", "joined"])
def test_every_odd_code_is_counted(form: str, edition: str) -> None:
    whole, using = OddCodes(), scheme(edition)
    cases = batch(form)
    grouped = group_batch(cases, using)
    whole.add(cases, grouped)
    assert rows(whole.table()) == EXPECTED
    assert (grouped.unknown_dx, grouped.unknown_px) == ((3, 3) if edition else (4, 4))
    tables = []
    for piece in (cases.slice(0, 2), cases.slice(2)):
        part = OddCodes()
        part.add(piece, group_batch(piece, using))
        tables.append(part.table())
    assert join_odd_codes(reversed(tables)).equals(whole.table())


def test_a_dropped_code_is_retired_too() -> None:
    using = from_pack(
        builder.pack({"dx_map.csv": "from,to\nOLD,-\n", "dx.csv": DX}), edition="clinical"
    )
    found, cases = OddCodes(), batch("coded")
    found.add(cases, group_batch(cases, using))
    assert ("H1", "dx", "retired", "OLD", 1, 1) in rows(found.table())


def test_grouping_files_writes_them_by_hospital(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_batches([batch("plain")]), tmp_path / "in.parquet")
    using = scheme()
    wanted = (*columns_for(using), COLUMNS["hospital_id"])
    source = open_cases(tmp_path / "in.parquet", wanted=wanted)
    codes = tmp_path / "codes.parquet"
    counts = group_files(source, using, tmp_path / "out.parquet", LocalRunner(), codes=codes)
    assert {name: counts[name] for name in ("unknown_dx", "retired_dx", "grey_dx")} == {
        "unknown_dx": 4, "retired_dx": 1, "grey_dx": 2,
    }  # fmt: skip
    assert rows(pq.read_table(codes)) == EXPECTED
    write_odd_codes(pq.read_table(codes), tmp_path / "codes.csv")
    text = (tmp_path / "codes.csv").read_bytes().decode()
    assert text.startswith('\ufeff"hospital_id","list"')
    assert text.count("\n") == 1 + len(EXPECTED)


def test_a_policy_says_the_edition(tmp_path: Path) -> None:
    region = tmp_path / "region"
    (region / "cases").mkdir(parents=True)
    table = pa.Table.from_batches([batch("plain")]).set_column(1, "hospital_id", [["H1"] * 5])
    for name, value in (("insurance", "employee"), ("settle_month", "2024-01")):
        table = table.append_column(name, [[value] * 5])
    for name in ("total_cost", "fund_paid"):
        table = table.append_column(name, [[100] * 5])
    pq.write_table(table, region / "cases" / "part.parquet")
    (region / "hospitals.csv").write_text("hospital_id,level\nH1,3\n")
    (region / "budget.csv").write_text(
        "pool,line,effective_month,amount\nemployee,fund_total,2024-01,1000\n"
    )
    policy = tmp_path / "clinical.toml"
    policy.write_text('extends = "guigang-points"\nid = "clinical"\nedition = "clinical"\n')
    using = load_scheme(builder.write(tmp_path / "pack", CHANGES))
    drgs = {}
    for name in ("guigang-points", str(policy)):
        run = tmp_path / Path(name).stem
        rerun(region, using, load_policy(name), run, LocalRunner())
        drgs[run.name] = pq.read_table(run / "grouped").column("drg").to_pylist()
        found = pq.read_table(run / "odd_codes.parquet")
        assert ("H1", "dx", "unknown", "nope", 3, 3) in rows(found)
    assert drgs["guigang-points"][0] == ""
    assert drgs["clinical"][0] == "BR25"
