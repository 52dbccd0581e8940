"""A few settlement lists, as the tests need them in every form."""

from __future__ import annotations

import csv
import json
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from grouper.intake.importing import Imported, import_cases
from grouper.intake.layout import Layout, load_layout
from grouper.intake.sources import open_source

Row = dict[str, Any]
Tables = dict[str, list[Row]]

A2 = {
    "case_id": "A2",
    "person_id": "PA2",
    "hospital_id": "H1",
    "insurance": "employee",
    "city": "450800",
    "settle_month": "2024-03",
    "admission_date": date(2024, 3, 1),
    "discharge_date": date(2024, 3, 5),
    "admission_time": datetime(2024, 3, 1, 10),  # noqa: DTZ001
    "discharge_time": datetime(2024, 3, 5, 9, 30),  # noqa: DTZ001
    "sex": 1,
    "age": 56,
    "age_days": None,
    "weight": None,
    "los": 4,
    "discharge": 1,
    "dept": "A03",
    "icu_hours": 12,
    "vent_hours": 26,
    "dx": ["I63.900", "I10.x00", "J96.000"],
    "principal_count": 1,
    "px": ["36.0601", "38.9300"],
    "total_cost": Decimal("1500.30"),
    "self_pay": Decimal("50.50"),
    "patient_cash": Decimal("200.30"),
    "fund_paid": Decimal("1300.00"),
    "other_funds": Decimal("49.80"),
    "items_total": Decimal("1500.30"),
    "surgery_fee": Decimal("500.20"),
    "upload_date": date(2024, 3, 7),
    "px_dates": [date(2024, 3, 3), date(2024, 3, 2)],
}
"""What the second list of `lists` comes out as."""


def settlement(case_id: str, **changed: Any) -> Row:
    """A settlement without fault."""
    return {
        "mdtrt_id": case_id,
        "psn_no": f"P{case_id}",
        "fixmedins_code": "H1",
        "insutype": "310",
        "insuplc": "450800",
        "setl_end_date": "2024-03-06",
        "adm_time": "2024-03-01 10:00:00",
        "dscg_time": "2024-03-05 09:30:00",
        "gend": "1",
        "age": "56.0",
        "nwb_age": "",
        "nwb_bir_wt": "",
        "act_ipt_days": "4",
        "dscg_way": "1",
        "dscg_caty": "A03",
        "vent_used_dura": "1/2/30",
        "psn_selfpay": "100.00",
        "psn_ownpay": "50.50",
        "dcla_time": "2024-03-07 08:00:00",
    } | changed


def diagnosis(case_id: str, code: str, main: str = "0", kind: str = "1") -> Row:
    """A diagnosis."""
    return {"mdtrt_id": case_id, "diag_type": kind, "diag_code": code, "maindiag_flag": main}


def procedure(case_id: str, code: str, kind: str, day: str) -> Row:
    """A procedure; the kind 1 is the principal."""
    return {
        "mdtrt_id": case_id,
        "oprn_oprt_type": kind,
        "oprn_oprt_code": code,
        "oprn_oprt_date": day,
    }


def lists() -> Tables:
    """Two cases without fault, all tables."""
    return {
        "setlinfo": [
            settlement("A2"),
            settlement("A1", insutype="390", gend="女", age="", nwb_age="12", nwb_bir_wt="3200.50"),
        ],
        "diseinfo": [
            diagnosis("A2", "I10.x00"),
            diagnosis("A1", "P07.100", "1"),
            diagnosis("A2", "I63.900", "1"),
            # Of the kind 2 the code decides: western lists and Chinese medicine use it both.
            diagnosis("A2", "J96.000", kind="2"),
            diagnosis("A2", "BNA010", kind="2"),
            diagnosis("A2", "BNA020", "1", kind="3"),
        ],
        "oprninfo": [
            procedure("A2", "38.9300", "2", "2024-03-02"),
            procedure("A2", "36.0601", "1", "2024-03-03"),
        ],
        "iteminfo": [
            {"mdtrt_id": "A2", "med_chrgitm": "1", "amt": "1,000.10"},
            {"mdtrt_id": "A2", "med_chrgitm": "06", "amt": "500.2"},
            {"mdtrt_id": "A1", "med_chrgitm": "09", "amt": "12.30"},
        ],
        "payinfo": [
            {"mdtrt_id": "A2", "fund_pay_type": "310100", "fund_payamt": "1300"},
            {"mdtrt_id": "A2", "fund_pay_type": "320100", "fund_payamt": "49.8"},
            {"mdtrt_id": "A2", "fund_pay_type": "310200", "fund_payamt": "10"},
        ],
        "icuinfo": [
            icu("A2", "2024-03-02 10:00:00", "2024-03-02 20:30:00", ""),
            icu("A2", "", "", "0/1/40"),
        ],
    }


def icu(case_id: str, begin: str, end: str, total: str) -> Row:
    """A record of intensive care."""
    return {
        "mdtrt_id": case_id,
        "scs_cutd_inpool_time": begin,
        "scs_cutd_exit_time": end,
        "scs_cutd_sum_dura": total,
    }


def write_csv(folder: Path, tables: Tables, encoding: str = "utf-8") -> Path:
    """One CSV file a table."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        with (folder / f"{name}.csv").open("w", encoding=encoding, newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return folder


def write_parquet(folder: Path, tables: Tables) -> Path:
    """One Parquet file a table, all text."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        pq.write_table(pa.Table.from_pylist(rows), folder / f"{name}.parquet")
    return folder


def documents(tables: Tables) -> list[dict[str, Any]]:
    """The lists as the interface sends them."""
    found = []
    for main in tables["setlinfo"]:
        nodes: dict[str, Any] = {"setlinfo": main}
        for name, rows in tables.items():
            if name != "setlinfo":
                mine = [r for r in rows if r["mdtrt_id"] == main["mdtrt_id"]]
                nodes[name] = [{k: v for k, v in r.items() if k != "mdtrt_id"} for r in mine]
        found.append({"infno": "4101", "input": nodes})
    return found


def write_json(path: Path, value: Any) -> Path:
    """A file of JSON."""
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
    return path


def imported(
    source: Path | str, out: Path, layout: Layout | None = None, **options: Any
) -> tuple[list[Row], list[Row], Imported]:
    """Cases, rejected rows and the report of an import."""
    layout = layout or load_layout()
    run = {k: options.pop(k) for k in ("memory", "threads") if k in options}
    done = import_cases(open_source(str(source), layout, **options), layout, out, **run)
    parts = sorted(out.glob("part-*.parquet"))
    cases = [row for part in parts for row in pq.read_table(part).to_pylist()]
    return cases, pq.read_table(out / "_rejected.parquet").to_pylist(), done
