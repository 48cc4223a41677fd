"""An HTTP/1.1 connection as Python's HTTP libraries use it, built on requests that the host makes.

Every HTTP library writes the bytes of requests to a connection and reads the bytes of responses. `Connection` parses the
requests, has the host make them (`_bue_net`), and serializes the responses. The host does TLS; a connection only knows
whether TLS was asked for.

Methods that wait are generators: they yield `(tickets, seconds or None)`, with `True` after them if the operations are usually
done at once, and receive the completed operations, a list of `(ticket, what, value)` that is empty on timeout. `wait` drives such a generator in blocking code, `Loop.wait` of
`bue._event_loop` in asyncio.
"""

import errno

import _bue_net

from bue._scheduler import clock, wait_alone, wait_for_host

_MAX_HEAD = 1024 * 1024
_READ_SIZE = 256 * 1024
# Seconds after which the host has given up connecting.
_MAX_CONNECT = 31
# Seconds in which no other thread begins while a thread waits for what is usually done at once. It would have to end before this
# thread goes on, which might only want to send its request.
_BRIEF = 1.0

# `socket.EAI_NONAME` on Linux
EAI_NONAME = -2
_CONNECT_ERRORS = {"denied", "name", "refused", "unreachable", "connect_timeout", "tls", "limit", "bad_request"}


def wait(operation):
    """Drive a generator of a waiting method, blocking the current thread."""
    try:
        wanted = next(operation)
        while True:
            wanted = operation.send(_wait_once(*wanted))
    except StopIteration as stop:
        return stop.value


def _wait_once(tickets, seconds, is_brief=False):
    if is_brief and (seconds is None or seconds > _BRIEF):
        completions = wait_alone(_bue_net.wait, tickets, _BRIEF)
        if completions:
            return completions
        seconds = None if seconds is None else seconds - _BRIEF
    elif is_brief:
        return wait_alone(_bue_net.wait, tickets, seconds)
    return wait_for_host(_bue_net.wait, tickets, seconds)


