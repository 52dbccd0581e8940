"""The hospitals of a made-up region."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

_CITIES: Final = (
    "Dongjiang", "Nanling", "Xihe", "Beiyuan", "Zhongchuan", "Linhai", "Qingshan", "Yunpu",
    "Jinxi", "Hekou", "Longtan", "Anping",
)  # fmt: skip
_NAMES: Final = {
    3: ("People's Hospital", "Central Hospital", "University Hospital", "Affiliated Hospital"),
    2: (
        "County Hospital",
        "Hospital of Chinese Medicine",
        "Maternity Hospital",
        "District Hospital",
    ),
    1: ("Township Health Centre", "Community Hospital"),
}
_CLASSES: Final = {3: ("3A", "3B"), 2: ("2A", "2B"), 1: ("1A",)}
_LEVEL_VOLUME: Final = {3: 0.50, 2: 0.38, 1: 0.12}
_LEVEL_COST: Final = {3: 1.14, 2: 0.86, 1: 0.66}


@dataclass(frozen=True)
class Hospital:
    """A hospital as the generator sees it.

    Attributes:
        kind: class within the level.
        city: position among the region's cities.
        size: share of the region's cases.
        cost: factor on the cost of its cases.
        own_pay: factor on what its patients pay outside the insurance.
        assessment: yearly assessment coefficient (考核系数) in ten-thousandths.
    """

    hospital_id: str
    name: str
    level: int
    kind: str
    city: int
    size: float
    cost: float
    own_pay: float
    assessment: int


def make_hospitals(
    count: int, cities: int, rng: np.random.Generator
) -> tuple[tuple[Hospital, ...], tuple[str, ...]]:
    """Hospitals of three levels over the cities, each city with its share of every level."""
    names = tuple(_CITIES[i] if i < len(_CITIES) else f"City {i + 1}" for i in range(cities))
    levels = rng.permutation(_levels(count))
    raw = np.exp(0.4 * rng.standard_normal(count))
    place = np.zeros(count, np.int64)
    size = np.zeros(count)
    turn = 0
    for level in (3, 2, 1):
        rows = np.flatnonzero(levels == level)
        if len(rows):
            place[rows] = (turn + np.arange(len(rows))) % cities
            turn += len(rows)
            # Patients go to the first city, which has the best hospitals.
            weight = raw[rows] / (1 + 0.25 * place[rows])
            size[rows] = _LEVEL_VOLUME[level] * weight / weight.sum()
    size /= size.sum()
    digits = max(3, len(str(count)))
    serial: dict[tuple[int, str], int] = {}
    hospitals = []
    for i in range(count):
        level = int(levels[i])
        title = _NAMES[level][int(rng.integers(len(_NAMES[level])))]
        key = (int(place[i]), title)
        serial[key] = serial.get(key, 0) + 1
        hospitals.append(
            Hospital(
                hospital_id=f"H{i + 1:0{digits}d}",
                name=f"{names[place[i]]} {title} No. {serial[key]}",
                level=level,
                kind=_CLASSES[level][int(rng.integers(len(_CLASSES[level])))],
                city=int(place[i]),
                size=float(size[i]),
                cost=_LEVEL_COST[level] * float(np.exp(0.07 * rng.standard_normal())),
                own_pay=float(np.exp(0.25 * rng.standard_normal())),
                assessment=int(rng.integers(9500, 10001)),
            )
        )
    return tuple(hospitals), names


def _levels(count: int) -> list[int]:
    if count < 3:
        return [3, 2][:count]
    high = max(1, round(0.2 * count))
    low = max(1, round(0.35 * count))
    return [3] * high + [2] * (count - high - low) + [1] * low
