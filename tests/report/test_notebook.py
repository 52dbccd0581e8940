"""The example notebook runs from its first cell to its last, on any run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).resolve().parents[2] / "docs" / "load_run.ipynb"


def test_every_cell_runs(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run-2024").symlink_to(folder)
    monkeypatch.chdir(tmp_path)
    cells = json.loads(NOTEBOOK.read_text("utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert "load_run" in code[0]
    assert all(cell["outputs"] for cell in cells if cell["cell_type"] == "code")
    names: dict[str, Any] = {}
    for source in code:
        exec(compile(source, str(NOTEBOOK), "exec"), names)
    assert names["case"]["class"] == "high"
