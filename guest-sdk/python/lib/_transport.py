"""asyncio transports on top of `bue._connection` and `bue._tcp`, for `open_connection` and clients built from protocols."""

import asyncio
import ssl

from bue import _connection, _sockets, _tcp

_READ_SIZE = _WRITE_SIZE = 256 * 1024
# Unsent bytes at which the protocol's `pause_writing` is called.
_HIGH_WATER = 64 * 1024


class HttpTransport(asyncio.Transport):
    """One HTTP connection: a task sends what the protocol writes, then passes it the response."""

    def __init__(self, loop, connection, protocol):
        super().__init__({"peername": (connection.host, connection.port)})
        self._loop = loop
        self._connection = connection
        self._protocol = protocol
        self._unsent = bytearray()
        self._has_work = asyncio.Event()
        self._is_reading_paused = self._is_closing = self._is_writing_paused = False
        protocol.connection_made(self)
        self._task = loop.create_task(self._run())

    async def _run(self):
        lost_error = None
        try:
            while not (self._is_closing and not self._unsent):
                await self._send_or_receive()
        except OSError as error:
            lost_error = error
        finally:
            self._is_closing = True
            self._connection.close()
            self._protocol.connection_lost(lost_error)

    async def _send_or_receive(self):
        self._has_work.clear()
        if self._unsent:
            data, self._unsent = bytes(self._unsent), bytearray()
            if self._connection.is_unused() and not _sockets.is_request(data):
                await self._raise_refusal()
            await self._loop.wait(self._connection.send(data))
            self._resume_writing()
        elif self._connection.has_more() and not self._is_reading_paused:
            data = await self._loop.wait(self._connection.receive(_READ_SIZE, None))
            if data:
                self._protocol.data_received(data)
            elif not self._protocol.eof_received():
                self.close()
        else:
            await self._has_work.wait()

    async def _raise_refusal(self):
        """The program does not speak HTTP. The error says what to write."""
        connection = _tcp.Connection(self._connection.host, self._connection.port)
        await self._loop.wait(connection.open(None))
        raise OSError("only HTTP can be spoken here; `!allow tcp` must name the host as the program does")

    def _resume_writing(self):
        if self._is_writing_paused:
            self._is_writing_paused = False
            self._protocol.resume_writing()

    def write(self, data):
        self._unsent += data
        self._has_work.set()
        if len(self._unsent) > _HIGH_WATER and not self._is_writing_paused:
            self._is_writing_paused = True
            self._protocol.pause_writing()

    def close(self):
        self._is_closing = True
        self._has_work.set()
        if self._connection.has_more() and not self._unsent:
            # the task waits for a response that is no longer needed
            self._task.cancel()

    def abort(self):
        self._unsent.clear()
        self._is_closing = True
        self._task.cancel()

    def is_closing(self):
        return self._is_closing

    def pause_reading(self):
        self._is_reading_paused = True

    def resume_reading(self):
        self._is_reading_paused = False
        self._has_work.set()

    def is_reading(self):
        return not self._is_reading_paused

    def can_write_eof(self):
        return False

    def get_protocol(self):
        return self._protocol

    def set_protocol(self, protocol):
        self._protocol = protocol

    def get_write_buffer_size(self):
        return len(self._unsent)

    def get_write_buffer_limits(self):
        return (0, _HIGH_WATER)

    def set_write_buffer_limits(self, high=None, low=None):
        pass


