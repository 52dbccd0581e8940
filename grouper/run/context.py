"""What every stage of a run works with."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from grouper.caseids import id_hashes
from grouper.cases import CaseSource
from grouper.duplicates import find_duplicates
from grouper.execution import Runner
from grouper.run.folder import LOG, Manifest
from grouper.run.stages import UInt64s
from grouper.run.work import WORK
from grouper.scheme import Scheme
from grouper.settlement.policy import Policy
from grouper.settlement.region import Region
from grouper.settlement.reviews import no_such_case

Progress = Callable[[str, int, int], None]
"""Called with the stage, the parts done and the parts in all."""


@dataclass(frozen=True)
class Context:
    """A run under way.

    Attributes:
        sources: ``cases``, and ``history`` where the region has one.
        out: the run folder.
        manifest: what the run says of itself so far.
        reuse: the run whose grouping is taken, if any.
    """

    region: Region
    scheme: Scheme
    policy: Policy
    sources: Mapping[str, CaseSource]
    out: Path
    runner: Runner
    progress: Progress | None
    manifest: Manifest
    reuse: Path | None = None

    @property
    def numbers(self) -> tuple[int, ...]:
        """Numbers of the parts of the cases."""
        return tuple(part.number for part in self.sources["cases"].parts)

    def each(self, stage: str, results: Iterable[Any], total: int) -> Iterator[Any]:
        """The results of a stage; tells the progress and logs the time."""
        started = time.time()
        for done, result in enumerate(results, 1):
            yield result
            if self.progress:
                self.progress(stage, done, total)
        line = {"stage": stage, "parts": total, "seconds": round(time.time() - started, 3)}
        with (self.out / LOG).open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")

    def duplicates(self, source: CaseSource) -> UInt64s:
        """Hash pairs of the case ids that stand more than once in a source."""
        work = self.out / WORK / "ids"
        work.mkdir(exist_ok=True)
        return find_duplicates(source, self.runner, work)

    def repeated_cases(self) -> UInt64s:
        """Hash pairs of the case ids of the run that stand more than once.

        Raises:
            RegionError: a review of a case that is not among them.
        """
        work = self.out / WORK / "ids"
        work.mkdir(exist_ok=True)
        reviews = self.region.reviews
        names = pa.array([review.case_id for review in reviews], pa.string())
        wanted = np.stack(id_hashes(names), axis=1)
        seen: set[int] = set()
        repeated = find_duplicates(
            self.sources["cases"],
            self.runner,
            work,
            wanted[np.lexsort((wanted[:, 1], wanted[:, 0]))],
            lambda found: seen.update(found.tolist()),
        )
        for review, first in zip(reviews, wanted[:, 0].tolist(), strict=True):
            if first not in seen:
                raise no_such_case(review)
        return repeated
