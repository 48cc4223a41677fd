"""`socket`, `ssl` and `select` on top of `bue._connection`: sockets that can only speak HTTP.

No name is resolved and no server contacted until a request is sent; an address is the host and port that the library was
given.
"""

import errno
import os.path
import select
import socket
import ssl

from bue import _connection

_NO_NETWORK = "a sandbox has no sockets; connections made in it can only speak HTTP/1.1, as a client"
_TRUSTED_CERTIFICATES = "the worker trusts those of its machine, and those in the file that BUE_CA_FILE names there"
# What `certifi.where` returns if the package's file is missing.
CERTIFICATES = "/certificates/of/the/worker.pem"
# Paths that mean the certificates the worker trusts.
trusted = {CERTIFICATES}

_NativeSocket = socket.socket
_native_select = select.select


class Socket(_NativeSocket):
    """A socket that may be connected to an HTTP server."""

    def __new__(cls, *args, **kwargs):
        # RustPython's `__new__` takes no arguments
        return super().__new__(cls)

    def __init__(self, family=-1, type=-1, proto=-1, fileno=None):
        super().__init__(family, type, proto)
        self._connection = None

    def connect(self, address):
        if self.type != socket.SOCK_STREAM or not isinstance(address, tuple):
            raise OSError(errno.EOPNOTSUPP, _NO_NETWORK)
        host, port = address[:2]
        # a non-blocking socket has timeout 0, which is no limit for connecting
        self._connection = _connection.Connection(host, port, self.gettimeout() or None)

    def connect_ex(self, address):
        self.connect(address)
        return 0

    def sendall(self, data, flags=0):
        _connection.wait(self.connected().send(data))

    def send(self, data, flags=0):
        self.sendall(data)
        return memoryview(data).nbytes

    def recv(self, max_bytes, flags=0):
        return _connection.wait(self.connected().receive(max_bytes, self.gettimeout()))

    def recv_into(self, buffer, max_bytes=0, flags=0):
        view = memoryview(buffer).cast("B")
        data = self.recv(max_bytes or len(view))
        view[: len(data)] = data
        return len(data)

    def is_readable(self):
        return self._connection is not None and self._connection.is_readable()

    def setsockopt(self, *args):
        pass

    def getsockopt(self, *args):
        return 0

    def getsockname(self):
        return ("127.0.0.1", 0)

    def getpeername(self):
        connection = self.connected()
        return (connection.host, connection.port)

    def shutdown(self, how):
        self._close_connection()

    def _real_close(self, _class=_NativeSocket):
        self._close_connection()
        super()._real_close()

    def _close_connection(self):
        if self._connection is not None:
            self._connection.close()

    def connected(self):
        if self._connection is None:
            raise OSError(errno.ENOTCONN, _NO_NETWORK)
        return self._connection

    # Methods of `ssl.SSLSocket` that libraries call.
    def do_handshake(self, block=False):
        pass

    def unwrap(self):
        return self

    def getpeercert(self, binary_form=False):
        # the worker has verified the certificate for this host
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
    """Have the host use TLS for this connection."""
    if context is not None and context.verify_mode == ssl.CERT_NONE:
        raise ssl.SSLError(1, f"certificates are always verified; {_TRUSTED_CERTIFICATES}")
    connection.is_secure = True


def _getaddrinfo(host, port, family=0, type=0, proto=0, flags=0):
    host = host.decode("ascii") if isinstance(host, bytes) else host or "localhost"
    return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, int(port or 0)))]


def _gethostbyaddr(address):
    raise socket.herror(1, "names are resolved by the worker, and only for requests")


def _select(rlist, wlist, xlist, timeout=None):
    """`select.select` for our sockets, which are always writable."""
    readable = [item for item in rlist if isinstance(item, Socket) and item.is_readable()]
    if readable or wlist or timeout == 0:
        return readable, list(wlist), []
    return _native_select(rlist, wlist, xlist, timeout)


def _wrap_socket(self, sock, server_side=False, *args, **kwargs):
    if server_side or not isinstance(sock, Socket):
        raise ssl.SSLError(1, _NO_NETWORK)
    start_tls(sock.connected(), self)
    return sock


def _load_verify_locations(self, cafile=None, capath=None, cadata=None):
    if cafile not in trusted:
        raise ssl.SSLError(1, f"a step cannot choose which certificates are trusted; {_TRUSTED_CERTIFICATES}")


def _load_cert_chain(self, *args, **kwargs):
    raise ssl.SSLError(1, "a step cannot use a client certificate: connections are made by the worker")


def _exists(path, exists=os.path.exists):
    return path == CERTIFICATES or exists(path)


socket.socket = socket.SocketType = Socket
socket.getaddrinfo = _getaddrinfo
socket.gethostname = lambda: "localhost"
socket.gethostbyaddr = _gethostbyaddr
select.select = _select
os.path.exists = _exists
ssl.SSLContext.wrap_socket = _wrap_socket
ssl.SSLContext.load_verify_locations = _load_verify_locations
ssl.SSLContext.load_cert_chain = _load_cert_chain
ssl.SSLContext.set_ciphers = lambda self, names: None
