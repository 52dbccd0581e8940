"""Writing a synthetic region: the folder that a settlement run takes in (folders.md)."""

from __future__ import annotations

import contextlib
import csv
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from grouper.errors import OutputError, RegionError
from grouper.scheme import Scheme
from grouper.synth.calendar import Calendar, calendar
from grouper.synth.draw import draw_chunk
from grouper.synth.faults import draw_faults, no_faults
from grouper.synth.fund import (
    BUDGET_HEADER,
    DEDUCTIONS_HEADER,
    SHARES_HEADER,
    Ledger,
    budget_rows,
    deduction_rows,
    month_share_rows,
    pool_names,
)
from grouper.synth.hospitals import Hospital
from grouper.synth.plan import Plan, make_plan
from grouper.synth.reviews import HEADER as REVIEWS_HEADER
from grouper.synth.reviews import reviews as review_rows
from grouper.synth.streams import CASE_STREAM, REGION_STREAM, Streams
from grouper.synth.table import PartWriter, chunk_table, schema

YEARS: Final = (2000, 2099)
MOST_CASES: Final = 10**9
MOST_CITIES: Final = 99

_HOSPITALS_HEADER: Final = (
    "hospital_id", "name", "level", "class", "city", "alliance", "lead", "assessment", "go_live",
    "pilot",
)  # fmt: skip

Progress = Callable[[int], None]


@dataclass(frozen=True)
class RegionSummary:
    """What was written.

    Attributes:
        folder: the region folder.
        cases: cases of the year; faulty: rows among them that a settlement run calls invalid.
        parts: files of cases; history_cases: cases of earlier years.
        hospitals: how many; pools: what the fund paid in fen in the year, by pool.
        reviews: rows of reviews.csv.
        drgs_reached, drgs: DRGs of the scheme that the generator has recipes for, and all.
    """

    folder: Path
    cases: int
    faulty: int
    parts: int
    history_cases: int
    hospitals: int
    pools: dict[str, int]
    reviews: int
    drgs_reached: int
    drgs: int


def synthesize(
    scheme: Scheme,
    *,
    cases: int,
    hospitals: int,
    seed: int,
    out: str | Path,
    year: int = 2024,
    reviews: bool = False,
    history: int = 0,
    cities: int = 1,
    progress: Progress | None = None,
) -> RegionSummary:
    """Write a believable year of a region, made up from a scheme's rules.

    The same arguments give the same bytes (with the same numpy and pyarrow on the same kind of
    processor). Cases are drawn and written a row group at a time, so
    memory does not grow with their number.

    Args:
        scheme: the scheme whose groups the cases shall visit; any pack.
        cases: cases of the year, 0.5 % of them faulty.
        hospitals: number of hospitals, of three levels from three on.
        seed: 0 or more.
        out: the region folder; it must not exist, or be empty.
        year: the calendar year of settlement.
        reviews: write reviews.csv (特病单议) as well.
        history: so many earlier years, each with as many cases and none faulty.
        cities: several cities have pools `<city>/<insurance>`.
        progress: called with the number of cases written since it was called last.

    Raises:
        OutputError: the folder holds something, or cannot be written.
        RegionError: a count that makes no region.
    """
    _check(cases, hospitals, seed, year, history, cities)
    folder = Path(out)
    with _new_folder(folder) as work:
        plan = make_plan(scheme, hospitals=hospitals, cities=cities, seed=seed)
        writer = _RegionWriter(plan, work, seed, progress or (lambda _: None))
        last = None
        for earlier in range(year - history, year):
            last = writer.history(Streams(seed, earlier, cases))
        ledger = writer.year(Streams(seed, year, cases), reviews)
        writer.tables(ledger, last, year)
    return RegionSummary(
        folder=folder,
        cases=cases,
        faulty=writer.faulty,
        parts=writer.parts,
        history_cases=history * cases,
        hospitals=hospitals,
        pools={pool: ledger.year(i) for i, pool in enumerate(ledger.pools)},
        reviews=writer.reviews,
        drgs_reached=plan.reached,
        drgs=plan.drgs,
    )


def _check(cases: int, hospitals: int, seed: int, year: int, history: int, cities: int) -> None:
    limits = (
        ("cases", cases, 1, MOST_CASES),
        ("hospitals", hospitals, 1, 99_999),
        ("seed", seed, 0, 2**63 - 1),
        ("year", year, *YEARS),
        ("history", history, 0, year - YEARS[0]),
        ("cities", cities, 1, min(MOST_CITIES, hospitals)),
    )
    for name, value, low, high in limits:
        if not low <= value <= high:
            hint = f"choose {name} from {low} to {high}"
            if name == "cities" and value > hospitals:
                hint = "every city needs a hospital: ask for fewer cities or more hospitals"
            raise RegionError(f"a region cannot have {name} = {value}", hint=hint)


