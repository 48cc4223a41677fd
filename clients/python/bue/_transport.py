"""HTTP to one kind of server: connections that are used again, several addresses, timeouts and retries.

A request is sent again only if it never reached a server, or if it is idempotent.
"""

from __future__ import annotations

import http.client
import json
import select
import socket
import ssl
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Tuple, Type, Union

from ._cancel import interruptible, sleep
from ._errors import (
    AccessDenied,
    BueError,
    Conflict,
    ConnectionBroken,
    FieldError,
    HubUnreachable,
    NotFound,
    Refused,
    RequestTimedOut,
    TlsError,
    TooLarge,
    UnexpectedServer,
    UnfitParams,
    UnfitSchedule,
)
from ._settings import Address, Settings
from ._version import __version__

# Seconds for a TCP connection. A server in the same building answers in milliseconds.
_CONNECT_TIMEOUT = 5.0
# Seconds for a TLS handshake.
_HANDSHAKE_TIMEOUT = 10.0
# Seconds after which an idle connection is not used again. The servers close theirs after 30.
_IDLE_SECONDS = 20.0
# Idle connections that are kept for each address.
_MAX_IDLE = 32
# Seconds between the attempts of one request. Together they bridge the restart of a server.
_RETRY_DELAYS = (0.05, 0.2, 0.5, 1.5)
# The largest answer in bytes, apart from values in the bucket.
MAX_MESSAGE = 64 * 1024 * 1024
# Bytes read from a connection at a time.
_PIECE = 256 * 1024

Body = Union[bytes, Iterable[bytes]]


@dataclass(frozen=True)
class Request:
    """A request, apart from what all requests of a transport share."""

    method: str
    path: str
    body: bytes = b""
    content_type: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    is_idempotent: bool = True
    # Seconds until the answer begins, in addition to the timeout of the transport: those of a long poll.
    wait: float = 0.0
    max_reply: int = MAX_MESSAGE


@dataclass(frozen=True)
class Reply:
    """An answer with any status."""

    address: Address
    status: int
    content_type: str
    body: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


