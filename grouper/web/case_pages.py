"""The page of one case: searching codes, pasting, and the answer with its reasons and price."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from grouper.errors import GrouperError
from grouper.explain import Explanation, RunnerUp, odd_values
from grouper.run.quote import Prices, Quote, Stay
from grouper.web.caseform import FormError, number_fields, read_case, read_paste, read_stay
from grouper.web.codesearch import CodeSearch, Kind
from grouper.web.guard import read_body
from grouper.web.runs import ShownRun
from grouper.web.settings import MAX_FORM_BYTES
from grouper.web.shelf import Shown
from grouper.web.site import Site, data_json
from grouper.web.tree import Tree

_ORDER: Final = (
    "add_diagnosis",
    "add_procedure",
    "principal_procedure",
    "principal_diagnosis",
    "drop_diagnosis",
    "drop_procedure",
    "value",
)
NEARBY_SHOWN: Final = 8
_EXAMPLE: Final = {
    "dx": ["I21.900", "I10.x00", "E11.900", "J96.000"],
    "px": ["36.0601", "88.5500"],
    "sex": 1,
    "age": 66,
    "los": 9,
}


@dataclass(frozen=True)
class Offer:
    """A run as the form offers it.

    Attributes:
        prices: None where it was grouped by another scheme or cannot be read.
        fault: why it cannot be read.
    """

    run: ShownRun
    prices: Prices | None
    fault: str = ""


@dataclass(frozen=True)
class Priced:
    """What the price panel shows: a quote, or the word that says why there is none."""

    quote: Quote | None
    why: str = ""
    rounded: bool = False


class CasePages:
    """Endpoints of the case page."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.routes = [
            Route("/{lang:language}/", self.page),
            Route("/{lang:language}/codes", self.codes),
            Route("/{lang:language}/explain", self.explain, methods=["POST"]),
            Route("/{lang:language}/paste", self.paste, methods=["POST"]),
            Route("/{lang:language}/names", self.names, methods=["POST"]),
        ]

    def page(self, request: Request) -> Response:
        """The form, empty: what is entered stands behind the # of the address, and goes nowhere."""
        shown = self._site.shown(request.query_params.get("scheme"))
        compared = set(shown.scheme.compiled.numbers)
        offers = list(self._offers(shown))
        named = (o.run.key for o in offers if o.prices is not None and o.run.named)
        data = {
            "scheme": shown.key,
            "run": next(named, ""),
            "numbers": number_fields(shown.scheme),
            "example": _example(shown.search),
            "prices": {
                offer.run.key: {"pools": offer.prices.pools, "months": offer.prices.months}
                for offer in offers
                if offer.prices is not None
            },
        }
        return self._site.render(
            request,
            "case.html.j2",
            here="case",
            shown=shown,
            schemes=self._site.shelf.schemes,
            numbers=number_fields(shown.scheme),
            compared=compared,
            offers=offers,
            phrases=self._site.phrases(request, shown),
            data=data_json(data),
        )

    def _offers(self, shown: Shown) -> list[Offer]:
        found = []
        for run in self._site.runs.listed():
            if run.fault:
                found.append(Offer(run, None, run.fault))
            elif run.manifest and run.manifest.scheme.get("digest") == shown.scheme.digest:
                try:
                    found.append(Offer(run, self._site.runs.prices(run)))
                except GrouperError as error:
                    found.append(Offer(run, None, str(error)))
        return found

    def codes(self, request: Request) -> Response:
        """Codes for what was typed, as JSON."""
        shown = self._site.shown(request.query_params.get("scheme"))
        kind: Kind | None = None
        if (asked := request.query_params.get("kind")) in ("dx", "px"):
            kind = asked  # type: ignore[assignment]
        found = shown.search.find(request.query_params.get("q", ""), kind=kind)
        return JSONResponse(
            [{"kind": e.kind, "code": e.code, "name": e.name, "levels": e.levels} for e in found]
        )

    async def names(self, request: Request) -> Response:
        """What the scheme says of the codes of a case, as JSON."""
        form = await _form(request)
        return await run_in_threadpool(self._names, form)

    def _names(self, form: dict[str, Any]) -> Response:
        shown = self._site.shown(form.get("scheme"))
        case = read_case(form, shown.scheme)
        return JSONResponse(_described(shown, case))

    async def paste(self, request: Request) -> Response:
        """A pasted text as a case, as JSON."""
        form = await _form(request)
        text = form.get("text")
        if not isinstance(text, str):
            raise FormError("text", "must be a text")
        return await run_in_threadpool(self._paste, form, text)

    def _paste(self, form: dict[str, Any], text: str) -> Response:
        shown = self._site.shown(form.get("scheme"))
        pasted = read_paste(text, shown.scheme, shown.search)
        return JSONResponse(
            {
                "case": pasted.case,
                "ignored": pasted.ignored[:20],
                "names": _described(shown, pasted.case),
            }
        )

    async def explain(self, request: Request) -> Response:
        """Where a case falls and why, as a piece of the page."""
        form = await _form(request)
        return await run_in_threadpool(self._explain, request, form)

    def _explain(self, request: Request, form: dict[str, Any]) -> Response:
        shown = self._site.shown(form.get("scheme"))
        case = read_case(form, shown.scheme)
        told = shown.explainer.explain(case, nearby=True)
        prices, stay, why = self._price_of(form, shown, case)
        names = {note.code: note.name for note in (*told.diagnoses, *told.procedures)}
        phrases = self._site.phrases(request, shown)
        tree = Tree(phrases, names)
        status, drg = told.result.status, told.result.drg
        here = _priced(prices, stay, why, status, drg)
        return self._site.render(
            request,
            "explanation.html.j2",
            told=told,
            odd=list(odd_values(case)),
            shown=shown,
            place=_place(told),
            names=shown.scheme.names,
            walks=[(walk.procedure, tree.of(walk.mdcs)) for walk in told.walks],
            price=here,
            nearby=[
                (other, _priced(prices, stay, why, other.status, other.drg).quote)
                for other in _ordered(told)
            ],
            nearby_shown=NEARBY_SHOWN,
            column=phrases.column,
            weight=shown.browser.weight,
        )

    def _price_of(
        self, form: dict[str, Any], shown: Shown, case: dict[str, object]
    ) -> tuple[Prices | None, Stay | None, str]:
        key = form.get("run")
        if not key:
            return None, None, ""
        run = self._site.runs.find(str(key))
        if run is None or run.manifest is None:
            return None, None, ""
        prices = self._site.runs.prices(run)
        if prices.scheme != shown.scheme.digest:
            return prices, None, "price.other_scheme"
        if prices.reason:
            return prices, None, f"price.{prices.reason}"
        stay = read_stay(form, case)
        return prices, stay, "" if stay else "price.no_cost"


