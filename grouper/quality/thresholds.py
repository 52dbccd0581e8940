"""What the rules compare with; a policy states its own values (`[quality]`, `reject`)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Thresholds:
    """Numbers and codes that the rules of section 11 depend on.

    Attributes:
        newborn_days: a child is newborn up to this age in days (新生儿).
        weight_low, weight_high: believable birth weights, grams, both included.
        long_ventilation_hours: from so many hours on a ventilation is a long one.
        upload_day: day of the month after ``settle_month`` up to which an upload is in time.
        accepted_principals: code prefixes that may be principal although they begin with R, V to Z.
        suspected: code prefixes of suspected diagnoses.
        reject: rules whose breach rejects a case, whatever severity they are declared with.
    """

    newborn_days: int = 28
    weight_low: int = 100
    weight_high: int = 9999
    long_ventilation_hours: int = 96
    upload_day: int = 13
    accepted_principals: tuple[str, ...] = ()
    suspected: tuple[str, ...] = ("Z03", "U07.2")
    reject: tuple[str, ...] = ()