class Transport:
    """The connections to the hubs of one database, or to the bucket."""

    def __init__(self, server: str, addresses: Tuple[Address, ...], settings: Settings, timeout: float) -> None:
        self.server = server
        self.addresses = addresses
        self._settings = settings
        self._timeout = timeout
        self._lock = threading.Lock()
        self._idle: Dict[Address, List[Tuple[float, http.client.HTTPConnection]]] = {}
        self._context: Optional[ssl.SSLContext] = None
        # the index of the address that answered last
        self._current = 0
        # when it could, by the monotonic clock
        self.answered_at: Optional[float] = None
        # set by the client: explains an answer that does not fit by the releases of both sides
        self.explain: Callable[[BueError], BueError] = lambda error: error

    @property
    def current(self) -> Address:
        """The address that answered last."""
        return self.addresses[self._current]

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Close the idle connections."""
        with self._lock:
            idle, self._idle = self._idle, {}
        for connections in idle.values():
            for _, connection in connections:
                connection.close()

    def send_ok(self, request: Request) -> Reply:
        """Send a request and return its answer if it is a success. Raises the error that it contains otherwise."""
        return self.expect_success(self.send(request))

    def json(self, request: Request) -> Any:
        """Send a request and return the JSON of its answer."""
        reply = self.send_ok(request)
        try:
            return json.loads(reply.body)
        except (ValueError, RecursionError) as error:
            raise self.unexpected(reply.address, f"its answer is not JSON: {error}") from None

    def send(self, request: Request) -> Reply:
        """Send a request and return its answer, whatever its status."""
        for delay in _RETRY_DELAYS:
            try:
                reply = self._try_all(request)
            except HubUnreachable:
                sleep(delay)
                continue
            except (ConnectionBroken, RequestTimedOut):
                if not request.is_idempotent:
                    raise
                sleep(delay)
                continue
            if reply.status == 503 and request.is_idempotent:
                sleep(delay)
                continue
            return reply
        return self._try_all(request)

    def open(self, request: Request) -> Stream:
        """Send a request and return its answer as a stream if it is a success. It is not sent again."""
        self.probe()
        address = self.current
        stream = self._respond(request, address)
        if 200 <= stream.status < 300:
            return stream
        raise self.error(self._read(stream, address, request))

    def upload(self, request: Request, pieces: Iterable[bytes]) -> Reply:
        """Send a body that can be read only once, in pieces."""
        with self.begin_upload(request) as upload:
            for piece in pieces:
                upload.send(piece)
            return upload.finish()

    def begin_upload(self, request: Request) -> Upload:
        """Begin a request whose body is sent in pieces, to an address that answers."""
        self.probe()
        return Upload(self, self._connect(self.current), self.current, request)

    def probe(self) -> None:
        """Find an address that answers, before something is sent that can be sent only once."""
        self.send_ok(Request("GET", "/healthz"))

    def expect_success(self, reply: Reply) -> Reply:
        if reply.is_success:
            return reply
        raise self.error(reply)

    def error(self, reply: Reply) -> BueError:
        """Return the error that an answer contains."""
        try:
            error = json.loads(reply.body)["error"]
            code, message, hint = str(error["code"]), str(error["message"]), str(error["hint"])
            fields = [FieldError(str(one["field"]), str(one["message"])) for one in error.get("fields", [])]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return self.unexpected(reply.address, f"it answers with status {reply.status}")
        if code == "no_such_route":
            other = "bucket" if self.server == "hub" else "hub"
            return self.unexpected(reply.address, f"{message}, so it is a {other} or another release")
        if reply.status in (401, 403) or reply.status >= 500:
            message = f"the {self.server} at {reply.address.authority}: {message}"
        return _refusal(reply.status, code)(reply.status, code, message, hint, fields)

    def unexpected(self, address: Address, reason: str) -> BueError:
        """Return the error of an answer that is not one of such a server, or of another release."""
        text = f"the server at {address.authority} is no {self.server} of bue {__version__} ({reason})"
        return self.explain(UnexpectedServer(f"{text}; check the address and the port"))

    def _try_all(self, request: Request) -> Reply:
        start = self._current
        last: Optional[HubUnreachable] = None
        for offset in range(len(self.addresses)):
            index = (start + offset) % len(self.addresses)
            address = self.addresses[index]
            try:
                stream = self._respond(request, address)
            except HubUnreachable as error:
                last = error
                continue
            self._current = index
            if stream.status != 503:
                self.answered_at = time.monotonic()
            return self._read(stream, address, request)
        raise self._unreachable(str(last))

    def _unreachable(self, reason: str) -> HubUnreachable:
        addresses = ", ".join(address.authority for address in self.addresses)
        hint = "is it running, and is the address right?"
        if self.server == "hub" and self._settings.is_default:
            hint = (
                "neither `url` nor the variable BUE_HUB names a hub, so this is the default address; .env and bue.toml are "
                "not read"
            )
        return HubUnreachable(f"{self.server} unreachable at {addresses}: {reason}; {hint}")

    def _respond(self, request: Request, address: Address) -> Stream:
        """Send a request and return the head of the answer; its body is still to be read."""
        connection, is_new = self._connection(address)
        timeout = self._timeout + request.wait
        try:
            return self._exchange(connection, request, address, timeout)
        except (ConnectionBroken, TlsError):
            connection.close()
            if is_new or not request.is_idempotent:
                raise
        except BaseException:
            connection.close()
            raise
        # the server has closed the connection while it was idle
        connection = self._connect(address)
        try:
            return self._exchange(connection, request, address, timeout)
        except BaseException:
            connection.close()
            raise

    def _exchange(self, connection: http.client.HTTPConnection, request: Request, address: Address, timeout: float) -> Stream:
        connection.sock.settimeout(timeout)
        with self.translated(address, timeout), interruptible(lambda: _shut_down(connection)):
            headers = self.headers(request)
            connection.request(request.method, request.path, request.body or None, headers)
            response = connection.getresponse()
        return Stream(self, connection, response, address)

    def headers(self, request: Request) -> Dict[str, str]:
        headers = {"user-agent": f"bue-python/{__version__}", **request.headers}
        if request.content_type:
            headers["content-type"] = request.content_type
        if self._settings.token is not None:
            headers["authorization"] = f"Bearer {self._settings.token}"
        return headers

    def translated(self, address: Address, timeout: float) -> _Translated:
        """A context that turns errors of a connection into ours."""
        return _Translated(self, address, timeout)

    def _read(self, stream: Stream, address: Address, request: Request) -> Reply:
        with stream:
            body = stream.read_all(request.max_reply)
            return Reply(address, stream.status, stream.content_type, body)

    def _connection(self, address: Address) -> Tuple[http.client.HTTPConnection, bool]:
        """Return a connection, and whether it is new."""
        while True:
            with self._lock:
                idle = self._idle.get(address)
                if not idle:
                    break
                used_at, connection = idle.pop()
            if time.monotonic() - used_at < _IDLE_SECONDS and not _is_closed(connection):
                return connection, False
            connection.close()
        return self._connect(address), True

    def _connect(self, address: Address) -> http.client.HTTPConnection:
        context = self._tls() if address.tls else None
        connection = http.client.HTTPConnection(address.host, address.port, timeout=_CONNECT_TIMEOUT)
        # it would connect again without TLS
        connection.auto_open = 0
        try:
            # what is interrupted here ends by itself soon
            connection.connect()
            if context is not None:
                connection.sock.settimeout(_HANDSHAKE_TIMEOUT)
                connection.sock = context.wrap_socket(connection.sock, server_hostname=address.host)
        except ssl.SSLError as error:
            connection.close()
            raise self.tls_error(error, address) from error
        except (OSError, UnicodeError) as error:
            connection.close()
            raise HubUnreachable(_reason(error)) from error
        return connection

    def _tls(self) -> ssl.SSLContext:
        with self._lock:
            if self._context is None:
                self._context = self._settings.ssl_context()
            return self._context

    def tls_error(self, error: ssl.SSLError, address: Address) -> TlsError:
        reason, hint = _explain_tls(error, address)
        return TlsError(f"no TLS with the {self.server} at {address.authority}: {reason}; {hint}")

    def give_back(self, connection: http.client.HTTPConnection, address: Address) -> None:
        """Keep a connection for the next request."""
        with self._lock:
            idle = self._idle.setdefault(address, [])
            if len(idle) < _MAX_IDLE:
                idle.append((time.monotonic(), connection))
                return
        connection.close()


class Stream:
    """An answer whose body is read in pieces. Close it, or use it in a `with` statement."""

    def __init__(
        self,
        transport: Transport,
        connection: http.client.HTTPConnection,
        response: http.client.HTTPResponse,
        address: Address,
    ) -> None:
        self._transport = transport
        self._connection = connection
        self._response = response
        self._address = address
        self.status = response.status
        self.content_type = response.headers.get("content-type", "")
        length = response.headers.get("content-length")
        self._length = int(length) if length is not None and length.isascii() and length.isdigit() else None
        self._received = 0
        self._is_closed = False

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def address(self) -> Address:
        return self._address

    def read_some(self, size: int = _PIECE, timeout: Optional[float] = None) -> bytes:
        """Return the next bytes, at most `size`; none at the end. Raises if the body is incomplete."""
        if self._is_closed:
            return b""
        seconds = self._transport._timeout if timeout is None else timeout
        with self._transport.translated(self._address, seconds), interruptible(lambda: _shut_down(self._connection)):
            if self._connection.sock is not None:
                self._connection.sock.settimeout(seconds)
            piece = self._response.read1(size)
        self._received += len(piece)
        if not piece:
            self._expect_end(seconds)
        return piece

    def _expect_end(self, timeout: float) -> None:
        if self._length is not None and self._received != self._length:
            raise ConnectionBroken(
                f"the connection to the {self._transport.server} at {self._address.authority} broke: {self._received} of "
                f"{self._length} bytes arrived"
            )
        with self._transport.translated(self._address, timeout):
            # nothing is left to read; this marks the answer as complete, so that the connection can be used again
            self._response.read()

    def read_all(self, limit: int) -> bytes:
        """Return the whole body. Raises TooLarge if it has more than `limit` bytes."""
        pieces: List[bytes] = []
        total = 0
        while True:
            piece = self.read_some()
            if not piece:
                break
            total += len(piece)
            if total > limit:
                raise TooLarge(f"the answer of the {self._transport.server} has more than {limit} bytes")
            pieces.append(piece)
        return b"".join(pieces)

    def close(self) -> None:
        """Close the stream. If it was read to its end, the connection is used again."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._response.isclosed() and not self._response.will_close and self._connection.sock is not None:
            self._transport.give_back(self._connection, self._address)
        else:
            self._response.close()
            self._connection.close()