@contextlib.contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """A folder beside the wanted one that takes its place when everything is written."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise OutputError(f"{folder} is not a folder", hint="name a new folder")
    try:
        if folder.exists() and any(folder.iterdir()):
            raise OutputError(
                f"{folder} holds files already",
                hint="name a new folder, or delete this one; a region is never overwritten",
            )
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = folder.parent / f".{folder.name}.{os.getpid()}.partial"
        work.mkdir()
    except OSError as error:
        raise _unwritable(folder, error) from error
    try:
        yield work
        if folder.exists():
            folder.rmdir()
        work.rename(folder)
    except OSError as error:
        raise _unwritable(folder, error) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _unwritable(folder: Path, error: OSError) -> OutputError:
    return OutputError(
        f"{folder} cannot be written: {error.strerror or error}",
        hint="check the path, its permissions and the free space",
    )


class _RegionWriter:
    def __init__(self, plan: Plan, folder: Path, seed: int, progress: Progress) -> None:
        self.plan = plan
        self.folder = folder
        self.seed = seed
        self.progress = progress
        self.columns = schema(plan)
        self.pools = pool_names(plan.cities)
        self.faulty = self.parts = self.reviews = 0

    def history(self, streams: Streams) -> Ledger:
        """Write an earlier year's cases."""
        ledger = Ledger(self.pools)
        when = calendar(streams.year)
        parts = PartWriter(self.folder / "history", self.columns, f"{streams.year}-part")
        for number in range(streams.chunks):
            chunk = draw_chunk(
                self.plan, when, streams.index(number), streams.generator(number, CASE_STREAM)
            )
            faults = no_faults(len(chunk.index))
            ledger.add(chunk, faults)
            parts.write(chunk_table(self.plan, when, chunk, faults))
            self.progress(len(chunk.index))
        parts.close()
        return ledger

    def year(self, streams: Streams, reviews: bool) -> Ledger:
        """Write the year's cases and their reviews."""
        ledger = Ledger(self.pools)
        when = calendar(streams.year)
        parts = PartWriter(self.folder / "cases", self.columns)
        with contextlib.ExitStack() as stack:
            table = _table(stack, self.folder / "reviews.csv", REVIEWS_HEADER) if reviews else None
            for number in range(streams.chunks):
                self._chunk(streams, when, number, ledger, parts, table)
        parts.close()
        self.parts = parts.parts
        return ledger

    def _chunk(
        self,
        streams: Streams,
        when: Calendar,
        number: int,
        ledger: Ledger,
        parts: PartWriter,
        reviews: Callable[[Iterable[object]], object] | None,
    ) -> None:
        chunk = draw_chunk(
            self.plan, when, streams.index(number), streams.generator(number, CASE_STREAM)
        )
        faults = draw_faults(streams, number)
        self.faulty += int(np.count_nonzero(faults.kind))
        ledger.add(chunk, faults)
        parts.write(chunk_table(self.plan, when, chunk, faults))
        if reviews is not None:
            for row in review_rows(self.plan, when, streams, number, chunk, faults):
                reviews(row)
                self.reviews += 1
        self.progress(len(chunk.index))

    def tables(self, ledger: Ledger, last: Ledger | None, year: int) -> None:
        """Write the small tables."""
        rng = Streams(self.seed, year, 0).generator(0, REGION_STREAM)
        hospitals = (_hospital_row(self.plan, hospital) for hospital in self.plan.hospitals)
        self._write("hospitals.csv", _HOSPITALS_HEADER, hospitals)
        self._write("budget.csv", BUDGET_HEADER, budget_rows(ledger, year, rng))
        self._write("month_shares.csv", SHARES_HEADER, month_share_rows(ledger, last, year, rng))
        deductions = deduction_rows(self.plan, self.pools, year, rng)
        self._write("deductions.csv", DEDUCTIONS_HEADER, deductions)

    def _write(self, name: str, header: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
        with contextlib.ExitStack() as stack:
            write = _table(stack, self.folder / name, header)
            for row in rows:
                write(row)


def _table(
    stack: contextlib.ExitStack, path: Path, header: Iterable[str]
) -> Callable[[Iterable[object]], object]:
    file = stack.enter_context(path.open("w", encoding="utf-8", newline=""))
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(header)
    return writer.writerow


def _hospital_row(plan: Plan, hospital: Hospital) -> tuple[str, ...]:
    assessment = f"{hospital.assessment // 10000}.{hospital.assessment % 10000:04d}"
    return (
        hospital.hospital_id,
        hospital.name,
        str(hospital.level),
        hospital.kind,
        plan.cities[hospital.city],
        "",
        "",
        assessment,
        "",
        "true",
    )
