"""Taking the grouping of a finished run: another policy or further cases, the same scheme.

The grouped rows of the earlier run stand for the kernel's answers; routing, points and money are
made anew, so that the result has the same bytes as a run that groups for itself; where the policies
agree on all that comes before the points, routes are taken as well (`run.taken`). A part in which
that cannot be, because a case counts now that the earlier policy rejected, is grouped anew. Parts
that the earlier run did not have are grouped; which ids are repeated is found over all parts.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from grouper import __version__
from grouper.caseids import id_hashes
from grouper.cases import CaseSource, Part
from grouper.context import pools_of
from grouper.duplicates import version_of
from grouper.errors import RunError
from grouper.grouping import REASON as GROUPING_REASONS
from grouper.grouping import GroupedBatch, grouped_again
from grouper.parts import file_digest, part_name
from grouper.run.folder import Manifest, read_manifest
from grouper.run.work import Linked
from grouper.scheme import Scheme
from grouper.settlement.apart import FILE as ITEMS
from grouper.settlement.intake import Accounts, Intake, IntakePlan, take_in
from grouper.settlement.plan import gives_factors
from grouper.settlement.policy import Policy
from grouper.settlement.routes import INVALID, REASONS
from grouper.settlement.visits import FILE as VISITS

LIST_STAGES: Final = (
    "findings",
    "quality_rules",
    "quality_scores",
    "quality_errors",
)
"""Stages of `run.lists`."""

_TEXTS = ("status", "mdc", "adrg", "drg", "severity", "reason")
_DUPLICATE = GROUPING_REASONS.index("duplicate_id")


@dataclass(frozen=True)
class Reuse:
    """The grouping of an earlier run.

    Attributes:
        run: its folder.
        digests: SHA-256 of its tables by name.
        counts: of its stage ``grouped``.
        same_rows: whether the same cases must be invalid for the same reasons.
        same_pools: whether the same cases must have the same pool as well.
        same_routes: whether all that decides about cases before their points is the same, so
            that they are taken as they were routed (`run.taken`).
        same_reviews: whether reviews.csv is the same.
        lists: the stages of the check of the lists, where they would come out the same.
        stages: all its stages.
        parts: number of a part there, by its number now; parts that it lacks are left out.
        grown: whether there are such parts.
    """

    run: str
    digests: Mapping[str, str]
    counts: Mapping[str, int]
    same_rows: bool
    same_pools: bool
    same_routes: bool
    same_reviews: bool
    lists: tuple[Mapping[str, Any], ...]
    stages: tuple[Mapping[str, Any], ...] = ()
    parts: Mapping[int, int] = field(default_factory=dict)
    grown: bool = False

    def attempts(self) -> Iterator[Reuse]:
        """In what ways a part may be taken, the cheapest first."""
        yield self
        if self.grown and self.same_rows:
            # A case that is repeated now has another row; the part is written anew.
            yield replace(self, same_rows=False, same_pools=False, same_routes=False)


def open_reuse(run: Path, manifest: Manifest, source: CaseSource, policy: Policy) -> Reuse:
    """The grouping of a finished run, for the run that `manifest` describes so far.

    Raises:
        RunError: the folder is not a finished run of the same cases or of some of their files,
            of the same scheme and engine, or one of the two groups by disease (DIP).
    """
    old = read_manifest(run)
    if old is None:
        raise RunError(f"{run} is not a finished run", hint="name a run folder with a manifest")
    hint = "leave --reuse out, or name a run of the same cases and scheme"
    if old.engine != __version__:
        raise RunError(f"{run} was made by engine {old.engine}, this is {__version__}", hint=hint)
    if old.scheme != manifest.scheme:
        raise RunError(f"{run} was grouped by another scheme ('{old.scheme['id']}')", hint=hint)
    names = {f"cases/{part.name}" for part in source.parts}
    known = {name for name in old.inputs if name.startswith("cases/")}
    if not known <= names or any(old.inputs[n] != manifest.inputs[n] for n in known):
        raise RunError(f"{run} is a run of other cases", hint=hint)
    grown = known != names
    if old.inputs.get("columns.toml") != manifest.inputs.get("columns.toml"):
        raise RunError(f"{run} read the cases by another columns.toml", hint=hint)
    if policy.groups.by == "dip" or old.policy["keys"]["groups"]["by"] == "dip":
        raise RunError("disease groups (DIP) follow from the policy", hint="leave --reuse out")
    stage = next(stage for stage in old.stages if stage["stage"] == "grouped")
    now = manifest.policy["keys"]
    before = old.policy["keys"]
    same_rows = (
        old.year == manifest.year
        and old.inputs.get("hospitals.csv") == manifest.inputs.get("hospitals.csv")
        and all(before[key] == now[key] for key in ("reject", "quality"))
    )
    stay = any(now["stay"].values())
    files = [VISITS, ITEMS] if stay else []
    same_pools = (
        same_rows
        and not (grown and stay)
        and all(before.get(key) == now[key] for key in ("pools", "price", "stay"))
        and all(old.inputs.get(name) == manifest.inputs.get(name) for name in files)
    )
    # What gives a case more than its group, its account and its amounts is in no table.
    same_routes = (
        same_pools
        and not (grown or stay or policy.price.table or policy.per_diem.used)
        and all(before[key] == now[key] for key in ("participation", "per_diem"))
        and policy.readmission.days is None
        and not gives_factors(policy)
    )
    lists: tuple[Mapping[str, Any], ...] = ()
    if same_rows and policy.quality.report and not grown:
        lists = tuple(s for s in old.stages if s["stage"] in LIST_STAGES)
    return Reuse(
        str(run), old.digests, stage["counts"], same_rows, same_pools, same_routes,
        old.inputs.get("reviews.csv") == manifest.inputs.get("reviews.csv"), lists,
        tuple(old.stages), _numbers(source, known), grown,
    )  # fmt: skip


def _numbers(source: CaseSource, known: Collection[str]) -> dict[int, int]:
    """Number of each known file's parts among those of all known files, by their number now."""
    mine = (part.number for part in source.parts if f"cases/{part.name}" in known)
    return {number: place for place, number in enumerate(mine)}


