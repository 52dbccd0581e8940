"""What a run is made of: digests of its inputs, and the id that follows from them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from grouper import __version__
from grouper.cases import CaseSource
from grouper.execution import Runner
from grouper.parts import file_digest
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
) -> dict[str, str]:
    """SHA-256 of every input file, by name relative to the region folder.

    ``further`` are files that only some policies read.
    """
    names = {name for name in (*REGION_FILES, *further) if (region / name).is_file()}
    names |= {f"{CASES_FOLDER}/{path.name}" for path in (region / CASES_FOLDER).glob("*.parquet")}
    for folder, source in sources.items():
        names |= {f"{folder}/{part.name}" for part in source.parts}
    ordered = sorted(names)
    digests = runner.map(_digest_file, str(region), ordered)
    return dict(zip(ordered, digests, strict=True))


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
