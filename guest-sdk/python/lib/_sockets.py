"""`socket`, `ssl` and `select` on top of `bue._connection` and `bue._tcp`.

A socket is a TCP connection where the script has `!allow tcp` for its address. Any other one can only speak HTTP: no name is
resolved and no server contacted until a request is sent. What is not a request asks the host for a TCP connection, which
refuses it and names the rule.

An address is the host and port that the library was given.
"""

import errno
import itertools
import os.path
import re
import select
import selectors
import socket
import ssl
import weakref

import _bue_net

from bue import _connection, _scheduler, _tcp

_ONLY_CLIENTS = (
    "a step can open TCP connections (`!allow tcp HOST:PORT`) and send HTTP requests (`!allow net HOST`); it can neither listen,"
    " nor use UDP, Unix or raw sockets"
)
_TRUSTED_CERTIFICATES = "the worker trusts those of its machine, and those in the file that BUE_CA_FILE names there"
_ALWAYS_VERIFIED = (
    f"certificates are always verified, whatever the context says; {_TRUSTED_CERTIFICATES}, and those that"
    " `ssl.create_default_context(cafile=…)` or `cadata` names"
)
# What `certifi.where` returns if the package's file is missing.
CERTIFICATES = "/certificates/of/the/worker.pem"
# Paths that mean the certificates the worker trusts.
trusted = {CERTIFICATES}

_REQUEST = re.compile(rb"[A-Za-z_-]{1,20}( |$)")

_NativeSocket = socket.socket
_native_select = select.select
# sockets by what `fileno` returns; no file has such a number
_by_number = weakref.WeakValueDictionary()
_next_number = itertools.count(1 << 20).__next__


