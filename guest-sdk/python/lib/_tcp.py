"""A TCP connection that the host opens, for sockets and asyncio where the script has `!allow tcp`.

It is used like `bue._connection.Connection`: methods that wait are generators. One read and one write are in progress at a time;
`select` waits for those of several connections.
"""

import errno
import ssl

import _bue_net

from bue._connection import to_exception, wait
from bue._scheduler import clock

# Bytes that are read ahead of the program.
_READ_SIZE = 64 * 1024
# Bytes that are given to the host at a time.
_WRITE_SIZE = 256 * 1024
# Seconds that closing waits for what a non-blocking socket has accepted.
_MAX_FLUSH = 10


class Connection:
    """A connection to one server, in both directions at once."""

    def __init__(self, host, port):
        self.host = host
        self.port = port
        # what TLS negotiated: version, cipher, application protocol or None, certificate
        self.session = None
        # why it cannot be read from
        self.failure = None
        self.is_open = False
        self._exchange = None
        # the operations in progress: what each ticket is for
        self._pending = {}
        self._reading = self._writing = None
        self._write_error = None
        self._received = memoryview(b"")
        self._is_at_end = self._is_securing = False

    def __del__(self):
        self.abort()

    @property
    def is_secure(self):
        return self.session is not None

    def begin(self, timeout):
        """Start to connect."""
        self._exchange = _bue_net.connect(self.host, self.port, timeout)
        self._pending[self._exchange] = "connect"

    def open(self, timeout):
        """Connect."""
        self.begin(timeout)
        yield from self._wait(self.is_decided, lambda: self._exchange, timeout, True, self.close)
        if self.failure is not None:
            raise self.failure

    def is_decided(self):
        """Is it open, or has it failed to open?"""
        return self.is_open or self.failure is not None

    def send(self, data, timeout):
        """Send all bytes. An error of an earlier `try_send` is raised here too."""
        view = memoryview(data).cast("B")
        for start in range(0, len(view), _WRITE_SIZE):
            yield from self._until_writable(timeout)
            self._write(view[start : start + _WRITE_SIZE], False)
        yield from self._until_writable(timeout)

    def try_send(self, data):
        """Send as many bytes as there is room for now, and return their number."""
        view = memoryview(data).cast("B")[:_WRITE_SIZE]
        wait(self._until_writable(0))
        self._write(view, False)
        return len(view)

    def end(self, timeout):
        """End the connection in this direction."""
        yield from self._until_writable(timeout)
        self._write(b"", True)
        yield from self._until_writable(timeout)

    def receive(self, max_bytes, timeout, peek=False):
        """Return received bytes, or none if the server has ended the connection."""
        yield from self._wait(self.is_readable, self.read_ticket, timeout, False)
        if self._received:
            piece = bytes(self._received[:max_bytes])
            if not peek:
                self._received = self._received[max_bytes:]
            return piece
        if self.failure is not None:
            raise self.failure
        return b""

    def start_tls(self, context, server_name, timeout):
        """Use TLS from now on."""
        yield from self._until_writable(timeout)
        plain = self._reading
        self._is_securing = True
        authorities, default_authorities, protocols = context
        ticket = _bue_net.start_tls(self._exchange, server_name, authorities, default_authorities, protocols)
        self._pending[ticket] = "tls"
        deadline = None if timeout is None else clock() + timeout
        while tickets := tuple(number for number in (plain, ticket) if number in self._pending):
            completions = yield tickets, _remaining(deadline), True
            self._complete_all(completions, deadline, self.close)
        self._is_securing = False
        if self.failure is None and self._received:
            # these bytes did not come through TLS, although the program would take them for such
            self.failure = ssl.SSLError(1, "the server sent more than it was asked for before TLS began")
            self._received = memoryview(b"")
        if self.failure is not None:
            self.close()
            raise self.failure

    def is_readable(self):
        """Would `receive` return immediately?"""
        return bool(self._received) or self._is_at_end or self.failure is not None

    def is_writable(self):
        """Would `send` accept bytes immediately?"""
        return self.is_decided() and self._writing is None

    def read_ticket(self):
        """The operation after which it may be readable."""
        if not self.is_decided():
            return self._exchange
        if self._reading is None:
            self._reading = _bue_net.read(self._exchange, _READ_SIZE)
            self._pending[self._reading] = "read"
        return self._reading

    def write_ticket(self):
        """The operation after which it may be writable."""
        return self._writing if self.is_decided() else self._exchange

    def complete(self, completion):
        """Record what an operation has resulted in. Another thread may have done so already."""
        ticket, what, value = completion
        match self._pending.pop(ticket, None), what:
            case "connect", "failed":
                self.failure = to_exception(*value)
            case "connect", _:
                self.is_open = True
            case "read", "failed":
                self._reading = None
                # a read that waits when TLS begins is given back
                if not (self._is_securing and value[0] == "closed"):
                    self.failure = to_exception(*value)
            case "read", _:
                self._reading = None
                self._received = memoryview(value[0])
                self._is_at_end = not value[0]
            case "write", "failed":
                self._writing = None
                self._write_error = BrokenPipeError(errno.EPIPE, value[1])
            case "write", _:
                self._writing = None
            case "tls", "failed":
                self.failure = to_exception(*value)
            case "tls", _:
                self.session = value

    def end_reading(self):
        """Receive nothing more."""
        self._received, self._is_at_end = memoryview(b""), True

    def close(self):
        """Close it, after what was accepted is sent."""
        if self._writing is not None:
            try:
                wait(self._until_writable(_MAX_FLUSH))
            except OSError:
                pass
        self.abort()

    def abort(self):
        """Close it at once."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            _bue_net.close(exchange)
            self._pending.clear()
            self._reading = self._writing = None
            self.end_reading()
            self.failure = self.failure or OSError(errno.EBADF, "the connection is closed")

    def _write(self, data, is_last):
        if self._exchange is None:
            raise self.failure
        self._writing = _bue_net.write(self._exchange, data, is_last)
        self._pending[self._writing] = "write"

    def _until_writable(self, timeout):
        yield from self._wait(self.is_writable, self.write_ticket, timeout, True)
        error, self._write_error = self._write_error, None
        if error is not None:
            raise error
        if not self.is_open:
            raise self.failure

    def _wait(self, is_done, ticket, timeout, is_brief, on_timeout=None):
        deadline = None if timeout is None else clock() + timeout
        while not is_done():
            completions = yield (ticket(),), _remaining(deadline), is_brief
            self._complete_all(completions, deadline, on_timeout)

    def _complete_all(self, completions, deadline, on_timeout):
        for completion in completions:
            self.complete(completion)
        if not completions and deadline is not None and clock() >= deadline:
            if on_timeout is not None:
                on_timeout()
            raise TimeoutError("timed out")


def _remaining(deadline):
    return None if deadline is None else max(deadline - clock(), 0)
