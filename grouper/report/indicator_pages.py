"""Indicators and supervision: a page of the region, and a section of each hospital."""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property
from typing import Any, Final

from grouper.indicators.catalogue import INDICATORS, Indicator
from grouper.indicators.measure import Value, measure, parts_told, told
from grouper.indicators.signals import REFUSALS, limits_of
from grouper.indicators.stays import Stays
from grouper.indicators.supervise import Supervised, supervise
from grouper.report.region_pages import Page
from grouper.report.view import Row, View, share, table

REGION_COLUMNS: Final = "measure whole level_3 level_2 level_1 numerator denominator"
HOSPITAL_COLUMNS: Final = "measure here level_value region_value numerator denominator"
SIGNAL_COLUMNS: Final = "signal flagged_cases among signal_rate flagged_hospitals remark"
HOSPITAL_SIGNALS: Final = "signal flagged_cases among signal_rate peer_rate above_peers"
CASE_COLUMNS: Final = "signal case_id drg_code month other_case_id shows"
CASES_SHOWN: Final = 20
"""Cases behind a signal on a hospital's page."""

Both = list[str]
"""Chinese, English."""


class IndicatorPages:
    """The indicators and signals of a run, counted once."""

    def __init__(self, view: View) -> None:
        self.view = view
        stays = Stays(view.run)
        self._measured = measure(stays)
        self._found: Supervised = supervise(stays)
        self._limits = limits_of(stays.policy)

    def region(self) -> Page:
        """The page of the region."""
        return {
            "tables": {
                "indicators": table(REGION_COLUMNS, self._region_rows(), total=False),
                "by_month": self._months(),
                "by_hospital": self._hospitals(),
                "signals": table(SIGNAL_COLUMNS, self._signals(), total=False),
            },
        }

    def hospital(self, number: int) -> Page:
        """What a hospital's page says of its indicators and signals."""
        hospital = self.view.hospitals[number]
        rows = []
        for one in self._measured.indicators:
            mine = self._value(one, "hospital", hospital_id=hospital.hospital_id)
            if mine is not None:
                level = self._value(one, "level", level=hospital.level)
                region = self._value(one, "region")
                rows.append([_named(one), *(_told(one, v) for v in (mine, level, region)),
                             *_parts(one, mine)])  # fmt: skip
        return {
            "tables": {
                "indicators": table(HOSPITAL_COLUMNS, rows, total=False),
                "signals": table(HOSPITAL_SIGNALS, self.signals[hospital.hospital_id], total=False),
                "signal_cases": table(CASE_COLUMNS, self.cases[hospital.hospital_id]),
            }
        }

    # -- indicators -----------------------------------------------------------------------------

    def _value(self, one: Indicator, scope: str, **key: object) -> Value | None:
        try:
            return self._measured.of(one.code, scope, **key)
        except KeyError:
            return None

    def _region_rows(self) -> list[Row]:
        rows: list[Row] = []
        for one in self._measured.indicators:
            whole = self._value(one, "region")
            levels = (self._value(one, "level", level=level) for level in (3, 2, 1))
            rows.append(
                [_named(one), _told(one, whole), *(_told(one, v) for v in levels),
                 *_parts(one, whole)]
            )  # fmt: skip
        for code, lack in self._measured.absent.items():
            one = INDICATORS[code]
            zh, en = (
                f"{one.zh}（未评价：缺少列 {', '.join(lack)}）",
                f"{one.en} (not evaluated: no ",
            )
            rows.append([_both(zh, f"{en}column {', '.join(lack)})"), *[None] * 6])
        return rows

    def _months(self) -> dict[str, Any]:
        """The table of months: a column for each indicator."""
        months = sorted({key.month for key, _ in self._measured.values if key.scope == "month"})
        rows = [
            [
                month,
                *(_number(one, self._value(one, "month", month=month)) for one in self._columns),
            ]
            for month in months
        ]
        return {"cols": ["month", *(f"by_{one.code}" for one in self._columns)], "rows": rows}

    def _hospitals(self) -> dict[str, Any]:
        """The table of hospitals: a column for each indicator, as a plain number."""
        rows = []
        for number, hospital in enumerate(self.view.hospitals):
            values = [
                self._value(one, "hospital", hospital_id=hospital.hospital_id)
                for one in self._columns
            ]
            if any(value is not None for value in values):
                rows.append([number, hospital.level, *map(_number, self._columns, values)])
        cols = ["hospital", "level", *(f"by_{one.code}" for one in self._columns)]
        return {"cols": cols, "rows": rows}

    @property
    def _columns(self) -> tuple[Indicator, ...]:
        return self._measured.indicators

    # -- supervision ----------------------------------------------------------------------------

    def _signals(self) -> list[Row]:
        flagged: dict[str, int] = defaultdict(int)
        for row in self._rates:
            flagged[row["signal"]] += bool(row["above_peers"])
        rows: list[Row] = []
        for row in self._found.signals_table().to_pylist():
            words = _both(row["zh"], row["en"])
            if row["evaluated"]:
                rate = share(row["cases"], row["among"])
                counts = [row["cases"], row["among"], rate, flagged[row["signal"]], ["", ""]]
            else:
                lack = row["absent"]
                zh = lack.replace(REFUSALS, "推诿记录")  # the others are names of columns and files
                told_ = [f"未评价：缺少 {zh}", f"not evaluated: no {lack}"]
                counts = [None, None, None, None, told_]
            rows.append([words, *counts])
        return rows

    @cached_property
    def _rates(self) -> list[dict[str, Any]]:
        return [row for batch in self._found.hospital_rates() for row in batch.to_pylist()]

    @cached_property
    def _signal_words(self) -> dict[str, Both]:
        return {
            one.code: _both(one.zh.format(**self._limits), one.en.format(**self._limits))
            for one in self._found.signals
        }

    @cached_property
    def signals(self) -> dict[str, list[Row]]:
        """Rows of `HOSPITAL_SIGNALS` by hospital; those above the peers first."""
        rows: dict[str, list[Row]] = defaultdict(list)
        for row in self._rates:
            rows[row["hospital_id"]].append(
                [self._signal_words[row["signal"]], row["cases"], row["among"],
                 share(row["cases"], row["among"]), share(row["peer_cases"], row["peer_among"]),
                 bool(row["above_peers"])]
            )  # fmt: skip
        for mine in rows.values():
            mine.sort(key=lambda row: not row[5])
        return rows

    @cached_property
    def cases(self) -> dict[str, list[Row]]:
        """Rows of `CASE_COLUMNS` by hospital: the first cases of each signal above the peers."""
        rows: dict[str, list[Row]] = defaultdict(list)
        above = {(r["signal"], r["hospital_id"]) for r in self._rates if r["above_peers"]}
        for row in self._found.first_cases(CASES_SHOWN):
            if (row["signal"], row["hospital_id"]) in above:
                rows[row["hospital_id"]].append(
                    [self._signal_words[row["signal"]], row["case_id"], row["drg"], row["month"],
                     row["other_case_id"], row["shows"]]
                )  # fmt: skip
        return rows


def _named(one: Indicator) -> Both:
    return _both(one.zh, one.en)


def _both(zh: str, en: str) -> Both:
    return [zh, en[:1].upper() + en[1:]]


def _told(one: Indicator, value: Value | None) -> str | None:
    if value is None or value.exact is None:
        return None
    return told(one, value).replace(" %", "%")


def _number(one: Indicator, value: Value | None) -> float | int | None:
    if value is None or value.exact is None:
        return None
    if one.counts:
        return int(value.exact)
    # Money is in fen on pages, as everywhere there.
    return round(value.exact * 100) if one.unit == "yuan" else round(float(value.exact), 6)


def _parts(one: Indicator, value: Value | None) -> list[str | None]:
    return [None, None] if value is None else list(parts_told(one, value))
