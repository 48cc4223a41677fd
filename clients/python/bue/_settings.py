"""Where the servers are, and as whom to connect: arguments, else the environment, else `.env` and `bue.toml`.

The variables are those of the program `bue` (`docs/settings.md`). The program reads the files, because they count only once the
user trusts them, and it alone knows which ones are trusted.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from typing import List, Mapping, Optional, Tuple

from ._errors import InvalidSetting, TlsError

_DEFAULT_HUB_PORT = "65432"
_DEFAULT_BUCKET_PORT = "61535"
_EXAMPLE = "write it as host:port, for example 127.0.0.1:65432"
# A token is a line of some tens of characters.
_MAX_TOKEN_FILE = 64 * 1024


@dataclass(frozen=True)
class Address:
    """The address of a server, with or without TLS."""

    host: str
    port: int
    tls: bool

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return ("https://" if self.tls else "http://") + self.authority

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read `host:port`, `http://host:port` or `https://host:port`."""
        trimmed = text.strip()
        tls = trimmed.startswith("https://")
        rest = trimmed[8:] if tls else trimmed[7:] if trimmed.startswith("http://") else trimmed
        host, separator, port = rest.rstrip("/").rpartition(":")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            raise InvalidSetting(f"`{text}` is not an address: {_EXAMPLE}")
        if not separator or not host or any(char in host for char in "/?#@ \\"):
            raise InvalidSetting(f"`{text}` is not an address: {_EXAMPLE}")
        if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            raise InvalidSetting(f"`{text}` has no port from 1 to 65535: {_EXAMPLE}")
        return cls(host, int(port), tls)


@dataclass(frozen=True)
class Settings:
    """The settings of a client."""

    hubs: Tuple[Address, ...]
    bucket: Optional[Address]
    token: Optional[str]
    ca: Optional[str]
    client_cert: Optional[str]
    client_key: Optional[str]
    # Nobody has named the hub: it is the default address.
    is_default: bool

    def __repr__(self) -> str:
        # without the token, which is a secret
        return f"Settings(hubs={','.join(hub.url for hub in self.hubs)!r})"

    def ssl_context(self) -> ssl.SSLContext:
        """Return how connections to https addresses are made. Raises TlsError if a file cannot be used."""
        try:
            context = ssl.create_default_context(cafile=self.ca)
        except (OSError, ssl.SSLError, ValueError) as error:
            raise TlsError(f"{self.ca} cannot be used as certificate authorities: {error}; it should be PEM") from error
        # Python 3.13 is stricter than its predecessors and than the program `bue`: it refuses authorities that `openssl req
        # -x509` makes, because they do not say what their key may be used for
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if self.client_cert is not None:
            try:
                context.load_cert_chain(self.client_cert, self.client_key)
            except (OSError, ssl.SSLError, ValueError) as error:
                files = f"{self.client_cert} and {self.client_key}"
                message = f"{files} cannot be used as client certificate and key: {error}; both should be PEM"
                raise TlsError(message) from error
        return context


def load(
    url: Optional[str],
    token: Optional[str],
    bucket: Optional[str],
    ca: Optional[str],
    client_cert: Optional[str],
    client_key: Optional[str],
    environment: Optional[Mapping[str, str]] = None,
) -> Settings:
    """Return the settings of these arguments; of each one that is None, that of the environment.

    environment: replaces that of the process. Without `url`, the settings of `.env` and `bue.toml` count too. A token of these
    files is only for the servers that they name, so with `url` they do not count. Raises InvalidSetting, or CommandFailed if
    the program refuses these files.
    """
    variables = os.environ if environment is None else environment
    if url is None and environment is None:
        from ._binary import settings_of_files

        files = settings_of_files()
        if files is not None:
            # the environment, which has priority, is in these settings
            url, variables = files["hub"], {}
            token, bucket, ca = token or files["token"], bucket or files["bucket"], ca or files["ca"]
            client_cert, client_key = client_cert or files["client_cert"], client_key or files["client_key"]
    hub = url if url is not None else _address(variables, "BUE_HUB", "PIPE_WORKER", _DEFAULT_HUB_PORT)
    if bucket is None:
        bucket = _address(variables, "BUE_BUCKET", "BUCKET_CLIENT", _DEFAULT_BUCKET_PORT)
    certificate = client_cert if client_cert is not None else _variable(variables, "BUE_CLIENT_CERT")
    key = client_key if client_key is not None else _variable(variables, "BUE_CLIENT_KEY")
    if (certificate is None) != (key is None):
        raise InvalidSetting(
            "a client certificate needs its key: give both `client_cert` and `client_key` (BUE_CLIENT_CERT and "
            "BUE_CLIENT_KEY), or neither"
        )
    return Settings(
        hubs=tuple(_addresses(hub or f"127.0.0.1:{_DEFAULT_HUB_PORT}")),
        bucket=Address.parse(bucket) if bucket else None,
        token=_token(token, variables),
        ca=ca if ca is not None else _variable(variables, "BUE_SERVER_CA"),
        client_cert=certificate,
        client_key=key,
        is_default=not hub,
    )


def _variable(variables: Mapping[str, str], name: str) -> Optional[str]:
    # an empty variable counts as not set
    return variables.get(name) or None


def _address(variables: Mapping[str, str], name: str, prefix: str, port: str) -> Optional[str]:
    host_name, port_name = _variable(variables, f"{prefix}_HOST"), _variable(variables, f"{prefix}_PORT")
    address = _variable(variables, name)
    if address is None and (host_name or port_name):
        return f"{host_name or '127.0.0.1'}:{port_name or port}"
    return address


def _addresses(text: str) -> List[Address]:
    return [Address.parse(part) for part in text.split(",")]


def _token(token: Optional[str], variables: Mapping[str, str]) -> Optional[str]:
    if token is None:
        token = _variable(variables, "BUE_TOKEN")
    path = _variable(variables, "BUE_TOKEN_FILE")
    if token is None and path is not None:
        try:
            with open(path, encoding="utf-8") as file:
                token = file.read(_MAX_TOKEN_FILE).strip()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidSetting(f"the token cannot be read from {path}, which BUE_TOKEN_FILE names: {error}") from error
    if not token:
        return None
    if not all("!" <= char <= "~" for char in token):
        raise InvalidSetting("the token contains characters that are not allowed in one; pass what `bue token new` printed")
    return token
