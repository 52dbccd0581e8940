"""Every error the engine raises on purpose.

An error carries its data (file, line, rule, column, code) as attributes, so that the command line,
the gRPC server and a user's own program can each say it in their way. `hint` is what to do next.
"""

from __future__ import annotations

from typing import ClassVar


class GrouperError(Exception):
    """Base of all errors that a user can cause and mend.

    Attributes:
        message: what is wrong, one sentence.
        hint: what to do next, one sentence; may be empty.
        code: a stable word for programs (`google.rpc.ErrorInfo.reason` in the service).
    """

    code: ClassVar[str] = "ERROR"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def where(self) -> str:
        """The place of the fault, for example `groups.csv:17`; empty where there is none."""
        return ""

    def __str__(self) -> str:
        text = f"{self.where()}: {self.message}" if self.where() else self.message
        return f"{text} ({self.hint})" if self.hint else text

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions with keyword-only arguments do not survive pickling on their way from a worker.
        return (_rebuild, (type(self), self.args, dict(self.__dict__)))


def _rebuild(
    kind: type[GrouperError], args: tuple[object, ...], state: dict[str, object]
) -> GrouperError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class BadFileError(GrouperError):
    """An error at a place in a file.

    Attributes:
        file: the file's name as the user would look for it.
        line: line number from 1 (the header is line 1); 0 where no line applies.
    """

    code: ClassVar[str] = "BAD_FILE"

    def __init__(self, message: str, *, file: str = "", line: int = 0, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.file = file
        self.line = line

    def where(self) -> str:
        """The file, and the line or key in it."""
        return f"{self.file}:{self.line}" if self.line else self.file


class PackError(BadFileError):
    """A scheme pack breaks its format (scheme-pack.md).

    Attributes:
        rule: the text of the rule at fault; empty where the fault is not in a rule.
    """

    code: ClassVar[str] = "BAD_PACK"

    def __init__(
        self, message: str, *, file: str = "", line: int = 0, rule: str = "", hint: str = ""
    ) -> None:
        super().__init__(message, file=file, line=line, hint=hint)
        self.rule = rule

    def __str__(self) -> str:
        text = super().__str__()
        return f"{text}\n  rule: {self.rule}" if self.rule else text


class CaseTableError(BadFileError):
    """A table of cases cannot be read, or one of its columns has the wrong type.

    Attributes:
        column: the column at fault; empty where none is.
    """

    code: ClassVar[str] = "BAD_CASES"

    def __init__(self, message: str, *, file: str = "", column: str = "", hint: str = "") -> None:
        super().__init__(message, file=file, hint=hint)
        self.column = column


class PolicyError(BadFileError):
    """A policy file breaks its contract.

    Attributes:
        key: dotted name of the key at fault.
    """

    code: ClassVar[str] = "BAD_POLICY"

    def __init__(self, message: str, *, file: str = "", key: str = "", hint: str = "") -> None:
        super().__init__(message, file=file, hint=hint)
        self.key = key

    def where(self) -> str:
        """The file, and the line or key in it."""
        return f"{self.file}: {self.key}" if self.file and self.key else self.file or self.key


class RegionError(BadFileError):
    """A file of the region folder (hospitals, budget …) is missing or contradicts itself."""

    code: ClassVar[str] = "BAD_REGION"


class RunError(GrouperError):
    """A run cannot start, go on, or does not balance."""

    code: ClassVar[str] = "RUN_FAILED"


class InputsError(RunError):
    """The inputs of a run can each be read, but no result follows from them."""


class OutputError(GrouperError):
    """A result cannot be written where the user asked for it."""

    code: ClassVar[str] = "BAD_OUTPUT"


class MissingExtraError(GrouperError):
    """A command needs an optional part that is not installed.

    Attributes:
        extra: name of the extra, for example `cluster`.
    """

    code: ClassVar[str] = "MISSING_EXTRA"

    def __init__(self, extra: str, what: str) -> None:
        super().__init__(
            f"{what} needs the extra '{extra}'",
            hint=f"install it with: pip install 'drg-grouper[{extra}]'",
        )
        self.extra = extra


class WorkbookError(BadFileError):
    """A workbook that came back is not what was sent out (appeal sheets)."""

    code: ClassVar[str] = "BAD_WORKBOOK"


class KeyFileError(BadFileError):
    """A key file is missing, readable by others, in the wrong place, or of another key."""

    code: ClassVar[str] = "BAD_KEY"


class ExportError(GrouperError):
    """Data cannot leave the bureau in the way that was asked for."""

    code: ClassVar[str] = "BAD_EXPORT"
