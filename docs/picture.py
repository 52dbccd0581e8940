"""Pictures for the documents.

`python docs/picture.py OUT.svg COMMAND [ARG ...]` draws what a command prints.
`python docs/picture.py OUT.png ADDRESS` takes the top of a page, such as file:///…/index.html?lang=en.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.text import Text

COLUMNS = 150
WIDTH, HEIGHT = 1400, 1120


def main() -> None:
    """Draw by the name of the picture."""
    out, *words = sys.argv[1:]
    if out.endswith(".png"):
        page(out, *words)
    else:
        command(out, words)


def command(out: str, words: list[str]) -> None:
    """Run a command, draw its output."""
    env = os.environ | {"FORCE_COLOR": "1", "COLUMNS": str(COLUMNS - 4)}
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=True)
    console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True)
    console.print(Text.from_ansi(f"$ {' '.join(words)}\n{done.stdout.rstrip()}"))
    console.save_svg(out, title="grouper")
    # Without the web font: the picture asks no network for anything.
    drawn = re.sub(r"@font-face\s*{.*?}\s*", "", Path(out).read_text(), flags=re.DOTALL)
    Path(out).write_text(drawn.replace("Fira Code", "monospace").rstrip() + "\n")


def page(out: str, address: str) -> None:
    """Open a page in Chromium and take what is seen of it first."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        tab = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        tab.goto(address)
        tab.wait_for_timeout(3000)
        tab.screenshot(path=out)
        browser.close()


if __name__ == "__main__":
    main()
