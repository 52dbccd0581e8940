"""Drawing cases: a chunk at a time, every chunk from a random stream of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from grouper.synth.bedside import (
    STEPS,
    WITHOUT_PROCEDURE,
    Lists,
    Stay,
    code_lists,
    lot,
    persons,
    stays,
)
from grouper.synth.calendar import Calendar
from grouper.synth.catalogue import Int8Array, Int32Array
from grouper.synth.plan import Plan

Int64Array = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

INSURANCES: Final = ("employee", "resident", "self")
EMPLOYEE, RESIDENT, SELF = range(3)

DIED: Final = 5
BASE_YEAR: Final = 2024
YEARLY_RISE: Final = 1.035

# Share of the cases that follow an earlier stay of the same person, by round: the second round
# follows those of the first, so that some persons come three or four times.
_RETURNS: Final = (0.14, 0.06, 0.03)
_SAME_REASON: Final = 0.55
_SOON: Final = 0.15
_SELF_PAYING: Final = 0.012
_ELSEWHERE: Final = (0.004, 0.01, 0.06)
_RECIPE_SKEW: Final = 1.4


@dataclass(frozen=True)
class Money:
    """Amounts in fen, int64[cases]; names as in the case table."""

    total_cost: Int64Array
    compliant_cost: Int64Array
    self_pay: Int64Array
    patient_cash: Int64Array
    fund_paid: Int64Array
    other_funds: Int64Array
    separate_items: Int64Array


@dataclass(frozen=True)
class Chunk:
    """Cases as numpy arrays, first axis cases.

    Attributes:
        index: int64, number of the case in its year, from 0; its id follows from it.
        person: int64, number of the person.
        path: int32, path of the plan, for what the reviews need to know.
        hospital: int32; insurance: int8 position in `INSURANCES`; city: int8 position.
        admission, discharge_day: int32, days since 1970-01-01.
        month: int8, month of settlement from 0.
        ratio: float64, total cost over what is usual for the path and the hospital.
    """

    index: Int64Array
    person: Int64Array
    path: Int32Array
    hospital: Int32Array
    insurance: Int8Array
    city: Int8Array
    admission: Int32Array
    discharge_day: Int32Array
    month: Int8Array
    sex: Int8Array
    stay: Stay
    dx: Lists
    px: Lists
    money: Money
    ratio: npt.NDArray[np.float64]


def draw_chunk(plan: Plan, year: Calendar, index: Int64Array, rng: np.random.Generator) -> Chunk:
    """Draw the cases with these numbers."""
    count = len(index)
    cell = np.searchsorted(plan.chances, rng.random(count), side="right").astype(np.int32)
    hospital, path = np.divmod(np.minimum(cell, len(plan.chances) - 1), np.int32(len(plan.count)))
    skew = rng.random(count) ** _RECIPE_SKEW
    rows = plan.first[path] + np.floor(skew * plan.count[path]).astype(np.int32)
    sex, age = persons(plan.ward, plan.recipes, rows, rng)
    insurance = _insurance(age, rng)
    earlier = _returns(plan, rows, hospital, sex, age, insurance, rng)
    path = plan.recipes.path[rows]
    level = np.array([h.level for h in plan.hospitals], np.int8)[hospital]
    city = _city(plan, hospital, level, rng)
    stay = stays(plan.ward, plan.recipes, rows, age, rng)
    day, person = _days(plan, year, path, index, earlier, stay, city, rng)
    bare = plan.recipes.optional[rows] & (lot(rng, count) < WITHOUT_PROCEDURE * STEPS)
    dx, px = code_lists(plan.ward, plan.recipes, rows, age, level, bare, rng)
    total, ratio = _costs(plan, year, path, hospital, stay, rng)
    los = stay.numbers["los"]
    # One day in hospital is both a stay overnight and one that ends on its first day.
    nights = np.where((los == 1) & (lot(rng, count) < 0.2 * STEPS), 0, los)
    return Chunk(
        index=index,
        person=person,
        path=path,
        hospital=hospital,
        insurance=insurance,
        city=city,
        admission=(year.first + day - nights).astype(np.int32),
        discharge_day=(year.first + day).astype(np.int32),
        month=_settled(year, day, rng),
        sex=sex,
        stay=stay,
        dx=dx,
        px=px,
        money=_payments(plan, hospital, level, insurance, total, rng),
        ratio=ratio,
    )


def _insurance(age: Int32Array, rng: np.random.Generator) -> Int8Array:
    resident = np.select([age < 18, age < 25, age < 60], [0.97, 0.75, 0.50], 0.60)
    place = rng.random(len(age))
    kind = np.where(place < resident, RESIDENT, EMPLOYEE)
    kind[rng.random(len(age)) < _SELF_PAYING] = SELF
    return kind.astype(np.int8)


def _city(
    plan: Plan, hospital: Int32Array, level: Int8Array, rng: np.random.Generator
) -> Int8Array:
    """The city whose fund pays: the hospital's, except for patients from elsewhere."""
    own = np.array([h.city for h in plan.hospitals], np.int64)[hospital]
    cities = len(plan.cities)
    if cities > 1:
        away = rng.random(len(own)) < np.array(_ELSEWHERE)[level - 1]
        own = np.where(away, (own + rng.integers(1, cities, len(own))) % cities, own)
    return own.astype(np.int8)


