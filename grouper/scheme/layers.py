"""Where packs lie, and the files of a pack together with those of the packs that it extends."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from grouper.errors import PackError
from grouper.scheme.identity import Identity, read_identity
from grouper.scheme.tables import FILES, OPTIONAL_FILES, decode

BUILTIN = Path(__file__).parent / "builtin"

# A published table is a few megabytes; anything far beyond is not a pack.
_MAX_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Layer:
    """The files of one folder.

    Attributes:
        name: the folder's name before the names of its files in messages; empty for the pack that
            was asked for.
        contents: file name to bytes, None where the file is absent.
    """

    folder: Path
    name: str
    identity: Identity
    contents: Mapping[str, bytes | None]

    def file(self, name: str) -> str:
        """A file's name for messages."""
        return f"{self.name}/{name}" if self.name else name


def builtin_names() -> tuple[str, ...]:
    """Names of the packs that ship with the package."""
    if not BUILTIN.is_dir():
        return ()
    return tuple(sorted(p.name for p in BUILTIN.iterdir() if (p / "scheme.toml").is_file()))


def pack_folder(name: str | Path) -> Path:
    """The folder of a pack named by folder or by built-in name.

    Raises:
        PackError: there is no such pack.
    """
    path = Path(name)
    if path.is_dir():
        return path
    if str(name) in builtin_names():
        return BUILTIN / str(name)
    raise PackError(
        f"no scheme pack {str(name)!r}",
        hint=f"name a folder, or one of the built-in packs: {', '.join(builtin_names())}",
    )


def read_layers(folder: Path) -> tuple[Layer, ...]:
    """The files of a pack, then those of the pack that it extends, and so on.

    Raises:
        PackError: a file is missing or cannot be read, or a pack extends itself.
    """
    layers = [_read_layer(folder, "")]
    seen = [folder.resolve()]
    while extends := layers[-1].identity.extends:
        at = layers[-1]
        folder = _extended(at)
        if folder.resolve() in seen:
            chain = " → ".join(p.name for p in (*seen, folder.resolve()))
            raise PackError(
                f"the pack extends itself: {chain}",
                file=at.file("scheme.toml"),
                hint="let the last of them state its scheme in full, without extends",
            )
        seen.append(folder.resolve())
        layers.append(_read_layer(folder, Path(extends).name))
    return tuple(layers)


def digest_of(layers: tuple[Layer, ...]) -> str:
    """SHA-256 over the bytes of all files."""
    digest = hashlib.sha256()
    for layer in layers:
        for name in FILES:
            data = layer.contents[name]
            if data is not None:
                digest.update(f"{name}\0{len(data)}\0".encode())
                digest.update(data)
    return digest.hexdigest()


def _extended(layer: Layer) -> Path:
    extends = layer.identity.extends
    beside = layer.folder / extends
    if beside.is_dir():
        return beside
    if extends in builtin_names():
        return BUILTIN / extends
    raise PackError(
        f"extends names no pack: {extends!r}",
        file=layer.file("scheme.toml"),
        hint=f"a folder as seen from {layer.folder}, or a built-in name:"
        f" {', '.join(builtin_names())}",
    )


def _read_layer(folder: Path, name: str) -> Layer:
    if not folder.is_dir():
        raise PackError(
            f"{folder} is not a folder",
            hint="a scheme pack is a folder with scheme.toml and groups.csv, or a built-in name",
        )
    toml = _bytes(folder, "scheme.toml")
    if toml is None:
        if not any((folder / file).exists() for file in FILES):
            raise _foreign(folder)
        raise _absent(folder, "scheme.toml")
    file = f"{name}/scheme.toml" if name else "scheme.toml"
    identity = read_identity(file, decode(file, toml))
    contents: dict[str, bytes | None] = {"scheme.toml": toml}
    for wanted in FILES[1:]:
        contents[wanted] = _bytes(folder, wanted)
        # An overlay says only what it changes.
        if contents[wanted] is None and wanted not in OPTIONAL_FILES and not identity.extends:
            raise _absent(folder, wanted)
    return Layer(folder, name, identity, contents)


def _foreign(folder: Path) -> PackError:
    packs = sorted(path.parent for path in folder.glob("*/scheme.toml"))
    if packs:
        return PackError(
            f"{folder} is no scheme pack but a folder of packs",
            hint=f"name one of them, such as {packs[-1]}",
        )
    return PackError(
        f"{folder} is no scheme pack",
        hint="a pack is a folder with scheme.toml, groups.csv and tables of codes"
        " (docs/scheme-packs.md): `grouper scheme import` makes one from published tables or from"
        " the workbook of `grouper scheme template`; or name a built-in one: "
        + ", ".join(builtin_names()),
    )


def _absent(folder: Path, name: str) -> PackError:
    header = "id and retry_other_procedures" if name == "scheme.toml" else "its header line"
    return PackError(
        f"the pack in {folder} lacks this file",
        file=name,
        hint=f"add it; where the scheme has nothing to say there, with {header} only",
    )


def _bytes(folder: Path, name: str) -> bytes | None:
    path = folder / name
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise PackError(
                f"the file is larger than {_MAX_BYTES // 2**20} MiB",
                file=name,
                hint="a pack file is a short table; check that this is the right folder",
            )
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PackError(
            f"cannot be read: {error.strerror}", file=name, hint=f"look at {path}"
        ) from error