class Socket(_NativeSocket):
    """A socket that may be connected to a server."""

    def __new__(cls, *args, **kwargs):
        # RustPython's `__new__` takes no arguments
        return super().__new__(cls)

    def __init__(self, family=-1, type=-1, proto=-1, fileno=None):
        super().__init__(family, type, proto)
        self._is_stream = type in (-1, socket.SOCK_STREAM) or self.type == socket.SOCK_STREAM
        self._connection = None
        # the context and server name that TLS was asked for with
        self._tls = None
        self._number = None
        if socket.getdefaulttimeout() is not None:
            self.settimeout(socket.getdefaulttimeout())

    def connect(self, address):
        timeout, connection = self.gettimeout(), self._new_connection(address)
        if timeout != 0:
            if isinstance(connection, _tcp.Connection) or self._tls is not None:
                _connection.wait(self._open(timeout))
        elif isinstance(connection, _tcp.Connection):
            connection.begin(None)
            raise BlockingIOError(errno.EINPROGRESS, "connecting")

    def connect_ex(self, address):
        try:
            self.connect(address)
        except OSError as error:
            if error.errno is None or isinstance(error, socket.gaierror):
                raise
            return error.errno
        return 0

    def opening(self, address, timeout):
        """Connect; a generator that waits."""
        self._new_connection(address)
        return self._open(timeout)

    def _open(self, timeout):
        if isinstance(self._connection, _tcp.Connection):
            yield from self._connection.open(timeout)
        if self._tls is not None:
            yield from securing(self._connection, *self._tls, timeout)

    def _new_connection(self, address):
        if not self._is_stream or not isinstance(address, tuple):
            raise OSError(errno.EOPNOTSUPP, _ONLY_CLIENTS)
        # a non-blocking socket has timeout 0, which is no limit for connecting
        self._connection = new_connection(*address[:2], self.gettimeout() or None)
        return self._connection

    def sendall(self, data, flags=0):
        _connection.wait(self._connection_for(data).send(data, self.gettimeout()))

    def send(self, data, flags=0):
        connection = self._connection_for(data)
        if self.gettimeout() == 0 and isinstance(connection, _tcp.Connection):
            return self._at_once(connection.try_send, data)
        _connection.wait(connection.send(data, self.gettimeout()))
        return memoryview(data).nbytes

    def recv(self, max_bytes, flags=0):
        connection = self.connected()
        if isinstance(connection, _connection.Connection) and not connection.has_request():
            connection = self._turn_to_tcp()
        if isinstance(connection, _connection.Connection):
            return _connection.wait(connection.receive(max_bytes, self.gettimeout()))
        peek = bool(flags & socket.MSG_PEEK)
        return self._at_once(lambda: _connection.wait(connection.receive(max_bytes, self.gettimeout(), peek)))

    def recv_into(self, buffer, max_bytes=0, flags=0):
        view = memoryview(buffer).cast("B")
        data = self.recv(max_bytes or len(view), flags)
        view[: len(data)] = data
        return len(data)

    def _at_once(self, function, *args):
        """Call a function; a socket that does not block has its own error if nothing can be done now."""
        try:
            return function(*args)
        except TimeoutError:
            if self.gettimeout() != 0:
                raise
            raise BlockingIOError(errno.EAGAIN, "not ready") from None

    def _connection_for(self, data):
        """The connection that these bytes can be sent on."""
        connection = self.connected()
        if isinstance(connection, _connection.Connection) and connection.is_unused() and len(data) > 0 and not is_request(data):
            return self._turn_to_tcp()
        return connection

    def _turn_to_tcp(self):
        """The program does not speak HTTP. If no rule allows that, the error says what to write."""
        unsent = self._connection.unsent()
        connection = _tcp.Connection(self._connection.host, self._connection.port)
        _connection.wait(connection.open(self.gettimeout() or None))
        self._connection = connection
        if self._tls is not None:
            self.start_tls(*self._tls)
        _connection.wait(connection.send(unsent, self.gettimeout() or None))
        return connection

    def start_tls(self, context, server_name):
        """Use TLS from now on."""
        self._tls = context, server_name
        if self._connection is not None:
            _connection.wait(securing(self._connection, context, server_name, self.gettimeout() or None))

    def is_readable(self):
        return self._connection is not None and self._connection.is_readable()

    def is_writable(self):
        return not isinstance(self._connection, _tcp.Connection) or self._connection.is_writable()

    def setsockopt(self, *args):
        pass

    def getsockopt(self, level, option, length=None):
        failure = getattr(self._connection, "failure", None)
        if (level, option) == (socket.SOL_SOCKET, socket.SO_ERROR) and failure is not None:
            return failure.errno or errno.EACCES
        return self.type if (level, option) == (socket.SOL_SOCKET, socket.SO_TYPE) else 0

    def getsockname(self):
        return ("127.0.0.1", 0)

    def getpeername(self):
        connection = self.connected()
        if isinstance(connection, _tcp.Connection) and not connection.is_open:
            raise OSError(errno.ENOTCONN, "the socket is not connected")
        return (connection.host, connection.port)

    def fileno(self):
        if self._closed:
            return -1
        if self._number is None:
            self._number = _next_number()
            _by_number[self._number] = self
        return self._number

    def shutdown(self, how):
        connection = self.connected()
        if isinstance(connection, _connection.Connection):
            return connection.close()
        if how != socket.SHUT_RD:
            _connection.wait(connection.end(self.gettimeout() or None))
        if how != socket.SHUT_WR:
            connection.end_reading()

    def bind(self, address):
        raise OSError(errno.EOPNOTSUPP, _ONLY_CLIENTS)

    listen = accept = sendto = recvfrom = recvfrom_into = lambda self, *args: self.bind(None)

    def _real_close(self, _class=_NativeSocket):
        if self._connection is not None:
            self._connection.close()
        super()._real_close()

    def connected(self):
        if self._connection is None:
            raise OSError(errno.ENOTCONN, f"the socket is not connected; {_ONLY_CLIENTS}")
        return self._connection

    # What `ssl.SSLSocket` has and libraries use.
    @property
    def context(self):
        return self._tls and self._tls[0]

    @property
    def server_hostname(self):
        return self._tls and self._tls[1]

    def do_handshake(self, block=False):
        pass

    def unwrap(self):
        return self

    def read(self, length=1024, buffer=None):
        return self.recv(length) if buffer is None else self.recv_into(buffer, length)

    def write(self, data):
        return self.send(data)

    def getpeercert(self, binary_form=False):
        # the worker has verified the certificate for this name
        if binary_form:
            return self._session()[3]
        name = self.server_hostname or self.connected().host
        return {"subjectAltName": (("DNS", name), ("IP Address", name))}

    def version(self):
        return self._session()[0]

    def cipher(self):
        version, cipher, *_ = self._session()
        return (cipher, version, None) if cipher else None

    def selected_alpn_protocol(self):
        return self._session()[2]

    def pending(self):
        return 0

    def _session(self):
        """What TLS negotiated. An HTTP connection makes its requests later."""
        return getattr(self.connected(), "session", None) or ("TLSv1.3", None, None, b"")


