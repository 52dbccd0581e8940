"""A scheme ready for use: what it is called, what its groups weigh, and its compiled arrays."""

from __future__ import annotations

import functools
import hashlib
import os
import pickle
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt

from grouper.cachedir import cache_root, source_digest, writable_folder
from grouper.errors import PackError
from grouper.execution import Constant
from grouper.scheme.compile import Compiled, compile_pack
from grouper.scheme.editions import check_edition, edition_digest, with_edition, with_odd_codes
from grouper.scheme.layers import digest_of, pack_folder, read_layers
from grouper.scheme.pack import Pack, Weight, parse_layers, read_pack
from grouper.scheme.registry import is_registry, read_registry


@dataclass(frozen=True)
class Scheme(Constant):
    """A compiled scheme.

    Attributes:
        id, title: as the pack says.
        digest: SHA-256 over the pack's files.
        source: the pack's folder.
        attributes: further integer case columns that the pack declares.
        weights: published weights by DRG; empty where the pack has none.
        names: name of each MDC, ADRG and DRG by code.
        compiled: flat arrays for the kernel.
        edition: edition of the cases' codes (`editions`); empty where they stand as they are.
        dated: of a registry, its schemes by their time of validity; empty for a single scheme.
            `compiled` then holds the answers of all of them, and nothing to group by.
    """

    id: str
    title: str
    digest: str
    source: str
    valid_from: date | None
    valid_to: date | None
    attributes: Mapping[str, str]
    weights: Mapping[str, Weight]
    names: Mapping[str, str]
    compiled: Compiled
    edition: str = ""
    dated: tuple[Scheme, ...] = ()

    def on(self, day: date | None) -> Scheme | None:
        """The scheme that groups a case discharged on a day; None where none is valid."""
        if not self.dated:
            return self
        if day is None:
            return None
        for member in self.dated:
            if (member.valid_from or date.min) <= day <= (member.valid_to or date.max):
                return member
        return None

    @functools.cached_property
    def drgs(self) -> tuple[str, ...]:
        """All DRG codes, sorted; a DRG's number is its position here."""
        return tuple(sorted({o.drg for o in self.compiled.outcomes if o.drg}))

    @functools.cached_property
    def drg_of_outcome(self) -> npt.NDArray[np.int32]:
        """int32[outcomes], number of the DRG, -1 where the outcome has none."""
        number = {drg: i for i, drg in enumerate(self.drgs)}
        return np.array([number.get(o.drg, -1) for o in self.compiled.outcomes], np.int32)

    @functools.cached_property
    def pack(self) -> Pack:
        """The pack itself, read again from its folder (explanations, browsing, synthesis)."""
        if self.dated:
            raise PackError(
                f"{self.source} holds {len(self.dated)} packs, and this works with one",
                hint=f"name one of them, such as {self.dated[-1].source}",
            )
        pack = read_pack(Path(self.source))
        if edition_digest(pack.digest, self.edition) != self.digest:
            raise PackError(
                f"the pack in {self.source} has changed since it was loaded", hint="load it again"
            )
        return pack

    def __getstate__(self) -> dict[str, object]:
        # What is derived is cheaper to derive again than to send to every worker.
        derived = ("drgs", "drg_of_outcome", "pack")
        return {k: v for k, v in self.__dict__.items() if k not in derived}


def load_scheme(name: str | Path, *, edition: str = "") -> Scheme:
    """Load a scheme pack, compiled; the compiled form is kept in the cache folder.

    Args:
        name: folder of a pack, the name of a built-in one, or a registry (a folder of packs that
            are valid one after the other).
        edition: `clinical` where the cases are coded so and the pack's maps are to be applied.

    Raises:
        PackError: there is no such pack or edition, or the pack breaks the format.

    >>> load_scheme("chs-core").id
    'chs-core'
    """
    folder = pack_folder(name)
    edition = check_edition(edition)
    if is_registry(folder):
        members = [load_scheme(e.folder, edition=edition) for e in read_registry(folder)]
        return by_date(members, folder)
    layers = read_layers(folder)
    digest = edition_digest(digest_of(layers), edition)
    stamp = hashlib.sha256((_engine_digest() + digest).encode()).hexdigest()
    cached = _read_cache(stamp, folder)
    if cached is not None:
        return cached
    scheme = from_pack(parse_layers(layers), edition=edition)
    _write_cache(stamp, scheme)
    return scheme


