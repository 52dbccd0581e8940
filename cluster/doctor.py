"""`grouper doctor`: is this installation fit to group, to settle and to serve?

Every check does the thing itself, small: it compiles, groups, writes, binds. What fails says why
and what to do; the command then ends with 1.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

import typer

from cluster.remote import Ca, Certificate, Key, connected
from grouper.counted import counted
from grouper.errors import GrouperError

_PACKAGES = ("pyarrow", "numba", "numpy", "pydantic", "ray", "grpcio")
_LEAST_FREE = 2 << 30
_CERTIFICATE_DAYS = 14


class _FaultError(Exception):
    """A check that failed: what is wrong, and what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def doctor(
    config: Annotated[
        Path | None, typer.Option("--config", metavar="TOML", help="Settings of a server.")
    ] = None,
    server: Annotated[
        str | None, typer.Option("--server", metavar="HOST:PORT", help="Ask a running server.")
    ] = None,
    ray: Annotated[bool, typer.Option("--ray", help="Start a local Ray with one worker.")] = False,
    ca: Ca = None,
    certificate: Certificate = None,
    key: Key = None,
) -> None:
    """Check an installation: packages, kernels, disk, settings, server (体检)."""
    checks: list[tuple[str, Callable[[], str]]] = [
        ("python", _python),
        ("packages", _packages),
        ("kernels", _kernels),
        ("grouping", _grouping),
        ("disk", _disk),
    ]
    if config is not None:
        checks.append(("settings", lambda: _settings(config)))
    if ray:
        checks.append(("ray", _ray))
    if server is not None:
        checks.append(("server", lambda: _server(server, ca, certificate, key)))
    faults = 0
    for name, check in checks:
        try:
            typer.echo(f"ok     {name:9} {check()}")
        except (GrouperError, _FaultError, OSError, ImportError) as error:
            faults += 1
            place = error.where() if isinstance(error, GrouperError) else ""
            told = error.args[0] if error.args else error
            typer.echo(f"FAULT  {name:9} {f'{place}: ' if place else ''}{told}")
            hint = getattr(error, "hint", "")
            if hint:
                typer.echo(f"       {'':9} {hint}")
    if faults:
        raise typer.Exit(1)


def _python() -> str:
    return ".".join(map(str, sys.version_info[:3]))


def _packages() -> str:
    told = []
    for name in _PACKAGES:
        try:
            told.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            if name in ("ray", "grpcio"):
                told.append(f"no {name}")
                continue
            raise _FaultError(f"{name} is not installed", "install drg-grouper again") from None
    return ", ".join(told)


def _kernels() -> str:
    from grouper.kernels import load_all
    from grouper.kernels.jit import cache_folder

    return f"{len(load_all())} modules compiled in {cache_folder()}"


def _grouping() -> str:
    import pyarrow as pa

    from grouper.grouping import group
    from grouper.scheme import load_scheme

    scheme = load_scheme("chs-core")
    cases = pa.table({"case_id": ["1"], "dx": [["K35.900"]], "px": [["47.0901"]]})
    (found,) = group(cases, scheme)["adrg"].to_pylist()
    if found != "GD2":
        raise _FaultError(
            f"chs-core puts K35.900 with 47.0901 into {found or 'no group'}, not GD2",
            "the installation is damaged: install it again",
        )
    return f"chs-core {scheme.digest[:12]} groups as it must"


def _disk() -> str:
    with tempfile.TemporaryDirectory() as folder:
        probe = Path(folder) / "probe"
        with probe.open("wb") as file:
            file.write(b"probe")
            file.flush()
            os.fsync(file.fileno())
        probe.rename(probe.with_name("renamed"))
        free = shutil.disk_usage(folder).free
    if free < _LEAST_FREE:
        raise _FaultError(
            f"only {free >> 20:,} MiB are free for temporary files",
            "make room, or set TMPDIR to a larger disk",
        )
    return f"{free >> 30:,} GiB free, files are synced and renamed"


def _settings(file: Path) -> str:
    from cluster.errors import StateError
    from cluster.server.config import load_config
    from cluster.server.register import Register
    from cluster.server.tls import server_credentials
    from grouper.scheme import load_scheme

    config = load_config(file, os.environ, {})
    told = [counted(len(config.callers()), "principal")]
    told += [f"scheme {load_scheme(name).id}" for name in config.schemes]
    if config.tls is not None:
        server_credentials(config.tls)
        told.append(_certificate(config.tls.certificate))
    try:
        Register(config.state).close()
        told.append(f"register in {config.state} is free")
    except StateError:
        told.append(f"a server works with the register in {config.state}")
    return ", ".join(told)


def _certificate(file: Path) -> str:
    """How long a certificate is still good for, read by the standard library."""
    import ssl
    import time

    decode = ssl._ssl._test_decode_cert  # type: ignore[attr-defined]
    ends = ssl.cert_time_to_seconds(decode(str(file))["notAfter"])
    days = (ends - time.time()) / 86_400
    if days < _CERTIFICATE_DAYS:
        raise _FaultError(
            f"the certificate {file} runs out in {counted(round(days), 'day')}"
            if days > 0
            else f"{file} ran out",
            "renew it, then start the server again",
        )
    return f"certificate good for {counted(round(days), 'day')}"


def _ray() -> str:
    from cluster.runner import RayRunner

    with RayRunner(1) as runner:
        (pid,) = runner.crew.pids()
    return f"a local worker (process {pid}) came up warm"


def _server(address: str, ca: Path | None, certificate: Path | None, key: Path | None) -> str:
    with connected(address, ca, certificate, key) as client:
        return f"{address} groups by {', '.join(scheme.id for scheme in client.schemes())}"
