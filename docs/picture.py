"""Draws what a command prints as an SVG: `python docs/picture.py OUT.svg COMMAND [ARG ...]`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.text import Text

COLUMNS = 150


def main() -> None:
    """Run the command, draw its output."""
    out, *command = sys.argv[1:]
    env = os.environ | {"FORCE_COLOR": "1", "COLUMNS": str(COLUMNS - 4)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True)
    console.print(Text.from_ansi(f"$ {' '.join(command)}\n{done.stdout.rstrip()}"))
    console.save_svg(out, title="grouper")
    # Without the web font: the picture asks no network for anything.
    drawn = re.sub(r"@font-face\s*{.*?}\s*", "", Path(out).read_text(), flags=re.DOTALL)
    Path(out).write_text(drawn.replace("Fira Code", "monospace").rstrip() + "\n")


if __name__ == "__main__":
    main()