def take_lists(out: Path, manifest: Manifest, reuse: Reuse) -> None:
    """Take the tables of the check of the lists from the earlier run.

    Raises:
        RunError: one of them is missing or was altered.
        OSError: one of them cannot be written.
    """
    for stage in reuse.lists:
        for name in stage["digests"]:
            path = whole_file(reuse, name)
            (out / name).parent.mkdir(exist_ok=True)
            _link(path, out / name)
        manifest.stages.append(dict(stage))


def take_stage(out: Path, manifest: Manifest, reuse: Reuse, stage: str) -> None:
    """Take the tables of a stage that follows from cases and scheme alone.

    Raises:
        RunError: the earlier run was made without them, or they were altered.
        OSError: one of them cannot be written.
    """
    known = next((one for one in reuse.stages if one["stage"] == stage), None)
    if known is None:
        raise RunError(
            f"the run to reuse was made without the table {stage}",
            hint="leave --reuse out, or settle that run again with this version",
        )
    for name in known["digests"]:
        _link(whole_file(reuse, name), out / name)
    manifest.stages.append(dict(known))


def earlier_table(reuse: Reuse, name: str) -> pa.Table:
    """A table of the earlier run.

    Raises:
        RunError: it is missing or was altered.
    """
    return pq.read_table(whole_file(reuse, f"{name}.parquet"))


def whole_file(reuse: Reuse, name: str) -> Path:
    """A file of the earlier run.

    Raises:
        RunError: it is missing or was altered.
    """
    path = Path(reuse.run) / name
    if not path.is_file() or file_digest(path) != reuse.digests.get(name):
        raise RunError(
            f"{name} of the run to reuse is missing or was altered",
            hint="leave --reuse out, or name a run that is whole",
        )
    return path


def _link(old: Path, path: Path) -> None:
    """Let a file appear under another name, without copying where that is possible."""
    path.unlink(missing_ok=True)
    try:
        path.hardlink_to(old)
    except OSError:
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        shutil.copyfile(old, temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)


class NotAsBeforeError(Exception):
    """A part cannot be taken from the earlier run; it is grouped anew."""


