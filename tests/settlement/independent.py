"""A second settlement by `guigang-points`, written from settlement.md with exact fractions.

It shares no code with the engine and looks at nothing but the region folder, the pack's weights and
the grouping of each case. Slow and plain on purpose.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from decimal import Decimal
from fractions import Fraction
from math import floor
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

F = Fraction
Row = dict[str, Any]


def r(value: F, places: int) -> F:
    scaled = abs(value) * 10**places
    whole = floor(scaled + F(1, 2))
    return F(whole if value >= 0 else -whole, 10**places)


def p8(value: F) -> F:
    return r(value, 8)


def yuan(value: F) -> F:
    return r(value, 2)


def rows(path: Path) -> list[Row]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def number(text: str, default: int = 0) -> F:
    return F(text) if text else F(default)


def amount(value: Any) -> F | None:
    return None if value is None else F(value)


class Settlement:
    def __init__(
        self,
        region: Path,
        weights: dict[str, Row],
        grouping: dict[str, Row],
        year: int,
        by_city: bool = False,
    ) -> None:
        self.by_city = by_city
        self.known: dict[str, bool] = {}
        self.region, self.weights, self.year = region, weights, year
        self.hospitals = {row["hospital_id"]: row for row in rows(region / "hospitals.csv")}
        self.cases = [
            row
            for file in sorted((region / "cases").glob("*.parquet"))
            for row in pq.read_table(file).to_pylist()
        ]
        self.past = [
            row
            for file in sorted((region / "history").glob("*.parquet"))
            for row in pq.read_table(file).to_pylist()
        ]
        for case in self.cases:
            case |= grouping[case["case_id"]]
            self.route(case, year)
            case["pool"] = self.pool(case)
        for case in self.past:
            case |= grouping[case["case_id"]]
            self.route(case, int(case["settle_month"][:4]))
        self.drg = [case for case in self.cases if case["route"] == "drg"]
        self.statistics()
        self.reviews = {row["case_id"]: row for row in rows(region / "reviews.csv")}
        for case in self.drg:
            self.points(case)
        self.months()
        self.statements()
        self.clearing()

    def pool(self, case: Row) -> str:
        if not self.by_city:
            return str(case["insurance"])
        home = self.hospitals.get(case["hospital_id"], {}).get("city", "")
        return f"{case.get('city') or home}/{case['insurance']}"

    def route(self, case: Row, year: int) -> None:
        case["total"] = amount(case["total_cost"])
        compliant = case.get("compliant_cost")
        case["compliant"] = case["total"] if compliant is None else F(compliant)
        months = {f"{year}-{m:02d}" for m in range(1, 13)}
        if (
            case["status"] == "invalid"
            or case["hospital_id"] not in self.hospitals
            or case["insurance"] not in {"employee", "resident", "self"}
            or case["settle_month"] not in months
            or case["total"] is None
            or case["total"] < 0
        ):
            case["route"] = "invalid"
        else:
            case["route"] = "item" if case["insurance"] == "self" else "drg"

    def level(self, case: Row) -> int:
        return int(self.hospitals[case["hospital_id"]]["level"])

    def statistics(self) -> None:
        people = [case for case in self.past if case["route"] == "drg"] or self.drg
        self.groups: dict[tuple[str, int], dict[str, list[F]]] = defaultdict(dict)
        everyone: dict[str, list[F]] = {}
        for case in people:
            year = case["settle_month"][:4]
            everyone.setdefault(year, []).append(case["total"])
            if case["status"] == "grouped":
                for level in (0, self.level(case)):
                    self.groups[case["drg"], level].setdefault(year, []).append(case["total"])
        self.mean_all = self.blend(everyone)

    def blend(self, years: dict[str, list[F]]) -> F:
        means = [sum(costs, F(0)) / len(costs) for costs in years.values()]
        return sum(means, F(0)) / len(means)

    def mean(self, drg: str, level: int) -> F | None:
        years = self.groups.get((drg, level))
        return self.blend(years) if years else None

    def stable(self, drg: str) -> bool:
        entry = self.weights.get(drg)
        if entry is None or not entry["weight"]:
            return False
        if entry["stable"] != "":
            return bool(entry["stable"] == "1")
        if drg not in self.known:
            costs = [cost for year in self.groups.get((drg, 0), {}).values() for cost in year]
            n, s, q = len(costs), sum(costs, F(0)), sum((c * c for c in costs), F(0))
            self.known[drg] = n >= 5 and n * q - s * s <= s * s
        return self.known[drg]

    def coefficient(self, drg: str, level: int) -> F:
        own, region = self.mean(drg, level), self.mean(drg, 0)
        if not self.stable(drg) or self.weights[drg]["basic"] == "1" or own is None:
            return F(1)
        assert region is not None
        return p8(own / region)

    def points(self, case: Row) -> None:
        drg, level, cost = case["drg"], self.level(case), case["total"]
        approved = self.reviews.get(case["case_id"], {}).get("approved") == "true"
        unreasonable = number(self.reviews.get(case["case_id"], {}).get("unreasonable_cost", ""))
        kind = self.reviews.get(case["case_id"], {}).get("kind")
        whole = (cost - unreasonable) / self.mean_all * 100
        if case["status"] != "grouped" or not self.stable(drg):
            case["points"] = p8(F(7, 10) * cost / self.mean_all * 100)
            case["class"] = case["status"] if case["status"] != "grouped" else "unstable"
            case["decided"] = p8(whole) if approved else case["points"]
            return
        base = p8(F(self.weights[drg]["weight"]) * 100)
        k, own, region = self.coefficient(drg, level), self.mean(drg, level), self.mean(drg, 0)
        times = next(
            t
            for bound, t in (
                (100, F(3)),
                (200, F(5, 2)),
                (300, F(2)),
                (500, F(3, 2)),
                (10**9, F(13, 10)),
            )
            if base <= bound
        )
        case["points"], case["class"] = p8(base * k), "normal"
        case["decided"] = case["points"]
        if own is not None and case["compliant"] > times * own:
            case["class"] = "high"
            if approved:
                x = max((case["compliant"] - unreasonable) / own - times, F(0))
                case["decided"] = p8(base * k * (1 + x))
        elif own is not None and cost < F(3, 10) * own:
            assert region is not None
            case["class"], case["points"] = "low", min(base, p8(base * cost / region))
            case["decided"] = case["points"]
        if approved and kind == "whole_group":
            case["decided"] = p8(whole)

    def budget(self, pool: str, month: str) -> F:
        latest: dict[str, tuple[str, F]] = {}
        for row in rows(self.region / "budget.csv"):
            if row["pool"] == pool and row["effective_month"] <= month:
                known = latest.get(row["line"])
                if known is None or known[0] < row["effective_month"]:
                    latest[row["line"]] = (row["effective_month"], F(row["amount"]))
        return sum((value for _, value in latest.values()), F(0))

    def months(self) -> None:
        shares: dict[tuple[str, str], F] = defaultdict(F)
        for row in rows(self.region / "month_shares.csv"):
            shares[row["pool"], row["month"][5:]] += F(row["amount"])
        if not shares:
            for case in self.drg:
                shares[case["pool"], case["settle_month"][5:]] += F(case["fund_paid"])
        closed = {
            (c["pool"], c["month"]): F(c["point_value"]) for c in rows(self.region / "closed.csv")
        }
        self.values: dict[tuple[str, str], Row] = {}
        for key in sorted({(c["pool"], c["settle_month"]) for c in self.drg}):
            mine = [c for c in self.drg if (c["pool"], c["settle_month"]) == key]
            whole = sum((v for (pool, _), v in shares.items() if pool == key[0]), F(0))
            budget = self.budget(*key) * shares[key[0], key[1][5:]] / whole
            points = sum((c["points"] for c in mine), F(0))
            value = closed.get(key, p8(budget / points))
            self.values[key] = {"cases": len(mine), "budget": budget, "points": points, "v": value}
            for case in mine:
                case["value"] = yuan(case["points"] * value)

    def statements(self) -> None:
        extras: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
        for case in self.drg:
            case["extra"] = case["decided"] - case["points"]
            review = self.reviews.get(case["case_id"])
            if review and review["approved"] == "true":
                year, month = map(int, review["decision_month"].split("-"))
                row = f"{year + month // 12}-{month % 12 + 1:02d}"
                if row <= f"{self.year}-12":
                    extras[case["hospital_id"], case["pool"], row].append(case)
        audits: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
        for row in rows(self.region / "deductions.csv"):
            audits[row["hospital_id"], row["pool"], row["month"]].append(row)
        books: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
        for case in self.drg:
            books[case["hospital_id"], case["pool"], case["settle_month"]].append(case)
        self.hospital_months: dict[tuple[str, str, str], Row] = {}
        for key in {*books, *extras, *audits}:
            mine = books.get(key, [])
            value = self.values.get(key[1:], {"v": F(0)})["v"]
            points = sum((c["points"] for c in mine), F(0))
            cash = sum((F(c["patient_cash"]) for c in mine), F(0))
            audit = sum((number(a["money"]) for a in audits.get(key, [])), F(0))
            taken = sum((number(a["points"]) for a in audits.get(key, [])), F(0))
            added = sum(
                (
                    c["extra"] * self.values[c["pool"], c["settle_month"]]["v"]
                    for c in extras.get(key, [])
                ),
                F(0),
            )
            exact = (points * value - cash) * F(9, 10) - audit
            gross, prepaid = yuan(points * value), yuan(exact)
            self.hospital_months[key] = {
                "cases": len(mine),
                "points": points,
                "extra_points": sum((c["extra"] for c in extras.get(key, [])), F(0)),
                "deducted_points": taken,
                "gross": gross,
                "cash": cash,
                "prepaid": prepaid,
                "audit_deduction": audit,
                "paid": yuan(exact + added * F(9, 10) - taken * value),
                "deposit": gross - cash - audit - prepaid,
            }

    def clearing(self) -> None:
        books: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for case in self.drg:
            books[case["hospital_id"], case["pool"]].append(case)
        taken: dict[tuple[str, str], F] = defaultdict(F)
        for row in rows(self.region / "deductions.csv"):
            taken[row["hospital_id"], row["pool"]] += number(row["points"])
        paid: dict[tuple[str, str], F] = defaultdict(F)
        if (self.region / "payments.csv").exists():
            for row in rows(self.region / "payments.csv"):
                paid[row["hospital_id"], row["pool"]] += F(row["amount"])
        else:
            for (hospital, pool, _), row in self.hospital_months.items():
                paid[hospital, pool] += row["paid"]
        self.cleared: dict[tuple[str, str], Row] = {}
        for key in {*books, *taken, *paid}:
            pool = [c for c in self.drg if c["pool"] == key[1]]
            decided = sum((c["decided"] for c in pool), F(0)) - sum(
                (v for (_, name), v in taken.items() if name == key[1]), F(0)
            )
            left = sum((c["total"] - F(c["fund_paid"]) for c in pool), F(0))
            value = p8((left + self.budget(key[1], f"{self.year}-12")) / decided)
            mine = books.get(key, [])
            points = sum((c["decided"] for c in mine), F(0))
            total = sum((c["total"] for c in mine), F(0))
            gross = yuan((points - taken[key]) * value)
            assessed = yuan(gross * number(self.hospitals[key[0]].get("assessment", ""), 1))
            surplus = max(F(0), assessed - yuan(F(13, 10) * total))
            self_pay = sum((F(c["self_pay"]) for c in mine), F(0))
            over = max(F(0), yuan(self_pay - F(1, 10) * total))
            cash = sum((F(c["patient_cash"]) for c in mine), F(0))
            self.cleared[key] = {
                "cases": len(mine),
                "points": points,
                "deducted_points": taken[key],
                "point_value": value,
                "gross": gross,
                "assessed": assessed,
                "surplus_cut": surplus,
                "self_pay_cut": over,
                "cash": cash,
                "already_paid": paid[key],
                "due": assessed - surplus - over - cash - paid[key],
            }


def table(path: Path, keys: tuple[str, ...]) -> dict[tuple[Any, ...], Row]:
    """A run's table by key; decimals as fractions."""
    found = {}
    for row in pq.read_table(path).to_pylist():
        exact = {k: F(v) if isinstance(v, Decimal) else v for k, v in row.items()}
        found[tuple(exact.pop(key) for key in keys)] = exact
    return found