async def _form(request: Request) -> dict[str, Any]:
    """The JSON object of a request.

    Raises:
        FormError: it is none.
        TooLargeError: it is too large.
    """
    body = await read_body(request, MAX_FORM_BYTES)
    try:
        form = json.loads(body)
    except (ValueError, RecursionError):
        form = None
    if not isinstance(form, dict):
        raise FormError("request", "must be a JSON object")
    return form


def _example(search: CodeSearch) -> dict[str, Any]:
    """A case to begin with, of codes that the scheme knows."""
    found: dict[str, Any] = dict(_EXAMPLE)
    for kind in ("dx", "px"):
        found[kind] = [code for code in _EXAMPLE[kind] if search.get(code)]  # type: ignore[attr-defined]
    return found


def _described(shown: Shown, case: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """By code its name, levels, and whether the scheme knows it."""
    found = {}
    for kind, known in (("dx", shown.explainer.known_dx), ("px", shown.explainer.known_px)):
        for code in case[kind]:
            entry = shown.search.get(code)
            mine = entry if entry is not None and entry.code == code else None
            found[code] = {
                "name": mine.name if mine else "",
                "levels": mine.levels if mine else (),
                "known": known.best(code) is not None,
            }
    return found


def _place(told: Explanation) -> str:
    """The answer among the pages of the scheme; empty where there is none."""
    if not told.result.drg:
        return ""
    adrg = told.walks[-1].mdcs[-1].children[-1]
    return f"drg/{adrg.node}/{told.result.drg}"


def _ordered(told: Explanation) -> list[RunnerUp]:
    """The groups one change away: the same ADRG first, then what is added, near before far."""
    adrg, mdc = told.result.adrg, told.result.mdc
    return sorted(
        told.runners_up,
        key=lambda to: (to.adrg != adrg, _ORDER.index(to.change), to.mdc != mdc),
    )


def _priced(prices: Prices | None, stay: Stay | None, why: str, status: str, drg: str) -> Priced:
    if prices is None or stay is None or status == "invalid":
        return Priced(None, why)
    if prices.paid_per_day(stay):
        return Priced(None, "price.per_day")
    quote = prices.quote(status, drg, stay)
    if quote is None:
        return Priced(None, "price.no_value")
    return Priced(quote, rounded=not prices.exact)