class Connection:
    """Sends one request after another to one server."""

    def __init__(self, host, port, connect_timeout):
        self.host = host
        self.port = port
        self.connect_timeout = connect_timeout
        self.is_secure = False
        self._unsent = bytearray()
        # the head of a response that was not read: status, reason, headers
        self._head = None
        # bytes of a response that were not read; they follow the head
        self._unread = memoryview(b"")
        self._exchange = None
        self._body_writer = None
        self._response = None
        self._is_head = False
        self._is_chunked = False
        self._is_done = True
        self._is_closed = False
        self._failure = None
        self._sent_at = 0.0
        self._response_at = None

    def send(self, data, timeout=None):
        """Accept bytes of requests. Errors of connecting are raised here. The timeout of connecting counts, not this one."""
        self._unsent += data
        while self._unsent:
            if self._body_writer is None:
                if not (yield from self._begin_request()):
                    return
            elif not (yield from self._body_writer.send(self._unsent)):
                return
            else:
                self._body_writer = None
                yield from self._await_connection()

    def can_begin(self):
        """Can a request be sent that is not written as bytes?"""
        return self._is_done and not self._unsent and self._body_writer is None and not self._has_bytes()

    def request(self, method, target, headers, body):
        """Send a request that is complete; the same as `send` of its bytes."""
        self._exchange = _bue_net.start(method, self._origin(), target, headers, body, self.connect_timeout)
        self._is_head, self._is_done, self._response, self._response_at = method == "HEAD", False, None, None
        return self._await_connection()

    def receive(self, max_bytes, timeout):
        """Return bytes of a response, or none if the server has closed the connection."""
        if not self._has_bytes() and not self._is_done:
            yield from self._await_bytes(timeout)
        if self._failure is not None and not self._has_bytes():
            raise self._failure
        if self._head is not None:
            self._unread = memoryview(b"".join((_head_bytes(*self.take_head()), self._unread)))
        piece = bytes(self._unread[:max_bytes])
        self._unread = self._unread[max_bytes:]
        return piece

    def receive_head(self, timeout):
        """Wait for a response."""
        if not self._has_bytes() and not self._is_done and self._response is None:
            yield from self._await_response(timeout)

    def take_head(self):
        """Return status, reason and headers of a response of which nothing was read; its body is read next. None if there is
        no such response."""
        head, self._head = self._head, None
        return head

    def give_head(self, head):
        """Undo `take_head`."""
        self._head = head

    def unread(self, data):
        """Make bytes that were received the next ones."""
        self._unread = memoryview(data + bytes(self._unread))

    def _has_bytes(self):
        return self._head is not None or bool(self._unread)

    def _await_bytes(self, timeout):
        if self._response is None:
            return self._await_response(timeout)
        return self._read_body(timeout)

    def has_request(self):
        """Was a request sent?"""
        return self._exchange is not None

    def is_unused(self):
        """Was nothing sent?"""
        return self._exchange is None and not self._unsent

    def unsent(self):
        """The bytes that are no complete request yet."""
        return bytes(self._unsent)

    def is_readable(self):
        """Would `receive` return immediately?"""
        return self._has_bytes() or self._is_closed

    def has_more(self):
        """Is a response expected, or part of it unread?"""
        return self._body_writer is None and (self._has_bytes() or not self._is_done or self._is_closed)

    def close(self):
        """Cancel the exchange in progress."""
        if not self._is_done:
            _bue_net.close(self._exchange)
            self._is_done = True
        self._head, self._unread = None, memoryview(b"")

    def _begin_request(self):
        """Start the request at the beginning of the unsent bytes. Returns False if more bytes are needed."""
        if not self._is_done:
            raise OSError(errno.EBUSY, "the connection's last response has not been read to its end")
        started = _bue_net.start_bytes(self._unsent, self._origin(), self.connect_timeout)
        if started is None:
            if len(self._unsent) > _MAX_HEAD and self._unsent.find(b"\r\n\r\n") < 0:
                raise OSError(errno.EMSGSIZE, "a request's headers are longer than any server accepts")
            return False
        self._exchange, consumed, self._is_head, remaining = started
        del self._unsent[:consumed]
        self._is_done, self._response, self._response_at = False, None, None
        if remaining is None:
            yield from self._await_connection()
        else:
            self._body_writer = _ChunkedBody(self) if remaining < 0 else _LengthBody(self, remaining)
        return True

    def _origin(self):
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.is_secure else 'http'}://{host}:{self.port}"

    def _await_connection(self):
        """Wait until the connection is made: a response has arrived, or an error would have arrived by now."""
        self._sent_at = clock()
        if self._response is None and not self._is_done:
            timeout = _MAX_CONNECT if self.connect_timeout is None else self.connect_timeout + 1
            for completion in (yield (self._exchange,), timeout):
                self._complete(completion)

    def write(self, data, last):
        """Send part of a body. Returns when the host has accepted it."""
        ticket = _bue_net.write(self._exchange, data, last)
        tickets = {ticket} if self._response else {ticket, self._exchange}
        while ticket in tickets:
            for completion in (yield tuple(tickets), None):
                tickets.discard(completion[0])
                if completion[0] != ticket:
                    self._complete(completion)
                elif completion[1] == "failed" and not last and not self._is_done:
                    # after the last part, the response tells whether the request succeeded
                    raise BrokenPipeError(errno.EPIPE, completion[2][1])

    def _await_response(self, timeout):
        seconds = None if timeout is None else max(self._sent_at + timeout - clock(), 0)
        completions = yield (self._exchange,), seconds
        if not completions:
            self.close()
            raise TimeoutError("timed out")
        self._complete(completions[0])
        self._check_timeout(timeout)

    def _check_timeout(self, timeout):
        if timeout is not None and self._response_at is not None and self._response_at > self._sent_at + timeout:
            self.close()
            raise TimeoutError("timed out")

    def _read_body(self, timeout):
        ticket = _bue_net.read(self._exchange, _READ_SIZE, timeout)
        [(_, what, value)] = yield (ticket,), None
        if what == "failed":
            return self._fail(*value)
        self._append_body(*value)

    def _complete(self, completion):
        """The request has completed, with a response or an error."""
        _, what, value = completion
        if what == "failed":
            return self._fail(*value)
        self._response_at = clock()
        status, _, reason, headers, data, last = self._response = value
        has_body = not (self._is_head or status in (204, 304))
        by_name = dict(headers)
        self._is_chunked = has_body and "content-length" not in by_name
        if self._is_chunked or "transfer-encoding" in by_name:
            headers = [header for header in headers if header[0] != "transfer-encoding"]
        if self._is_chunked:
            headers.append(("transfer-encoding", "chunked"))
        if self._has_bytes():
            # of the response before
            self._unread = memoryview(b"".join((self._unread, _head_bytes(status, reason, headers))))
        else:
            self._head = status, reason, headers
        if has_body:
            self._append_body(data, last)
        else:
            self._is_done = True
            _bue_net.close(self._exchange)

    def _append_body(self, data, last):
        self._is_done = last
        if not self._unread and not self._is_chunked:
            self._unread = memoryview(data)
            return
        parts = [self._unread]
        if self._is_chunked and data:
            parts += [b"%x\r\n" % len(data), data, b"\r\n"]
        elif data:
            parts.append(data)
        if self._is_chunked and last:
            parts.append(b"0\r\n\r\n")
        self._unread = memoryview(b"".join(parts))

    def _fail(self, kind, message):
        """Raise an error of connecting now, others at the next read. If the server closed the connection, the library
        sees end of file and raises its own error."""
        self._is_done = self._is_closed = True
        error = to_exception(kind, message)
        if error.is_connecting:
            raise error
        self._failure = None if kind == "reset" else error


