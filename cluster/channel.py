"""The client's connection: encrypted or on loopback, with its credentials and its patience."""

import json
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from cluster import codec
from cluster.errors import ConfigError
from cluster.server.config import is_loopback, parse_listen

IN_FLIGHT = 4
"""Messages of a stream that were sent and not yet answered."""

_SERVICE_CONFIG = json.dumps(
    {
        "methodConfig": [
            {
                "name": [{"service": "drg.v1.RunService"}, {"service": "drg.v1.GroupingService"}],
                "retryPolicy": {
                    "maxAttempts": 5,
                    "initialBackoff": "0.2s",
                    "maxBackoff": "5s",
                    "backoffMultiplier": 2,
                    # Of a reached limit the server says when to come again, or not to.
                    "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"],
                },
            }
        ]
    }
)


@dataclass(frozen=True, slots=True)
class Credentials:
    """How a client knows the server, and how the server knows the client.

    Attributes:
        ca: file of the root that signed the server's certificate; the system's roots where None.
        certificate, key: files of the client's own certificate, where the server asks for one.
        token: bearer token.
        encrypted: False speaks plaintext, which is for loopback only.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    token: str = field(default="", repr=False)
    encrypted: bool = True


def open_channel(server: str, credentials: Credentials | None) -> grpc.Channel:
    """A connection that repeats what may be repeated, and sends the token with every call.

    Raises:
        ConfigError: plaintext beyond loopback, or a file that cannot be read or used.
    """
    try:
        here = is_loopback(parse_listen(server)[0])
    except ValueError as error:
        raise ConfigError(str(error)) from None
    known = credentials or Credentials(encrypted=not here)
    options = (
        ("grpc.enable_retries", 1),
        ("grpc.service_config", _SERVICE_CONFIG),
        # A stream that is refused at its start is repeated with what was sent of it.
        ("grpc.per_rpc_retry_buffer_size", IN_FLIGHT * codec.MESSAGE_BYTES + (1 << 20)),
    )
    if known.encrypted:
        channel = grpc.secure_channel(server, _secret(known), options=options)
    elif here:
        channel = grpc.insecure_channel(server, options=options)
    else:
        raise ConfigError(
            f"{server} is not on this machine, and cases would travel without encryption",
            hint="use TLS: give the root that signed the server's certificate",
        )
    return grpc.intercept_channel(channel, _Bearer(known.token)) if known.token else channel


def _secret(known: Credentials) -> grpc.ChannelCredentials:
    """What gRPC speaks TLS with.

    Raises:
        ConfigError: a file cannot be read or used.
    """
    if (known.certificate is None) != (known.key is None):
        raise ConfigError(
            "a certificate of one's own and its key are given together",
            hint="name both: --certificate and --key",
        )
    files = (known.ca, known.key, known.certificate)
    try:
        root, key, certificate = (path.read_bytes() if path else None for path in files)
        # gRPC itself would fail every handshake without saying why, or end the process.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if known.ca is not None:
            context.load_verify_locations(known.ca)
        if known.certificate is not None:
            context.load_cert_chain(known.certificate, known.key, password="")
    except ssl.SSLError as error:
        raise ConfigError(
            f"the root, the certificate or its key is not usable: {error.reason}",
            hint="all three must be PEM, the key without a password, and belong together",
        ) from None
    except OSError as error:
        raise ConfigError(
            f"cannot read {error.filename}: {error.strerror}", hint="see its place and rights"
        ) from None
    return grpc.ssl_channel_credentials(root, key, certificate)


class _Bearer(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Sends the token with every call."""

    def __init__(self, token: str) -> None:
        self._metadata = (("authorization", f"Bearer {token}"),)

    def _with_token(self, details: Any) -> Any:
        return _Details(details, (*(details.metadata or ()), *self._metadata))

    def intercept_unary_unary(
        self, continuation: Any, client_call_details: Any, request: Any
    ) -> Any:
        return continuation(self._with_token(client_call_details), request)

    def intercept_unary_stream(
        self, continuation: Any, client_call_details: Any, request: Any
    ) -> Any:
        return continuation(self._with_token(client_call_details), request)

    def intercept_stream_stream(
        self, continuation: Any, client_call_details: Any, request_iterator: Any
    ) -> Any:
        return continuation(self._with_token(client_call_details), request_iterator)


class _Details(grpc.ClientCallDetails):
    """The details of a call with other metadata."""

    def __init__(self, given: Any, metadata: tuple[tuple[str, str], ...]) -> None:
        self.method = given.method
        self.timeout = given.timeout
        self.metadata = metadata
        self.credentials = given.credentials
        self.wait_for_ready = given.wait_for_ready
        self.compression = given.compression
