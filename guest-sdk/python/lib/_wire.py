"""A connection as libraries see one, on top of requests that the host makes.

Whatever a library of Python's speaks HTTP with, it writes the bytes of requests to a connection and reads the bytes of
responses. So that is what it gets: requests are read here, made by the host (`_bue_net`), and what comes back is written
down again. TLS is the host's; a connection only knows whether it is meant to have it.

Methods that wait are generators: they yield `(tickets, seconds or None)` and are sent what has ended, a list of
`(ticket, what, value)`, empty when the time is over. `wait` runs one in a step that blocks, `Loop.wait` of `bue._loop` in asyncio.
"""

import errno
import time

import _bue_net

# Bodies up to this length are sent in one piece with their request; longer ones, and chunked ones, as they are written.
_WHOLE = 1024 * 1024
_MOST_HEAD = 1024 * 1024
_PIECE = 256 * 1024
# As long as the host tries to make a connection at most.
_MOST_CONNECT = 31

# `socket.EAI_NONAME` of Linux
_NO_NAME = -2
_NO_CONNECTION = {"denied", "name", "refused", "unreachable", "connect_timeout", "tls", "limit", "bad_request"}


def wait(steps):
    """Runs a method that waits, holding up the whole step."""
    try:
        tickets, seconds = next(steps)
        while True:
            tickets, seconds = steps.send(_bue_net.wait(tickets, seconds))
    except StopIteration as stopped:
        return stopped.value


class Connection:
    """One request after the other, to one server."""

    def __init__(self, host, port, connect_timeout):
        self.host = host
        self.port = port
        self.connect_timeout = connect_timeout
        self.is_secure = False
        self._unsent = bytearray()
        self._unread = memoryview(b"")
        self._exchange = None
        self._body = None
        self._response = None
        self._is_head = False
        self._is_chunked = False
        self._is_over = True
        self._is_gone = False
        self._failure = None
        self._sent_at = 0.0
        self._came_at = None

    def send(self, data):
        """Takes bytes of a request. Errors of making a connection are raised here."""
        self._unsent += data
        while self._unsent:
            if self._body is None:
                end = self._unsent.find(b"\r\n\r\n")
                if end < 0 and len(self._unsent) <= _MOST_HEAD:
                    return
                if not (yield from self._begin(end)):
                    return
            elif not (yield from self._body.send(self._unsent)):
                return
            else:
                self._body = None
                yield from self._settle()

    def receive(self, most, timeout):
        """Bytes of a response, none where the server has closed the connection."""
        if not self._unread and not self._is_over:
            if self._response is None:
                yield from self._respond(timeout)
            else:
                yield from self._read(timeout)
        if self._failure is not None and not self._unread:
            raise self._failure
        piece = bytes(self._unread[:most])
        self._unread = self._unread[most:]
        return piece

    def is_readable(self):
        """Would `receive` give something at once, or the end?"""
        return bool(self._unread) or self._is_gone

    def has_more(self):
        """Is a response under way, or its rest unread?"""
        return self._body is None and bool(self._unread or not self._is_over or self._is_gone)

    def close(self):
        """Gives up what is under way."""
        if not self._is_over:
            _bue_net.close(self._exchange)
            self._is_over = True
        self._unread = memoryview(b"")

    def _begin(self, end):
        """Starts the exchange that the unsent bytes ask for; False where more of them are needed."""
        if end < 0:
            raise OSError(errno.EMSGSIZE, "a request's headers are longer than any server takes")
        method, target, headers = _read_head(bytes(self._unsent[:end]))
        length = _value(headers, b"content-length")
        chunked = b"chunked" in (_value(headers, b"transfer-encoding") or b"").lower()
        body, taken = None, end + 4
        if not chunked and length is not None and length.isdigit() and 0 < int(length) <= _WHOLE:
            taken += int(length)
            if len(self._unsent) < taken:
                return False
            body = bytes(self._unsent[end + 4 : taken])
        elif chunked or (length or b"0").strip(b"0"):
            body = True
        del self._unsent[:taken]
        self._start(method, target, headers, body)
        if body is True:
            self._body = _Chunked(self) if chunked else _Counted(self, int(length))
        else:
            yield from self._settle()
        return True

    def _start(self, method, target, headers, body):
        if not self._is_over:
            raise OSError(errno.EBUSY, "the connection's last response has not been read to its end")
        host = f"[{self.host}]" if ":" in self.host else self.host
        origin = f"{'https' if self.is_secure else 'http'}://{host}:{self.port}"
        self._is_over, self._response, self._came_at = False, None, None
        self._is_head, self._sent_at = method == "HEAD", time.monotonic()
        self._exchange = _bue_net.start(method, origin, target, headers, body, self.connect_timeout)

    def _settle(self):
        """Waits until there is a connection: there is an answer, or there would have been an error by now."""
        self._sent_at = time.monotonic()
        if self._response is None and not self._is_over:
            most = _MOST_CONNECT if self.connect_timeout is None else self.connect_timeout + 1
            for ended in (yield (self._exchange,), most):
                self._answer(ended)

    def write(self, data, last):
        """A piece of a body, taken when there is room for it."""
        ticket = _bue_net.write(self._exchange, data, last)
        tickets = {ticket} if self._response else {ticket, self._exchange}
        while ticket in tickets:
            for ended in (yield tuple(tickets), None):
                tickets.discard(ended[0])
                if ended[0] != ticket:
                    self._answer(ended)
                elif ended[1] == "failed" and not last and not self._is_over:
                    # with the last piece everything was said; what becomes of it, the response says
                    raise BrokenPipeError(errno.EPIPE, ended[2][1])

    def _respond(self, timeout):
        seconds = None if timeout is None else max(self._sent_at + timeout - time.monotonic(), 0)
        ended = yield (self._exchange,), seconds
        if not ended:
            self.close()
            raise TimeoutError("timed out")
        self._answer(ended[0])
        self._check_time(timeout)

    def _check_time(self, timeout):
        if timeout is not None and self._came_at is not None and self._came_at > self._sent_at + timeout:
            self.close()
            raise TimeoutError("timed out")

    def _read(self, timeout):
        ticket = _bue_net.read(self._exchange, _PIECE, timeout)
        [(_, what, value)] = yield (ticket,), None
        if what == "failed":
            return self._fail(*value)
        self._take(*value)

    def _answer(self, ended):
        """The request has ended: with a response, or without one."""
        _, what, value = ended
        if what == "failed":
            return self._fail(*value)
        self._came_at = time.monotonic()
        status, _, reason, headers, data, last = self._response = value
        has_body = not (self._is_head or status in (204, 304))
        names = {name for name, _ in headers}
        self._is_chunked = has_body and "content-length" not in names
        lines = [f"HTTP/1.1 {status} {reason}"]
        lines += [f"{name}: {value}" for name, value in headers if name != "transfer-encoding"]
        if self._is_chunked:
            lines.append("transfer-encoding: chunked")
        self._unread = memoryview("\r\n".join([*lines, "", ""]).encode("latin-1", "replace"))
        if has_body:
            self._take(data, last)
        else:
            self._is_over = True
            _bue_net.close(self._exchange)

    def _take(self, data, last):
        parts = [self._unread]
        if self._is_chunked and data:
            parts += [b"%x\r\n" % len(data), data, b"\r\n"]
        elif data:
            parts.append(data)
        if self._is_chunked and last:
            parts.append(b"0\r\n\r\n")
        self._unread = memoryview(b"".join(parts))
        self._is_over = last

    def _fail(self, kind, message):
        """What comes after there was a connection is met by who reads. Where the server went away, the library sees the
        connection's end and says so in its own words."""
        self._is_over = self._is_gone = True
        error = failure(kind, message)
        if error.is_connecting:
            raise error
        self._failure = None if kind == "reset" else error


