"""The command `explain`: why a case falls into its group."""

from __future__ import annotations

import re
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grouper.cli.options import (
    EditionOption,
    EncodingOption,
    JsonOption,
    SchemeOption,
    check_encoding,
    note,
)
from grouper.errors import GrouperError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.text import Text

    from grouper.explain import Explanation
    from grouper.scheme import Scheme


_BETWEEN = re.compile(r"\s*[,|;，；、]\s*|\s+")


def register(app: typer.Typer) -> None:
    """Add the commands of this file to the command line."""
    app.command()(explain)


def explain(
    scheme: SchemeOption,
    dx: Annotated[
        list[str] | None,
        typer.Option("--dx", metavar="A,B", help="Diagnoses, the principal first."),
    ] = None,
    px: Annotated[
        list[str] | None,
        typer.Option("--px", metavar="A,B", help="Procedures, the principal first."),
    ] = None,
    sex: Annotated[int | None, typer.Option(help="1 male, 2 female.")] = None,
    age: Annotated[int | None, typer.Option(help="Full years.")] = None,
    age_days: Annotated[int | None, typer.Option(help="Days, of an infant.")] = None,
    weight: Annotated[int | None, typer.Option(help="Birth weight in grams.")] = None,
    los: Annotated[int | None, typer.Option(help="Length of stay in days.")] = None,
    discharge: Annotated[int | None, typer.Option(help="Way of discharge.")] = None,
    dept: Annotated[str | None, typer.Option(help="Department of discharge.")] = None,
    icu_hours: Annotated[int | None, typer.Option(help="Hours in intensive care.")] = None,
    discharge_date: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Day of discharge, where PACK is a registry."),
    ] = None,
    attribute: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=N", help="A column that the scheme declares."),
    ] = None,
    cases: Annotated[
        Path | None,
        typer.Option("--cases", metavar="FILE_OR_DIR", help="Explain cases of a table instead."),
    ] = None,
    case_id: Annotated[
        list[str] | None, typer.Option("--case-id", help="Of the table, only this case.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Of the table, at most so many cases.")] = 10,
    nearby: Annotated[
        bool, typer.Option("--nearby/--no-nearby", help="Look for groups one change away.")
    ] = True,
    edition: EditionOption = "insurance",
    encoding: EncodingOption = "utf-8",
    json: JsonOption = False,
) -> None:
    """Say why a case falls into its group: rules met and not met, MCC and CC (分组解释)."""
    from grouper.explain import explainer_of, odd_values
    from grouper.scheme import load_scheme

    if (cases is None) == (dx is None):
        raise typer.BadParameter("give either --dx, or --cases with a table")
    loaded = load_scheme(scheme, edition=edition)
    found: Iterable[dict[str, object]]
    if cases is None:
        numbers = {
            "sex": sex, "age": age, "age_days": age_days, "weight": weight, "los": los,
            "discharge": discharge, "icu_hours": icu_hours,
        }  # fmt: skip
        codes = {"dx": _split(dx), "px": _split(px)}
        further = _attributes(attribute or [], loaded)
        day = discharge_date.date() if discharge_date else None
        texts = {"case_id": "case", "dept": dept, "discharge_date": day}
        found = [{**texts, **codes, **numbers, **further}]
    else:
        text = check_encoding(encoding)
        found = _of_table(loaded, cases, set(case_id or ()), limit, text)
    explainer = explainer_of(loaded)
    told, missing = 0, set(case_id or ())
    for case in found:
        missing.discard(str(case["case_id"]))
        explanation = explainer(case).explain(case, nearby=nearby)
        if told and not json:
            print_lines([""])
        _tell(explanation, json)
        for odd in odd_values(case):
            of = "" if cases is None else f"case {case['case_id']}: "
            note(
                f"{of}{odd.column} is {odd.value}, where {odd.usual} is usual;"
                " the rules compare it as it is"
            )
        told += 1
    if not told:
        raise GrouperError("no such case in the table", hint="check --case-id")
    if missing and told < limit:
        raise GrouperError(
            f"no such case in the table: {', '.join(sorted(missing))}", hint="check --case-id"
        )


def _split(codes: list[str] | None) -> list[str]:
    """`A,B`, `A|B`, `A B` and `A，B` as lists; an option may also be repeated."""
    return [code for text in codes or () for code in _BETWEEN.split(text.strip())]


def _attributes(given: list[str], scheme: Scheme) -> dict[str, int]:
    found: dict[str, int] = {}
    for text in given:
        name, _, value = text.partition("=")
        if name not in scheme.attributes:
            declared = ", ".join(scheme.attributes) or "none"
            raise typer.BadParameter(f"{name!r} is no attribute of {scheme.id}; it has {declared}")
        try:
            found[name] = int(value)
        except ValueError:
            raise typer.BadParameter(f"--set {name}=N needs an integer, not {value!r}") from None
    return found


def _of_table(
    scheme: Scheme, path: Path, wanted: set[str], limit: int, encoding: str
) -> Iterator[dict[str, object]]:
    from grouper.cases import open_cases, read_part
    from grouper.grouping import columns_for, required_for

    source = open_cases(
        path, wanted=columns_for(scheme), required=required_for(scheme), encoding=encoding
    )
    for part in source.parts:
        for batch in read_part(source, part):
            ids = batch.column("case_id").to_pylist()
            rows = [i for i, one in enumerate(ids) if not wanted or one in wanted]
            for row in rows:
                case = batch.slice(row, 1).to_pylist()[0]
                for name in ("dx", "px"):  # in CSV one text
                    if isinstance(case.get(name), str):
                        case[name] = case[name].split("|")
                yield case
                limit -= 1
                if not limit:
                    return


def _tell(explanation: Explanation, json: bool) -> None:
    if json:
        from json import dumps

        typer.echo(dumps(explanation.to_dict(), ensure_ascii=False))
        return
    from grouper.explain.render import render

    print_lines(render(explanation))


def print_lines(lines: Iterable[Text | str]) -> None:
    """Print lines, with colour on a terminal and plain elsewhere."""
    from rich.console import Console

    console = Console(soft_wrap=True, highlight=False, markup=False, emoji=False)
    if not sys.stdout.isatty():
        for line in lines:
            typer.echo(str(line))
        return
    for line in lines:
        console.print(line)
