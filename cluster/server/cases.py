"""Between the case messages of the contract and the engine's batches."""

import dataclasses
from typing import Any

import pyarrow as pa
from google.protobuf.message import Message

from cluster.drg.v1 import case_pb2
from cluster.errors import RequestError, Violation
from grouper.grouping import REASON, SEVERITY, STATUS, GroupedBatch

_STATUS = {
    "grouped": case_pb2.GROUP_STATUS_GROUPED,
    "ambiguous": case_pb2.GROUP_STATUS_AMBIGUOUS,
    "ungrouped": case_pb2.GROUP_STATUS_UNGROUPED,
    "invalid": case_pb2.GROUP_STATUS_INVALID,
}
_SEVERITY = {
    "": case_pb2.SEVERITY_UNSPECIFIED,
    "none": case_pb2.SEVERITY_NONE,
    "CC": case_pb2.SEVERITY_CC,
    "MCC": case_pb2.SEVERITY_MCC,
}
_CODES = pa.list_(pa.string())
_NUMBERS = ("sex", "age", "age_days", "weight", "los", "discharge", "icu_hours")


def case_to_batch(case: case_pb2.Case) -> pa.RecordBatch:
    """One case as a batch of one row; a number or text that is not set is an absent column.

    Raises:
        RequestError: an attribute has the name of a field.
    """
    case_id = case.case_id if case.HasField("case_id") else None
    columns = {
        "case_id": pa.array([case_id], pa.string()),
        "dx": pa.array([list(case.dx)], _CODES),
        "px": pa.array([list(case.px)], _CODES),
    }
    for name in _NUMBERS:
        if case.HasField(name):
            columns[name] = pa.array([getattr(case, name)], pa.int32())
    if case.HasField("dept"):
        columns["dept"] = pa.array([case.dept], pa.string())
    for name, value in case.attributes.items():
        if name in case_pb2.Case.DESCRIPTOR.fields_by_name:
            field = f"case.attributes[{name!r}]"
            raise RequestError(Violation(field, f"use the field {name} of the case"))
        columns[name] = pa.array([value], pa.int32())
    return pa.RecordBatch.from_pydict(columns)


def result_of_one(grouped: GroupedBatch) -> case_pb2.GroupResult:
    """The result of a batch of one case as a message."""
    outcome = grouped.scheme.compiled.outcomes[int(grouped.outcome[0])]
    reason = REASON[int(grouped.reason[0])]
    return case_pb2.GroupResult(
        case_id=grouped.case_id[0].as_py() or "",
        status=_STATUS[STATUS[int(grouped.status[0])]],
        mdc=outcome.mdc,
        adrg=outcome.adrg,
        drg=outcome.drg,
        severity=_SEVERITY["" if reason else SEVERITY[int(grouped.severity[0])]],
        reason=reason,
    )


def fill(message: Message, told: Any) -> None:
    """Copies a dataclass of `grouper.explain` into the message that has the same fields.

    Fields that only one of both has are left out; a word becomes the enum value of that name.
    """
    for field in dataclasses.fields(told):
        known = message.DESCRIPTOR.fields_by_name.get(field.name)
        value = getattr(told, field.name)
        if known is None or value is None:
            continue
        if isinstance(value, tuple):
            target = getattr(message, field.name)
            if known.message_type is None:
                target.extend(value)
            else:
                for item in value:
                    fill(target.add(), item)
        elif known.enum_type is not None:
            setattr(message, field.name, _enum_number(known.enum_type, value))
        else:
            setattr(message, field.name, value)


def _enum_number(kind: Any, word: str) -> int:
    prefix = kind.values_by_number[0].name.removesuffix("UNSPECIFIED")
    return int(kind.values_by_name[prefix + word.upper()].number)