class _Counted:
    """A long body of a length that was announced."""

    def __init__(self, connection, length):
        self.connection = connection
        self.left = length

    def send(self, unsent):
        """Writes what there is; True when that was all."""
        while unsent and self.left:
            data = bytes(unsent[: min(self.left, _PIECE)])
            del unsent[: len(data)]
            self.left -= len(data)
            yield from self.connection.write(data, self.left == 0)
        return self.left == 0


class _Chunked:
    """A body in chunks."""

    def __init__(self, connection):
        self.connection = connection

    def send(self, unsent):
        """Writes the chunks there are; True after the last one."""
        pieces, is_last, at = [], False, 0
        while not is_last:
            end = unsent.find(b"\r\n", at)
            if end < 0:
                break
            size = int(bytes(unsent[at:end]).partition(b";")[0], 16)
            if len(unsent) < end + 2 + size + 2:
                break
            pieces.append(bytes(unsent[end + 2 : end + 2 + size]))
            is_last, at = size == 0, end + 2 + size + 2
        del unsent[:at]
        if pieces:
            yield from self.connection.write(b"".join(pieces), is_last)
        return is_last


def _read_head(head):
    line, *lines = head.split(b"\r\n")
    method, _, target = line.rpartition(b" ")[0].partition(b" ")
    headers = []
    for line in lines:
        if line.startswith((b" ", b"\t")) and headers:
            # a value of several lines
            name, value = headers.pop()
            headers.append((name, value + b" " + line.strip()))
        else:
            name, _, value = line.partition(b":")
            headers.append((name, value.strip()))
    return method.decode("latin-1"), target.decode("latin-1"), headers


def _value(headers, wanted):
    for name, value in headers:
        if name.lower() == wanted:
            return value
    return None


def failure(kind, message):
    """The exception that a socket would raise. `is_connecting` says that nothing was sent yet."""
    error = _exception(kind, message)
    error.is_connecting = kind in _NO_CONNECTION
    return error


def _exception(kind, message):
    import socket
    import ssl

    match kind:
        case "denied":
            return PermissionError(message)
        case "name":
            return socket.gaierror(_NO_NAME, message)
        case "refused":
            return ConnectionRefusedError(errno.ECONNREFUSED, message)
        case "unreachable":
            return OSError(errno.EHOSTUNREACH, message)
        case "connect_timeout" | "read_timeout":
            return TimeoutError(message)
        case "tls":
            return ssl.SSLError(1, message)
        case _:
            return OSError(message)