class Upload:
    """A request whose body is being sent in pieces. Leaving the `with` statement before `finish` aborts it."""

    def __init__(
        self, transport: Transport, connection: http.client.HTTPConnection, address: Address, request: Request
    ) -> None:
        self._transport = transport
        self._connection = connection
        self._address = address
        self._request = request
        self._is_open = True
        try:
            self._send_head()
        except BaseException:
            self.abort()
            raise

    def _send_head(self) -> None:
        with self._translated():
            self._connection.putrequest(self._request.method, self._request.path)
            for name, value in self._transport.headers(self._request).items():
                self._connection.putheader(name, value)
            self._connection.putheader("transfer-encoding", "chunked")
            self._connection.endheaders()

    def __enter__(self) -> Upload:
        return self

    def __exit__(self, *_: object) -> None:
        self.abort()

    def _translated(self) -> _Translated:
        self._connection.sock.settimeout(self._transport._timeout)
        return self._transport.translated(self._address, self._transport._timeout)

    def send(self, piece: Union[bytes, bytearray, memoryview]) -> None:
        """Send the next bytes."""
        data = bytes(piece)
        if not self._is_open:
            raise ValueError("the request has ended; nothing can be written any more")
        if not data:
            return
        try:
            with self._translated(), interruptible(lambda: _shut_down(self._connection)):
                self._connection.send(b"%x\r\n" % len(data) + data + b"\r\n")
        except ConnectionBroken:
            # the server may have refused the request, and closed the connection behind its answer
            raise self._refusal() from None

    def _refusal(self) -> BueError:
        try:
            reply = self._answer()
        except BueError as error:
            return error
        return self._transport.error(reply)

    def _answer(self) -> Reply:
        with self._translated(), interruptible(lambda: _shut_down(self._connection)):
            response = self._connection.getresponse()
        stream = Stream(self._transport, self._connection, response, self._address)
        self._is_open = False
        return self._transport._read(stream, self._address, self._request)

    def finish(self) -> Reply:
        """End the body and return the answer if it is a success."""
        if not self._is_open:
            raise ValueError("the request has ended already")
        with self._translated(), interruptible(lambda: _shut_down(self._connection)):
            self._connection.send(b"0\r\n\r\n")
        return self._transport.expect_success(self._answer())

    def abort(self) -> None:
        """Break the connection, unless the request is finished. The server keeps nothing of the body."""
        if self._is_open:
            self._is_open = False
            self._connection.close()


