"""Ids as keyed hashes (假名化): the same id gives the same pseudonym under the same key only."""

from __future__ import annotations

import hashlib
from typing import Final

import pyarrow as pa

from grouper.export.keys import Key

METHOD: Final = "keyed BLAKE2b, 128 bits, by kind of id"

DOMAINS: Final = {"case_id": b"case", "person_id": b"person"}
"""Columns of ids; equal texts of two kinds have different pseudonyms."""

_DIGEST: Final = 16


class Pseudonyms:
    """Makes the pseudonyms of a key."""

    def __init__(self, key: Key) -> None:
        self._bases = {
            name: hashlib.blake2b(key=key.secret, digest_size=_DIGEST, person=domain)
            for name, domain in DOMAINS.items()
        }

    def column(self, name: str, ids: pa.Array) -> pa.Array:
        """The pseudonyms of a column of ids, 32 hexadecimal digits each; null stays null.

        Args:
            name: one of `DOMAINS`.
            ids: texts, or a dictionary of them.
        """
        base = self._bases[name]

        def hashed(text: str | None) -> str | None:
            if text is None:
                return None
            mine = base.copy()
            mine.update(text.encode())
            return mine.hexdigest()

        return pa.array(map(hashed, ids.cast(pa.string()).to_pylist()), pa.string(), size=len(ids))
