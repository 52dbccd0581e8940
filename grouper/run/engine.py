"""`rerun`: from a region folder to a run folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from grouper import __version__
from grouper.cases import COLUMNS, CaseSource, Column, open_cases
from grouper.cases.names import column_names
from grouper.context import context_columns
from grouper.duplicates import VERSION
from grouper.errors import BadFileError, InputsError
from grouper.execution import Runner
from grouper.grouping import columns_for
from grouper.parts import disk_errors
from grouper.run.context import Context, Progress
from grouper.run.driver import Driver
from grouper.run.folder import (
    Manifest,
    admit,
    belongs,
    clear_work,
    names_in,
    note_failure,
    prepare,
    read_manifest,
    verify,
)
from grouper.run.identity import input_digests, run_id
from grouper.run.lists import list_columns
from grouper.run.work import locked
from grouper.scheme import Scheme
from grouper.scheme.editions import EDITIONS
from grouper.scheme.scheme import in_edition
from grouper.settlement.intake import REQUIRED, intake_columns
from grouper.settlement.lacking import check_policy
from grouper.settlement.policy import Policy
from grouper.settlement.region import load_region
from grouper.settlement.visits import FILE as VISITS


@dataclass(frozen=True)
class RunSummary:
    """How a run ended.

    Attributes:
        folder: the run folder.
        manifest: what it says of itself.
        state: ``made``, ``resumed`` or ``verified``.
    """

    folder: Path
    manifest: Manifest
    state: str


def rerun(
    region: Path,
    scheme: Scheme,
    policy: Policy,
    out: Path,
    runner: Runner,
    *,
    encoding: str = "utf-8",
    progress: Progress | None = None,
    reuse: Path | None = None,
) -> RunSummary:
    """Settle a region's year into a run folder.

    A folder that already holds the finished run of the same inputs is verified; one that holds the
    unfinished run is taken up where it stopped. One in which another run stopped before its first
    finished part, or failed at its inputs, is used anew.

    Args:
        region: the region folder.
        scheme: the grouping scheme.
        policy: the payment rules.
        out: the run folder.
        runner: where the tasks run.
        encoding: of CSV files of cases.
        progress: told about each finished part.
        reuse: a finished run of the same cases, or of some of their files, and scheme, whose
            grouping is taken; the result has the same bytes as without it.

    Raises:
        GrouperError: an input is faulty, the folder is another run's, or the accounts do not close.
    """
    if policy.edition != EDITIONS[0]:
        scheme = in_edition(scheme, policy.edition)
    sources = _open_sources(region, scheme, policy, encoding)
    visits = (VISITS,) if policy.stay.pre_admission_days is not None else ()
    digests = input_digests(region, sources, runner, visits)
    tables = load_region(region)  # while workers digest the files
    check_policy(policy, scheme, history="history" in sources)
    inputs = dict(digests)
    identity = run_id(inputs, scheme, policy, encoding)
    manifest = read_manifest(out) if out.is_dir() else None
    if manifest is not None:
        belongs(out, manifest, identity)
        verify(out, manifest)
        clear_work(out)
        return RunSummary(out, manifest, "verified")
    admit(out, region)
    with disk_errors(out), locked(out):
        resumed = prepare(out, identity)
        found = names_in(out)
        manifest = Manifest(
            run=identity,
            engine=__version__,
            scheme={"id": scheme.id, "digest": scheme.digest},
            policy={
                "id": policy.id,
                "digest": policy.digest,
                "keys": json.loads(policy.canonical()),
            },
            year=0,
            inputs=inputs,
        )
        context = Context(tables, scheme, policy, sources, out, runner, progress, manifest, reuse)
        try:
            Driver(context).execute()
        except (BadFileError, InputsError):
            note_failure(out, manifest, found)
            raise
    return RunSummary(out, manifest, "resumed" if resumed else "made")


def _open_sources(
    region: Path, scheme: Scheme, policy: Policy, encoding: str
) -> dict[str, CaseSource]:
    wanted: dict[str, Column] = {column.name: column for column in columns_for(scheme)}
    wanted |= {column.name: column for column in intake_columns(policy)}
    wanted |= {column.name: column for column in context_columns() if column.name not in wanted}
    wanted.setdefault(VERSION, COLUMNS[VERSION])
    lists = {c.name: c for c in list_columns(policy) if c.name not in wanted}
    names = column_names(region)
    sources = {}
    for folder in ("cases", "history"):
        if folder == "cases" or (region / folder).is_dir():
            sources[folder] = open_cases(
                region / folder,
                wanted=(wanted | lists if folder == "cases" else wanted).values(),
                required=REQUIRED,
                encoding=encoding,
                names=names,
            )
    return sources
