"""What an explanation says; the messages of `drg/v1/explanation.proto` have the same fields."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final, Literal

MOST_CODES: Final = 200
"""Most codes of a case that others may have explained: the work grows with their square, and no
list has more."""

Level = Literal["mdc", "adrg", "drg"]
Change = Literal[
    "add_diagnosis",
    "drop_diagnosis",
    "principal_diagnosis",
    "add_procedure",
    "drop_procedure",
    "principal_procedure",
    "value",
]
"""What a runner-up would need; the service writes the same words."""


@dataclass(frozen=True, slots=True)
class Result:
    """Where the case fell: the columns of the grouped table."""

    case_id: str
    status: str
    mdc: str = ""
    adrg: str = ""
    drg: str = ""
    severity: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class CodeNote:
    """A code of the case.

    Attributes:
        name: its name in the pack; empty where the pack names it not.
        known: whether the pack knows it anywhere; an unknown or blank code matches nothing.
    """

    code: str
    name: str
    known: bool


@dataclass(frozen=True, slots=True)
class CodeChange:
    """A code of another edition and what it was taken for; empty where it was dropped."""

    given: str
    code: str


@dataclass(frozen=True, slots=True)
class Complication:
    """An other diagnosis with a level (MCC 严重并发症或合并症, CC 并发症或合并症).

    Attributes:
        level: `MCC` or `CC`; a code with both stands twice.
        exclusion: the exclusion list (排除表) it belongs to; empty for none.
        excluded: whether the principal diagnosis switches that list off.
    """

    code: str
    name: str
    level: str
    exclusion: str
    excluded: bool


@dataclass(frozen=True, slots=True)
class TestTrace:
    """One condition that decided a rule.

    Attributes:
        rule: its text.
        holds: whether it holds; behind a `not` it is a condition that holds that fails the rule.
        codes: the codes of the case that matched.
        value: the number compared (a column, or a count); None where there is none.
        text: the text compared; None where there is none.
    """

    rule: str
    holds: bool
    codes: tuple[str, ...] = ()
    value: int | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class NodeTrace:
    """A node of the decision list that the case met.

    Attributes:
        rule: its `when`.
        line: its line in groups.csv.
        tests: the conditions that made the rule hold or fail.
        children: the nodes below, as far as the case met them; empty where the rule fails.
    """

    level: Level
    node: str
    code: str
    name: str
    rule: str
    line: int
    holds: bool
    tests: tuple[TestTrace, ...]
    children: tuple[NodeTrace, ...] = ()


@dataclass(frozen=True, slots=True)
class Walk:
    """One walk through the decision list, up to the answer or the end.

    Attributes:
        procedure: the only procedure of a further try (`retry_other_procedures`); empty for the
            walk with the case as it stands.
    """

    procedure: str
    mdcs: tuple[NodeTrace, ...]


@dataclass(frozen=True, slots=True)
class RunnerUp:
    """Another group that is one change away.

    Attributes:
        code: the code that the change is about, or the column of `value`.
        value: the value that the column would need.
    """

    change: Change
    code: str
    name: str
    value: int | None
    status: str
    mdc: str
    adrg: str
    drg: str
    drg_name: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a case fell where it fell.

    Attributes:
        scheme: id of the scheme.
        diagnoses, procedures: the codes that were grouped, those of another edition mapped.
        mapped: which codes of another edition these were.
        exclusion: exclusion list that the principal diagnosis switches off; empty for none.
        walks: one, and another for each procedure that was tried alone.
        runners_up: as far as they were asked for.
    """

    scheme: str
    result: Result
    drg_name: str
    diagnoses: tuple[CodeNote, ...]
    procedures: tuple[CodeNote, ...]
    exclusion: str
    complications: tuple[Complication, ...]
    walks: tuple[Walk, ...]
    runners_up: tuple[RunnerUp, ...] = ()
    mapped: tuple[CodeChange, ...] = ()

    @property
    def unknown(self) -> tuple[str, ...]:
        """Codes that the pack knows nowhere, blank ones left out."""
        return tuple(n.code for n in (*self.diagnoses, *self.procedures) if n.code and not n.known)

    def to_dict(self) -> dict[str, object]:
        """The explanation as plain values for JSON, laid out as the answer of `GroupCase`."""
        fields = asdict(self)
        scheme, result = fields.pop("scheme"), fields.pop("result")
        return {"result": result, "explanation": fields, "scheme": scheme}
