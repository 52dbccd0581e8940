"""How the cells of settlement lists are read, and which are not."""

from __future__ import annotations

from pathlib import Path

from tests.intake.lists import A2, imported, lists, settlement, write_csv


def test_cells_are_read_as_in_the_csv_files_of_cases(tmp_path: Path) -> None:
    tables = lists()
    tables["setlinfo"][0] |= {
        "adm_time": "2024.3.1 10:00",
        "dscg_time": "２０２４／３／５ 9:30:00",
        "setl_end_date": "２０２４年３月６日",
        "dcla_time": "20240307 8:00",
        "insutype": "３１０",
        "age": "５６",
        "nwb_age": "－",
        "act_ipt_days": "\u200b4.0",
        "vent_used_dura": "１／２／３０",
        "psn_selfpay": "￥100.00",
        "psn_ownpay": "50.5 元",
    }
    tables["setlinfo"][1]["nwb_bir_wt"] = "3,201"
    tables["diseinfo"][2] |= {"diag_code": "Ｉ６３.900", "maindiag_flag": "１"}
    tables["oprninfo"][0]["oprn_oprt_date"] = "2024.3.2"
    tables["iteminfo"][0]["amt"] = "１，０００．１０"
    tables["payinfo"][0]["fund_payamt"] = "1,300元"
    cases, rejected, _ = imported(write_csv(tmp_path / "in", tables), tmp_path / "cases")
    assert rejected == []
    assert cases[1] == A2
    assert cases[0]["weight"] == 3201


def test_what_may_mean_two_things_is_no_value(tmp_path: Path) -> None:
    refused = {
        "adm_time": [
            *("2024111", "24.1.20", "20.1.2024", "epoch", "infinity", "-2024-01-05"),
            *("2024-01-05 (BC)", "2024-01-05 08:30:00 UTC"),
        ],
        "psn_selfpay": ["1.2万元", "1,00元", "1e20"],
        "act_ipt_days": ["4元", "NaN"],
    }
    cells = [(field, text) for field, texts in refused.items() for text in texts]
    rows = [settlement(f"E{at:02}", **{field: text}) for at, (field, text) in enumerate(cells)]
    source = write_csv(tmp_path / "in", lists() | {"setlinfo": rows})
    _, rejected, _ = imported(source, tmp_path / "cases")
    assert [(r["reason"], r["detail"]) for r in rejected[: len(rows)]] == [
        ("unreadable", f"{field}={text}") for field, text in cells
    ]


def test_numbers_that_no_column_holds_are_unreadable(tmp_path: Path) -> None:
    """Of a stay that is told by its days alone, the days that no column holds are none."""
    faults = {"age": "99999", "act_ipt_days": "40000", "gend": "300", "dscg_way": "999"}
    tables = lists()
    tables["setlinfo"] += [settlement(f"F{name}", **{name: text}) for name, text in faults.items()]
    cases, rejected, _ = imported(write_csv(tmp_path / "in", tables), tmp_path / "cases")
    assert {case["case_id"] for case in cases} == {"A1", "A2"}
    told = {row["detail"] for row in rejected if row["table"] == "setlinfo"}
    assert told == {f"{name}={text}" for name, text in faults.items()}
    for row in tables["setlinfo"]:
        del row["act_ipt_days"]
    tables["setlinfo"][0]["dscg_time"] = "9999-12-31"
    cases, _, _ = imported(write_csv(tmp_path / "in", tables), tmp_path / "again")
    assert {case["case_id"]: case["los"] for case in cases}["A2"] is None
