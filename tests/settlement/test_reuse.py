"""`rerun --reuse`: the grouping of an earlier run, and the same bytes as without it."""

from __future__ import annotations

import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from grouper.errors import RunError
from grouper.execution import LocalRunner
from grouper.grouping import GroupedBatch, group_batch
from grouper.run import rerun
from grouper.run import stages as group_stage
from grouper.scheme import Scheme, load_scheme
from grouper.settlement.policyfile import load_policy
from tests.settlement.regions import (
    HOSPITAL,
    WEIGHTS,
    random_region,
    write_cases,
    write_csv,
    write_pack,
)

BASE = 'extends = "guigang-points"\nid = "other"\n'
HOSPITALS = [(i, [f"H{i}", f"H{i}", 1 + i % 3, "", "", "", "", ""]) for i in range(6)]
OTHERS = {
    "bounds": "[low]\nratio = 0.4\n[high]\npay = 'deviation'\n",
    "months": "[month]\nratio = 0.95\n[year_end]\nsurplus_cap = 0.1\n",
    "thresholds": "[quality]\nnewborn_days = 20\n",
    "unchecked": "[quality]\nreport = false\n",
    "rejecting": "reject = ['funding_differs', 'unknown_procedure']\n",
}


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, cases = random_region(tmp_path_factory.mktemp("reuse") / "region", 5, 300)
    shutil.rmtree(folder / "cases")
    cases[7]["fund_paid"], cases[7]["patient_cash"] = Decimal(1), Decimal(1)
    for case in cases[::9]:
        case["dx"] = [*case["dx"], "X99.9"]  # unknown to the scheme
    write_cases(folder / "cases", [*cases, cases[3]], parts=3, rows=40)
    return folder


@pytest.fixture(scope="module")
def earlier(region: Path, scheme: Scheme, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("earlier") / "run"
    rerun(region, scheme, load_policy("guigang-points"), out, LocalRunner())
    return out


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(f.relative_to(folder)): f.read_bytes() for f in files if f.name != "log.jsonl"}


def policy_of(text: str, place: Path) -> Any:
    path = place / "policy.toml"
    path.write_text(BASE + text)
    return load_policy(str(path))


@pytest.mark.parametrize("name", OTHERS)
def test_same_bytes_as_without(
    name: str, region: Path, scheme: Scheme, earlier: Path, tmp_path: Path
) -> None:
    policy = policy_of(OTHERS[name], tmp_path)
    rerun(region, scheme, policy, tmp_path / "anew", LocalRunner())
    rerun(region, scheme, policy, tmp_path / "reused", LocalRunner(), reuse=earlier)
    assert contents(tmp_path / "anew") == contents(tmp_path / "reused")


def test_cases_that_count_again_are_grouped_anew(
    region: Path, scheme: Scheme, tmp_path: Path
) -> None:
    strict = policy_of(OTHERS["rejecting"], tmp_path)
    rerun(region, scheme, strict, tmp_path / "strict", LocalRunner())
    policy = load_policy("guigang-points")
    rerun(region, scheme, policy, tmp_path / "anew", LocalRunner())
    rerun(region, scheme, policy, tmp_path / "reused", LocalRunner(), reuse=tmp_path / "strict")
    assert contents(tmp_path / "anew") == contents(tmp_path / "reused")
    assert contents(tmp_path / "anew" / "grouped") != contents(tmp_path / "strict" / "grouped")