def new_connection(host, port, timeout):
    """The kind of connection that the script allows to a server, not connected."""
    host = host.decode("ascii") if isinstance(host, bytes) else host
    if isinstance(port, int) and 0 < port < 65536 and _bue_net.allows_tcp(host, port):
        return _tcp.Connection(host, port)
    return _connection.Connection(host, port, timeout)


def socket_of(connection):
    """A socket for what asyncio has connected: libraries set its options and ask for its certificate."""
    sock = Socket()
    sock._connection = connection
    return sock


def is_request(data):
    """Does a request begin with these bytes?"""
    return _REQUEST.match(bytes(memoryview(data).cast("B")[:32])) is not None


def securing(connection, context, server_name, timeout):
    """Have the host use TLS for this connection; a generator that waits."""
    authorities = getattr(context, "_authorities", b"")
    is_unverified = context is not None and context.verify_mode == ssl.CERT_NONE
    if isinstance(connection, _tcp.Connection):
        has_default = getattr(context, "_has_default_authorities", False)
        settings = authorities, has_default, getattr(context, "_protocols", [])
        try:
            yield from connection.start_tls(settings, server_name or connection.host, timeout)
        except ssl.SSLError as error:
            # libraries that encrypt without verifying go on here if the certificate is valid
            raise ssl.SSLError(1, f"{error.args[1]}; {_ALWAYS_VERIFIED}") if is_unverified else error from None
    elif is_unverified:
        raise ssl.SSLError(1, f"certificates are always verified; {_TRUSTED_CERTIFICATES}")
    elif authorities:
        raise ssl.SSLError(1, f"a step cannot choose which certificates are trusted for requests; {_TRUSTED_CERTIFICATES}")
    else:
        connection.is_secure = True


def _getaddrinfo(host, port, family=0, type=0, proto=0, flags=0):
    host = host.decode("ascii") if isinstance(host, bytes) else host or "localhost"
    if ":" in host:
        return [(socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, int(port or 0), 0, 0))]
    return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, int(port or 0)))]


def _create_connection(
    address,
    timeout=socket._GLOBAL_DEFAULT_TIMEOUT,
    source_address=None,
    *,
    all_errors=False,
    create_connection=socket.create_connection,
):
    """`socket.create_connection`: a name has one address, unless the program has replaced what looks it up."""
    if source_address is not None or all_errors or socket.getaddrinfo is not _getaddrinfo or socket.socket is not Socket:
        return create_connection(address, timeout, source_address, all_errors=all_errors)
    host, port = address
    [(family, kind, protocol, _, address)] = _getaddrinfo(host, port)
    sock = Socket(family, kind, protocol)
    try:
        if timeout is not socket._GLOBAL_DEFAULT_TIMEOUT:
            sock.settimeout(timeout)
        sock.connect(address)
    except BaseException:
        sock.close()
        raise
    return sock


def _gethostbyname(name):
    if name == "localhost":
        return "127.0.0.1"
    try:
        return socket.inet_ntoa(socket.inet_aton(name))
    except OSError:
        raise socket.gaierror(_connection.EAI_NONAME, _RESOLVED_BY_WORKER) from None


_RESOLVED_BY_WORKER = "names are resolved by the worker, and only for requests and connections"


def _gethostbyaddr(address):
    raise socket.herror(1, _RESOLVED_BY_WORKER)