def in_edition(scheme: Scheme, edition: str) -> Scheme:
    """The same scheme for cases that are coded in an edition.

    Raises:
        PackError: there is no such edition, or the pack has changed since it was loaded.
    """
    if scheme.edition == check_edition(edition):
        return scheme
    if scheme.dated:
        members = [in_edition(member, edition) for member in scheme.dated]
        return by_date(members, Path(scheme.source))
    return from_pack(scheme.pack, edition=edition)


def by_date(members: Sequence[Scheme], folder: Path) -> Scheme:
    """The schemes of a registry as one, which groups a case by the day of its discharge."""
    latest = members[-1]
    outcomes = [members[0].compiled.outcomes[0]]
    names: dict[str, str] = {}
    weights: dict[str, Weight] = {}
    attributes: dict[str, str] = {}
    digest = hashlib.sha256()
    for member in members:
        outcomes.extend(member.compiled.outcomes[1:])
        names.update(member.names)
        weights.update(member.weights)
        attributes.update(member.attributes)
        digest.update(f"{member.valid_from}\0{member.valid_to}\0{member.digest}\0".encode())
    numbers = dict.fromkeys(n for member in members for n in member.compiled.numbers)
    return Scheme(
        id=folder.resolve().name,
        title=latest.title,
        digest=digest.hexdigest(),
        source=str(folder),
        valid_from=members[0].valid_from,
        valid_to=latest.valid_to,
        attributes=attributes,
        weights=weights,
        names=names,
        compiled=replace(latest.compiled, outcomes=tuple(outcomes), numbers=tuple(numbers)),
        edition=latest.edition,
        dated=tuple(members),
    )


def from_pack(pack: Pack, *, edition: str = "") -> Scheme:
    """Compile a pack that is already in memory; `edition` as in `load_scheme`."""
    edition = check_edition(edition)
    compiled = with_odd_codes(compile_pack(pack), pack)
    if edition:
        compiled = with_edition(compiled, pack)
    names: dict[str, str] = {}
    for mdc, adrg, drg in pack.drg_rows():
        names.setdefault(mdc.code, mdc.name)
        names.setdefault(adrg.code, adrg.name)
        names.setdefault(drg.code, drg.name)
    scheme = Scheme(
        id=pack.id,
        title=pack.title,
        digest=edition_digest(pack.digest, edition) if pack.digest else "",
        source=pack.source,
        valid_from=pack.valid_from,
        valid_to=pack.valid_to,
        attributes=pack.attributes,
        weights=pack.weights,
        names=names,
        compiled=compiled,
        edition=edition,
    )
    scheme.__dict__["pack"] = pack
    return scheme


@functools.cache
def _engine_digest() -> str:
    here = Path(__file__).parent
    return source_digest([*here.glob("*.py"), here.parent / "kernels" / "layout.py"])


def _read_cache(stamp: str, folder: Path) -> Scheme | None:
    try:
        scheme = pickle.loads((cache_root() / "schemes" / f"{stamp}.pickle").read_bytes())
    except (OSError, pickle.PickleError, EOFError, AttributeError, ImportError, ValueError):
        return None
    if not isinstance(scheme, Scheme):
        return None
    object.__setattr__(scheme, "source", str(folder))
    return scheme


def _write_cache(stamp: str, scheme: Scheme) -> None:
    folder = writable_folder(cache_root() / "schemes")
    handle, temporary = tempfile.mkstemp(dir=folder)
    with os.fdopen(handle, "wb") as file:
        pickle.dump(scheme, file, protocol=5)
    Path(temporary).replace(folder / f"{stamp}.pickle")
