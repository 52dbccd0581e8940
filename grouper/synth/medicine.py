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

FEMALE: Final = (
    "C51", "C52", "C53", "C54", "C55", "C56", "C57", "C58", "D06", "D07.0", "D07.1", "D07.2",
    "D07.3", "D25", "D26", "D27", "D28", "D39", "N70", "N71", "N72", "N73", "N74", "N75", "N76",
    "N77", "N80", "N81", "N82", "N83", "N84", "N85", "N86", "N87", "N88", "N89", "N90", "N91",
    "N92", "N93", "N94", "N95", "N96", "N97", "N98", "O", "R87", "Z32", "Z33", "Z34", "Z35", "Z36",
    "Z37", "Z39",
)  # fmt: skip
"""Diagnoses of women, as prefixes."""

MALE: Final = (
    "C60", "C61", "C62", "C63", "D07.4", "D07.5", "D07.6", "D29", "D40", "N40", "N41", "N42",
    "N43", "N44", "N45", "N46", "N47", "N48", "N49", "N50", "N51", "R86",
)  # fmt: skip
"""Diagnoses of men, as prefixes."""

FEMALE_PROCEDURES: Final = tuple(str(chapter) for chapter in range(65, 76))
MALE_PROCEDURES: Final = ("60", "61", "62", "63", "64")
"""Chapters of ICD-9-CM-3 on the organs of one sex."""

CHILDBEARING: Final = (15, 49)
"""Ages of pregnancy and birth (ICD-10 chapter O)."""

NOT_BESIDE: Final = frozenset("OPQSTVWXYZ")
"""Chapters that come as another diagnosis only beside a principal diagnosis of their own."""

# category, share beside an adult's and beside a child's principal diagnosis
COMPANIONS: Final[tuple[tuple[str, float, float], ...]] = (
    ("I10", 30, 0), ("I25", 15, 0), ("E11", 14, 0), ("E78", 13, 0), ("I67", 8, 0), ("I63", 5, 0),
    ("I70", 8, 0), ("K76", 9, 1), ("N28", 5, 0), ("K29", 8, 2), ("D64", 6, 6), ("E87", 4, 6),
    ("J98", 5, 4), ("J18", 3, 5), ("J06", 2, 14), ("J20", 1, 12), ("J44", 5, 0), ("M81", 5, 0),
    ("M47", 4, 0), ("N40", 4, 0), ("K80", 5, 0), ("K21", 4, 1), ("I49", 4, 2), ("I48", 3, 0),
    ("I50", 3, 0), ("E79", 4, 0), ("E04", 4, 0), ("E03", 2, 1), ("E77", 3, 3), ("R91", 5, 1),
    ("R50", 2, 6), ("R05", 1, 4), ("K59", 4, 4), ("A09", 1, 6), ("D72", 2, 6), ("D50", 2, 6),
    ("E55", 1, 5), ("R74", 2, 4), ("I84", 2, 0), ("K64", 2, 0), ("H25", 2, 0), ("N39", 3, 2),
    ("G47", 3, 0), ("F41", 2, 0), ("B37", 1, 2), ("J30", 1, 4), ("J35", 1, 4), ("L30", 1, 3),
)  # fmt: skip
"""Frequent other diagnoses (其他诊断)."""

COMPLICATIONS: Final = (
    "I50", "J96", "I21", "N17", "N18", "R57", "A41", "I46", "K92", "J18", "J15", "E87", "D62",
    "I63", "I61", "G93", "K72", "I48", "J90", "I26", "D65", "E46", "L89", "T81", "K65", "I82",
    "N39", "J44", "E11", "D69", "K56", "I47", "J94", "R65", "E43",
)  # fmt: skip
"""Categories that make up most of what is coded as complication or comorbidity."""

# rubric of ICD-9-CM-3 and how often it is written down
LIGHT_PROCEDURES: Final[tuple[tuple[str, float], ...]] = (
    ("88.7", 14), ("87.4", 10), ("87.0", 9), ("88.3", 6), ("88.0", 6), ("88.9", 8), ("89.5", 12),
    ("93.9", 7), ("99.2", 8), ("99.1", 4), ("99.0", 6), ("96.0", 3), ("96.5", 2), ("57.9", 3),
    ("38.9", 5), ("93.3", 6), ("89.1", 2), ("89.0", 2), ("99.9", 3), ("94.0", 1), ("93.0", 2),
    ("88.2", 4), ("87.7", 2), ("87.3", 1), ("92.1", 2), ("96.3", 1), ("96.1", 1), ("97.", 1),
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
