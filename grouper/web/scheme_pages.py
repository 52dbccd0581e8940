"""The pages of a scheme: its tree, nodes, sets, exclusion lists and codes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from grouper.web.shelf import Shown
from grouper.web.site import NotFoundError, Site, data_json, language

PAGE_CODES: Final = 200


class SchemePages:
    """Endpoints below `/scheme`. With `piece=1` only the right-hand side is sent."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._trees: dict[tuple[str, str], Markup] = {}
        self.routes = [
            Route("/{lang:language}/scheme", self.choose),
            Route("/{lang:language}/scheme/{key}", self.start),
            Route("/{lang:language}/scheme/{key}/find", self.find),
            Route("/{lang:language}/scheme/{key}/set/{name:path}", self.set),
            Route("/{lang:language}/scheme/{key}/exclusion/{name:path}", self.exclusion),
            Route("/{lang:language}/scheme/{key}/code/{code:path}", self.code),
            Route("/{lang:language}/scheme/{key}/{place:path}", self.node),
        ]

    def choose(self, request: Request) -> Response:
        """To the scheme that is asked for, or the first."""
        shown = self._site.shown(request.query_params.get("scheme"))
        return RedirectResponse(request.url.path + f"/{shown.key}", 307)

    def _page(self, request: Request, piece: str, shown: Shown, **context: Any) -> Response:
        whole = request.query_params.get("piece") != "1"
        phrases = self._site.phrases(request, shown)
        if whole:
            context["tree"] = self._tree(request, shown)
        return self._site.render(
            request,
            "scheme.html.j2" if whole else piece,
            here="scheme",
            shown=shown,
            schemes=self._site.shelf.schemes,
            browser=shown.browser,
            phrases=phrases,
            piece=piece,
            data=data_json({"scheme": shown.key}),
            **context,
        )

    def _tree(self, request: Request, shown: Shown) -> Markup:
        """The whole tree, closed: a thousand rows that are the same on every page."""
        key = (shown.key, language(request))
        tree = self._trees.get(key)
        if tree is None:
            made = self._site.render(request, "tree.html.j2", shown=shown, browser=shown.browser)
            tree = self._trees[key] = Markup(bytes(made.body).decode())
        return tree

    def start(self, request: Request) -> Response:
        """What the scheme is."""
        shown = self._shown(request)
        pack = shown.scheme.pack
        counts = {
            "mdcs": len(pack.mdcs),
            "adrgs": len({adrg.code for mdc in pack.mdcs for adrg in mdc.adrgs}),
            "drgs": len(shown.scheme.drgs),
            "weights": sum(w.weight is not None for w in pack.weights.values()),
            "dx": len(pack.dx),
            "px": len(pack.px),
        }
        return self._page(request, "start.html.j2", shown, counts=counts)

    def node(self, request: Request) -> Response:
        """An MDC, ADRG or DRG: its rule, what is below, and the sets that it asks for."""
        shown = self._shown(request)
        key = request.path_params["place"]
        place = shown.browser.places.get(key)
        if place is None:
            raise NotFoundError(f"{shown.scheme.id} has no node {key[:80]!r}")
        # A DRG is chosen within its ADRG, whose sets say what the cases are.
        asking = shown.browser.places[f"adrg/{place.adrg.node}"] if place.adrg else place
        sets = [(name, shown.browser.listed(name) or []) for name in shown.browser.asked(asking)]
        return self._page(request, "node.html.j2", shown, place=place, sets=sets)

    def set(self, request: Request) -> Response:
        """A set of codes, or a family of body sites."""
        shown = self._shown(request)
        name = request.path_params["name"]
        listed = shown.browser.listed(name)
        if listed is None:
            raise NotFoundError(f"{shown.scheme.id} has no set or family {name[:80]!r}")
        part, page, last = _cut(listed, request.query_params.get("page", ""))
        return self._page(
            request,
            "set.html.j2",
            shown,
            name=name,
            listed=part,
            total=len(listed),
            page=page,
            last=last,
            family=name not in shown.scheme.pack.sets,
            users=shown.browser.users([name]),
        )

    def exclusion(self, request: Request) -> Response:
        """An exclusion list: what it excludes, and which principal diagnoses switch it off."""
        shown = self._shown(request)
        name = request.path_params["name"]
        excluded, excluding = shown.browser.exclusion(name)
        if not name or not (excluded or excluding):
            raise NotFoundError(f"{shown.scheme.id} has no exclusion list {name[:80]!r}")
        return self._page(
            request,
            "exclusion.html.j2",
            shown,
            name=name,
            excluded=excluded,
            excluding=excluding,
            most=PAGE_CODES,
        )

    def code(self, request: Request) -> Response:
        """A code: what the scheme says of it, and which rules ask for it."""
        shown = self._shown(request)
        facts = shown.browser.code(request.path_params["code"][:80])
        entry = shown.search.get(facts.code)
        known = entry is not None and entry.code == facts.code
        return self._page(
            request,
            "code.html.j2",
            shown,
            facts=facts,
            known=known or bool(facts.sets or facts.severity),
            kind=entry.kind if entry is not None and known else "",
            users=shown.browser.users([*facts.sets, *(family for family, _ in facts.sites)]),
        )

    def find(self, request: Request) -> Response:
        """Groups and codes for what was typed, as JSON."""
        shown = self._shown(request)
        text = request.query_params.get("q", "")[:80]
        groups = [
            {
                "level": place.level,
                "code": place.node.code,
                "name": place.node.name.strip(),
                "path": place.key,
            }
            for place in shown.browser.find(text, most=12)
        ]
        codes = [
            {"level": e.kind, "code": e.code, "name": e.name, "path": f"code/{e.code}"}
            for e in shown.search.find(text, most=12)
        ]
        return JSONResponse([*groups, *codes])

    def _shown(self, request: Request) -> Shown:
        return self._site.shown(request.path_params["key"])


def _cut(listed: Sequence[Any], page: str) -> tuple[Sequence[Any], int, int]:
    """A page of a list, its number and the number of the last."""
    last = max(1, -(-len(listed) // PAGE_CODES))
    wanted = int(page) if page.isascii() and page.isdigit() and len(page) < 6 else 1
    number = min(max(wanted, 1), last)
    return listed[(number - 1) * PAGE_CODES : number * PAGE_CODES], number, last
