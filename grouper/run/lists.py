"""The data quality of a run's settlement lists (结算清单质控), checked while they are grouped.

The tables ``findings``, ``quality_rules``, ``quality_scores`` and ``quality_errors`` of a run
are those of `grouper quality`. They only tell; what rejects a case is what the policy names.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from grouper.cases import COLUMNS, Column
from grouper.parts import part_name
from grouper.quality.across import find_overlaps
from grouper.quality.evaluate import Plan, make_plan
from grouper.quality.registry import COLUMNS_READ, OVERLAP
from grouper.quality.scan import Merging, merge_part
from grouper.quality.scores import HospitalName, Tally, quality_tables
from grouper.run.context import Context
from grouper.run.folder import write_table
from grouper.run.stages import LISTS
from grouper.run.work import WORK, Done, once
from grouper.settlement.policy import Policy

FINDINGS = "findings"


def list_columns(policy: Policy) -> tuple[Column, ...]:
    """The case columns that the check reads; none where the policy switches it off."""
    names = COLUMNS_READ if policy.quality.report else ()
    return tuple(COLUMNS[name] for name in names)


def list_plan(context: Context) -> Plan | None:
    """What is checked, and room for it; None where the policy switches the check off."""
    policy = context.policy
    if not policy.quality.report:
        return None
    (context.out / WORK / LISTS).mkdir(exist_ok=True)
    thresholds = policy.quality.thresholds(policy.reject)
    return make_plan(context.scheme, thresholds, context.sources["cases"].columns)


def rejecting_plan(context: Context) -> Plan:
    """The rules of data quality that reject; those that lack a column are told of."""
    policy = context.policy
    thresholds = policy.quality.thresholds(policy.reject)
    columns = context.sources["cases"].columns
    whole = make_plan(context.scheme, thresholds, columns)
    for code in policy.reject:
        if missing := whole.absent.get(code):
            context.manifest.warnings.append(
                f"not_evaluated: rule {code} lacks the column {', '.join(missing)}"
            )
    chosen = tuple(code for code in whole.rules if code in policy.reject)
    return replace(whole, rules=chosen)


@dataclass(frozen=True)
class _Writing:
    run: str
    merging: Merging


def _findings_task(shared: _Writing, number: int) -> Done:
    def work(run: Path) -> tuple[Tally, list[Path]]:
        path = run / FINDINGS / part_name(number)
        return merge_part(shared.merging, number, path), [path]

    return once(shared.run, "lists", number, work)


def check_lists(context: Context, plan: Plan) -> None:
    """Write the tables of the check and note them in the manifest; the parts are scanned.

    Args:
        context: the run.
        plan: what was checked.
    """
    out, numbers, runner = context.out, context.numbers, context.runner
    folder = out / FINDINGS
    folder.mkdir(exist_ok=True)
    for lost in folder.glob(".*"):
        lost.unlink()
    work = out / WORK / LISTS
    if OVERLAP in plan.rules:
        find_overlaps(numbers, runner, work)
    tally = Tally()
    digests: dict[str, str] = {}
    shared = _Writing(str(out), Merging(plan, str(work)))
    results = runner.map(_findings_task, shared, numbers)
    for done in context.each("lists", results, len(numbers)):
        tally.merge(done.result)
        digests |= done.published
    names = {h.hospital_id: HospitalName(h.name, h.level) for h in context.region.hospitals}
    columns = context.sources["cases"].columns
    tables = quality_tables(tally, plan, columns, names)
    passed, cases = (sum(tables["scores"].column(n).to_pylist()) for n in ("passed", "cases"))
    context.manifest.stage(FINDINGS, {"cases": cases, "cases passed": passed}, digests)
    for name, table in tables.items():
        name = f"quality_{name}"
        context.manifest.stage(name, {"rows": table.num_rows}, write_table(out, name, table))
