"""Joining the tables: which settlements are cases, which rows belong to them, which are rejected.

All of it is SQL in the work database: sorts and joins spill to disk, and sums and lists are made
for one stretch of cases at a time, so memory does not grow with the input.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grouper.errors import CaseTableError, RunError
from grouper.intake.columns import AGGREGATES, Made, sums_of
from grouper.intake.fields import TABLES
from grouper.intake.layout import Layout
from grouper.intake.match import Keys
from grouper.intake.values import fitting, quoted

if TYPE_CHECKING:
    import duckdb

# Letter, two digits, at most one dot: a code of ICD-10. Codes of Chinese medicine look otherwise.
_ICD = "'^[A-Za-z][0-9]{2}[^.]*([.][^.]*)?$'"


@dataclass(frozen=True)
class TableCount:
    """What became of the rows of a table; the parts add up to `read`.

    Attributes:
        used: rows that a case was made of.
        left_out: diagnoses of traditional Chinese medicine, which no group asks for.
        with_rejected_case: good rows of a settlement that was rejected.
        rejected: reason to number of rows.
    """

    read: int
    used: int
    left_out: int
    with_rejected_case: int
    rejected: Mapping[str, int]


class Joined:
    """The tables of a work database, joined.

    Attributes:
        settlements: number of settlements, rejected ones included; cases are numbered below it.
    """

    def __init__(
        self,
        db: duckdb.DuckDBPyConnection,
        keys: Keys,
        layout: Layout,
        found: Mapping[str, Collection[str]],
        *,
        ordered: bool,
        files: list[str],
    ) -> None:
        """Join; `found` says which fields each table has, `ordered` whether rows have an order.

        Raises:
            CaseTableError: the diagnoses do not tell the principal one, or have no codes.
        """
        self.db, self._keys, self._layout = db, keys, layout
        self._found, self._ordered = found, ordered
        self._children = [name for name in TABLES if name in found and name != "setlinfo"]
        self._check()
        db.execute("CREATE TABLE files (number INTEGER, label VARCHAR)")
        if files:
            db.executemany("INSERT INTO files VALUES (?, ?)", list(enumerate(files)))
        self._settlements()
        for name in self._children:
            self._child(name)
        self._verdicts()
        self._reject()
        (self.settlements,) = self._one("SELECT count(*) FROM s")

    def _check(self) -> None:
        fields = self._found.get("diseinfo", ())
        if "diag_code" not in fields:
            raise CaseTableError(
                "diseinfo has no diag_code",
                file="diseinfo",
                column="diag_code",
                hint="map the column: [tables.diseinfo.columns] diag_code = ...",
            )
        if "maindiag_flag" not in fields and self._layout.principal == "flag":
            raise CaseTableError(
                "diseinfo has no maindiag_flag, so nothing tells the principal diagnosis",
                file="diseinfo",
                column="maindiag_flag",
                hint='map the column, or write principal = "first" in a layout',
            )

    def _settlements(self) -> None:
        keys = self._keys
        join = keys.join or "_document"
        self.db.execute(
            "CREATE TABLE s AS SELECT row_number() OVER () - 1 AS n, * FROM ("
            f"SELECT {keys.case_id} AS case_id, {join} AS _key, * FROM in_setlinfo"
            " ORDER BY case_id, version, _seq)"
        )
        self.db.execute("DROP TABLE in_setlinfo")
        self.db.execute(
            "CREATE TABLE ids AS SELECT _key, min(n) AS n, count(*) AS times FROM s"
            " WHERE _key IS NOT NULL GROUP BY _key"
        )
        if keys.version:
            self.db.execute(
                "CREATE TABLE ids_version AS SELECT _key, version, min(n) AS n, count(*) AS times"
                " FROM s WHERE _key IS NOT NULL GROUP BY _key, version"
            )

    def _child(self, name: str) -> None:
        """The rows of a table that belong to a settlement, in its order; the others rejected."""
        by_version = self._keys.version and name in self._keys.versioned
        join = self._keys.join or "_document"
        ids = "ids_version" if by_version else "ids"
        on = f"i._key = c.{join}"
        if by_version:
            on += " AND i.version IS NOT DISTINCT FROM c.version"
        good, empty, order = self._rules(name)
        tie = "c._seq" if self._ordered else f"{_code(name)} NULLS LAST, c._seq"
        self.db.execute(
            f"CREATE TABLE c_{name} AS SELECT row_number() OVER () AS pos, * FROM ("
            f"SELECT i.n, c.*, {good} AS _good, {empty} AS _empty FROM in_{name} c"
            f" JOIN {ids} i ON {on} ORDER BY i.n, {order} {tie})"
        )
        self.db.execute(
            f"INSERT INTO rejected SELECT {_rank(name)}, c._seq, '{name}', f.label, c._row,"
            f" c.{join}::VARCHAR, CASE WHEN c.{join} IS NULL THEN 'no_id' ELSE 'no_settlement' END,"
            f" '' FROM in_{name} c JOIN files f ON f.number = c._file"
            f" WHERE NOT EXISTS (SELECT 1 FROM {ids} i WHERE {on})"
        )
        self.db.execute(f"DROP TABLE in_{name}")

    def _rules(self, name: str) -> tuple[str, str, str]:
        """Which rows count, which are empty, and their order within a case."""
        have = self._found[name]
        match name:
            case "diseinfo":
                traditional = _texts(self._layout.traditional)
                western = _texts(self._layout.western)
                good = (
                    f"CASE WHEN diag_type IS NULL OR diag_type IN ({western}) THEN true"
                    f" WHEN diag_type IN ({traditional}) THEN false"
                    f" ELSE regexp_matches(diag_code, {_ICD}) END"
                )
                return (
                    good,
                    "diag_code IS NULL",
                    (
                        "coalesce(maindiag_flag, false) AND coalesce(_good, false) DESC,"
                        " diag_srt_no NULLS LAST,"
                    ),
                )
            case "oprninfo":
                main = "coalesce(main_oprn_flag, upper(oprn_oprt_type) IN ('1', 'M'), false)"
                order = f"{main} DESC, oprn_oprt_sn NULLS LAST,"
                if not self._ordered and "oprn_oprt_date" in have:
                    order += " oprn_oprt_date NULLS LAST,"
                return "true", "oprn_oprt_code IS NULL", order
            case "iteminfo":
                return "true", "amt IS NULL", ""
            case "payinfo":
                return "true", "fund_payamt IS NULL", ""
            case _:
                return "true", f"{_minutes(name)} IS NULL", ""

    def _verdicts(self) -> None:
        """Why a settlement is no case."""
        version = ", version" if self._keys.version else ""
        self.db.execute(
            f"CREATE TABLE twice AS SELECT case_id{version}, count(*) AS times FROM s"
            f" WHERE case_id IS NOT NULL GROUP BY case_id{version} HAVING count(*) > 1"
        )
        self._details()
        self.db.execute(
            "CREATE TABLE facts AS SELECT n, count(*) AS diagnoses,"
            " count(*) FILTER (maindiag_flag) AS principals"
            " FROM c_diseinfo WHERE _good AND NOT _empty GROUP BY n"
        )
        ambiguous = "false"
        unversioned = [name for name in self._children if name not in self._keys.versioned]
        if self._keys.version and self._keys.join and unversioned:
            ambiguous = "k.times > 1"
        ids = "ids_version" if self._keys.version else "ids"
        same_version = " AND {0}.version IS NOT DISTINCT FROM s.version" if version else ""
        repeated = "conflicting_versions" if version else "several_settlements"
        first = self._layout.principal == "first"
        reason = (
            "CASE WHEN s.case_id IS NULL OR s._key IS NULL THEN 'no_id'"
            f" WHEN t.times > 1 OR v.times > 1 THEN '{repeated}'"
            f" WHEN {ambiguous} THEN 'ambiguous_version'"
            " WHEN s._bad <> '' THEN 'unreadable' WHEN s._unknown <> '' THEN 'unknown_code'"
            " WHEN d.told IS NOT NULL THEN d.reason"
            " WHEN f.n IS NULL THEN 'no_diagnosis'"
            f" WHEN f.principals = 0 AND {'false' if first else 'true'} THEN 'no_principal'"
            " WHEN f.principals > 1 THEN 'several_principals' END"
        )
        detail = (
            "CASE reason WHEN 'unreadable' THEN _bad"
            " WHEN 'unknown_code' THEN coalesce(nullif(_unknown, ''), told)"
            f" WHEN '{repeated}' THEN times || ' rows' WHEN 'several_principals'"
            " THEN principals || ' of ' || diagnoses || ' diagnoses' ELSE coalesce(told, '') END"
        )
        self.db.execute(
            f"CREATE TABLE verdict AS SELECT n, reason, {detail} AS detail FROM ("
            f"SELECT s.n, {reason} AS reason, s._bad, s._unknown, d.told, f.principals,"
            " f.diagnoses, greatest(t.times, v.times) AS times FROM s"
            f" LEFT JOIN twice t ON t.case_id = s.case_id{same_version.format('t')}"
            f" LEFT JOIN {ids} v ON v._key = s._key{same_version.format('v')}"
            " LEFT JOIN ids k ON k._key = s._key"
            " LEFT JOIN details d ON d.n = s.n LEFT JOIN facts f ON f.n = s.n"
            ") WHERE reason IS NOT NULL ORDER BY n"
        )

    def _details(self) -> None:
        """The first value of each settlement that another table has and that cannot be used."""
        parts = []
        for name in self._children:
            told = "_bad"
            if name in ("icuinfo", "ventinfo"):
                told = f"concat_ws('; ', nullif(_bad, ''), CASE WHEN {_minutes(name)} < 0"
                told += " THEN 'ends before it begins' END)"
            code = "_unknown"
            if name == "payinfo":
                code = "CASE WHEN fund_pay_type IS NULL AND NOT _empty AND _unknown = ''"
                code += " THEN 'fund_pay_type is empty' ELSE _unknown END"
            parts.append(
                f"SELECT n, {_rank(name)} AS rank, pos, '{name}' AS name, _row,"
                f" {told} AS bad, {code} AS code FROM c_{name}"
                f" WHERE {told} <> '' OR {code} <> ''"
            )
        self.db.execute(
            "CREATE TABLE details AS SELECT n, arg_min(reason, (rank, pos)) AS reason,"
            " arg_min(told, (rank, pos)) AS told FROM (SELECT n, rank, pos,"
            " CASE WHEN bad <> '' THEN 'unreadable_detail' ELSE 'unknown_code' END AS reason,"
            " name || ' row ' || _row || ': ' || CASE WHEN bad <> '' THEN bad ELSE code END AS told"
            f" FROM ({' UNION ALL '.join(parts)})) GROUP BY n"
        )

    def _reject(self) -> None:
        self.db.execute(
            "INSERT INTO rejected SELECT 0, s._seq, 'setlinfo', f.label, s._row, s.case_id,"
            " v.reason, v.detail FROM verdict v JOIN s ON s.n = v.n"
            " JOIN files f ON f.number = s._file"
        )
        for name in self._children:
            empty = "no_code" if name in ("diseinfo", "oprninfo") else "no_value"
            self.db.execute(
                f"INSERT INTO rejected SELECT {_rank(name)}, c._seq, '{name}', f.label, c._row,"
                f" s.case_id, '{empty}', '' FROM c_{name} c JOIN s ON s.n = c.n"
                " JOIN files f ON f.number = c._file WHERE c._empty"
                " AND NOT EXISTS (SELECT 1 FROM verdict v WHERE v.n = c.n)"
            )

    def cases(self, made: Collection[Made], begin: int, end: int) -> str:
        """The query of the cases with numbers from `begin` to below `end`, in order of the id."""
        within = f"n >= {begin} AND n < {end}"
        joins = [
            f"LEFT JOIN (SELECT n, {sums_of(name, self._layout)}"
            f" FROM c_{name} WHERE {within} AND _good AND NOT _empty GROUP BY n)"
            f" AS {AGGREGATES[name]} ON {AGGREGATES[name]}.n = s.n"
            for name in self._children
        ]
        columns = ", ".join(f"{fitting(one.sql, one.column)} AS {one.column.name}" for one in made)
        return (
            f"SELECT {columns} FROM (SELECT * FROM s WHERE {within}) AS s {' '.join(joins)}"
            f" WHERE s.n NOT IN (SELECT n FROM verdict WHERE {within}) ORDER BY s.n"
        )

    def counts(self, read: Mapping[str, int]) -> dict[str, TableCount]:
        """What became of the rows that were read.

        Raises:
            RunError: they do not add up, which is a fault of the engine.
        """
        counted: dict[str, TableCount] = {}
        for name in ("setlinfo", *self._children):
            reasons = dict(
                self.db.execute(
                    'SELECT reason, count(*) FROM rejected WHERE "table" = ? GROUP BY reason'
                    " ORDER BY reason",
                    [name],
                ).fetchall()
            )
            if name == "setlinfo":
                (used,) = self._one("SELECT count(*) FROM s ANTI JOIN verdict v ON v.n = s.n")
                out = aside = 0
            else:
                used, out, aside = self._one(
                    "SELECT count(*) FILTER (v.n IS NULL AND c._good AND NOT c._empty),"
                    " count(*) FILTER (v.n IS NULL AND NOT c._good AND NOT c._empty),"
                    f" count(v.n) FROM c_{name} c LEFT JOIN verdict v ON v.n = c.n"
                )
            one = TableCount(read.get(name, 0), used, out, aside, reasons)
            if one.read != used + out + aside + sum(reasons.values()):
                raise RunError(f"the rows of {name} do not add up: {one}", hint="report this fault")
            counted[name] = one
        return counted

    def _one(self, query: str) -> tuple[int, ...]:
        (found,) = self.db.execute(query).fetchall()
        return tuple(found)


def _rank(name: str) -> int:
    return list(TABLES).index(name)


def _texts(texts: Collection[str]) -> str:
    return ", ".join(map(quoted, texts)) or "NULL"


def _code(name: str) -> str:
    match name:
        case "diseinfo":
            return "c.diag_code"
        case "oprninfo":
            return "c.oprn_oprt_code"
        case _:
            return "c._row"


def _minutes(name: str) -> str:
    if name == "icuinfo":
        times = ("scs_cutd_sum_dura", "scs_cutd_inpool_time", "scs_cutd_exit_time")
    else:
        times = ("vent_used_dura", "vent_begntime", "vent_endtime")
    return f"coalesce({times[0]}, datediff('minute', {times[1]}, {times[2]}))"