class _Translated:
    """Turns errors of a connection into ours."""

    def __init__(self, transport: Transport, address: Address, timeout: float) -> None:
        self._transport = transport
        self._address = address
        self._timeout = timeout

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: Optional[BaseException], _: object) -> None:
        if error is None or isinstance(error, BueError):
            return
        server, authority = self._transport.server, self._address.authority
        if isinstance(error, socket.timeout):
            raise RequestTimedOut(
                f"the {server} at {authority} did not answer within {self._timeout:g} s; it is overloaded or its disk hangs"
            ) from error
        # in TLS 1.3 a server refuses our certificate only after the handshake
        if isinstance(error, ssl.SSLError):
            raise self._transport.tls_error(error, self._address) from error
        if isinstance(error, (OSError, http.client.HTTPException)):
            raise ConnectionBroken(
                f"the connection to the {server} at {authority} broke: {_reason(error)}; it may have been stopped, try again"
            ) from error


def _refusal(status: int, code: str) -> Type[Refused]:
    if code == "invalid_params":
        return UnfitParams
    if code == "invalid_schedule":
        return UnfitSchedule
    if status in (401, 403):
        return AccessDenied
    if status == 404:
        return NotFound
    if status == 409:
        return Conflict
    return Refused


def _shut_down(connection: http.client.HTTPConnection) -> None:
    """Interrupt the thread that waits for this connection."""
    try:
        if connection.sock is not None:
            connection.sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


def _is_closed(connection: http.client.HTTPConnection) -> bool:
    """Whether the server has closed an idle connection: there is something to read, if only its end."""
    try:
        poll = select.poll()
        poll.register(connection.sock, select.POLLIN)
        return bool(poll.poll(0))
    except (OSError, ValueError, TypeError):
        return True


def _reason(error: BaseException) -> str:
    if isinstance(error, http.client.IncompleteRead):
        return "the answer is incomplete"
    if isinstance(error, http.client.RemoteDisconnected):
        return "the server closed it without an answer"
    if isinstance(error, socket.timeout):
        return "it does not answer"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def _explain_tls(error: ssl.SSLError, address: Address) -> Tuple[str, str]:
    text = f"{error.reason or ''} {error}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return _explain_certificate(error)
    if "WRONG_VERSION_NUMBER" in text or "RECORD_LAYER_FAILURE" in text:
        return "it speaks plain HTTP there", f"write its address as http://{address.authority}"
    if "CERTIFICATE_REQUIRED" in text:
        hint = "give a certificate that its --tls-client-ca believes with `client_cert` and `client_key`"
        return "it asks for a client certificate", hint
    if "UNKNOWN_CA" in text or "BAD_CERTIFICATE" in text or "DECRYPT_ERROR" in text:
        hint = "give a certificate that its --tls-client-ca believes with `client_cert` and `client_key`"
        return "it does not believe our client certificate", hint
    if "CERTIFICATE_EXPIRED" in text:
        return "our client certificate has expired", "replace the files of `client_cert` and `client_key`"
    return _reason(error), "see the server's log"


def _explain_certificate(error: ssl.SSLCertVerificationError) -> Tuple[str, str]:
    text = error.verify_message or str(error)
    if "expired" in text:
        return "its certificate has expired", "replace the files of its --tls-cert and --tls-key"
    if "not yet valid" in text:
        return "its certificate is not valid yet", "set the clocks of both machines, or wait"
    if "ostname mismatch" in text or "IP address mismatch" in text:
        return text, "connect by a name that its certificate is for, or make one that also has this name"
    return (
        f"its certificate is of an authority that is not trusted here ({text})",
        "name that authority's file with `ca` or BUE_SERVER_CA",
    )
