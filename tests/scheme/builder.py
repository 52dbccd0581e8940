"""A small valid pack, and how to change it: what a test of one fault or one rule starts from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from grouper.scheme.pack import COLUMNS, Pack, parse_pack

TOML = 'id = "small"\nretry_other_procedures = false\n'

SMALL: Mapping[str, str] = {
    "scheme.toml": TOML,
    "groups.csv": """\
level,node,code,name,when
mdc,B,B,nervous system,pdx in B.dx
adrg,BR2,BR2,stroke,pdx in BR2.dx
drg,BR21,BR21,stroke with MCC,mcc
drg,BR25,BR25,stroke,not mcc
adrg,BQY,BQY,ambiguous,any_px in or_px
drg,BQY,BQY,ambiguous,true
""",
    "sets.csv": "set,code\nB.dx,G%\nB.dx,I63%\nBR2.dx,I63%\nor_px,01.2300\n",
    "sites.csv": "family,site,code\nZ,head,S01%\nZ,leg,S81%\n",
    "severity.csv": "code,level,exclusion\nJ96.000,MCC,lung\nI10%,CC,\n",
    "exclusions.csv": "pdx,exclusion\nJ44.000,lung\n",
    "dx.csv": "code,name\nI63.900,cerebral infarction\n",
    "px.csv": "code,name\n01.2300,craniotomy reopened\n",
    "dx_map.csv": "from,to\nI63.9,I63.900\n",
    "px_map.csv": "from,to\n01.23,01.2300\n",
    "weights.csv": "drg,weight,basic,stable\nBR21,1.5,0,1\nBR25,0.75,,\n",
}


def files(changes: Mapping[str, str | bytes | None] | None = None) -> dict[str, bytes | None]:
    """The files of the small pack with some replaced; None takes a file away."""
    found: dict[str, str | bytes | None] = {**SMALL, **(changes or {})}
    return {n: t.encode() if isinstance(t, str) else t for n, t in found.items()}


def pack(changes: Mapping[str, str | bytes | None] | None = None) -> Pack:
    return parse_pack(files(changes))


def write(folder: Path, changes: Mapping[str, str | bytes | None] | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files(changes).items():
        if data is not None:
            (folder / name).write_bytes(data)
    return folder


def table(name: str, rows: Iterable[Iterable[str]]) -> str:
    """A pack file from its rows."""
    quoted = [[f'"{c.replace(chr(34), chr(34) * 2)}"' for c in row] for row in rows]
    return "\n".join([",".join(COLUMNS[name]), *(",".join(row) for row in quoted)]) + "\n"


def bare(groups: Iterable[tuple[str, str, str, str]], *, toml: str = TOML, **rows: object) -> Pack:
    """A pack of these (level, node, code, when) rows and nothing besides `rows` by file stem."""
    contents: dict[str, str | bytes | None] = {"scheme.toml": toml, "weights.csv": None}
    for name in COLUMNS:
        if name != "weights.csv":
            contents[name] = table(name, rows.get(name.removesuffix(".csv"), ()))  # type: ignore[arg-type]
    contents["groups.csv"] = table("groups.csv", ((lv, n, c, "", w) for lv, n, c, w in groups))
    return parse_pack({n: t.encode() if isinstance(t, str) else t for n, t in contents.items()})
