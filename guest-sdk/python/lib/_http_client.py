"""`http.client` on top of `bue._connection`: it gets the status and headers of a response as the host has them, instead of parsing
bytes that were made of them. The classes and their methods are those of Python; where a program has replaced something that would
be left out, nothing is."""

import operator
import socket

import _bue_net

from bue import _connection
from bue._sockets import Socket

_READ_SIZE = 256 * 1024
# Bodies up to this length are sent together with their request.
_MAX_WHOLE_BODY = 1024 * 1024
# Methods of a connection that a request goes through. If a class replaces one of them, it is called.
_methods_of = operator.attrgetter(
    "putrequest", "putheader", "endheaders", "send", "_send_output", "_output", "_encode_request", "_validate_method",
    "_validate_path", "_get_content_length",
)  # fmt: skip
_value_of = operator.itemgetter(1)


class ResponseFile:
    """What `Socket.makefile("rb")` returns for an HTTP connection; it is used like an `io.BufferedReader`."""

    mode = "rb"
    closed = True

    def __init__(self, sock):
        self._sock = sock
        self._connection = sock.connected()
        self._has_timed_out = False
        self.closed = False
        sock._io_refs += 1

    @property
    def raw(self):
        return self

    def take_head(self):
        """Wait for a response; return what `Connection.take_head` does."""
        self._wait(self._connection.receive_head)
        return self._connection.take_head()

    def give_head(self, head):
        """Undo `take_head`."""
        self._connection.give_head(head)

    def _receive(self, max_bytes):
        if self.closed:
            raise ValueError("I/O operation on closed file.")
        return self._wait(self._connection.receive, max_bytes)

    def _wait(self, method, *args):
        if self._has_timed_out:
            raise OSError("cannot read from timed out object")
        try:
            return _connection.wait(method(*args, self._sock.gettimeout()))
        except TimeoutError:
            self._has_timed_out = True
            raise

    def read(self, size=-1):
        if size is None or size < 0:
            size = -1
        pieces, left = [], size
        try:
            while left and (piece := self._receive(_READ_SIZE if left < 0 else left)):
                pieces.append(piece)
                if left > 0:
                    left -= len(piece)
        except OSError:
            # what has arrived is read next
            self._connection.unread(b"".join(pieces))
            raise
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def read1(self, size=-1):
        return self._receive(_READ_SIZE if size is None or size < 0 else size) if size != 0 else b""

    def readinto(self, buffer):
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def readinto1(self, buffer):
        view = memoryview(buffer).cast("B")
        data = self.read1(len(view))
        view[: len(data)] = data
        return len(data)

    def peek(self, size=0):
        data = self._receive(_READ_SIZE)
        self._connection.unread(data)
        return data

    def readline(self, size=-1):
        pieces, left = [], _READ_SIZE if size is None or size < 0 else size
        try:
            while left and (data := self._receive(_READ_SIZE)):
                end = data.find(b"\n", 0, left) + 1 or min(left, len(data))
                pieces.append(data[:end])
                if end < len(data):
                    self._connection.unread(data[end:])
                if data[end - 1 : end] == b"\n":
                    break
                if size is not None and size >= 0:
                    left -= end
        except OSError:
            self._connection.unread(b"".join(pieces))
            raise
        return b"".join(pieces)

    def readlines(self, hint=-1):
        return list(self)

    def __iter__(self):
        return iter(self.readline, b"")

    def readable(self):
        return True

    def writable(self):
        return False

    seekable = writable

    def fileno(self):
        return self._sock.fileno()

    def flush(self):
        if self.closed:
            raise ValueError("flush of closed file")

    def close(self):
        if not self.closed:
            self.closed = True
            self._sock._decref_socketios()

    __del__ = close

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


def _makefile(self, mode="r", buffering=None, *, makefile=socket.socket.makefile, **options):
    if mode == "rb" and buffering is None and isinstance(self._connection, _connection.Connection) and self._connection.has_request():
        return ResponseFile(self)
    return makefile(self, mode, buffering, **options)


Socket.makefile = _makefile


def patch(module):
    """Patch `http.client`."""
    _patch_requests(module)
    _patch_responses(module)


