"""What a believable region knows of medicine: how common, how old, where treated, with what else.

Nothing here decides a group. The tables follow the letters of the major diagnostic categories
(主要诊断大类, MDC) and the chapters of ICD-10 and ICD-9-CM-3; shares and factors are round numbers
of the order seen in published yearly reports of Chinese regions, not any region's own data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

Ages = tuple[tuple[int, int, float], ...]
"""Pieces of an age distribution: from, to (both included), share."""

_GENERAL: Final[Ages] = (
    (0, 0, 0.01), (1, 14, 0.06), (15, 29, 0.07), (30, 44, 0.14), (45, 59, 0.27),
    (60, 74, 0.30), (75, 95, 0.15),
)  # fmt: skip
_ELDERLY: Final[Ages] = (
    (0, 14, 0.02), (15, 39, 0.06), (40, 54, 0.17), (55, 69, 0.38), (70, 84, 0.31), (85, 97, 0.06),
)  # fmt: skip
_INFECTIOUS: Final[Ages] = (
    (0, 0, 0.05), (1, 5, 0.20), (6, 14, 0.09), (15, 44, 0.10), (45, 64, 0.20), (65, 95, 0.36),
)  # fmt: skip
_THROAT: Final[Ages] = (
    (0, 5, 0.10), (6, 14, 0.12), (15, 44, 0.30), (45, 64, 0.33), (65, 90, 0.15),
)  # fmt: skip
_INJURY: Final[Ages] = (
    (0, 14, 0.08), (15, 29, 0.14), (30, 49, 0.30), (50, 64, 0.30), (65, 90, 0.18),
)  # fmt: skip
_TUMOUR: Final[Ages] = (
    (0, 14, 0.02), (15, 39, 0.08), (40, 54, 0.28), (55, 69, 0.47), (70, 88, 0.15),
)  # fmt: skip
_MENTAL: Final[Ages] = ((8, 17, 0.10), (18, 39, 0.35), (40, 59, 0.35), (60, 85, 0.20))
_MALE: Final[Ages] = ((0, 14, 0.10), (15, 44, 0.20), (45, 64, 0.25), (65, 90, 0.45))
_FEMALE: Final[Ages] = ((12, 29, 0.15), (30, 44, 0.40), (45, 59, 0.35), (60, 80, 0.10))
_BIRTH: Final[Ages] = ((16, 24, 0.20), (25, 34, 0.62), (35, 39, 0.15), (40, 47, 0.03))
_NEWBORN: Final[Ages] = ((0, 0, 1.0),)


@dataclass(frozen=True, slots=True)
class Field:
    """How the cases of one MDC look.

    Attributes:
        share: share of all cases (shares are divided by their sum).
        ages: age distribution.
        los: factor on the length of stay.
        medical, surgical: departments of discharge (出院科别) by the national department codes.
        winter: whether the cold months bring more cases.
    """

    share: float
    ages: Ages
    los: float
    medical: str
    surgical: str
    winter: bool = False


FIELDS: Final[Mapping[str, Field]] = {
    "A": Field(0.003, _GENERAL, 1.0, "A28", "A04.01"),
    "B": Field(0.095, _ELDERLY, 1.05, "A03.03", "A04.02", winter=True),
    "C": Field(0.038, _ELDERLY, 0.5, "A10", "A10"),
    "D": Field(0.042, _THROAT, 0.8, "A11", "A11"),
    "E": Field(0.120, _INFECTIOUS, 0.95, "A03.01", "A04.05", winter=True),
    "F": Field(0.120, _ELDERLY, 0.95, "A03.04", "A04.06", winter=True),
    "G": Field(0.115, _GENERAL, 0.85, "A03.02", "A04.01"),
    "H": Field(0.045, _GENERAL, 1.0, "A03.02", "A04.01"),
    "I": Field(0.075, _INJURY, 1.25, "A04.03", "A04.03"),
    "J": Field(0.028, _GENERAL, 0.9, "A13", "A04.08"),
    "K": Field(0.040, _GENERAL, 1.0, "A03.07", "A04.01"),
    "L": Field(0.055, _GENERAL, 0.95, "A03.06", "A04.04"),
    "M": Field(0.012, _MALE, 0.9, "A04.04", "A04.04"),
    "N": Field(0.035, _FEMALE, 0.8, "A05.01", "A05.01"),
    "O": Field(0.065, _BIRTH, 0.65, "A05.02", "A05.02"),
    "P": Field(0.015, _NEWBORN, 0.9, "A07.01", "A08"),
    "Q": Field(0.008, _GENERAL, 0.9, "A03.05", "A04.01"),
    "R": Field(0.080, _TUMOUR, 0.7, "A19", "A19"),
    "S": Field(0.022, _INFECTIOUS, 1.0, "A16", "A04.01", winter=True),
    "T": Field(0.008, _MENTAL, 3.0, "A15", "A15"),
    "U": Field(0.006, _MENTAL, 1.8, "A15", "A15"),
    "V": Field(0.004, _INJURY, 0.7, "A20", "A04.01"),
    "W": Field(0.005, _INJURY, 1.5, "A04.07", "A04.07"),
    "X": Field(0.022, _GENERAL, 1.6, "A21", "A04.01"),
    "Y": Field(0.0005, _MENTAL, 1.3, "A16", "A16"),
    "Z": Field(0.003, _INJURY, 1.5, "A20", "A04.03"),
}
"""By the letter of the MDC."""

OTHER_FIELD: Final = Field(0.010, _GENERAL, 1.0, "A03", "A04")
"""For a letter that the national scheme does not use."""

NEVER_PRINCIPAL: Final = ("Z37", "Z38")
"""Codes that stand beside a birth; as principal diagnosis they are a slip of the coder."""

USUAL_AGES: Final[tuple[tuple[str, int, int], ...]] = (
    ("O", 15, 49), ("P", 0, 0), ("C", 25, 97), ("C40", 5, 80), ("C41", 5, 80), ("C64", 1, 90),
    ("C71", 3, 85), ("C81", 4, 90), ("C83", 4, 90), ("C91", 1, 85), ("C92", 3, 85),
    ("D25", 20, 60), ("E10", 4, 80), ("E11", 25, 97), ("F0", 55, 97), ("F1", 16, 75),
    ("F2", 14, 80), ("G20", 45, 97), ("G30", 55, 97), ("H25", 50, 97), ("I10", 25, 97),
    ("I11", 40, 97), ("I2", 35, 97), ("I26", 25, 97), ("I50", 30, 97), ("I6", 35, 97),
    ("I7", 40, 97), ("J43", 45, 97), ("J44", 45, 97), ("K70", 25, 90), ("K80", 18, 97),
    ("M16", 40, 97), ("M17", 45, 97), ("M47", 30, 97), ("M51", 18, 90), ("M80", 50, 97),
    ("M81", 50, 97), ("N18", 12, 97), ("N20", 15, 90), ("N40", 50, 97),
    ("F53", 15, 49), ("Z3", 15, 49), ("Z38", 0, 0),
)  # fmt: skip
"""Ages at which a principal diagnosis is usually met, by prefix; the longest prefix holds.

