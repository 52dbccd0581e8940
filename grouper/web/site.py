"""What all pages share: templates, languages, addresses and the shape of an error."""

from __future__ import annotations

import hashlib
import json
from decimal import Decimal
from functools import partial
from importlib.resources import files
from typing import Any, Final
from urllib.parse import quote

import jinja2
from markupsafe import Markup
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import HTMLResponse

from grouper import __version__
from grouper.errors import GrouperError
from grouper.report.words import WORDS as REPORT_WORDS
from grouper.settlement.numbers import points_text, yuan_text
from grouper.web.phrase import Phrases
from grouper.web.runs import RunBook
from grouper.web.shelf import Shelf, Shown
from grouper.web.words import LANGUAGES, SCRIPT_WORDS, WORDS, word

HERE: Final = files("grouper.web")
PAGES: Final = (("case", ""), ("file", "file"), ("scheme", "scheme"), ("runs", "runs"))


class NotFoundError(GrouperError):
    """The address names something that is not there."""

    code = "NOT_FOUND"


class Site:
    """Renders pages.

    Args:
        shelf: the schemes.
        runs: the runs.
    """

    def __init__(self, shelf: Shelf, runs: RunBook) -> None:
        self.shelf = shelf
        self.runs = runs
        self._templates = jinja2.Environment(
            loader=jinja2.FunctionLoader(_template),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals.update(
            pages=PAGES,
            version=_assets_digest(),
            engine=__version__,
            script_words=SCRIPT_WORDS,
            yuan=yuan,
            words=WORDS,
        )
        self._templates.filters.update(
            yuan=yuan,
            points=points_text,
            short=short,
            path=_quoted,
            place=_place,
            thousands=thousands,
            warned=_warned,
        )

    def render(
        self, request: Request, template: str, status: int = 200, **context: Any
    ) -> HTMLResponse:
        """A page, or a piece of one, in the language of the address."""
        lang = language(request)
        text = self._templates.get_template(template).render(
            lang=lang,
            other=LANGUAGES[1 - LANGUAGES.index(lang)],
            t=partial(_told, lang),
            root=f"/{lang}",
            rest=request.url.path.removeprefix(f"/{lang}"),
            query=request.url.query,
            **context,
        )
        return HTMLResponse(text, status)

    def error(
        self, request: Request, error: GrouperError, status: int, *, whole: bool
    ) -> HTMLResponse:
        """An error as a page, or as a piece of one."""
        template = "error.html.j2" if whole else "failure.html.j2"
        return self.render(request, template, status, error=error, here="")

    def shown(self, key: object) -> Shown:
        """The scheme of a key; the first where there is none.

        Raises:
            NotFoundError: no scheme has the key.
        """
        if not key:
            return self.shelf.first
        found = self.shelf.schemes.get(str(key))
        if found is None:
            raise NotFoundError(
                f"there is no scheme {str(key)[:80]!r}",
                hint=f"known are {', '.join(self.shelf.schemes)}",
            )
        return found

    def phrases(self, request: Request, shown: Shown) -> Phrases:
        """Rules of a scheme in words."""
        lang = language(request)
        base = f"/{lang}/scheme/{_quoted(shown.key)}/set"
        return Phrases(english=lang == "en", link=lambda name: f"{base}/{_quoted(name)}")


class _Language(Convertor[str]):
    """The first step of every address: nothing else is a language."""

    regex = "|".join(LANGUAGES)

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("language", _Language())


def language(request: Request) -> str:
    """The language of the address; Chinese where it names none."""
    lang = request.path_params.get("lang") or request.url.path.strip("/").partition("/")[0]
    return lang if lang in LANGUAGES else LANGUAGES[0]


def preferred(header: str) -> str:
    """The language that a browser asks for (`Accept-Language`)."""
    for part in header.split(","):
        name = part.strip().partition(";")[0].partition("-")[0].lower()
        if name in LANGUAGES:
            return name
    return LANGUAGES[0]


def data_json(value: object) -> Markup:
    """A value as JSON inside a script element of data, whatever texts it holds."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)


def _template(name: str) -> str:
    return (HERE / "templates" / name).read_text(encoding="utf-8")


def _assets_digest() -> str:
    digest = hashlib.sha256()
    for entry in sorted((HERE / "static").iterdir(), key=lambda entry: entry.name):
        digest.update(entry.read_bytes())
    return digest.hexdigest()[:10]


def _told(lang: str, key: str, *values: object) -> Markup:
    """A word with its values, which are escaped."""
    told = Markup(word(key, lang))
    # Without values the places stay: a script fills them.
    return told.format(*values) if values else told


def _quoted(text: str) -> str:
    return quote(text, safe="")


def _place(text: str) -> str:
    return quote(text, safe="/")


def yuan(fen: int, *, sign: bool = False) -> str:
    """An amount in fen as people read it: `12,345.60`; with `sign`, a gain has a plus."""
    whole, _, cents = yuan_text(abs(fen)).partition(".")
    mark = "−" if fen < 0 else ("+" if sign and fen > 0 else "")
    return f"{mark}{int(whole):,}.{cents}"


def short(value: Decimal | float | str | None) -> str:
    """A decimal without idle zeros; a dash for none."""
    if value is None or value == "":
        return "—"
    return f"{value:f}" if isinstance(value, Decimal) else f"{value}"


def _warned(warning: str) -> str:
    """The Chinese words for the kind of a run's warning; empty for a kind without any."""
    return REPORT_WORDS.get(f"warning.{warning.split(':')[0]}", ("", ""))[0]


def thousands(value: int) -> str:
    """A count as people read it."""
    return f"{value:,}"
