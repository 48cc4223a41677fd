"""`socket`, `ssl` and `select` over `bue._wire`: connections that speak HTTP, whoever makes them.

No name is looked up and no server reached before there is a request: an address is what the library was given.
"""

import errno
import os.path
import select
import socket
import ssl

from bue import _wire

_NO_NETWORK = "a sandbox has no sockets; a connection that is made in it can speak HTTP/1.1 as a client, and nothing else"
_OWN_CERTIFICATES = "the worker trusts those of its machine, and those in the file that BUE_CA_FILE names there"
# What `certifi.where` gives where there is no such file.
CERTIFICATES = "/certificates/of/the/worker.pem"
# Files that stand for the certificates the worker trusts.
trusted = {CERTIFICATES}

_native = socket.socket
_native_select = select.select


class Socket(_native):
    """A socket that may be connected to an HTTP server."""

    def __new__(cls, *options, **named):
        # the interpreter's own takes none here
        return super().__new__(cls)

    def __init__(self, family=-1, type=-1, proto=-1, fileno=None):
        super().__init__(family, type, proto)
        self._connection = None

    def connect(self, address):
        if self.type != socket.SOCK_STREAM or not isinstance(address, tuple):
            raise OSError(errno.EOPNOTSUPP, _NO_NETWORK)
        host, port = address[:2]
        # a socket that does not block is connected when it is, not at once or never
        self._connection = _wire.Connection(host, port, self.gettimeout() or None)

    def connect_ex(self, address):
        self.connect(address)
        return 0

    def sendall(self, data, flags=0):
        _wire.wait(self.connected().send(data))

    def send(self, data, flags=0):
        self.sendall(data)
        return memoryview(data).nbytes

    def recv(self, most, flags=0):
        return _wire.wait(self.connected().receive(most, self.gettimeout()))

    def recv_into(self, buffer, most=0, flags=0):
        view = memoryview(buffer).cast("B")
        data = self.recv(most or len(view))
        view[: len(data)] = data
        return len(data)

    def is_readable(self):
        return self._connection is not None and self._connection.is_readable()

    def setsockopt(self, *option):
        pass

    def getsockopt(self, *option):
        return 0

    def getsockname(self):
        return ("127.0.0.1", 0)

    def getpeername(self):
        connection = self.connected()
        return (connection.host, connection.port)

    def shutdown(self, how):
        self._give_up()

    def _real_close(self, _class=_native):
        self._give_up()
        super()._real_close()

    def _give_up(self):
        if self._connection is not None:
            self._connection.close()

    def connected(self):
        if self._connection is None:
            raise OSError(errno.ENOTCONN, _NO_NETWORK)
        return self._connection

    # What libraries ask of a connection with TLS.
    def do_handshake(self, block=False):
        pass

    def unwrap(self):
        return self

    def getpeercert(self, binary_form=False):
        # the worker has looked at it already, so it is this server's
        host = self.connected().host
        return b"" if binary_form else {"subjectAltName": (("DNS", host), ("IP Address", host))}

    def version(self):
        return "TLSv1.3"

    def cipher(self):
        return None

    def pending(self):
        return 0

    def selected_alpn_protocol(self):
        return None


def start_tls(connection, context):
    """From here on the host speaks TLS for this connection."""
    if context is not None and context.verify_mode == ssl.CERT_NONE:
        raise ssl.SSLError(1, f"certificates are always verified; {_OWN_CERTIFICATES}")
    connection.is_secure = True


def _getaddrinfo(host, port, family=0, type=0, proto=0, flags=0):
    host = host.decode("ascii") if isinstance(host, bytes) else host or "localhost"
    return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, int(port or 0)))]


def _select(reading, writing, failing, timeout=None):
    """Of our sockets: is there something to read? There is always room to write."""
    ready = [one for one in reading if isinstance(one, Socket) and one.is_readable()]
    if ready or writing or timeout == 0:
        return ready, list(writing), []
    return _native_select(reading, writing, failing, timeout)


def _wrap_socket(self, sock, server_side=False, *options, **named):
    if server_side or not isinstance(sock, Socket):
        raise ssl.SSLError(1, _NO_NETWORK)
    start_tls(sock.connected(), self)
    return sock


def _load_verify_locations(self, cafile=None, capath=None, cadata=None):
    if cafile not in trusted:
        raise ssl.SSLError(1, f"a step cannot say which certificates are trusted; {_OWN_CERTIFICATES}")


def _load_cert_chain(self, *options, **named):
    raise ssl.SSLError(1, "a step cannot show a certificate of its own: connections are made by the worker")


def _exists(path, exists=os.path.exists):
    return path == CERTIFICATES or exists(path)


socket.socket = socket.SocketType = Socket
socket.getaddrinfo = _getaddrinfo
socket.gethostname = lambda: "localhost"
select.select = _select
os.path.exists = _exists
ssl.SSLContext.wrap_socket = _wrap_socket
ssl.SSLContext.load_verify_locations = _load_verify_locations
ssl.SSLContext.load_cert_chain = _load_cert_chain
ssl.SSLContext.set_ciphers = lambda self, names: None
