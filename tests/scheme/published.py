"""A pack written out as a bureau would publish it: a workbook of lists, conditions and weights.

It is the way back from `grouper scheme import tables`, for tests: whatever a pack says must survive
being written in the layout and read again.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import xlsxwriter

from grouper import group, load_scheme
from grouper.scheme import rules
from grouper.scheme.imported import Imported
from grouper.scheme.model import Pack
from grouper.scheme.rules import Rule

Rows = Iterable[Sequence[object]]

WORDS: Mapping[str, str] = {
    "pdx": "主要诊断", "other_dx": "其他诊断", "any_dx": "诊断",
    "ppx": "主要手术", "other_px": "其他手术", "any_px": "手术",
}  # fmt: skip
NUMBERS: Mapping[str, str] = {
    "age": "年龄", "age_days": "日龄", "weight": "出生体重", "los": "住院天数", "sex": "性别",
    "icu_hours": "ICU小时",
}  # fmt: skip


def book(path: Path, sheets: Mapping[str, Rows]) -> Path:
    """A workbook of these sheets; texts stay texts, numbers numbers, None an empty cell."""
    with xlsxwriter.Workbook(str(path), {"strings_to_formulas": False}) as made:
        for name, rows in sheets.items():
            sheet = made.add_worksheet(name)
            for row, cells in enumerate(rows):
                for column, cell in enumerate(cells):
                    if isinstance(cell, str):
                        sheet.write_string(row, column, cell)
                    elif isinstance(cell, int | float):
                        sheet.write_number(row, column, cell)
    return path


def folder(path: Path, sheets: Mapping[str, Rows], encoding: str = "utf-8") -> Path:
    """The same as a folder of CSV files."""
    path.mkdir(exist_ok=True)
    for name, rows in sheets.items():
        with (path / f"{name}.csv").open("w", encoding=encoding, newline="") as file:
            csv.writer(file).writerows(rows)
    return path


def lost(found: Imported) -> list[str]:
    return [str(one) for one in found.unread if one.lost]


def answers(pack: Path, *cases: dict[str, object]) -> list[str]:
    blank = {"px": [], "sex": None, "age": None, "age_days": None, "discharge": None}
    rows = [{"case_id": str(i), **blank, **case} for i, case in enumerate(cases)]
    table = pa.Table.from_pylist(rows)
    return [row["drg"] or row["status"] for row in group(table, load_scheme(str(pack))).to_pylist()]


class Published:
    """The sheets of a pack."""

    def __init__(self, pack: Pack) -> None:
        self.pack = pack
        self.lists: dict[str, tuple[str, str, int]] = {}
        counts: dict[tuple[str, str], int] = {}
        sides = {
            atom.set: "诊断" if atom.codes in rules.DIAGNOSIS_LISTS else "手术"
            for node in pack.nodes()
            for atom in rules.atoms(node.when)
            if isinstance(atom, rules.InSet | rules.Count)
        }
        for name, side in sides.items():
            owner = name.partition(".")[0]
            if name not in ("or_px", f"{owner}.dx") or (owner[:3] != "MDC" and name != "or_px"):
                counts[owner, side] = counts.get((owner, side), 0) + 1
                self.lists[name] = (owner, side, counts[owner, side])

    def condition(self, rule: Rule, node: str) -> str:
        match rule:
            case rules.Or(terms):
                return f"({' 或 '.join(self.condition(t, node) for t in terms)})"
            case rules.And(terms):
                return f"({' + '.join(self.condition(t, node) for t in terms)})"
            case rules.Not(term):
                return f"非 ({self.condition(term, node)})"
            case rules.Constant(True):
                return ""
            case rules.InSet(codes, "or_px"):
                return "任意主要手术" if codes == "ppx" else "任意手术"
            case rules.InSet(codes, name):
                owner = name.partition(".")[0]
                number = self.lists[name][2] if name in self.lists else ""
                return f"{owner if owner != node else ''}{WORDS[codes]}{number}"
            case rules.Severity(level):
                return level.upper()
            case rules.Sites(_, comparison, value):
                return f"部位 {comparison} {value}"
            case rules.Compare(number, comparison, value):
                return f"{NUMBERS[number]} {comparison} {value}"
        raise AssertionError(rule)

    def stated(self, rule: Rule, node: str) -> str:
        """A condition that is never left to be guessed."""
        return self.condition(rule, node) or "规则: true"

    def sheets(self, *, conditions: bool = False) -> dict[str, Rows]:
        """The workbook; DRGs without conditions unless they are asked for."""
        pack = self.pack
        mdc_dx: list[tuple[object, ...]] = []
        for mdc in pack.mdcs:
            sites = pack.sites.get(mdc.node, {})
            codes = pack.sets.get(f"{mdc.node}.dx", ())
            mdc_dx += [(mdc.node, code, pack.dx.get(code), sites.get(code)) for code in codes]
        listed = [
            (owner, f"{side}{number}", code)
            for name, (owner, side, number) in self.lists.items()
            if name in pack.sets
            for code in pack.sets[name]
        ]
        own = {drg.code for _, _, drg in pack.drg_rows() if len(drg.code) > 3}
        drgs = [
            (drg.code, drg.name, self.stated(drg.when, adrg.node) if conditions else "")
            for _, adrg, drg in pack.drg_rows()
        ]
        weights = {
            drg: float(weight.weight) for drg, weight in pack.weights.items() if weight.weight
        }
        retry = str(int(pack.retry_other_procedures))
        return {
            "方案": [("项目", "值"), ("id", pack.id), ("retry_other_procedures", retry)],
            "MDC": [
                ("MDC编码", "MDC名称", "条件", "顺序"),
                *((m.node, m.name, self.condition(m.when, m.node), i)
                  for i, m in enumerate(pack.mdcs, 1)),
            ],
            "主诊表": [("MDC编码", "诊断编码", "诊断名称", "部位"), *mdc_dx],
            "ADRG": [
                ("ADRG编码", "ADRG名称", "入组条件"),
                *((a.code, a.name, self.stated(a.when, a.node))
                  for m in pack.mdcs for a in m.adrgs),
            ],
            "ADRG编码": [("ADRG编码", "列表", "编码"), *(r for r in listed if r[0] not in own)],
            "DRG编码": [("DRG编码", "列表", "编码"), *(r for r in listed if r[0] in own)],
            "DRG": [
                ("DRG编码", "DRG名称", "细分条件", "权重"),
                *((*row, weights.get(row[0])) for row in drgs),
            ],
            "MCC": [("编码", "排除表"), *pack.severity["MCC"].items()],
            "CC": [("编码", "排除表"), *pack.severity["CC"].items()],
            "CC排除表": [("排除表", "编码"), *((x, pdx) for pdx, x in pack.exclusions.items())],
            "有效手术": [("手术编码",), *((code,) for code in pack.sets.get("or_px", ()))],
            "创伤部位": [
                ("所属大类", "部位", "编码"),
                *((family, site, code) for family, members in pack.sites.items()
                  for code, site in members.items()),
            ],
            "诊断名称": [("编码", "名称"), *pack.dx.items()],
            "手术名称": [("编码", "名称"), *pack.px.items()],
        }  # fmt: skip
