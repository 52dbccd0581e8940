"""Corrected codes in a region that pays by disease (DIP), with a factor by hospital."""

from __future__ import annotations

import shutil
from itertools import pairwise
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from grouper.appeals.checked import DISPUTED, Answer
from grouper.appeals.corrected import correct
from grouper.errors import RegionError
from grouper.execution import LocalRunner
from grouper.report import load_run
from grouper.run import rerun
from grouper.run.quote import read_prices
from grouper.scheme import load_scheme
from grouper.settlement.policyfile import load_policy
from grouper.settlement.region import load_region
from tests.settlement.regions import write_csv


def test_corrected_codes_are_grouped_and_priced_by_the_catalogue_of_the_run(
    region: Path, tmp_path: Path
) -> None:
    here, out = tmp_path / "region", tmp_path / "run"
    shutil.copytree(region, here)
    factors = [["hospital_factor", "", c, v] for c, v in (("1A", 1), ("2A", 1.03), ("2B", 0.98))]
    factors += [["hospital_factor", "", c, 1.1] for c in ("1B", "3A", "3B", "1", "2", "3")]
    write_csv(here / "rates.csv", ["table", "drg", "class", "value"], factors)
    scheme = load_scheme("chs-core")
    rerun(here, scheme, load_policy("shantou-dip"), out, LocalRunner())
    run = load_run(out)
    lists = pq.read_table(here / "cases").to_pylist()
    blank = {"compliant_cost": None, "tcm_flag": None}
    before = {
        row[0]["case_id"]: blank | row[0] | row[1] | row[2] | row[3]
        for row in zip(
            lists, *(run.table(n).to_pylist() for n in ("cases", "grouped", "points")), strict=True
        )
        if row[3]["route"] == "drg"
    }
    # A normal case takes the codes of a normal case of another group, in the same hospital.
    normal = [row for row in before.values() if row["class"] == "normal"]
    worth = {(row["hospital_id"], row["drg"]): row["points"] for row in normal}
    answers, like = [], {}
    for case, model in pairwise(normal):
        if case["hospital_id"] == model["hospital_id"] and case["drg"] != model["drg"]:
            codes = tuple(model["dx"]), tuple(model["px"] or ())
            answers.append(
                Answer(case["hospital_id"], case["case_id"], "a", 1, DISPUTED, "", "", "", *codes)
            )
            like[case["case_id"]] = model["drg"]
    assert len(answers) > 300
    found = correct(run, here, scheme, answers, before, "utf-8").changes.to_pylist()
    assert {row["case_id"]: row["new_drg"] for row in found} == like
    assert {row["basis"] for row in found} == {"exact"}
    assert all(row["old_points"] == before[row["case_id"]]["points"] for row in found)
    still = [row for row in found if row["new_class"] == "normal"]
    assert len(still) > 50
    for row in still:
        assert row["new_points"] == worth[row["hospital_id"], row["new_drg"]]
    one = answers[0]
    alone = Answer(one.hospital_id, one.case_id, "a", 1, DISPUTED, "", "", "", ("Z99.900",), ())
    (row,) = correct(run, here, scheme, [alone], before, "utf-8").changes.to_pylist()
    assert (row["old_status"], row["basis"]) == ("grouped", "exact")
    # What the run says of a case and its lists must agree, or nothing is told.
    other = {one.case_id: before[one.case_id] | {"drg": like[one.case_id]}}
    (row,) = correct(run, here, scheme, [one], other, "utf-8").changes.to_pylist()
    assert (row["basis"], row["new_points"]) == ("not_reproduced", None)
    # The page of a single case knows no region, and says so.
    assert read_prices(out).reason == "other_groups"
    write_csv(here / "rates.csv", ["table", "drg", "class", "value"], factors[:1])
    with pytest.raises(RegionError, match="hospital_factor"):
        read_prices(out, load_region(here))
