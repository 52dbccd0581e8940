"""The region's key (统筹区密钥): pseudonyms made with the same key agree, over tables and years."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from grouper.errors import KeyFileError

_FORMAT: Final = "grouper-key-1"
_BYTES: Final = 32
_OTHERS: Final = 0o077


@dataclass(frozen=True, slots=True)
class Key:
    """A key.

    Attributes:
        id: tells keys apart; it says nothing about the secret.
        secret: 32 random bytes.
    """

    id: str
    secret: bytes = field(repr=False)


def new_key(path: Path) -> Key:
    """Make a key file that only its owner can read.

    Raises:
        KeyFileError: the file is there already, or cannot be written.
    """
    key = _key(secrets.token_bytes(_BYTES))
    text = json.dumps({"format": _FORMAT, "id": key.id, "key": key.secret.hex()}, indent=1) + "\n"
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(file, text.encode())
            os.fsync(file)
        finally:
            os.close(file)
    except FileExistsError as error:
        raise KeyFileError(
            "the file is there already",
            file=str(path),
            hint="a key is never overwritten: without it earlier pseudonyms cannot be made again",
        ) from error
    except OSError as error:
        raise KeyFileError(
            f"the file cannot be written: {error.strerror}", file=str(path), hint="check the folder"
        ) from error
    return key


def read_key(path: Path, *, away_from: Iterable[Path] = ()) -> Key:
    """Read a key file.

    Args:
        path: what `new_key` has written.
        away_from: folders of data; a key in one of them would travel with what it protects.

    Raises:
        KeyFileError: it is missing, damaged, readable by others, or in such a folder.
    """
    place = path.resolve()
    for folder in away_from:
        if place.is_relative_to(folder.resolve()):
            raise KeyFileError(
                f"the key lies in {folder}, together with the data",
                file=str(path),
                hint="keep it in a folder of its own that is never handed on",
            )
    try:
        mode = path.stat().st_mode
        text = path.read_bytes()
    except FileNotFoundError as error:
        raise KeyFileError(
            "there is no key file", file=str(path), hint="make one: grouper key new FILE"
        ) from error
    except OSError as error:
        raise KeyFileError(
            f"the file cannot be read: {error.strerror}", file=str(path), hint="check its owner"
        ) from error
    if mode & _OTHERS:
        raise KeyFileError(
            f"others than its owner may read or write the key (mode {mode & 0o777:03o})",
            file=str(path),
            hint=f"chmod 600 {path}",
        )
    try:
        found = json.loads(text)
        key = _key(bytes.fromhex(found["key"]))
        good = found["format"] == _FORMAT and found["id"] == key.id and len(key.secret) == _BYTES
    except (ValueError, KeyError, TypeError):
        good = False
    if not good:
        raise KeyFileError(
            "this is not a key file, or it was damaged",
            file=str(path),
            hint="restore it from its copy; a new key makes other pseudonyms",
        )
    return key


def _key(secret: bytes) -> Key:
    name = hashlib.blake2b(key=secret[:64], digest_size=8, person=b"grouper-key-id")
    return Key(name.hexdigest(), secret)
