"""Codes of another edition: one step, only unknown codes, only on request."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from grouper.errors import PackError
from grouper.explain import explain_case
from grouper.grouping import group, group_batch
from grouper.scheme import Scheme, from_pack, load_scheme
from grouper.single import SingleGrouper
from tests.scheme import builder

MAP = """\
from,to
OLD,I63.900
gone,-
chain,next
next,I63.900
I63.500,J44.000
G99,J44.000
lost,nowhere
"""


def scheme(edition: str = "clinical") -> Scheme:
    return from_pack(builder.pack({"dx_map.csv": MAP}), edition=edition)


def drg(*codes: str | None, edition: str = "clinical") -> str:
    """The DRG of a case with these diagnoses, alike however the codes arrive."""
    plain = pa.array([list(codes)], pa.list_(pa.string()))
    coded = plain.cast(pa.list_(pa.dictionary(pa.int32(), pa.string())))
    joined = pa.array(["|".join(c or "" for c in codes)])
    using = scheme(edition)
    found = set()
    for column in (plain, coded):
        table = pa.table({"case_id": ["1"], "dx": column})
        found.add(tuple(group(table, using).to_pylist()[0][k] for k in ("status", "drg")))
    batch = pa.RecordBatch.from_pydict({"case_id": ["1"], "dx": joined})
    row = group_batch(batch, using).table().to_pylist()[0]
    found.add((row["status"], row["drg"]))
    one = SingleGrouper(using).group({"case_id": "1", "dx": list(codes)})
    found.add((one.status, one.drg))
    told = explain_case({"case_id": "1", "dx": list(codes)}, using).result
    found.add((told.status, told.drg))
    assert len(found) == 1
    status, answer = found.pop()
    return answer or status


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        (["OLD"], "BR25"),
        (["I63.900", "OLD", "J96.000"], "BR21"),
        (["gone", "I63.900"], "BR25"),
        (["I63.900", "gone", "J96.000"], "BR21"),
        (["gone"], "invalid"),
        (["gone", None, "I63.900"], "invalid"),
        (["chain"], "ungrouped"),
        (["next"], "BR25"),
        (["I63.500"], "BR25"),
        (["lost"], "ungrouped"),
        (["unheard"], "ungrouped"),
    ],
)
def test_mapping(codes: list[str | None], expected: str) -> None:
    assert drg(*codes) == expected


def test_only_on_request() -> None:
    assert drg("OLD", edition="") == "ungrouped"
    assert drg("OLD", edition="insurance") == "ungrouped"


def test_unknown_codes_are_counted_after_mapping() -> None:
    table = {"case_id": ["1"], "dx": [["OLD", "chain", "gone", "lost", "unheard", "I63.500"]]}
    batch = pa.RecordBatch.from_pydict({k: pa.array(v) for k, v in table.items()})
    assert group_batch(batch, scheme()).unknown_dx == 3
    assert group_batch(batch, scheme("")).unknown_dx == 5


def test_lists_of_many_cases_are_shortened() -> None:
    lists = [["gone", "I63.900"], [], None, ["I63.900", "gone"], ["gone"] * 3, ["OLD"]]
    table = pa.table({"case_id": [str(i) for i in range(6)], "dx": lists})
    status = group(table, scheme()).column("status").to_pylist()
    assert status == ["grouped", "invalid", "invalid", "grouped", "invalid", "grouped"]


def test_explanation_tells_what_was_mapped() -> None:
    told = explain_case({"case_id": "1", "dx": ["OLD", "gone", "I63.500"]}, scheme())
    assert [(m.given, m.code) for m in told.mapped] == [("OLD", "I63.900"), ("gone", "")]
    assert [n.code for n in told.diagnoses] == ["I63.900", "I63.500"]


def test_an_edition_is_another_scheme(tmp_path: Path) -> None:
    folder = builder.write(tmp_path, {"dx_map.csv": MAP})
    own, clinical = load_scheme(folder), load_scheme(folder, edition="clinical")
    assert own.digest != clinical.digest
    assert load_scheme(folder, edition="insurance").digest == own.digest
    again = load_scheme(folder, edition="clinical")
    assert (again.digest, again.edition) == (clinical.digest, "clinical")
    assert again.pack.dx_map == own.pack.dx_map
    with pytest.raises(PackError, match="unknown edition 'german'") as caught:
        load_scheme(folder, edition="german")
    assert "clinical" in caught.value.hint


def test_published_maps(shared: Path) -> None:
    """A mapped code groups as the code it stands for."""
    using = load_scheme(shared / "schemes" / "chs_drg_11", edition="clinical")
    pack = using.pack
    unknown = [c for c in pack.dx_map if c not in pack.dx][:500]
    rows = [[c] for c in unknown] + [[pack.dx_map[c]] for c in unknown]
    table = pa.table({"case_id": [str(i) for i in range(len(rows))], "dx": rows})
    drgs = group(table, using).column("drg").to_pylist()
    assert drgs[: len(unknown)] == drgs[len(unknown) :]
    assert len(set(drgs)) > 50