class EarlierPart:
    """A part of the earlier run, read beside the cases."""

    def __init__(self, reuse: Reuse, part: Part, plan: IntakePlan, scheme: Scheme) -> None:
        """Open the part.

        Raises:
            RunError: a table of the part is missing or was altered.
        """
        self._reuse, self._plan, self._scheme = reuse, plan, scheme
        self._name = part_name(reuse.parts[part.number])
        with self._open("grouped", _TEXTS) as file:
            self._rows = file.read(columns=list(_TEXTS), use_threads=False).combine_chunks()
        self._pools = None
        if reuse.same_pools:
            with self._open("cases", ("pool",)) as file:
                self._pools = file.read(columns=["pool"], use_threads=False).combine_chunks()
        codes = {text: code for code, text in enumerate(REASONS)}
        self._reason = positions(self._rows["reason"], codes)
        self._place = 0

    def _open(self, folder: str, texts: Sequence[str]) -> pq.ParquetFile:
        path = whole_file(self._reuse, f"{folder}/{self._name}")
        return pq.ParquetFile(path, read_dictionary=list(texts))

    def take(
        self, batch: pa.RecordBatch, duplicates: NDArray[np.uint64], place: tuple[int, int]
    ) -> tuple[GroupedBatch, Intake]:
        """The next cases as `group_batch` gave them, and as they are routed now.

        Those that were invalid have no group.

        Args:
            batch: the cases with the columns of `intake_columns`.
            duplicates: the ids that are repeated now, where they were looked for.
            place: part and row of the first case.

        Raises:
            NotAsBeforeError: a case counts that did not, or is not as it was said to be.
        """
        rows = self._rows.slice(self._place, batch.num_rows)
        grouped = grouped_again(batch.column("case_id"), rows, self._scheme)
        grouped.mark_duplicates(duplicates, version_of(batch))
        intake = take_in(batch, grouped, self._plan, place)
        self._hold(intake, self._plan.accounts)
        return grouped, intake

    def reviewed(self) -> NDArray[np.int64] | None:
        """Rows of the last batch among which are all reviewed cases; None: any."""
        return None

    def _hold(self, intake: Intake, accounts: Accounts) -> None:
        """Compare the same cases as they are routed now, and go on to the next."""
        size = len(intake.route)
        before = self._reason[self._place : self._place + size]
        now = np.where(intake.route == INVALID, intake.reason, 0)
        if self._reuse.same_rows:
            if not np.array_equal(before, now):
                raise NotAsBeforeError
        elif ((before >= len(GROUPING_REASONS)) & (now == 0)).any():
            raise NotAsBeforeError
        if self._pools is not None:
            names = {name: i for i, name in enumerate(accounts.pools)}
            pools = positions(self._pools.slice(self._place, size)["pool"], names)
            if not np.array_equal(pools, pools_of(intake, accounts)):
                raise NotAsBeforeError
        self._place += size

    def repeated(self) -> NDArray[np.uint64]:
        """Hash pairs of the part's ids that stand more than once among all cases, sorted."""
        with self._open("grouped", ()) as file:
            ids = file.read(columns=["case_id"], use_threads=False)["case_id"]
        mine = ids.filter(pa.array(self._reason == _DUPLICATE)).combine_chunks()
        return np.unique(np.stack(id_hashes(mine), axis=1), axis=0)


def link_part(reuse: Reuse, number: int, folder: str, path: Path) -> Linked:
    """Let a table of a part, whose file was looked at, appear under a new name.

    Raises:
        OSError: it cannot be written.
    """
    name = f"{folder}/{part_name(reuse.parts[number])}"
    _link(Path(reuse.run) / name, path)
    return Linked(path, reuse.digests[name])


def positions(column: pa.ChunkedArray, codes: Mapping[str, int]) -> NDArray[np.int32]:
    """A dictionary column as codes; null, and a text without a code, is -1."""
    found = np.empty(len(column), np.int32)
    at = 0
    for chunk in column.chunks:
        texts = chunk.dictionary.to_pylist()
        table = np.array([*(codes.get(text, -1) for text in texts), -1], np.int32)
        indices = chunk.indices
        if indices.null_count:
            indices = indices.fill_null(len(texts))
        np.take(table, indices.to_numpy(), out=found[at : at + len(chunk)], mode="clip")
        at += len(chunk)
    return found