def test_nothing_is_grouped(
    region: Path,
    scheme: Scheme,
    earlier: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("the kernel was asked")

    monkeypatch.setattr(group_stage, "group_batch", never)
    policy = policy_of(OTHERS["bounds"], tmp_path)
    rerun(region, scheme, policy, tmp_path / "run", LocalRunner(), reuse=earlier)
    part = Path("grouped") / "part-00000.parquet"
    assert (tmp_path / "run" / part).samefile(earlier / part)


def test_simulated_cases_are_taken_as_they_were_routed(
    region: Path, scheme: Scheme, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(region, tmp_path / "region")
    hospitals = [[*h, "2024-05-01" if i == 1 else "", str(i != 2).lower()] for i, h in HOSPITALS]
    write_csv(tmp_path / "region" / "hospitals.csv", (*HOSPITAL, "go_live", "pilot"), hospitals)
    parts = '[participation]\ndry_run = "before_go_live"\nnon_pilot = "item"\nside_by_side = true\n'
    before = policy_of(parts, tmp_path)
    rerun(tmp_path / "region", scheme, before, tmp_path / "earlier", LocalRunner())
    policy = policy_of(parts + OTHERS["bounds"], tmp_path)
    rerun(tmp_path / "region", scheme, policy, tmp_path / "anew", LocalRunner())
    monkeypatch.delattr("grouper.run.reuse.take_in")  # no case is routed again
    earlier = tmp_path / "earlier"
    rerun(tmp_path / "region", scheme, policy, tmp_path / "taken", LocalRunner(), reuse=earlier)
    assert contents(tmp_path / "anew") == contents(tmp_path / "taken")


NEW = {
    "further": lambda cases: [case | {"case_id": f"n{i}"} for i, case in enumerate(cases[:60])],
    "versions": lambda cases: [case | {"version": 2, "dx": ["D2"]} for case in cases[:60:2]],
    "repeated": lambda cases: [*cases[5:9], cases[250] | {"version": 1, "dx": ["D5"]}],
}


@pytest.mark.parametrize("name", NEW)
def test_new_files_are_grouped_and_the_others_taken(
    name: str,
    region: Path,
    scheme: Scheme,
    earlier: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The name of the new file sorts before some of the others, which so have new numbers."""
    grown = tmp_path / "region"
    shutil.copytree(region, grown)
    cases = pq.read_table(grown / "cases").to_pylist()
    write_cases(tmp_path / "new", NEW[name](cases), rows=40)
    shutil.copyfile(
        tmp_path / "new" / "part-00000.parquet", grown / "cases" / "part-00000a.parquet"
    )
    policy = policy_of(OTHERS["bounds"], tmp_path)
    rerun(grown, scheme, policy, tmp_path / "anew", LocalRunner())
    batches = []

    def counted(batch: pa.RecordBatch, *rest: Any) -> GroupedBatch:
        batches.append(batch.num_rows)
        return group_batch(batch, *rest)

    monkeypatch.setattr(group_stage, "group_batch", counted)
    rerun(grown, scheme, policy, tmp_path / "reused", LocalRunner(), reuse=earlier)
    assert contents(tmp_path / "anew") == contents(tmp_path / "reused")
    assert sum(batches) == len(NEW[name](cases))
    last = Path("grouped") / "part-00003.parquet"
    taken = (tmp_path / "reused" / last).samefile(earlier / "grouped" / "part-00002.parquet")
    assert taken == (name != "repeated")


def test_new_files_beside_a_part_that_is_grouped_anew(
    region: Path, scheme: Scheme, tmp_path: Path
) -> None:
    strict = policy_of(OTHERS["rejecting"], tmp_path)
    rerun(region, scheme, strict, tmp_path / "strict", LocalRunner())
    grown = tmp_path / "region"
    shutil.copytree(region, grown)
    further = NEW["further"](pq.read_table(grown / "cases").to_pylist())
    write_cases(tmp_path / "new", further, rows=40)
    (tmp_path / "new" / "part-00000.parquet").rename(grown / "cases" / "part-00009.parquet")
    policy = load_policy("guigang-points")
    rerun(grown, scheme, policy, tmp_path / "anew", LocalRunner())
    rerun(grown, scheme, policy, tmp_path / "reused", LocalRunner(), reuse=tmp_path / "strict")
    assert contents(tmp_path / "anew") == contents(tmp_path / "reused")


def test_what_cannot_be_reused(region: Path, scheme: Scheme, earlier: Path, tmp_path: Path) -> None:
    policy = policy_of(OTHERS["bounds"], tmp_path)

    def refused(message: str, **changed: Any) -> None:
        arguments = {"region": region, "scheme": scheme, "policy": policy, "reuse": earlier}
        arguments |= changed
        out = tmp_path / f"out-{len(list(tmp_path.iterdir()))}"
        with pytest.raises(RunError, match=message):
            rerun(
                arguments["region"], arguments["scheme"], arguments["policy"], out,
                LocalRunner(), reuse=arguments["reuse"],
            )  # fmt: skip

    refused("is not a finished run", reuse=tmp_path)
    other = load_scheme(write_pack(tmp_path / "pack" / "other", WEIGHTS[:2]))
    refused("was grouped by another scheme", scheme=other)
    moved = tmp_path / "moved"
    shutil.copytree(region, moved)
    (moved / "cases" / "part-00002.parquet").unlink()
    refused("is a run of other cases", region=moved)
    refused("follow from the policy", policy=policy_of("[groups]\nby = 'dip'\n", tmp_path))
    altered = tmp_path / "altered"
    shutil.copytree(earlier, altered)
    (altered / "grouped" / "part-00001.parquet").write_bytes(b"")
    refused("part-00001.parquet of the run to reuse is missing or was altered", reuse=altered)