def _patch_requests(module):
    cls = module.HTTPConnection
    send_request, methods, is_legal_name = cls._send_request, _methods_of(cls), module._is_legal_header_name

    def send_whole(self, method, url, body, headers, encode_chunked):
        is_plain = (
            _methods_of(type(self)) == methods
            and module._is_legal_header_name is is_legal_name
            and self.debuglevel <= 0
            and self._http_vsn == 11
            and self._tunnel_host is None
            and self.auto_open
        )
        whole = _whole_request(self, method, url, body, headers, module) if is_plain else None
        if whole is None:
            return send_request(self, method, url, body, headers, encode_chunked)
        self._method = method
        self._HTTPConnection__response = None
        self._HTTPConnection__state = module._CS_REQ_SENT
        if self.sock is None:
            self.connect()
        connection = self.sock._connection if type(self.sock) is Socket else None
        if type(connection) is _connection.Connection and connection.can_begin():
            return _connection.wait(connection.request(method, url or "/", whole, body))
        self._HTTPConnection__state = module._CS_IDLE
        send_request(self, method, url, body, headers, encode_chunked)

    cls._send_request = send_whole


def _whole_request(self, method, url, body, headers, module):
    """The headers that `_send_request` would send, as pairs; None if it does more, or raises an error."""
    response, host = self._HTTPConnection__response, self.host
    is_ready = self._HTTPConnection__state == module._CS_IDLE and not self._buffer and (response is None or response.isclosed())
    if not is_ready or type(method) is not str or type(url) is not str or type(headers) is not dict or type(host) is not str:
        return None
    if not (body is None or (type(body) is bytes and len(body) <= _MAX_WHOLE_BODY)) or ":" in host or url.startswith("http"):
        return None
    if not (method.isascii() and url.isascii() and host.isascii()):
        return None
    if module._contains_disallowed_method_pchar_re.search(method) or module._contains_disallowed_url_pchar_re.search(url):
        return None
    plain = _bue_net.plain_headers(headers)
    if plain is None:
        return None
    pairs, has_host, has_encoding = plain
    own = []
    if not has_host:
        own.append(("Host", host if self.port == self.default_port else f"{host}:{self.port}"))
    if not has_encoding:
        own.append(("Accept-Encoding", "identity"))
    if body is not None:
        own.append(("Content-Length", str(len(body))))
    elif method.upper() in module._METHODS_EXPECTING_BODY:
        own.append(("Content-Length", "0"))
    return own + pairs


def _patch_responses(module):
    response_class, message_class = module.HTTPResponse, module.HTTPMessage
    begin, read_status, parse_headers = response_class.begin, response_class._read_status, module.parse_headers

    def begin_with_head(self):
        fp = self.fp
        is_original = module.parse_headers is parse_headers and type(self)._read_status is read_status
        if type(fp) is not ResponseFile or self.headers is not None or self.debuglevel > 0 or not is_original:
            return begin(self)
        head = fp.take_head()
        if head is not None:
            status, reason, headers = head
            # of several values of one name, the first
            values = dict(reversed(headers))
            if _is_simple(reason, headers, values, module):
                return set_head(self, status, reason, headers, values)
        fp.give_head(head)
        begin(self)

    def set_head(self, status, reason, headers, values):
        self.code = self.status = status
        self.reason = reason
        self.version = 11
        self.headers = self.msg = message = message_class()
        message._headers = headers
        message._payload = ""
        self.chunked = values.get("transfer-encoding") == "chunked"
        self.chunk_left = None if self.chunked else module._UNKNOWN
        self.will_close = "close" in values.get("connection", "").lower()
        self.length = None
        length = values.get("content-length", "")
        if length.isdecimal() and not self.chunked:
            self.length = int(length)
        if status in (204, 304) or 100 <= status < 200 or self._method == "HEAD":
            self.length = 0
        if not self.will_close and not self.chunked and self.length is None:
            self.will_close = True

    response_class.begin = begin_with_head


def _is_simple(reason, headers, values, module):
    """Would the parser of `email` make of these headers nothing but a list of them? `values` has the first of each name."""
    if len(headers) >= module._MAXHEADERS or not reason.isascii() or reason != reason.strip():
        return False
    if headers and max(map(len, map(_value_of, headers))) > 10_000:
        return False
    content_type = values.get("content-type")
    if content_type is None:
        return True
    return dict(headers)["content-type"] is content_type and not content_type.lower().startswith(("multipart", "message"))
