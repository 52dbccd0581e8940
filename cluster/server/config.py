"""What a server is told when it starts: a TOML file, the environment, options; checked at once.

Later sources win: the file, then `GROUPER_SERVER_<KEY>` (two underscores step into a table, as in
`GROUPER_SERVER_LIMITS__STREAMS=64`), then what the command line says.
"""

import ipaddress
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from cluster.errors import ConfigError
from cluster.server.principals import PrincipalEntry

ENVIRONMENT = "GROUPER_SERVER_"

_CALLERS = TypeAdapter(tuple[PrincipalEntry, ...])


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TlsFiles(_Settings):
    """Files of the encrypted door, all PEM.

    Attributes:
        certificate: the server's certificate and what stands between it and the root.
        key: its private key.
        client_ca: who signs clients' certificates; where set, every client must show one.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None


class Limits(_Settings):
    """What one caller may take.

    Attributes:
        message_bytes: largest message of a request, in bytes.
        arrow_bytes: most bytes that the Arrow columns of a message may have once decompressed.
        stream_messages: most messages in one stream.
        idle_seconds: how long a stream may wait for its caller's next message.
        streams: most streams at the same time.
        streams_per_principal: most streams of one principal at the same time.
        requests_per_second: calls of one principal in the long run; callers on loopback that need
            no credentials are not counted.
        burst: calls of one principal at once.
    """

    message_bytes: int = Field(4 << 20, ge=1 << 16, le=64 << 20)
    arrow_bytes: int = Field(64 << 20, ge=1 << 16)
    stream_messages: int = Field(100_000, ge=1)
    idle_seconds: float = Field(300.0, gt=0)
    streams: int = Field(512, ge=1)
    streams_per_principal: int = Field(16, ge=1)
    requests_per_second: float = Field(1000.0, gt=0)
    burst: int = Field(2000, ge=1)


class ServerConfig(_Settings):
    """Settings of one server.

    Attributes:
        host, port: where it listens; port 0 lets the system choose. In a file: `listen`.
        data: folder below which regions, run folders, packs and policy files lie.
        state: folder of the register of runs, of their logs, and of the audit log.
        schemes: packs it groups by, as folders or built-in names.
        workers: workers of a run; 1 runs in the run's own process, more on local Ray.
        ray: address of a running Ray cluster for runs.
        grace_seconds: how long calls may go on when the server stops.
        tls: the encrypted door; needed unless it listens on loopback.
        principals: who may call, and as what; needed unless it listens on loopback.
        principals_file: a TOML file with further `[[principals]]`, to keep apart from settings.
        limits: what one caller may take.
        metrics: `HOST:PORT` of Prometheus metrics over HTTP; off where empty.
        traces: where OpenTelemetry spans go: an OTLP address over HTTP, or `file:PATH`; off where
            empty.
        buckets: prefixes of object stores, as `s3://bucket/year`, that runs may read and write.
    """

    host: str = "127.0.0.1"
    port: int = Field(50051, ge=0, le=65535)
    data: Path = Path()
    state: Path
    schemes: tuple[str, ...] = ("chs-core",)
    workers: int = Field(1, ge=1)
    ray: str | None = None
    grace_seconds: float = Field(30.0, ge=0)
    tls: TlsFiles | None = None
    principals: tuple[PrincipalEntry, ...] = ()
    principals_file: Path | None = None
    limits: Limits = Field(default_factory=Limits)
    metrics: Annotated[str, Field(pattern=r"^$|^.+:\d+$")] = ""
    traces: str = ""
    buckets: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        values = dict(values)
        if (listen := values.pop("listen", None)) is not None:
            values["host"], values["port"] = parse_listen(str(listen))
        values["data"] = Path(values.get("data", Path())).resolve()
        values.setdefault("state", values["data"] / ".grouper")
        if named := values.get("principals_file"):
            values["principals_file"] = Path(named).resolve()
        return values

    @field_validator("schemes", "buckets", mode="before")
    @classmethod
    def _words(cls, value: Any) -> Any:
        return tuple(filter(None, value.split(","))) if isinstance(value, str) else value

    @field_validator("traces")
    @classmethod
    def _traces(cls, value: str) -> str:
        if value and not value.startswith(("file:", "http://", "https://")):
            raise ValueError("must start with file:, http:// or https://")
        return value

    @field_validator("buckets")
    @classmethod
    def _buckets(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for prefix in value:
            scheme, mark, rest = prefix.partition("://")
            if not scheme or not mark or not rest.strip("/"):
                raise ValueError(f"{prefix!r} is not like s3://bucket/prefix")
        return tuple(prefix.rstrip("/") for prefix in value)

    @model_validator(mode="after")
    def _check_door(self) -> Self:
        if self.principals_file is not None and not self.callers():
            raise ConfigError(
                "the file of principals names nobody",
                file=str(self.principals_file),
                hint="name who may call in [[principals]]",
            )
        if self.tls is None or self.tls.client_ca is None:
            for one in self.callers():
                if one.token_sha256 is None:
                    raise ConfigError(
                        f"{one.name} cannot call: certificates are asked for only where"
                        " tls.client_ca is set",
                        key="principals",
                        hint="set tls.client_ca, or give the entry a token_sha256",
                    )
        if not is_loopback(self.host):
            if self.tls is None:
                raise ConfigError(
                    f"{self.host} is reached from outside, and this server would speak without"
                    " encryption",
                    key="tls",
                    hint="give tls.certificate and tls.key, or listen on 127.0.0.1",
                )
            if not self.callers():
                raise ConfigError(
                    f"{self.host} is reached from outside, and anybody could call",
                    key="principals",
                    hint="name who may call in [[principals]]",
                )
        if not self.data.is_dir():
            raise ConfigError(
                f"the data folder {self.data} is missing", key="data", hint="make it, or name one"
            )
        return self

    def callers(self) -> tuple[PrincipalEntry, ...]:
        """All who may call: those of the settings, and those of `principals_file` as it is now.

        Raises:
            ConfigError: the file cannot be read, an entry in it is malformed, or two callers could
                not be told apart.
        """
        found = self.principals
        if self.principals_file is not None:
            further = _read_toml(self.principals_file).get("principals", [])
            try:
                found += _CALLERS.validate_python(further)
            except ValidationError as error:
                raise _faulty(error, self.principals_file, "principals") from None
        owner: dict[str, str] = {}
        for one in found:
            for known in filter(None, (one.token_sha256, one.subject)):
                if known in owner:
                    raise ConfigError(
                        f"{owner[known]} and {one.name} have the same token or subject",
                        file=str(self.principals_file or ""),
                        key="principals",
                        hint="give each its own: they could not be told apart",
                    )
                owner[known] = one.name
        return found

    @property
    def listen(self) -> str:
        """The address as gRPC writes it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def load_config(
    file: Path | None, environment: Mapping[str, str], given: Mapping[str, Any]
) -> ServerConfig:
    """The settings of a file, the environment, and what was given, the later ones winning.

    Raises:
        ConfigError: a setting is unknown, malformed, or contradicts another.
    """
    values = _read_toml(file) if file is not None else {}
    for name, text in environment.items():
        if name.startswith(ENVIRONMENT):
            _put(values, name.removeprefix(ENVIRONMENT).lower().split("__"), text)
    values |= given
    try:
        return ServerConfig.model_validate(values)
    except ValidationError as error:
        raise _faulty(error, file) from None


def _faulty(error: ValidationError, file: Path | None, *above: str) -> ConfigError:
    first = error.errors(include_url=False, include_input=False)[0]
    return ConfigError(
        first["msg"],
        file=str(file or ""),
        key=".".join(map(str, (*above, *first["loc"]))),
        hint="`grouper serve --help` and docs/service.md name the settings",
    )


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(
            f"cannot be read: {error}", file=str(file), hint="it must be a TOML file"
        ) from None


def _put(values: dict[str, Any], path: list[str], text: str) -> None:
    *tables, last = path
    for table in tables:
        values = values.setdefault(table, {})
        if not isinstance(values, dict):
            raise ConfigError(f"{ENVIRONMENT}{'__'.join(path).upper()} steps into a value")
    values[last] = text


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the host."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def parse_listen(text: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`.

    Raises:
        ValueError: it is not of that form.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{text!r} is not HOST:PORT, for example 127.0.0.1:50051")
    return host.strip("[]"), int(port)
