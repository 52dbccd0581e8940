"""One policy key over a range of values (参数扫描): a run for each, and what comes of it."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ValidationError

from grouper.errors import OutputError, PolicyError
from grouper.execution import Runner
from grouper.report.facts import Facts
from grouper.report.load import load_run
from grouper.report.site import Site
from grouper.report.view import Row, View, number, share, table
from grouper.run import rerun
from grouper.scheme import Scheme
from grouper.settlement.numbers import decimal_text
from grouper.settlement.policy import Policy
from grouper.settlement.policyfaults import all_keys, told
from grouper.settlement.policykeys import exact_text

if TYPE_CHECKING:
    from rich.table import Table

_COLUMNS: Final = (
    "key_number points point_value rate spread_rate losers high_share low_share cmi paid_m due_sum"
)


@dataclass(frozen=True)
class Sweep:
    """A policy, the dotted name of one of its keys, and the values that the key takes."""

    policy: Policy
    key: str
    values: tuple[Fraction, ...]


@dataclass(frozen=True)
class Point:
    """What came of one value.

    Attributes:
        value: of the key, as text.
        row: the columns of the outcome; money in fen.
        classes: share of cases by class.
        levels: payment rate by hospital level.
        rates: payment rate of every hospital with cases.
    """

    value: str
    row: Row
    classes: dict[str, float]
    levels: dict[int, float]
    rates: list[float]


@dataclass(frozen=True)
class Swept:
    """A finished sweep; ``points`` in the order of the values."""

    sweep: Sweep
    scheme: Scheme
    out: Path
    points: list[Point]


def values_between(first: str, last: str, steps: int) -> tuple[Fraction, ...]:
    """Exact values from the first to the last, both included.

    Raises:
        PolicyError: a bound is not a plain decimal, or both are the same.

    >>> [str(value) for value in values_between("0.3", "0.5", 3)]
    ['3/10', '2/5', '1/2']
    """
    bounds = [decimal_text(text) for text in (first, last)]
    if bounds[0] is None or bounds[1] is None:
        raise PolicyError(
            f"'{first}' to '{last}' is not a range of numbers", hint="write --from 0.2 --to 0.4"
        )
    low, high = bounds[0], bounds[1]
    if low == high:
        raise PolicyError(
            f"'{first}' to '{last}' is one value", hint="write two different bounds, or use rerun"
        )
    return tuple(low + (high - low) * i / (steps - 1) for i in range(steps))


def with_key(policy: Policy, key: str, value: Fraction) -> Policy:
    """The policy with one key changed.

    Raises:
        PolicyError: there is no such key, it takes no number, or not this one.
    """
    keys: dict[str, Any] = policy.model_dump(mode="json")
    *path, name = key.split(".")
    section: Any = keys
    for step in path:
        section = section.get(step) if isinstance(section, dict) else None
    if not isinstance(section, dict) or name not in section:
        raise PolicyError(f"there is no key '{key}'", key=key, hint=_meant(key))
    now = section[name]
    words = isinstance(now, str) and decimal_text(now.partition("/")[0]) is None
    if words or isinstance(now, bool | dict | list):
        raise PolicyError("the key does not take a number", key=key, hint="sweep one that does")
    whole = value.denominator == 1 and isinstance(section[name], int)
    section[name] = int(value) if whole else exact_text(value)
    try:
        return Policy.model_validate(keys)
    except ValidationError as cause:
        fault = cause.errors(include_url=False)[0]
        if fault["type"].startswith("int_"):
            raise PolicyError(
                f"{exact_text(value)} is not a whole number, and the key takes no other",
                key=key,
                hint="choose --from, --to and --steps so that each value is whole",
            ) from None
        raise PolicyError(
            f"{exact_text(value)}: {told(fault)}", key=key, hint="choose another range"
        ) from None


def _meant(key: str) -> str:
    near = get_close_matches(key, all_keys(), 3)
    told = f"did you mean {' or '.join(near)}? " if near else ""
    return f"{told}`grouper policy show POLICY` prints every key"


def run_sweep(
    region: Path,
    scheme: Scheme,
    sweep: Sweep,
    out: Path,
    runner: Runner,
    *,
    encoding: str = "utf-8",
    advance: Callable[[int], None] = lambda _: None,
) -> Swept:
    """Settle the region once for each value, into OUT/runs/<value>.

    A sweep that was interrupted is taken up where it stopped; finished runs stay there to be
    compared.

    Raises:
        OutputError: `out` holds something that is no sweep.
        GrouperError: the key, a value or the region is faulty.
    """
    policies = [with_key(sweep.policy, sweep.key, value) for value in sweep.values]
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out} is a file", hint="name a folder")
    if out.is_dir() and any(out.iterdir()) and not (out / "runs").is_dir():
        raise OutputError(
            f"{out} holds something else", hint="name a new folder, or one of a sweep to go on with"
        )
    points = []
    for value, policy in zip(sweep.values, policies, strict=True):
        folder = out / "runs" / _name(value)
        rerun(region, scheme, _without_lists(policy, sweep.key), folder, runner, encoding=encoding)
        points.append(_point(folder, exact_text(value)))
        advance(1)
    return Swept(sweep, scheme, out, points)


def _without_lists(policy: Policy, key: str) -> Policy:
    """The policy without the check of the lists, which is the same in every run of a sweep."""
    if key.startswith("quality."):
        return policy
    quality = policy.quality.model_copy(update={"report": False})
    return policy.model_copy(update={"quality": quality})


def _name(value: Fraction) -> str:
    return exact_text(value).replace("/", "over")


def _point(folder: Path, value: str) -> Point:
    run = load_run(folder, verify=False)
    view = View(Facts(run))
    region = view.region
    classes = view.facts.rows("SELECT class, sum(cases)::BIGINT FROM cube GROUP BY 1 ORDER BY 1")
    levels = view.facts.rows(
        """
        SELECT level, sum(value)::DOUBLE / sum(cost)::DOUBLE
        FROM cube JOIN levels USING (hospital_id) GROUP BY 1 ORDER BY 1
        """
    )
    worth = view.facts.rows(
        "SELECT sum(point_value::DOUBLE * points::DOUBLE) / sum(points::DOUBLE) FROM months"
    )[0][0]
    paid, due = (
        view.facts.rows(f"SELECT (coalesce(sum({column}), 0) * 100)::BIGINT FROM {name}")[0][0]
        for name, column in (("hospital_months", "paid"), ("clearing", "due"))
    )
    rates = [h.sums["rate"] for h in view.hospitals if h.sums["rate"] is not None]
    row = [
        value,
        round(region["points"] or 0, 4),
        number(worth),
        region["rate"],
        _deviation(rates),
        sum(rate < region["rate"] for rate in rates),
        region["high_share"],
        region["low_share"],
        region["cmi"],
        paid,
        due,
    ]
    return Point(
        value,
        row,
        {name: cast("float", share(cases, region["cases"])) for name, cases in classes},
        {level: round(rate, 6) for level, rate in levels},
        rates,
    )


def _deviation(values: list[float]) -> float | None:
    if not values:
        return None
    mean = sum(values) / len(values)
    return round(math.sqrt(sum((value - mean) ** 2 for value in values) / len(values)), 6)


def write_sweep(found: Swept) -> Path:
    """Write OUT/index.html and OUT/sweep.parquet; return the page.

    Raises:
        OutputError: the folder cannot be written.
    """
    sweep = found.sweep
    try:
        shutil.rmtree(found.out / "assets", ignore_errors=True)
        site = Site(
            found.out,
            {"linked": False, "hospitals": [], "drgs": []},
            {},
            diseases=found.sweep.policy.groups.by == "dip",
        )
        site.page(
            "index.html",
            "sweep",
            {
                "key": sweep.key,
                "meaning": _meaning(sweep.key),
                "policy": sweep.policy.id,
                "scheme": found.scheme.id,
                "classes": [point.classes for point in found.points],
                "levels": [point.levels for point in found.points],
                "rates": [point.rates for point in found.points],
                "tables": {
                    "outcome": table(_COLUMNS, [point.row for point in found.points], total=False)
                },
            },
            title=sweep.key,
        )
        pq.write_table(outcome_table(found), found.out / "sweep.parquet")
    except OSError as error:
        raise OutputError(
            f"{found.out} cannot be written: {error.strerror or error}",
            hint="check the folder's permissions and the free space",
        ) from error
    return found.out / "index.html"


def outcome_table(found: Swept) -> pa.Table:
    """The outcome: one row per value, money in yuan as float64."""
    names = _COLUMNS.split()
    money = {"paid_m", "due_sum"}
    columns = {
        name: [row.row[i] / 100 if name in money else row.row[i] for row in found.points]
        for i, name in enumerate(names)
    }
    return pa.table({"value": columns.pop("key_number"), **columns})


def _meaning(key: str) -> list[str]:
    """What a key means, in English and Chinese."""
    model: type[BaseModel] = Policy
    *path, name = key.split(".")
    for step in path:
        model = cast("type[BaseModel]", model.model_fields[step].annotation)
    field = model.model_fields[name]
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    return [field.description or "", str(extra.get("zh", ""))]


def terminal_table(found: Swept) -> Table:
    """The outcome on the terminal."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table_ = Table(title=Text(found.sweep.key), title_justify="left", box=box.SIMPLE_HEAD)
    shown = (found.sweep.key, "points", "point value", "payment rate", "spread", "high", "low")
    for name in (*shown, "paid (CNY)", "due (CNY)"):
        table_.add_column(name, justify="right", no_wrap=True)
    for point in found.points:
        value, points, worth, rate, spread, _, high, low, _, paid, due = point.row
        table_.add_row(
            value,
            f"{points:,.2f}",
            f"{worth:.4f}",
            *(f"{part or 0:.2%}" for part in (rate, spread, high, low)),
            f"{paid / 100:,.2f}",
            f"{due / 100:,.2f}",
        )
    return table_