Which sex and age a code allows at all is what the rules of data quality say.
"""

NOT_BESIDE: Final = frozenset("OPQSTVWXYZ")
"""Chapters that come as another diagnosis only beside a principal diagnosis of their own."""

# category, then its share beside a principal diagnosis of patients from 45, from 15, and below
COMPANIONS: Final[tuple[tuple[str, float, float, float], ...]] = (
    ("I10", 30, 5, 0), ("I25", 15, 0.5, 0), ("E11", 14, 2, 0), ("E78", 13, 5, 0),
    ("I67", 8, 0.3, 0), ("I63", 5, 0.2, 0), ("I70", 8, 0.2, 0), ("K76", 9, 8, 1),
    ("N28", 5, 2, 0), ("K29", 8, 6, 2), ("D64", 6, 5, 6), ("E87", 4, 3, 6), ("J98", 5, 2, 4),
    ("J18", 3, 2, 5), ("J06", 2, 5, 14), ("J20", 1, 2, 12), ("J44", 5, 0, 0), ("M81", 5, 0, 0),
    ("M47", 4, 1, 0), ("N40", 4, 0, 0), ("K80", 5, 3, 0), ("K21", 4, 3, 1), ("I49", 4, 2, 2),
    ("I48", 3, 0.2, 0), ("I50", 3, 0.3, 0), ("E79", 4, 3, 0), ("E04", 4, 3, 0), ("E03", 2, 2, 1),
    ("E77", 3, 1, 3), ("R91", 5, 3, 1), ("R50", 2, 4, 6), ("R05", 1, 1, 4), ("K59", 4, 2, 4),
    ("A09", 1, 2, 6), ("D72", 2, 3, 6), ("D50", 2, 5, 6), ("E55", 1, 2, 5), ("R74", 2, 3, 4),
    ("K64", 2, 3, 0), ("H25", 2, 0, 0), ("N39", 3, 3, 2), ("G47", 3, 2, 0), ("F41", 2, 3, 0),
    ("B37", 1, 1, 2), ("J30", 1, 2, 4), ("J35", 0, 1, 4), ("L30", 1, 2, 3), ("B18", 3, 3, 0),
    ("N20", 3, 3, 0), ("M51", 4, 3, 0), ("J31", 1, 2, 3), ("R94", 2, 2, 2), ("I51", 3, 1, 1),
)  # fmt: skip
"""Frequent other diagnoses (其他诊断)."""

_PRINCIPALS: Final = (
    "A09 A49 B02 B18 C16 C18 C20 C22 C34 C50 C73 D25 D64 E04 E11 F20 F32 G40 G45 H25 H26 H81 H91 "
    "I10 I11 I20 I21 I25 I48 I50 I63 I67 J06 J15 J18 J20 J32 J35 J44 J45 J98 K25 K29 K35 K40 K56 "
    "K63 K74 K80 K85 K92 L03 M17 M47 M48 M51 N18 N20 N39 N40 N83 N92 O34 O42 O80 O82 O99 P07 P22 "
    "P23 P59 R42 S06 S22 S32 S52 S72 S82 T14 Z51"
)
PRINCIPALS: Final = tuple(_PRINCIPALS.split())
"""Frequent principal diagnoses (主要诊断)."""

COMPLICATIONS: Final = (
    "I50", "J96", "I21", "N17", "N18", "R57", "A41", "I46", "K92", "J18", "J15", "E87", "D62",
    "I63", "I61", "G93", "K72", "I48", "J90", "I26", "D65", "E46", "L89", "T81", "K65", "I82",
    "N39", "J44", "E11", "D69", "K56", "I47", "J94", "R65", "E43",
)  # fmt: skip
"""Categories that make up most of what is coded as complication or comorbidity."""

# rubric of ICD-9-CM-3 and how often it is written down
LIGHT_PROCEDURES: Final[tuple[tuple[str, float], ...]] = (
    ("88.72", 10), ("88.76", 9), ("88.73", 3), ("88.71", 2), ("88.77", 4), ("87.41", 9),
    ("87.03", 7), ("87.44", 4), ("88.01", 6), ("88.38", 4), ("88.91", 4), ("88.93", 3),
    ("88.23", 2), ("88.26", 1), ("87.37", 1), ("87.73", 1), ("89.52", 11), ("89.54", 4),
    ("89.50", 3), ("89.37", 2), ("89.14", 2), ("93.96", 6), ("93.94", 4), ("93.39", 3),
    ("93.35", 2), ("93.08", 1), ("99.29", 3), ("99.21", 3), ("99.18", 2), ("99.15", 2),
    ("99.04", 3), ("99.07", 1), ("99.92", 2), ("38.93", 4), ("57.94", 3), ("96.07", 2),
    ("96.6", 1), ("92.18", 1), ("94.08", 1), ("87.49", 2), ("87.01", 2), ("87.39", 1),
    ("97.6", 0.3), ("97.8", 0.3),
)  # fmt: skip
"""Diagnostic and nursing procedures that hospitals write down beside the one that counts."""

_UNDIVIDED: Final = (
    ("A", "33 34 35 38 46 55 57 58 64 65 70 78 86 89 90 91 94 99"),
    ("B", "03 04 07 09 24 49 59 64 72 73 75 79 80 86 89 91 92"),
    ("C", "01 07 12 19 20 23 33 37 52 55 56 58 61 64 65 66 73 97"),
    ("D", "24 27 34 45 62 65 66 67 77"),
    ("E", "02 15 40 41 42 43 45 46 52 54 58 59 60 65 68 86"),
    ("F", "03 09 21 24 28 29 39 54 55 59 61 69 82 83 88 89 99"),
    ("G", "01 07 10 14 20 22 26 35 55 64 92 98"),
    ("I", "00 10 64 81 99"),
    ("J", "00 13 14 22 36 42 46 47 60 61 64 65 80 81 82 90 91 92"),
    ("K", "20 30 36 37"),
    ("L", "00 14 22 26 42 45 52 80 82 83 84 86"),
    ("N", "10 12 19 23 26 40 46 61 62 63 72 86 96"),
    ("P", "38 53 60 75 77 90 93 95"),
    ("Q", "02"),
    ("R", "02 05 11 12 13 14 15 17 18 21 31 32 33 34 35 36 51 53 54 55 58 64 69 71 72 75 80"),
    ("R", "81 91 92 95 98 99"),
)  # fmt: skip
UNDIVIDED: Final = frozenset(
    f"{letter}{number}" for letter, numbers in _UNDIVIDED for number in numbers.split()
)
"""Categories of ICD-10 without subcategories; the insurance edition writes them `I10.x00`."""