class TcpTransport(asyncio.Transport):
    """One TCP connection: a task sends what the protocol writes, another one passes it what arrives."""

    def __init__(self, loop, connection, protocol):
        super().__init__()
        self._loop = loop
        self._connection = connection
        self._protocol = protocol
        self._unsent = bytearray()
        self._low_water, self._high_water = _HIGH_WATER // 4, _HIGH_WATER
        self._has_work = asyncio.Event()
        # nothing is being sent
        self._is_idle = asyncio.Event()
        self._may_read = asyncio.Event()
        self._may_read.set()
        self._is_closing = self._is_ending = self._is_writing_paused = self._is_lost = False
        protocol.connection_made(self)
        self._reader = loop.create_task(self._read())
        self._writer = loop.create_task(self._write())

    def get_extra_info(self, name, default=None):
        connection = self._connection
        match name:
            case "peername":
                return (connection.host, connection.port)
            case "sockname":
                return ("127.0.0.1", 0)
            case "socket":
                return _sockets.socket_of(connection)
            case "ssl_object":
                return _sockets.socket_of(connection) if connection.is_secure else default
            case _:
                return default

    async def _read(self):
        try:
            while True:
                await self._may_read.wait()
                data = await self._loop.wait(self._connection.receive(_READ_SIZE, None))
                if not data:
                    break
                self._deliver(data)
            if not self._protocol.eof_received() or self._connection.is_secure:
                self.close()
        except OSError as error:
            self._lose(error)

    def _deliver(self, data):
        if isinstance(self._protocol, asyncio.BufferedProtocol):
            asyncio.protocols._feed_data_to_buffered_proto(self._protocol, data)
        else:
            self._protocol.data_received(data)

    async def _write(self):
        try:
            while self._unsent or not (self._is_closing or self._is_ending):
                await self._send_or_wait()
            if not self._is_closing:
                await self._loop.wait(self._connection.end(None))
            if self._is_closing:
                self._lose(None)
        except OSError as error:
            self._lose(error)

    async def _send_or_wait(self):
        self._has_work.clear()
        if not self._unsent:
            self._is_idle.set()
            return await self._has_work.wait()
        data = bytes(self._unsent[:_WRITE_SIZE])
        del self._unsent[: len(data)]
        await self._loop.wait(self._connection.send(data, None))
        if self._is_writing_paused and len(self._unsent) <= self._low_water:
            self._is_writing_paused = False
            self._protocol.resume_writing()

    def _lose(self, error):
        """End it, once."""
        if self._is_lost:
            return
        self._is_lost = self._is_closing = True
        self._reader.cancel()
        self._writer.cancel()
        self._connection.abort()
        self._loop.call_soon(self._protocol.connection_lost, error)

    async def start_tls(self, context, server_name, timeout):
        """Use TLS from now on."""
        # nothing is read in between
        self._reader.cancel()
        await self._is_idle.wait()
        await self._loop.wait(_sockets.securing(self._connection, context, server_name, timeout))
        self._reader = self._loop.create_task(self._read())

    def write(self, data):
        if self._is_closing or self._is_ending:
            return
        self._unsent += data
        self._is_idle.clear()
        self._has_work.set()
        if len(self._unsent) > self._high_water and not self._is_writing_paused:
            self._is_writing_paused = True
            self._protocol.pause_writing()

    def write_eof(self):
        self._is_ending = True
        self._has_work.set()

    def can_write_eof(self):
        return not self._connection.is_secure

    def close(self):
        if self._is_closing:
            return
        self._is_closing = True
        self._reader.cancel()
        self._has_work.set()
        if self._writer.done():
            # the protocol has ended its direction before
            self._lose(None)

    def abort(self):
        self._unsent.clear()
        self._lose(None)

    def is_closing(self):
        return self._is_closing

    def pause_reading(self):
        self._may_read.clear()

    def resume_reading(self):
        self._may_read.set()

    def is_reading(self):
        return self._may_read.is_set()

    def get_protocol(self):
        return self._protocol

    def set_protocol(self, protocol):
        self._protocol = protocol

    def get_write_buffer_size(self):
        return len(self._unsent)

    def get_write_buffer_limits(self):
        return (self._low_water, self._high_water)

    def set_write_buffer_limits(self, high=None, low=None):
        self._high_water = _HIGH_WATER if high is None else high
        self._low_water = self._high_water // 4 if low is None else low


async def connect(loop, protocol_factory, host, port, context, sock, server_name, tls_timeout):
    """Implements `loop.create_connection`."""
    connection = _sockets.new_connection(host, int(port), None) if sock is None else sock.connected()
    if isinstance(connection, _tcp.Connection) and not connection.is_decided():
        await loop.wait(connection.open(None))
    if context:
        context = ssl.create_default_context() if context is True else context
        await loop.wait(_sockets.securing(connection, context, server_name or host, tls_timeout))
    protocol = protocol_factory()
    transport = TcpTransport if isinstance(connection, _tcp.Connection) else HttpTransport
    return transport(loop, connection, protocol), protocol
