"""What a run is made of: digests of its inputs, and the id that follows from them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from grouper import __version__
from grouper.cases import CaseSource
from grouper.errors import RegionError
from grouper.execution import Runner
from grouper.parts import file_digest
from grouper.run.folder import read_manifest
from grouper.scheme import Scheme
from grouper.settlement.closed import CASES_FOLDER
from grouper.settlement.policy import Policy

REGION_FILES = (
    "columns.toml",
    "hospitals.csv",
    "budget.csv",
    "month_shares.csv",
    "reviews.csv",
    "deductions.csv",
    "payments.csv",
    "closed.csv",
    "closed_statements.csv",
    "rates.csv",
    "items.parquet",
)
"""Files of a region folder that decide about a run, beside its cases and history."""


def _digest_file(folder: str, name: str) -> str:
    return file_digest(Path(folder) / name)


def input_digests(
    region: Path, sources: Mapping[str, CaseSource], runner: Runner, further: Iterable[str] = ()
) -> Iterator[tuple[str, str]]:
    """Every input file by its name relative to the region folder, and its SHA-256.

    ``further`` are files that only some policies read.
    """
    names = {name for name in (*REGION_FILES, *further) if (region / name).is_file()}
    names |= {f"{CASES_FOLDER}/{path.name}" for path in (region / CASES_FOLDER).glob("*.parquet")}
    for folder, source in sources.items():
        names |= {f"{folder}/{part.name}" for part in source.parts}
    ordered = sorted(names)
    return zip(ordered, runner.map(_digest_file, str(region), ordered), strict=True)


def check_region(run: Path, region: Path) -> None:
    """Refuse a region folder that a run cannot have been made from, whatever came to it since.

    Raises:
        RegionError: no file of the run's cases is there, or its hospitals and its budget are both
            others.
        RunError: the run's manifest is not one.
    """
    manifest = read_manifest(run)
    if manifest is None or not region.is_dir():
        return
    inputs = manifest.inputs
    cases = [name for name in inputs if name.startswith("cases/")]
    lost = (region / "cases").is_dir() and not any((region / name).is_file() for name in cases)
    other = all(
        inputs.get(name) != (file_digest(region / name) if (region / name).is_file() else None)
        for name in ("hospitals.csv", "budget.csv")
    )
    if lost or other:
        fault = "none of its cases stand there" if lost else "its hospitals and budget are others"
        raise RegionError(
            f"the run was not made from this region: {fault}",
            file=str(region),
            hint="name the region folder of the run, or settle the region again",
        )


def run_id(inputs: Mapping[str, str], scheme: Scheme, policy: Policy, encoding: str) -> str:
    """The id of a run: a digest of inputs, scheme, policy and engine version."""
    parts = {
        "encoding": encoding,
        "engine": __version__,
        "inputs": dict(inputs),
        "policy": policy.digest,
        "scheme": scheme.digest,
    }
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
