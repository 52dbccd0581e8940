"""`grouper cases import`: seconds and memory, from the tables of the interface to one case table.

    python benchmarks/intake.py [--cases 1] [--memory 2GB]

The tables of the national interface are cut out of a synthetic region, in the order of a hash, so
that nothing is sorted as the join needs it. Memory is the highest resident set of the process.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb
from common import machine, region, scheme_folder, table

_TABLES = {
    "setlinfo": (
        "SELECT case_id AS mdtrt_id, person_id AS psn_no, hospital_id AS fixmedins_code,"
        " CASE insurance WHEN 'employee' THEN '310' WHEN 'resident' THEN '390' ELSE insurance END"
        " AS insutype, city AS insuplc, strptime(settle_month || '-28', '%Y-%m-%d')::DATE AS"
        " setl_end_date, admission_date::TIMESTAMP AS adm_time, discharge_date::TIMESTAMP AS"
        " dscg_time, sex AS gend, age, age_days AS nwb_age, weight AS nwb_bir_wt,"
        " los AS act_ipt_days, discharge AS dscg_way, dept AS dscg_caty,"
        " total_cost AS medfee_sumamt, self_pay AS psn_ownpay, "
        " patient_cash - coalesce(other_funds, 0) - self_pay AS psn_selfpay"
        " FROM cases ORDER BY hash(case_id)"
    ),
    "diseinfo": (
        "SELECT case_id AS mdtrt_id, '1' AS diag_type, unnest(dx) AS diag_code,"
        " generate_subscripts(dx, 1) AS diag_srt_no,"
        " CASE WHEN generate_subscripts(dx, 1) = 1 THEN '1' ELSE '0' END AS maindiag_flag"
        " FROM cases ORDER BY hash(mdtrt_id || diag_srt_no)"
    ),
    "oprninfo": (
        "SELECT case_id AS mdtrt_id, unnest(px) AS oprn_oprt_code,"
        " generate_subscripts(px, 1) AS oprn_oprt_sn, discharge_date AS oprn_oprt_date,"
        " CASE WHEN generate_subscripts(px, 1) = 1 THEN '1' ELSE '2' END AS oprn_oprt_type"
        " FROM cases ORDER BY hash(mdtrt_id || oprn_oprt_sn)"
    ),
    "icuinfo": (
        "SELECT case_id AS mdtrt_id, '1/0/30' AS scs_cutd_sum_dura FROM cases WHERE icu_hours > 24"
        " UNION ALL SELECT case_id, '0/' || (icu_hours - 24) || '/0' FROM cases"
        " WHERE icu_hours > 24 UNION ALL SELECT case_id, icu_hours::VARCHAR FROM cases"
        " WHERE icu_hours BETWEEN 1 AND 24"
    ),
    "payinfo": (
        "SELECT case_id AS mdtrt_id, CASE insurance WHEN 'resident' THEN '390100' ELSE '310100'"
        " END AS fund_pay_type, fund_paid AS fund_payamt FROM cases UNION ALL"
        " SELECT case_id, '610100', other_funds FROM cases WHERE other_funds > 0"
    ),
}


def export(cases: Path, form: str) -> Path:
    """The tables of the interface, as Parquet or CSV; made once."""
    folder = cases.parent / f"interface-{form}"
    if folder.exists():
        return folder
    half = folder.with_name(f".{folder.name}")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir()
    with duckdb.connect() as db:
        db.execute(f"CREATE VIEW cases AS SELECT * FROM '{cases}/*.parquet'")
        for name, query in _TABLES.items():
            db.execute(f"COPY ({query}) TO '{half / name}.{form}'")
    half.rename(folder)
    return folder


def same_cases(cases: Path, made: Path) -> bool:
    """Whether an import gave back the cases that the tables were cut out of."""
    columns = "case_id, hospital_id, insurance, sex, los, icu_hours, dx, px, total_cost, fund_paid"
    with duckdb.connect() as db:
        query = (
            f"SELECT count(*) FROM (SELECT {columns} FROM '{made}/part-*.parquet' EXCEPT"
            f" SELECT {columns} FROM '{cases}/*.parquet')"
        )
        ((other,),) = db.execute(query).fetchall()
        return bool(other == 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=float, nargs="*", default=[1], help="in millions")
    parser.add_argument("--hospitals", type=int, default=100)
    parser.add_argument("--memory", default="2GB")
    parser.add_argument("--forms", nargs="*", default=["parquet", "csv"])
    parser.add_argument("--scheme", default="chs_drg_11")
    options = parser.parse_args()
    print(machine())
    rows = []
    for millions in options.cases:
        number = int(millions * 1_000_000)
        cases = region(scheme_folder(options.scheme), number, options.hospitals) / "cases"
        for form in options.forms:
            source = export(cases, form)
            with tempfile.TemporaryDirectory(dir=cases.parent) as work:
                out = Path(work) / "cases"
                command = [sys.executable, "-m", "grouper", "cases", "import", str(source)]
                command += ["--out", str(out), "--memory", options.memory, "--json"]
                before = resource.getrusage(resource.RUSAGE_CHILDREN)
                start = time.perf_counter()
                told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                seconds = time.perf_counter() - start
                counts = json.loads(told)["tables"]
                read = sum(one["read"] for one in counts.values())
                used = resource.getrusage(resource.RUSAGE_CHILDREN)
                busy = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
                peak = used.ru_maxrss / 1e6
                rows.append(
                    [
                        f"{number:,}",
                        form,
                        f"{read:,}",
                        f"{seconds:.1f}",
                        f"{busy:.1f}",
                        f"{peak:.2f}",
                        "yes" if same_cases(cases, out) else "NO",
                    ]
                )
    table(["cases", "from", "rows", "seconds", "processor s", "highest GB", "same cases"], rows)


if __name__ == "__main__":
    main()