class _LengthBody:
    """Writes a long body whose length was announced."""

    def __init__(self, connection, length):
        self.connection = connection
        self.remaining = length

    def send(self, unsent):
        """Write the unsent bytes. Returns True when the body is complete."""
        while unsent and self.remaining:
            data = bytes(unsent[: min(self.remaining, _READ_SIZE)])
            del unsent[: len(data)]
            self.remaining -= len(data)
            yield from self.connection.write(data, self.remaining == 0)
        return self.remaining == 0


class _ChunkedBody:
    """Writes a body with chunked transfer encoding."""

    def __init__(self, connection):
        self.connection = connection

    def send(self, unsent):
        """Write the complete chunks. Returns True after the last one."""
        chunks, is_last, offset = [], False, 0
        while not is_last:
            end = unsent.find(b"\r\n", offset)
            if end < 0:
                break
            size = int(bytes(unsent[offset:end]).partition(b";")[0], 16)
            if len(unsent) < end + 2 + size + 2:
                break
            chunks.append(bytes(unsent[end + 2 : end + 2 + size]))
            is_last, offset = size == 0, end + 2 + size + 2
        del unsent[:offset]
        if chunks:
            yield from self.connection.write(b"".join(chunks), is_last)
        return is_last


def _head_bytes(status, reason, headers):
    lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode("latin-1", "replace")


def to_exception(kind, message):
    """Return the exception that a socket would raise. Its `is_connecting` says whether nothing was sent yet."""
    error = _socket_error(kind, message)
    error.is_connecting = kind in _CONNECT_ERRORS
    return error


def _socket_error(kind, message):
    import socket
    import ssl

    match kind:
        case "denied":
            return PermissionError(message)
        case "name":
            return socket.gaierror(EAI_NONAME, message)
        case "refused":
            return ConnectionRefusedError(errno.ECONNREFUSED, message)
        case "reset":
            return ConnectionResetError(errno.ECONNRESET, message)
        case "unreachable":
            return OSError(errno.EHOSTUNREACH, message)
        case "connect_timeout" | "read_timeout":
            return TimeoutError(message)
        case "tls":
            return ssl.SSLError(1, message)
        case _:
            return OSError(message)
