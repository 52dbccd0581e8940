"""A folder of pages: assets once, and each page with its data inside."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import jinja2
from markupsafe import Markup

from grouper.report.columns import COLUMNS, Shown
from grouper.report.words import WORDS, as_diseases

_ASSETS: Final = (
    "report.css",
    "format.js",
    "tables.js",
    "charts.js",
    "whatif.js",
    "schemes.js",
    "page.js",
)
_SCRIPTS: Final = {"compare": ("whatif.js",), "sweep": ("whatif.js",), "schemes": ("schemes.js",)}
_EMPTY: Final = {"nav": (), "year": "", "run": "", "scheme": "", "policy": "", "engine": ""}
_HERE: Final = files("grouper.report")

_BREAKS_SCRIPT: Final = {mark: f"\\u{ord(mark):04x}" for mark in "<>&\u2028\u2029"}


def script_json(value: object) -> Markup:
    """A value as JSON that stays data inside a script element, whatever texts it holds."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for mark, escaped in _BREAKS_SCRIPT.items():
        text = text.replace(mark, escaped)
    return Markup(text)


class Site:
    """Writes pages of one look into a folder.

    Every page is a file of its own: its data stand inside, its scripts and styles beside, nothing
    comes from a network.
    """

    def __init__(
        self,
        folder: Path,
        index: Mapping[str, Any],
        shared: Mapping[str, Any],
        *,
        diseases: bool = False,
    ) -> None:
        """Begin a folder and write its assets.

        Args:
            folder: where the pages go; it exists.
            index: hospitals and DRGs that columns of these kinds point to.
            shared: what every template gets.
            diseases: whether cases are grouped by disease (DIP), and words say so.
        """
        self.folder = folder
        self.pages = 0
        self._shared = {**_EMPTY, **shared}
        self._templates = jinja2.Environment(
            loader=jinja2.FunctionLoader(_template),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
        )
        # A word without its own translation is shown by its column's heading.
        words = {f"column.{n}": (c.zh, c.en) for n, c in COLUMNS.items()} | WORDS
        columns = dict(COLUMNS)
        if diseases:
            words = {name: as_diseases(pair) for name, pair in words.items()}
            columns = {
                name: Shown(c.kind, *as_diseases((c.zh, c.en)), c.summed)
                for name, c in columns.items()
            }
        self.words = words

        def word(key: str) -> Markup:
            """A word in Chinese, which the browser changes to the language that is switched on."""
            return Markup('<span data-t="{}">{}</span>').format(key, words[key][0])

        self._templates.globals.update(words=words, t=word)
        self._write_assets(index, columns)

    def page(
        self,
        name: str,
        template: str,
        data: Mapping[str, Any],
        *,
        title: str,
        here: str = "",
        given: Mapping[str, Any] | None = None,
    ) -> None:
        """Write a page.

        Args:
            name: file name relative to the folder.
            template: kind of the page, a file in ``templates``.
            data: what its tables and charts show.
            title: title of the window, in Chinese.
            here: entry of the navigation that it belongs to.
            given: what the template gets beside.
        """
        text = self._templates.get_template(f"{template}.html.j2").render(
            self._shared,
            kind=template,
            data=script_json(data),
            title=title,
            here=here,
            scripts=_SCRIPTS.get(template, ()),
            up="../" * name.count("/"),
            **(given or {}),
        )
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        self.pages += 1

    def _write_assets(self, index: Mapping[str, Any], columns: Mapping[str, Shown]) -> None:
        from plotly.offline import get_plotlyjs

        assets = self.folder / "assets"
        assets.mkdir(exist_ok=True)
        for name in _ASSETS:
            (assets / name).write_bytes((_HERE / "assets" / name).read_bytes())
        (assets / "plotly.min.js").write_text(get_plotlyjs(), encoding="utf-8")
        (assets / "words.js").write_text(
            f"window.WORDS={script_json(self.words)};\n"
            f"window.COLUMNS={script_json({n: list(c) for n, c in columns.items()})};\n",
            encoding="utf-8",
        )
        (assets / "index.js").write_text(f"window.INDEX={script_json(index)};\n", encoding="utf-8")


def _template(name: str) -> str:
    return (_HERE / "templates" / name).read_text(encoding="utf-8")
