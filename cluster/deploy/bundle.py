"""An offline folder: wheels, lock, install script and checksums, for a machine without a network.

    python cluster/deploy/bundle.py OUT [--extras cluster web] [--wheels FOLDER]
                                        [--python 3.12] [--platform manylinux_2_28_x86_64]

`make bundle` calls it. What is in the folder follows from requirements.lock: only versions and
digests that stand there are taken, and only what the engine and the named extras need.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from importlib.metadata import distribution
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT: Final = Path(__file__).resolve().parents[2]
DEPLOY: Final = PROJECT / "cluster" / "deploy"
NAME: Final = "drg-grouper"
LOCK: Final = "requirements.lock"
SUMS: Final = "SHA256SUMS"


def needed(extras: Iterable[str]) -> set[str]:
    """Names of every package that the engine and its extras need, as this environment has them."""
    found: set[str] = set()
    waiting = [(NAME, frozenset(extras))]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        name, wanted = waiting.pop()
        if (name, wanted) in seen:
            continue
        seen.add((name, wanted))
        found.add(name)
        for text in distribution(name).requires or ():
            requirement = Requirement(text)
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": e}) for e in (wanted or {""})):
                waiting.append((canonicalize_name(requirement.name), frozenset(requirement.extras)))
    return found - {NAME}


def entries(lock: str) -> Iterator[tuple[str, str]]:
    """(name, text) of each entry of a lock; an entry goes over several lines."""
    for text in re.findall(r"^\S.*(?:\n[ \t]+.*)*", lock, re.MULTILINE):
        if not text.startswith("#"):
            yield canonicalize_name(re.split(r"[\[=<>;@ ]", text, maxsplit=1)[0]), text


def part_of_lock(names: set[str]) -> str:
    """The entries of requirements.lock for some packages.

    Raises:
        SystemExit: the lock lacks one.
    """
    known: dict[str, list[str]] = {}
    for name, text in entries((PROJECT / LOCK).read_text(encoding="utf-8")):
        known.setdefault(name, []).append(text)  # one for each Python, by its marker
    if missing := sorted(names - set(known)):
        raise SystemExit(f"{LOCK} lacks {', '.join(missing)}: run `make lock`")
    return "\n".join(text for name in sorted(names) for text in known[name]) + "\n"


def gather(folder: Path, extras: Iterable[str], wheels: Path | None, target: list[str]) -> None:
    """Fill the folder.

    Args:
        folder: new.
        extras: of the project.
        wheels: a folder that holds the wheels already; None downloads them.
        target: words for pip that name another machine than this one.
    """
    place = folder / "wheels"
    place.mkdir(parents=True)
    (folder / LOCK).write_text(part_of_lock(needed(extras)), encoding="utf-8")
    words = ["download", "--require-hashes", "--no-deps", "--only-binary", ":all:", "-q"]
    words += ["-r", str(folder / LOCK), "-d", str(place), *target]
    if wheels is not None:
        words += ["--no-index", "--find-links", str(wheels)]
    pip(*words)
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run(
            [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", scratch, PROJECT],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        (own,) = Path(scratch).glob("*.whl")
        shutil.copy(own, folder / own.name)
    shutil.copytree(DEPLOY / "systemd", folder / "systemd")
    shutil.copytree(PROJECT / "docs", folder / "docs", ignore=shutil.ignore_patterns("*.py"))
    for source in (
        DEPLOY / "install.sh",
        DEPLOY / "server.toml",
        DEPLOY / "principals.example.toml",
        PROJECT / "README.md",
        PROJECT / "README.zh-CN.md",
        PROJECT / "LICENSE",
    ):
        shutil.copy(source, folder / source.name)
    lines = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        lines.append(f"{digest}  {path.relative_to(folder)}\n")
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")


def pip(*words: str) -> None:
    """Run pip.

    Raises:
        SystemExit: it failed; it has said why.
    """
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *words]
    if subprocess.run(command, check=False).returncode:
        raise SystemExit("the wheels could not be gathered; pip says why above")


def main() -> None:
    """Make the folder whole or not at all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="the folder, new")
    parser.add_argument("--extras", nargs="*", default=["cluster", "web"])
    parser.add_argument("--wheels", type=Path, help="take the wheels from this folder")
    parser.add_argument("--python", help="version of the other machine's Python, as 3.12")
    parser.add_argument("--platform", help="platform tag of the other machine's wheels")
    options = parser.parse_args()
    if options.out.exists():
        raise SystemExit(f"{options.out} is there already: name a new folder, or remove it")
    target = ["--python-version", options.python] if options.python else []
    target += ["--platform", options.platform] if options.platform else []
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.out.parent) as scratch:
        made = Path(scratch) / options.out.name
        gather(made, options.extras, options.wheels, target)
        made.replace(options.out)
    size = sum(path.stat().st_size for path in options.out.rglob("*") if path.is_file())
    print(f"{options.out}: {size / 1e6:.0f} MB; copy it over and run ./install.sh")  # noqa: T201


if __name__ == "__main__":
    main()
