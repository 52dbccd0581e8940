"""The encrypted door: certificates of the server and, where asked for, of its callers."""

import ssl

import grpc

from cluster.errors import ConfigError
from cluster.server.config import TlsFiles


def server_credentials(files: TlsFiles) -> grpc.ServerCredentials:
    """What gRPC listens with.

    Raises:
        ConfigError: a file cannot be read, or certificate and key do not belong together.
    """
    try:
        certificate, key = files.certificate.read_bytes(), files.key.read_bytes()
        client_ca = files.client_ca.read_bytes() if files.client_ca is not None else None
        # gRPC itself would start, and then fail every handshake without saying why.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files.certificate, files.key, password="")
        if files.client_ca is not None:
            context.load_verify_locations(files.client_ca)
    except ssl.SSLError as error:
        raise ConfigError(
            f"the certificate, its key or the clients' root is not usable: {error.reason}",
            key="tls",
            hint="all three must be PEM, the key without a password, and belong together",
        ) from None
    except OSError as error:
        raise ConfigError(
            f"cannot read {error.filename}: {error.strerror}", key="tls", hint="see its rights"
        ) from None
    return grpc.ssl_server_credentials(
        [(key, certificate)],
        root_certificates=client_ca,
        require_client_auth=client_ca is not None,
    )