def _select(rlist, wlist, xlist, timeout=None):
    """`select.select` for our sockets."""
    readers, writers = [(item, _socket_of(item)) for item in rlist], [(item, _socket_of(item)) for item in wlist]
    if not all(sock for _, sock in readers + writers) or not readers + writers:
        return _native_select(rlist, wlist, xlist, timeout)
    deadline = None if timeout is None else _scheduler.clock() + timeout
    while True:
        by_ticket = {sock._connection.read_ticket(): sock for _, sock in readers if _is_tcp(sock) and not sock.is_readable()}
        by_ticket.update((sock._connection.write_ticket(), sock) for _, sock in writers if not sock.is_writable())
        is_ready = any(sock.is_readable() for _, sock in readers) or any(sock.is_writable() for _, sock in writers)
        seconds = None if deadline is None else max(deadline - _scheduler.clock(), 0)
        if not by_ticket and not is_ready and seconds is None:
            raise OSError(errno.ENOTCONN, "none of these sockets will ever be readable: no request was sent on them")
        # also if some are ready already: otherwise the others would never be
        completions = _scheduler.wait_for_host(_bue_net.wait, list(by_ticket), 0 if is_ready else seconds)
        for completion in completions:
            by_ticket[completion[0]]._connection.complete(completion)
        readable = [item for item, sock in readers if sock.is_readable()]
        writable = [item for item, sock in writers if sock.is_writable()]
        if readable or writable or (deadline is not None and _scheduler.clock() >= deadline):
            return readable, writable, []


def _socket_of(item):
    if isinstance(item, Socket):
        return item
    return _by_number.get(item if isinstance(item, int) else item.fileno())


def _is_tcp(sock):
    return isinstance(sock._connection, _tcp.Connection)


def _wrap_socket(self, sock, server_side=False, do_handshake_on_connect=True, suppress_ragged_eofs=True, server_hostname=None, session=None):
    if server_side or not isinstance(sock, Socket):
        raise ssl.SSLError(1, _ONLY_CLIENTS)
    sock.start_tls(self, server_hostname)
    return sock


def _load_verify_locations(self, cafile=None, capath=None, cadata=None):
    if capath is not None or (cafile is None and cadata is None):
        raise ssl.SSLError(1, "certificates are read from a file (`cafile`) or a text (`cadata`), not from a folder")
    if cafile in trusted:
        self._has_default_authorities = True
    elif cafile is not None:
        with open(cafile, "rb") as file:
            _add_authorities(self, file.read())
    if cadata is not None:
        _add_authorities(self, cadata.encode() if isinstance(cadata, str) else ssl.DER_cert_to_PEM_cert(cadata).encode())


def _add_authorities(context, pem):
    context._authorities = getattr(context, "_authorities", b"") + pem + b"\n"


def _load_default_certs(self, purpose=None):
    self._has_default_authorities = True


def _set_alpn_protocols(self, protocols):
    self._protocols = list(protocols)


def _load_cert_chain(self, *args, **kwargs):
    raise ssl.SSLError(1, "a step cannot use a client certificate: connections are made by the worker")


def _exists(path, exists=os.path.exists):
    return path == CERTIFICATES or exists(path)


socket.socket = socket.SocketType = Socket
socket.getaddrinfo = _getaddrinfo
socket.create_connection = _create_connection
socket.gethostname = lambda: "localhost"
socket.gethostbyname = _gethostbyname
socket.gethostbyaddr = _gethostbyaddr
select.select = _select
selectors.SelectSelector._select = staticmethod(_select)
os.path.exists = _exists
ssl.SSLContext.wrap_socket = _wrap_socket
ssl.SSLContext.load_verify_locations = _load_verify_locations
ssl.SSLContext.load_default_certs = _load_default_certs
ssl.SSLContext.set_default_verify_paths = _load_default_certs
ssl.SSLContext.set_alpn_protocols = _set_alpn_protocols
ssl.SSLContext.load_cert_chain = _load_cert_chain
ssl.SSLContext.set_ciphers = lambda self, names: None