def _returns(
    plan: Plan,
    rows: Int32Array,
    hospital: Int32Array,
    sex: Int8Array,
    age: Int32Array,
    insurance: Int8Array,
    rng: np.random.Generator,
) -> list[tuple[Int32Array, Int32Array]]:
    """Let some cases be later stays of a person who is already there.

    The later case takes over the person, and the recipe too where its own does not suit the
    person (`rows` and the rest are changed in place).

    Returns:
        Rounds of (earlier case, later case).
    """
    count = len(rows)
    order = rng.permutation(count).astype(np.int32)
    sizes = [int(share * count) for share in _RETURNS]
    first, rest = order[: sizes[0]], order[sizes[0] :]
    recipes = plan.recipes
    rounds = []
    for size in sizes:
        earlier, later, rest = first[:size], rest[:size], rest[size:]
        grown = age[earlier] >= 1
        earlier, later = earlier[grown], later[grown]
        suits = (
            (recipes.sex_low[rows[later]] <= sex[earlier])
            & (recipes.sex_high[rows[later]] >= sex[earlier])
            & (recipes.low[rows[later], 0] <= age[earlier])
            & (recipes.high[rows[later], 0] >= age[earlier])
            & (rng.random(len(later)) >= _SAME_REASON)
        )
        rows[later] = np.where(suits, rows[later], rows[earlier])
        hospital[later] = np.where(suits, hospital[later], hospital[earlier])
        sex[later], age[later], insurance[later] = sex[earlier], age[earlier], insurance[earlier]
        rounds.append((earlier, later))
        first = later
    return rounds


def _days(
    plan: Plan,
    year: Calendar,
    path: Int32Array,
    index: Int64Array,
    returns: list[tuple[Int32Array, Int32Array]],
    stay: Stay,
    city: Int8Array,
    rng: np.random.Generator,
) -> tuple[Int32Array, Int64Array]:
    """Day of the year of each discharge, and the person.

    A return that would end after the year, or follow a death, is another person's first stay.
    """
    count = len(index)
    day = year.steps[plan.winter[path], lot(rng, count)].astype(np.int32)
    person = index.copy()
    los = stay.numbers["los"]
    for earlier, later in returns:
        usual = 1 + np.floor(rng.exponential(38.0, len(later)))
        soon = rng.integers(1, 15, len(later), endpoint=True)
        gap = np.where(rng.random(len(later)) < _SOON, soon, usual).astype(np.int32)
        back = day[earlier] + gap + los[later]
        holds = (back < year.days) & (stay.discharge[earlier] != DIED)
        kept, again = earlier[holds], later[holds]
        day[again] = back[holds]
        person[again] = person[kept]
        city[again] = city[kept]
    return day, person


def _settled(year: Calendar, day: Int32Array, rng: np.random.Generator) -> Int8Array:
    """Month of settlement: that of the discharge, seldom the next one."""
    month = year.month[day]
    late = np.where(year.month_end[month] - day < 4, 0.12, 0.01)
    return np.minimum(month + (rng.random(len(day)) < late), 11).astype(np.int8)


def _costs(
    plan: Plan,
    year: Calendar,
    path: Int32Array,
    hospital: Int32Array,
    stay: Stay,
    rng: np.random.Generator,
) -> tuple[Int64Array, npt.NDArray[np.float64]]:
    """Total cost in fen: lognormal around the path's mean, following the length of stay."""
    count = len(path)
    factor = np.array([h.cost for h in plan.hospitals])[hospital]
    sigma = plan.spread[path]
    unusual = 0.55 * stay.unusual + 0.835 * rng.standard_normal(count)
    ratio = np.exp(sigma * unusual - 0.5 * sigma**2)
    odd = lot(rng, count)
    dear, cheap = odd < 0.007 * STEPS, odd >= 0.991 * STEPS
    ratio[dear] *= rng.uniform(2.5, 5.5, int(dear.sum()))
    ratio[cheap] *= rng.uniform(0.10, 0.32, int(cheap.sum()))
    rise = YEARLY_RISE ** (year.year - BASE_YEAR)
    fen = np.rint(plan.mean_cost[path] * factor * ratio * rise)
    return np.maximum(fen, 50_00).astype(np.int64), ratio


def _payments(
    plan: Plan,
    hospital: Int32Array,
    level: Int8Array,
    insurance: Int8Array,
    total: Int64Array,
    rng: np.random.Generator,
) -> Money:
    """Who pays the total: fund and patient, the patient partly through other funds."""
    count = len(total)
    own = np.array([h.own_pay for h in plan.hospitals])[hospital]
    outside = np.minimum((0.015 + 0.11 * rng.random(count) ** 2) * own, 0.6)
    self_pay = np.rint(total * outside).astype(np.int64)
    compliant = total - self_pay
    threshold = np.array((200_00, 400_00, 800_00))[level - 1]
    rate = np.array(((0.92, 0.83, 0.0), (0.89, 0.76, 0.0), (0.86, 0.68, 0.0)))[level - 1, insurance]
    rate *= 0.97 + 0.03 * rng.random(count)
    fund = np.floor(np.maximum(compliant - threshold, 0) * rate).astype(np.int64)
    cash = total - fund
    borne = np.where(insurance == SELF, 0, cash - self_pay)
    helped = 0.6 * np.maximum(borne - 12_000_00, 0)
    entitled = rng.random(count) < np.where(insurance == EMPLOYEE, 0.12, 0.06)
    other = np.floor(np.where(entitled, np.maximum(helped, 0.5 * borne), helped)).astype(np.int64)
    apart = rng.integers(40_00, 3_000_00, count)
    apart[rng.random(count) >= 0.05] = 0
    return Money(total, compliant, self_pay, cash, fund, other, apart)
